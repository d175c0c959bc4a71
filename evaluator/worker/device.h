#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * The device worker: one GPU (or the simulator behind the same interface), which runs device code
 * that a model wrote and says whether it is right and how fast. It never parses source. It does one
 * job at a time, so timings never overlap, and after an error that breaks the GPU's context it
 * reports and exits with code 4.
 *
 * With `profile` it serves profiles and nothing else (profile.h): what watches a GPU slows it, so a
 * worker that profiles never times. With `sanitizes` it serves runs for compute-sanitizer to watch and
 * nothing else (sanitize.h), and leaves itself as open as the tool needs it.
 */
#include <stdbool.h>

struct device_config {
    const char *driver; /* libcuda.so.1, or the simulator's path */
    int gpu;
    bool plain_memory; /* ordinary allocations, as where the driver can't map memory */
    bool unsealed;     /* for debugging */
    bool sanitizes;
    const char *profile; /* libcupti's path, or "auto"; NULL: this worker judges */
};

/* Says hello and serves jobs until the agent hangs up. Returns the exit code of the program. */
int device_serve(const struct device_config *config);
