#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * What the device takes to copy: the driver's own device-to-device copy, timed as candidates are
 * (cold L2, behind a holding kernel, by events). A kernel that reads and writes the same bytes can
 * be held against it.
 */
#include <stddef.h>
#include "evaluator/worker/gate.h"
#include "evaluator/worker/slab.h"
#include "evaluator/worker/stats.h"

enum { COPY_SAMPLES = 61 };

/* `bytes` are read and written together: half of them are copied. Times in microseconds. */
int copy_time(struct gpu *gpu, struct slabs *slabs, struct gate *gate, size_t bytes,
              struct interval *ret_us, struct err *err);
