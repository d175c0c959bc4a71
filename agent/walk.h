#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * The graph's policy on a synthetic landscape (landscape.h), task after task: choose, try, keep what
 * got faster, learn. In place of a language model stands one that follows what is recalled: the first
 * recalled strategy in six of ten cases, the second or third else; without recall any of the
 * direction's. Everything follows from the seed; the same task has the same luck under every policy.
 */
#include "agent/landscape.h"
#include "graph/select.h"

enum { WALK_STEPS = 6 };

struct walk {
    const struct landscape *landscape;
    struct htg *htg; /* of walk_graph */
    enum select_ablation ablation;
    struct select_tuning tuning;
    uint64_t seed;
};

/* The landscape's directions and strategies, and nothing known of them. */
struct htg *walk_graph(void);

/* Task `number`: mean gain kept a step, in nats. Learns into walk->htg. */
int walk_task(const struct walk *walk, uint64_t number, double *ret_gain, struct err *err);

/* Another's memory, made wrong, into a graph of walk_graph: its numbers dealt out to other nodes; with
 * gains and losses exchanged; or just as they are, for use where they don't hold. Whom the other
 * trusted stays behind. */
enum walk_poison { WALK_POISON_SHUFFLED, WALK_POISON_INVERTED, WALK_POISON_FOREIGN };
void walk_poison(const struct htg *from, enum walk_poison poison, uint64_t seed, struct htg *to);
