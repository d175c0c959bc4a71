#pragma once
/* SPDX-License-Identifier: MIT */
/* What a live tuning brought, for people (a table, a page) and for programs (JSON, T4). */
#include <stdio.h>
#include "agent/tuning.h"

struct tune_about {
    const struct task *task;
    const struct candidate *candidate;
    const struct device_info *device;
    uint64_t seed;
};

void tune_show(FILE *out, const struct tune_about *about, const struct tuning_result *result);
/* The object of `tune --json`; the caller owns it. */
json_t *tune_show_json(const struct tune_about *about, const struct tuning_result *result);
/* FOLDER/report.html. */
int tune_show_page(const struct tune_about *about, const struct tuning_result *result,
                   const char *folder, struct err *err);
/* The samples as a T4 file; gzip if the name ends in .gz. */
int tune_show_t4(const struct tune_about *about, const struct tuning_result *result,
                 const char *path, struct err *err);
/* Share of the wall time in which the device had a job: timing and checks, not compiling. */
double tune_show_busy(const struct tuning_result *result);
