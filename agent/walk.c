/* SPDX-License-Identifier: MIT */
#include "agent/walk.h"
#include "base/arena.h"
#include "base/util.h"
#include "graph/htg_learn.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { RECALL = 3 };

static const char *const resource_names[LANDSCAPE_RESOURCES]
    = { "memory_bound", "compute_bound", "latency_bound", "launch_bound" };

static void name_direction(int direction, char ret[16])
{
    snprintf(ret, 16, "d%02d", direction);
}

static void name_strategy(int direction, int strategy, char ret[16])
{
    snprintf(ret, 16, "d%02d-s%d", direction, strategy);
}

struct htg *walk_graph(void)
{
    struct htg *htg = htg_new();
    for (int d = 0; d < LANDSCAPE_DIRECTIONS; d++) {
        char id[16];
        name_direction(d, id);
        struct htg_direction direction = { .id = id };
        require(htg_add_direction(htg, &direction, NULL) == 0);
        for (int s = 0; s < LANDSCAPE_STRATEGIES; s++) {
            char name[16];
            name_strategy(d, s, name);
            struct htg_strategy strategy = { .id = name, .direction = id };
            require(htg_add_strategy(htg, &strategy, NULL) == 0);
        }
    }
    return htg;
}

/* One task under way. */
struct trek {
    const struct walk *walk;
    struct kernel_state kernel;
    char task[24], directions[WALK_STEPS][16], strategies[WALK_STEPS][16];
    struct select_step history[WALK_STEPS];
    size_t n;
    double kept;
};

static int pick_strategy(const struct choice *choice, struct rng *rng)
{
    double roll = rng_unit(rng);
    size_t any = rng_below(rng, LANDSCAPE_STRATEGIES);
    if (!choice->recall || choice->n_recalled == 0) {
        return (int)any;
    }
    size_t rank = roll < 0.6 ? 0 : roll < 0.85 ? 1 : 2;
    const char *id = choice->strategies[MIN(rank, choice->n_recalled - 1)].id;
    return id[strlen(id) - 1] - '0';
}

static int choose(struct trek *trek, struct arena *arena, struct context *context,
                  struct choice **ret, struct err *err)
{
    const struct walk *w = trek->walk;
    char family[16];
    snprintf(family, sizeof(family), "f%d", trek->kernel.family);
    struct select_request request = { .history = trek->history, .n_history = trek->n,
                                      .seed = w->seed, .step = trek->n, .task = trek->task,
                                      .ablation = w->ablation, .tuning = w->tuning };
    const char *class = resource_names[landscape_bottleneck(w->landscape, &trek->kernel)];
    int r = context_init(&request.context, family, class, "sm_90", false, err);
    r = r < 0 ? r : select_direction(w->htg, &request, arena, ret, err);
    r = r < 0 ? r : select_strategies(w->htg, &request, RECALL, arena, *ret, err);
    *context = request.context;
    return r;
}

static void remember(struct trek *trek, const char *direction, const char *strategy,
                     const struct landscape_outcome *outcome)
{
    bool better = !outcome->failed && outcome->gain >= HTG_WIN_GAIN;
    for (size_t i = 0; better && i < trek->n; i++) {
        trek->history[i].here = false;
    }
    snprintf(trek->directions[trek->n], sizeof(trek->directions[0]), "%s", direction);
    snprintf(trek->strategies[trek->n], sizeof(trek->strategies[0]), "%s", strategy);
    trek->history[trek->n] = (struct select_step) {
        .direction = trek->directions[trek->n],
        .strategy = trek->strategies[trek->n],
        .outcome = outcome->failed ? SELECT_OUTCOME_FAILED
            : better               ? SELECT_OUTCOME_GAINED
                                   : SELECT_OUTCOME_SAME,
        .lineage = better,
        .here = !better,
    };
    trek->n++;
}

