#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * What an experience was made in, and where to look when there is none. A context is (family,
 * bottleneck class, architecture); estimates back off up the ladder
 *
 *     exact "softmax|memory_bound|sm_90" -> class "*|memory_bound|*" -> everywhere "*|*|*" -> prior
 *
 * The keys are what the store keeps statistics under. Experience on a modelled device climbs a
 * ladder of its own ("softmax|memory_bound|sm_90-model", "*|memory_bound|*-model", "*|*|*-model"),
 * so that a model's opinion is never mixed with a measurement. Contexts are plain values.
 */
#include <stdbool.h>
#include "base/err.h"

/* The names are those of a verdict's bottleneck classes; "none": nothing measured yet. */
#define CONTEXT_CLASS_LIST(X)                                                                      \
    X(NONE, "none") X(COMPILE_ERROR, "compile_error") X(INCORRECT, "incorrect")                    \
    X(LAUNCH_BOUND, "launch_bound") X(LATENCY_BOUND, "latency_bound")                              \
    X(MEMORY_BOUND, "memory_bound") X(COMPUTE_BOUND, "compute_bound") X(NEAR_LIMIT, "near_limit")

enum context_class {
#define X(name, text) CONTEXT_CLASS_##name,
    CONTEXT_CLASS_LIST(X)
#undef X
    CONTEXT_CLASSES
};

enum { CONTEXT_FAMILY_MAX = 64, CONTEXT_ARCH_MAX = 24, CONTEXT_KEY_MAX = 128 };

enum context_rung { CONTEXT_RUNG_EXACT, CONTEXT_RUNG_CLASS, CONTEXT_RUNG_EVERYWHERE, CONTEXT_RUNGS };

struct context {
    char family[CONTEXT_FAMILY_MAX];
    enum context_class class;
    char arch[CONTEXT_ARCH_MAX]; /* "sm_90": without the letter of sm_90a */
    bool modelled;
};

/*
 * `bottleneck` is a class's name. `arch` loses a trailing letter (sm_90a is the same machine as
 * sm_90). ERR_INVALID: an unknown class, or a name with other characters than letters, digits,
 * '_', '.', '-'; ERR_TOOBIG: a name too long.
 */
int context_init(struct context *ret, const char *family, const char *bottleneck, const char *arch,
                 bool modelled, struct err *err);

void context_key(const struct context *context, enum context_rung rung, char ret[CONTEXT_KEY_MAX]);
/* The inverse of an exact key. */
int context_parse(const char *key, struct context *ret, struct err *err);

/* "exact", "class", "everywhere"; CONTEXT_RUNGS is "prior". */
const char *context_rung_name(enum context_rung rung);
const char *context_class_name(enum context_class class);
bool context_class_parse(const char *name, enum context_class *ret);

/* Is this architecture in the list entry "sm_90", "sm_90a" or "sm_80+" (that one and newer)? */
bool context_arch_matches(const char *arch, const char *entry);
