#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * What the hardware can do at best, for two ends: a floor under any honest time (faster than that
 * is an error or a cheat), and the share of the speed of light that a time reaches. Also the class
 * of bottleneck that follows from both.
 *
 * The floor stands on theoretical peaks: operations a clock and SM from the architecture's white
 * paper, times SMs and boost clock as the driver reports them. The share is of what this device was
 * measured to reach, where it was.
 */
#include <stdbool.h>
#include <stddef.h>
#include "base/err.h"
#include "kernelbench/ceilings.h"
#include "kernelbench/verdict.h"

struct roof_device {
    int major, minor, sm_count, clock_khz, l2_bytes;
    double bandwidth; /* bytes a second, 0 if unknown */
};

struct roof_work {
    double bytes, flops; /* compulsory traffic, operations; 0 if unknown */
    double written;      /* of the bytes */
    bool flops_minimum;  /* `flops` can't be avoided by any algorithm */
    const char *precision;
};

/* Operations a second; 0 for an architecture or precision that isn't in the table. */
double roof_peak(const struct roof_device *device, const char *precision);

/* Microseconds below which no run can be; 0 if nothing is known. `ret_why` gets the arithmetic. */
double roof_floor_us(const struct roof_device *device, const struct roof_work *work, char *ret_why,
                     size_t why_size);

struct roof_share {
    double share;      /* 0 if unknown */
    const char *bound; /* "memory", "compute", "" */
    const char *basis; /* of that bound: "measured", "theoretical", "" */
};

/*
 * `measured` holds zeros for what wasn't. What is written goes at the speed of copying, with as much
 * that is read, and the rest at that of reading. Tensor
 * cores that were driven by an instruction which isn't the fastest of its architecture go by theory.
 */
void roof_share(const struct roof_device *device, const struct ceilings *measured,
                const struct roof_work *work, double time_us, struct roof_share *ret);

/* A class from the time and the share alone; n_launches kernels one after the other. */
enum bottleneck roof_bottleneck(const struct roof_share *share, double time_us, size_t n_launches);