static int take_step(struct trek *trek, uint64_t number, struct err *err)
{
    const struct walk *w = trek->walk;
    auto_arena struct arena *arena = arena_new();
    struct choice *choice = NULL;
    struct context context;
    struct landscape_outcome outcome;
    struct rng model, world;
    char strategy[16];
    int r = choose(trek, arena, &context, &choice, err);
    if (r < 0) {
        return r;
    }
    rng_init(&model, w->seed ^ 0x6d6f64656cull, number, trek->n);
    rng_init(&world, w->landscape->seed, number, trek->n);
    int direction = (int)choice->picked, s = pick_strategy(choice, &model);
    name_strategy(direction, s, strategy);
    landscape_try(w->landscape, &trek->kernel, direction, s, &world, &outcome);
    struct htg_observation seen = { .context = context, .strategy = strategy, .task = trek->task,
                                    .source = choice->n_sources ? choice->sources[0] : NULL,
                                    .direction = choice->directions[direction].id,
                                    .gain = outcome.gain, .failed = outcome.failed,
                                    .control = choice->control, .ablation = w->ablation };
    struct htg_increments increments;
    r = htg_observe(w->htg, &seen, &increments, err);
    if (!outcome.failed && outcome.gain >= HTG_WIN_GAIN) {
        landscape_keep(w->landscape, &trek->kernel, direction, s, &world);
        trek->kept += outcome.gain;
    }
    remember(trek, choice->directions[direction].id, strategy, &outcome);
    return r;
}

int walk_task(const struct walk *walk, uint64_t number, double *ret_gain, struct err *err)
{
    struct trek trek = { .walk = walk,
                         .kernel.family = (int)(number % LANDSCAPE_FAMILIES) };
    snprintf(trek.task, sizeof(trek.task), "task%llu", (unsigned long long)number);
    int r = 0;
    while (r == 0 && trek.n < WALK_STEPS) {
        r = take_step(&trek, number, err);
    }
    if (r == 0) {
        *ret_gain = trek.kept / WALK_STEPS;
    }
    return r;
}

/* Another direction's number for a number, and the same for strategies within it. */
struct deal {
    int direction[LANDSCAPE_DIRECTIONS], strategy[LANDSCAPE_STRATEGIES];
};

static void deal_out(struct deal *deal, bool shuffled, uint64_t seed)
{
    struct rng rng;
    rng_init(&rng, seed, rng_key("deal"), 0);
    for (int i = 0; i < LANDSCAPE_DIRECTIONS; i++) {
        int j = shuffled ? (int)rng_below(&rng, (uint64_t)i + 1) : i;
        deal->direction[i] = deal->direction[j];
        deal->direction[j] = i;
    }
    for (int i = 0; i < LANDSCAPE_STRATEGIES; i++) {
        int j = shuffled ? (int)rng_below(&rng, (uint64_t)i + 1) : i;
        deal->strategy[i] = deal->strategy[j];
        deal->strategy[j] = i;
    }
}

/* "d03-s1" or "d03" or "start" under the deal; what follows the name in `text` is skipped by `len`. */
static void deal_name(const struct deal *deal, const char *text, size_t len, char ret[16])
{
    int d = 0, s = 0;
    char name[16];
    snprintf(name, sizeof(name), "%.*s", (int)len, text);
    int read = sscanf(name, "d%2d-s%1d", &d, &s);
    if (read < 1) {
        snprintf(ret, 16, "%s", name);
    } else if (read == 1) {
        name_direction(deal->direction[d], ret);
    } else {
        name_strategy(deal->direction[d], deal->strategy[s], ret);
    }
}

void walk_poison(const struct htg *from, enum walk_poison poison, uint64_t seed, struct htg *to)
{
    struct deal deal;
    deal_out(&deal, poison == WALK_POISON_SHUFFLED, seed);
    for (size_t i = 0; i < stats_count(htg_stats(from)); i++) {
        const struct tally *tally;
        const char *key = stats_at(htg_stats(from), i, &tally), *node, *where;
        enum stats_kind kind;
        size_t len;
        require(stats_key_parse(key, &kind, &node, &len, &where, NULL) == 0);
        if (kind == STATS_KIND_TRUST || kind == STATS_KIND_PROOF) {
            continue;
        }
        const char *edge = kind == STATS_KIND_TRANSITION ? memchr(node, '>', len) : NULL;
        const char *last = edge ? edge + 1 : node;
        char source[16], target[16], renamed[STATS_KEY_MAX];
        deal_name(&deal, node, edge ? (size_t)(edge - node) : len, source);
        deal_name(&deal, last, (size_t)(node + len - last), target);
        stats_key(kind, edge ? source : NULL, target, where, renamed);
        struct tally moved = *tally;
        if (poison == WALK_POISON_INVERTED) {
            moved.mean = MAX(-moved.mean, -TALLY_FAILURE_LOSS);
        }
        require(htg_stat_set(to, renamed, &moved, NULL) == 0);
    }
}
