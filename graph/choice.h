#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * A decision with its whole breakdown: what was read for every direction, how it was weighed, what
 * was drawn. choice_decide is arithmetic over these numbers alone, so a stored choice can be
 * decided again, with the same outcome, long after the memory it read has moved on.
 *
 * For direction d, with sources p_0 (the latest) .. p_W-1 from the parent's lineage:
 *
 *   a_j(d)    = softmax_j(-position * j + evidence * share(p_j -> d))      sums to one
 *   score(d)  = w sum_j a_j(d) (m(p_j -> d | c) - m(d | c))  +  local(d)
 *               +  opening opens(d)  -  failed - stale - exhausted - unfit
 *   local(d)  = T log sum_s exp(score(s) / T) over its strategies (choice_strategy_score): what they
 *               are worth to a draw; without them (no-local) m(d | c) + u sqrt(v(d | c) / (n + k))
 *   opens(d)  = max_e m(d -> e | c) - m(e | c), not below 0, over the e that aren't in the lineage
 *   P(d)      = softmax(score / temperature) over the directions that may be taken
 *
 * A direction is worth what its strategies are worth, and what came before moves that up or down: so
 * the whole can't know less than a flat list of strategies does. An edge's prior is m(d | c) plus the
 * seed transition's bonus, and its pseudo-observations k_edge follow from how much order matters at
 * all in this memory (order.h); without any source (no-prefix) the sum is 0. opens(d) is what a step that brings little by itself
 * makes possible next: without it a layout change would never be tried for the sake of the tensor
 * cores. A control step ignores memory: only penalties count.
 * `share` is estimate.h's. Draws come from base/rng.h keyed by (seed, task, step). A choice and
 * all it points to live in the arena it was made in.
 */
#include "base/arena.h"
#include "graph/estimate.h"

enum { CHOICE_SOURCES_MAX = 8, CHOICE_STRATEGIES_MAX = 64, CHOICE_FORMAT = 2 };

#define SELECT_ABLATION_LIST(X)                                                                    \
    X(OFF, "full") /* nothing is taken away */                                                     \
    X(FLAT, "flat") /* no hierarchy: strategies compete in one list */                             \
    X(RANDOM, "random") /* memory randomised: every node reads another's numbers */                \
    X(NO_PREFIX, "no-prefix") /* the walk so far is ignored */                                     \
    X(NO_POSITION, "no-position") /* old steps weigh as much as recent ones */                     \
    X(NO_LOCAL, "no-local") /* strategies aren't recalled */                                       \
    X(FROZEN, "frozen") /* reads the memory, never learns */                                       \
    X(NONE, "none") /* no memory: every step is a control */

enum select_ablation {
#define X(name, text) SELECT_ABLATION_##name,
    SELECT_ABLATION_LIST(X)
#undef X
};

/* All in nats unless said otherwise; select_tuning_default() fills it. */
struct select_tuning {
    double temperature; /* 0: always the best */
    double w, u, opening; /* weights of what came before, of doubt, of what it opens */
    double k;           /* pseudo-observations of shrinkage */
    double position, evidence;                 /* of the attention */
    double failed, stale, exhausted, unfit;    /* penalties */
    double control_share, trust_floor;         /* shares of the steps */
    int64_t window;                            /* sources that count, 1..CHOICE_SOURCES_MAX */
};

struct choice_term {
    struct estimate estimate; /* of the edge source -> direction */
    double attention;
};

struct choice_direction {
    const char *id;
    bool allowed;              /* may be taken now (mask) */
    struct estimate estimate;  /* of the direction by itself */
    struct choice_term *terms; /* one a source */
    double opens;              /* the most that a next step gains by it, and which */
    const char *opens_to;      /* "" if none */
    double local;              /* log-sum of its strategies */
    double failed, stale, exhausted, unfit; /* penalties */
    double transition, unary, explore, score, probability; /* set by choice_decide */
};

struct choice_strategy {
    const char *id;
    struct estimate estimate;
    double explore, penalty, score, probability; /* of being drawn first */
    bool provisional;
};

struct choice {
    uint64_t seed, step;
    const char *task;
    struct context context;
    enum select_ablation ablation;
    struct select_tuning tuning;
    double trust, k_edge; /* k_edge: the edges' k */
    const char **sources; /* latest first; "start" for a first step */
    size_t n_sources, n_directions;
    struct choice_direction *directions;
    /* Set by choice_decide. */
    bool control; /* this step ignores memory */
    bool recall;  /* strategies' guidance belongs in the prompt */
    size_t picked;
    /* Set by select_strategies: ranked, the drawn ones first. */
    struct choice_strategy *strategies;
    size_t n_strategies, n_recalled;
};

/* Scores, probabilities, control or not, and the draw. ERR_NOTFOUND: no direction is allowed. */
int choice_decide(struct choice *choice, struct err *err);
/* Scores choice->strategies and puts them in order: up to `most` drawn without replacement, then
 * the rest by score. Where memory is ignored only penalties count. */
void choice_rank(struct choice *choice, size_t most);

/* score = m(s | c) + u sqrt(v / (n + k)) - penalty, of one strategy. */
double choice_strategy_score(const struct choice_strategy *strategy,
                             const struct select_tuning *tuning);
/* T log sum exp(score / T): what a list of them is worth to a draw at temperature T; T 0: the most. */
double choice_soft_most(const double *scores, size_t n, double temperature);

void choice_write(struct jwriter *w, const char *key, const struct choice *choice);
/* The same as a document. */
json_t *choice_json(const struct choice *choice);
/* Parses and decides again; ERR_INVALID if what was kept isn't what its numbers decide. */
int choice_parse(const json_t *json, struct arena *arena, struct choice **ret, struct err *err);
