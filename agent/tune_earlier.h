#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * Recorded spaces of a folder as earlier tunings: what a prior learns from where there's no store, in
 * `tune --replay FILE --earlier FOLDER` and in `bench prior`. A file's name says what it is:
 * KERNEL.DEVICE.json, or .json.gz. Facts of a device are a table of data sheets; a device that isn't in it
 * is as like one as another.
 */
#include "agent/tune/prior.h"
#include "agent/tune/recorded.h"

enum { TUNE_EARLIER_MAX = 64 }; /* files */

struct tune_earlier_space {
    char *path, *kernel, *device;
    struct recorded *recorded;
    struct prior_place place;
};

/* ERR_INVALID: the name isn't of that form. What it holds is freed by tune_earlier_done. */
int tune_earlier_read(const char *path, struct tune_earlier_space *ret, struct err *err);
void tune_earlier_done(struct tune_earlier_space *space);
/* All of a folder, appended to spaces[*n] of TUNE_EARLIER_MAX; `kernel`, `device`: only of this kernel,
   and not of this device (NULL: all). ERR_NOTFOUND: there's none. */
int tune_earlier_folder(const char *folder, const char *kernel, const char *device,
                        struct tune_earlier_space *spaces, size_t *n, struct err *err);

/*
 * A prior of the folder's spaces of the same kernel on other devices than those of `path`, and the place
 * that `path` was measured at (its strings belong to *ret_here's owner: tune_earlier_done).
 */
int tune_earlier_prior(const char *folder, const char *path, struct prior **ret,
                       struct tune_earlier_space *ret_here, struct err *err);
