#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * Benches: each prints figures beside the bars they are held against. A figure is measured here and
 * now, or it isn't printed. A bench that needs what this machine lacks says so and fails with
 * ERR_ENVIRONMENT.
 */
#include <jansson.h>
#include <stdbool.h>
#include "agent/options.h"

struct bench_report {
    json_t *figures;
    FILE *out; /* NULL: JSON only */
    bool all_ok;
};

enum bench_bar { BENCH_BAR_NONE, BENCH_BAR_LEAST, BENCH_BAR_MOST };

/* `bar` is ignored for BENCH_BAR_NONE. */
void bench_figure(struct bench_report *report, const char *name, double value, const char *unit,
                  enum bench_bar kind, double bar);

struct bench {
    const char *name, *summary;
    int (*run)(const struct options *options, struct bench_report *report, struct err *err);
    bool takes_names; /* `bench NAME PART...`: options->args after the first */
};

extern const struct bench bench_overhead, bench_campaign, bench_deadlines, bench_evaluate, bench_families,
    bench_correlation, bench_device, bench_exploits, bench_sanitize,
    bench_mutants, bench_honest, bench_htg, bench_memory, bench_degenerate, bench_timing, bench_forest, bench_prior, bench_tune,
    bench_tuner;

/* A store folder that is removed afterwards. The caller frees it. */
int bench_folder(char **ret_path, struct err *err);
double bench_median(double *values, size_t n);
