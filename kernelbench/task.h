#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * A task: what must be computed. Read from a folder with task.json and, for a native task, the
 * reference kernel beside it. Everything hangs off one arena, which the task owns.
 *
 * Shapes bind the task's symbols ("rows", "cols") to numbers. Use: correctness is checked on
 * `default`, `small` and each held-out shape; time is taken on `default`.
 * Sizes are 64-bit element counts.
 */
#include "base/arena.h"
#include "base/err.h"
#include "base/expr.h"
#include "base/id.h"
#include "kernelbench/dtype.h"
#include "kernelbench/plan.h"

enum { TASK_TENSORS_MAX = 1024, TASK_RANK_MAX = 8, TASK_SYMBOLS_MAX = 32, TASK_SHAPES_MAX = 32 };

enum tensor_role {
    TENSOR_ROLE_INPUT,
    TENSOR_ROLE_WEIGHT,
    TENSOR_ROLE_INOUT,
    TENSOR_ROLE_OUTPUT,
    TENSOR_ROLE_SCRATCH, /* of a plan, never of a task */
};

enum domain_kind {
    DOMAIN_KIND_REAL,        /* any real; standard normal by default */
    DOMAIN_KIND_POSITIVE,    /* > 0 */
    DOMAIN_KIND_UNIT,        /* [0, 1) */
    DOMAIN_KIND_PROBABILITY, /* rows of the last dimension sum to one */
    DOMAIN_KIND_INDEX,       /* integers in [0, bound) */
    DOMAIN_KIND_EXACT,       /* small integers in [-8, 8], exact in every dtype; [0, 8] in u8 */
};

struct tensor {
    const char *name;
    enum dtype dtype;
    enum tensor_role role;
    size_t rank;
    struct expr *dims[TASK_RANK_MAX];
    enum domain_kind domain;
    struct expr *index_bound; /* DOMAIN_KIND_INDEX */
};

struct scalar {
    const char *name;
    enum dtype dtype;
    double value;
};

/* "input", "real": as in documents and in the worker's jobs. */
const char *tensor_role_name(enum tensor_role role);
const char *domain_kind_name(enum domain_kind kind);

enum shape_use { SHAPE_USE_DEFAULT, SHAPE_USE_SMALL, SHAPE_USE_HELD_OUT };

struct shape {
    const char *name; /* "default", "small", "held_out[0]" */
    enum shape_use use;
    struct symbols symbols;
};

struct task {
    struct arena *arena;
    const char *folder; /* where it was read from; NULL if from memory */
    const char *name, *family;
    struct id id; /* of the canonical JSON and the reference's source */
    size_t n_tensors, n_scalars, n_shapes, n_aliases;
    struct tensor tensors[TASK_TENSORS_MAX]; /* inputs, weights, inout, outputs, in this order */
    struct scalar scalars[TASK_TENSORS_MAX];
    struct shape shapes[TASK_SHAPES_MAX]; /* default, small if there is one, then held out */
    const char *aliases[TASK_TENSORS_MAX][2];
    double atol, rtol;
    bool relative; /* atol is a share of the expected output's RMS */
    struct expr *flops, *bytes; /* NULL if not given */
    bool flops_minimum;         /* `flops` is a true lower bound, so it makes a physical floor */
    bool specialise;            /* held-out shapes are not used for correctness */
    bool deterministic;         /* two runs on the same inputs must give the same bits */
    const char *precision;      /* "f32", "tf32", "bf16", "f16": of operands; sums are f32 or wider */
    struct expr *accumulation;  /* terms of the longest sum; NULL: see task_accumulation */
    int64_t roundings; /* intermediates that may be rounded to `precision` on the way */
    const char *reference_source; /* CUDA text, or the problem's Python where there is an oracle */
    struct plan *reference_plan; /* NULL for a task whose oracle is not a kernel */
    const char *oracle;      /* path of the problem's file, where PyTorch says what is right; or NULL */
    const char *oracle_hash; /* BLAKE2b-256 of that file, which must not have changed */
};

/* Reads FOLDER/task.json and the reference; every error names file and path inside the document. */
int task_load(const char *folder, struct task **ret, struct err *err);
/* The same from memory. `source` is the reference's CUDA text or NULL. */
int task_parse(const char *json, size_t len, const char *source, struct task **ret,
               struct err *err);
void task_free(struct task *task);

const struct shape *task_shape(const struct task *task, const char *name);
const struct tensor *task_tensor(const struct task *task, const char *name);

/* Terms of the longest sum at a shape, or of those that follow one another together. Where the task
 * doesn't say: the largest dimension of everything it reads, added up. */
int task_accumulation(const struct task *task, const struct shape *shape, int64_t *ret,
                      struct err *err);

/* Small enough that a simulator runs it whole; others wait for a GPU. */
bool task_shape_is_small(const struct task *task, const struct shape *shape);

/* Number of elements of a tensor at a shape; ERR_INVALID if a size is not positive or overflows. */
int tensor_count(const struct tensor *tensor, const struct symbols *symbols, int64_t *ret,
                 struct err *err);
