#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * For tests of live tuning: instant workers that do as WARPSMITH_FAKE_JUDGE says (fake_worker.c), a
 * real store, the softmax family. What a tuning's callback brings is copied into a `struct seen`.
 */
#include "agent/catalog.h"
#include "agent/tuning_internal.h"

enum { SAMPLES_MAX = 256 };

struct fixture {
    char folder[64], store[96], worker[96];
    struct options options;
    struct session session;
    struct task *task;
    struct catalog_family family;
};

/* What the callback brought, copied. */
struct seen {
    int n, code;
    char algorithm[32], error[512], note[512], record[SAMPLES_MAX * 128];
    size_t samples, finals, confirmed, retimed, earlier;
    size_t paid; /* for options.spend */
    double wall_s, device_s;
    struct {
        char config[128], status[32];
        double us;
    } at[SAMPLES_MAX];
    struct candidate *best;
};

/* The callback; it counts itself in seen->n. */
void rig_on_tuned(void *ud, const struct tuning_result *r);
void rig_open_session(struct fixture *f);
/* Modelled times; times that are measured, so that they are taken again. */
int rig_setup(void **state);
int rig_setup_gpu(void **state);
int rig_teardown(void **state);
const struct candidate *rig_variant(const struct fixture *f, const char *name);
/* Task and seed are the rig's. rig_start: nothing is cut short. The others run until it is done. */
struct tuning *rig_start_as(struct fixture *f, struct tuning_options options, struct seen *seen);
struct tuning *rig_start(struct fixture *f, const struct candidate *candidate, size_t budget,
                         struct seen *seen);
void rig_tune_as(struct fixture *f, struct tuning_options options, struct seen *seen);
void rig_tune(struct fixture *f, const struct candidate *candidate, size_t budget, struct seen *seen);
/* The samples in the store. */
size_t rig_kept(struct fixture *f, struct store_item **ret, struct arena *arena);
int64_t rig_param(const struct candidate *candidate, const char *name);
size_t rig_find_fastest(const struct seen *seen);
/* A variant with two hundred block sizes, `remark` in its source; the caller frees. */
struct candidate *rig_two_hundred(const struct fixture *f, const char *remark);
