#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * What one device was measured to reach: bytes a second, operations a second (a multiply-add is
 * two). Measured once and kept by the device's UUID and driver; 0 means not measured. `instruction`
 * drove the tensor cores ("wgmma", "mma.sync"), since not every one reaches what they can do.
 */
#include <jansson.h>
#include <stdbool.h>
#include "base/err.h"

struct ceilings {
    double copy, read; /* of large buffers: read and written together, only read */
    double f32, tf32, bf16, f16;
    char instruction[16];
    char driver[80]; /* as NVML says, or the CUDA version that the driver has */
};

/* The caller owns it. */
json_t *ceilings_json(const struct ceilings *ceilings);
int ceilings_parse(const json_t *json, struct ceilings *ret, struct err *err);

/* The highest rate for operations of a precision; 0 where it wasn't measured. */
double ceilings_rate(const struct ceilings *ceilings, const char *precision);
