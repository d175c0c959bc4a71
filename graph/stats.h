#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * A table of tallies under text keys, which are the store's keys too: "kind/node/where".
 *
 *     direction/memory-access/CONTEXT       how the direction does; CONTEXT as in context.h, any rung
 *     strategy/vector-loads/CONTEXT         how the strategy does
 *     transition/fusion>data-reuse/CONTEXT  how `data-reuse` does when `fusion` came before
 *     proof/vector-loads/TASK               wins of the strategy in a task
 *     trust/guided/FAMILY, trust/control/FAMILY   steps that followed memory, or ignored it
 *
 * A first step comes from "start". The table owns its keys; tallies are returned by pointer and
 * stay valid until the next stats_set or stats_add of a new key.
 */
#include <stddef.h>
#include "base/err.h"
#include "graph/context.h"
#include "graph/tally.h"

enum { STATS_KEY_MAX = 320, STATS_MAX = 1 << 20 };

enum stats_kind {
    STATS_KIND_DIRECTION,
    STATS_KIND_STRATEGY,
    STATS_KIND_TRANSITION,
    STATS_KIND_PROOF,
    STATS_KIND_TRUST,
    STATS_KINDS
};

struct stats;

struct stats *stats_new(void);
void stats_free(struct stats *stats); /* NULL is fine */

const char *stats_kind_name(enum stats_kind kind);
/* `from` only for a transition. Ids and contexts fit by their own limits. */
void stats_key(enum stats_kind kind, const char *from, const char *node, const char *where,
               char ret[STATS_KEY_MAX]);
/* Splits a key; `node` and `where` point into it. ERR_INVALID: not of the form above. */
int stats_key_parse(const char *key, enum stats_kind *ret_kind, const char **ret_node,
                    size_t *ret_node_len, const char **ret_where, struct err *err);

/* NULL: nothing known. */
const struct tally *stats_find(const struct stats *stats, const char *key);
/* 1 + what stats_at takes, the same for ever; 0: nothing known. */
uint32_t stats_index(const struct stats *stats, const char *key);
/* Replaces. ERR_INVALID: a bad key or an impossible tally; ERR_FULL: over STATS_MAX. */
int stats_set(struct stats *stats, const char *key, const struct tally *tally, struct err *err);
/* One outcome more. */
int stats_add(struct stats *stats, const char *key, double gain, bool failed, struct err *err);

size_t stats_count(const struct stats *stats);
/* The i-th, in the order they came; i < stats_count. */
const char *stats_at(const struct stats *stats, size_t i, const struct tally **ret);
/* The tallies of n numbers as stats_index gives them, NULL for 0. */
void stats_tallies(const struct stats *stats, size_t n, const uint32_t *index,
                   const struct tally **ret);
/* The same, asked of the processor only: they will be read soon. */
void stats_fetch(const struct stats *stats, size_t n, const uint32_t *index);
