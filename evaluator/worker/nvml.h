#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * What the driver's management library (NVML) says about one GPU: why its clocks are held back, its
 * SM clock, power, energy, and who else computes on it. Loaded at run time with prototypes of our
 * own; opened before the worker is sealed, read afterwards over what it opened.
 *
 * None of it is needed to judge: where the library, the GPU or one figure is missing, that figure
 * isn't available (ERR_UNSUPPORTED, with the reason from nvml_open), and nothing else changes.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"

struct nvml {
    void *library, *device; /* device NULL: not available */
    char driver[80];        /* the driver's version, as in 580.159.04 */
    int (*reasons)(void *, unsigned long long *);
    int (*clock)(void *, int, unsigned *);
    int (*power)(void *, unsigned *);
    int (*energy)(void *, unsigned long long *);
    int (*processes)(void *, unsigned *, void *);
};

/* `library` NULL: libnvidia-ml.so.1. `uuid` as in gpu.h. Every figure is read once, so that what it
 * opens is open before sealing. */
int nvml_open(const char *library, const char *uuid, struct nvml *ret, struct err *err);
void nvml_close(struct nvml *nvml);

/* Reasons that hold the clocks below what they would be, as bits; idleness and clocks that somebody
 * has set aren't among them. */
int nvml_throttle(const struct nvml *nvml, unsigned *ret_reasons);
/* "sw_power_cap, hw_thermal_slowdown"; "" for none. */
void nvml_throttle_text(unsigned reasons, char *ret, size_t size);

int nvml_sm_mhz(const struct nvml *nvml, unsigned *ret);
int nvml_power_mw(const struct nvml *nvml, unsigned *ret);
/* Since the driver was loaded; steps of some ten milliseconds, so differences need about a second. */
int nvml_energy_mj(const struct nvml *nvml, uint64_t *ret);

/*
 * Processes besides this one that have a compute context on the GPU. Where this process is in a PID
 * namespace of its own, NVML may list it under another number or not at all: one unknown process is
 * then taken for this one, so that a count of 0 isn't proof (gate_hold sees a GPU that is shared).
 */
int nvml_others(const struct nvml *nvml, unsigned *ret);
