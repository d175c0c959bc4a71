#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * Measures a device's ceilings with the kernels of peaks.cu: the best of a few short runs of each,
 * about a second in all. What a kernel reaches is held against these; what no kernel can be is said
 * by theory alone (roof.h).
 */
#include "evaluator/worker/gpu.h"
#include "kernelbench/ceilings.h"

/* `image` is peaks.cu, compiled for this device. `driver` is kept with the figures. */
int peaks_measure(struct gpu *gpu, const void *image, const char *driver, struct ceilings *ret,
                  struct err *err);
