#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * A candidate: CUDA source and plan. Its id is BLAKE2b-256 over the canonical plan (without tags)
 * and the source.
 *
 * `candidate_bind` resolves a plan at one shape on one device: every expression becomes a number,
 * every name an index, every limit is checked. What comes out can be handed to a worker as it is.
 */
#include "base/arena.h"
#include "base/err.h"
#include "base/id.h"
#include "base/jwrite.h"
#include "kernelbench/plan.h"
#include "kernelbench/task.h"

enum { CANDIDATE_SOURCE_MAX = 1 << 20 };

struct candidate {
    struct arena *arena;
    const char *name;   /* the folder's last part, or "" */
    const char *source; /* CUDA text */
    size_t source_len;
    struct plan *plan;
    struct id id;
};

/* Reads FOLDER/kernel.cu and FOLDER/plan.json. */
int candidate_load(const char *folder, struct candidate **ret, struct err *err);
int candidate_parse(const char *plan_json, size_t plan_len, const char *source, size_t source_len,
                    struct candidate **ret, struct err *err);
/* A copy with other values for some params; ERR_INVALID if a value is outside the space. */
int candidate_with_params(const struct candidate *candidate, const struct symbol *params, size_t n,
                          struct candidate **ret, struct err *err);
/* Writes kernel.cu and plan.json into a folder that exists. */
int candidate_save(const struct candidate *candidate, const char *folder, struct err *err);
void candidate_free(struct candidate *candidate);

/* Facts of the device that expressions may use and limits come from. */
struct device_facts {
    int64_t sm_count;
    int64_t max_shared;  /* bytes a block may have, opt-in */
    int64_t max_memory;  /* bytes that inputs, outputs and scratch may take together */
    char arch[16];       /* "sm_90a" */
};

struct bound_buffer {
    const char *name;
    enum dtype dtype;
    enum tensor_role role;
    int64_t count;       /* elements */
    int64_t inner;       /* elements of the last dimension */
    enum domain_kind domain;
    int64_t index_bound;
};

enum bound_arg_kind { BOUND_ARG_KIND_BUFFER, BOUND_ARG_KIND_SCALAR, BOUND_ARG_KIND_INT };

struct bound_arg {
    enum bound_arg_kind kind;
    int64_t value; /* index of buffer or scalar, or the number itself */
};

struct bound_launch {
    const char *kernel; /* NULL: memset of buffer `buffer` to byte `value`, or a library's call */
    const struct library_table *library; /* its arguments stand in `args`; an absent buffer is the number -1 */
    int64_t buffer, value;
    int64_t grid[3], block[3], cluster[3], shared;
    bool cooperative, programmatic;
    size_t n_args;
    struct bound_arg *args;
};

/* Buffers: the task's tensors in the task's order, then the plan's scratch. */
struct bound {
    size_t n_buffers, n_tensors, n_launches, n_prepare, n_options;
    struct bound_buffer *buffers;
    struct bound_launch *launches, *prepare;
    const char **options; /* for the compiler: "-DBLOCK=256", ..., then the plan's own; sorted -D */
    bool graph;
};

/*
 * `plan` is a candidate's or the reference's. ERR_INVALID names place and remedy
 * ("launches[0].grid[0] is 0 at shape small: every grid dimension is at least 1").
 */
int candidate_bind(const struct task *task, const struct shape *shape, const struct plan *plan,
                   const struct device_facts *facts, struct arena *arena, struct bound **ret,
                   struct err *err);

/* The buffers, launches, ... of a bound plan as the members of an object that is open. */
void bound_write(struct jwriter *w, const struct bound *bound);
/* The same as a document. */
json_t *bound_json(const struct bound *bound);
