#include "evaluator/worker/device.h"
int device_serve(const struct device_config *config){(void)config;return 3;}
