/* SPDX-License-Identifier: MIT */
#include "agent/tune/tune_solve.h"
#include "base/util.h"

#include <stdlib.h>
#include <string.h>

enum {
    VISITS_MAX = 2000000, /* of rules, for one group's list */
    DRAW_TRIES = 10000,
    DESCENTS = 64,        /* one is drawn among so many */
    COUNT_DESCENTS = 2000,
};

struct group {
    size_t n, n_rules;
    uint8_t param[TUNE_PARAMS_MAX]; /* in the order they are set */
    uint8_t rule[TUNE_RULES_MAX];   /* in their own order */
    uint64_t ready[TUNE_PARAMS_MAX]; /* which of `rule` can be asked once this one is set */
    uint16_t *rows;                  /* NULL: a free parameter, or too many */
    size_t n_rows;                   /* 0: too many */
    double estimate;
};

struct tune_solution {
    const struct tune_rules *rules;
    size_t n;
    struct group groups[TUNE_PARAMS_MAX];
};

/* A walk over one group's combinations. */
struct walk {
    const struct tune_rules *rules;
    const struct group *group;
    uint64_t asked; /* which of the group's rules count */
    uint16_t config[TUNE_PARAMS_MAX];
    size_t visits, most;
    bool first_only, cut;
    uint16_t *rows;
    size_t n_rows, room;
    struct err *err;
};

/* --- Groups --- */

static size_t root_of(const uint8_t *up, size_t i)
{
    while (up[i] != i) {
        i = up[i];
    }
    return i;
}

/* Sets first what completes the rule with the fewest combinations left. */
static void order_params(const struct tune_rules *rules, uint64_t members, struct group *group)
{
    uint64_t left = members;
    while (left) {
        uint64_t next = left;
        double least = 0;
        for (size_t k = 0; k < group->n_rules; k++) {
            uint64_t open = rules->deps[group->rule[k]] & left;
            double size = 1;
            for (uint64_t m = open; m; m &= m - 1) {
                size *= rules->sizes[__builtin_ctzll(m)];
            }
            if (open && (least == 0 || size < least)) {
                least = size;
                next = open;
            }
        }
        for (uint64_t m = next; m; m &= m - 1) {
            group->param[group->n++] = (uint8_t)__builtin_ctzll(m);
        }
        left &= ~next;
    }
    uint64_t set = 0, done = 0;
    for (size_t i = 0; i < group->n; i++) {
        set |= (uint64_t)1 << group->param[i];
        for (size_t k = 0; k < group->n_rules; k++) {
            bool now = (rules->deps[group->rule[k]] & ~set) == 0 && !(done >> k & 1);
            group->ready[i] |= (uint64_t)now << k;
            done |= (uint64_t)now << k;
        }
    }
}

static void make_groups(const struct tune_rules *rules, struct tune_solution *solution)
{
    uint8_t up[TUNE_PARAMS_MAX];
    for (size_t i = 0; i < rules->n; i++) {
        up[i] = (uint8_t)i;
    }
    for (size_t k = 0; k < rules->n_rules; k++) {
        size_t first = rules->deps[k] ? (size_t)__builtin_ctzll(rules->deps[k]) : 0;
        for (uint64_t m = rules->deps[k]; m; m &= m - 1) {
            up[root_of(up, (size_t)__builtin_ctzll(m))] = (uint8_t)root_of(up, first);
        }
    }
    for (size_t i = 0; i < rules->n; i++) {
        if (root_of(up, i) != i) {
            continue;
        }
        struct group *group = &solution->groups[solution->n++];
        uint64_t members = 0;
        for (size_t k = 0; k < rules->n; k++) {
            members |= (uint64_t)(root_of(up, k) == i) << k;
        }
        for (size_t k = 0; k < rules->n_rules; k++) {
            if (rules->deps[k] & members) {
                group->rule[group->n_rules++] = (uint8_t)k;
            }
        }
        order_params(rules, members, group);
    }
}

/* --- One group --- */

/* 1 kept, 0 broken, negative: a rule can't be evaluated, and no other is broken. */
static int keeps_all(struct walk *w)
{
    int ret = 1;
    for (size_t k = 0; k < w->group->n_rules; k++) {
        if (w->asked >> k & 1) {
            int r = w->rules->holds(w->rules->ud, w->group->rule[k], w->config,
                                    ret < 0 ? NULL : w->err);
            if (r == 0) {
                return 0;
            }
            ret = ret < 0 ? ret : r;
        }
    }
    return ret;
}

/*
 * 0 if a rule that is ready after this depth is broken. One that can't be evaluated isn't yet held
 * against the combination: another may forbid it; *unsure says to ask all at the end.
 */
static bool may_go_on(struct walk *w, size_t depth, bool *unsure)
{
    for (uint64_t m = w->group->ready[depth] & w->asked; m; m &= m - 1) {
        size_t k = (size_t)__builtin_ctzll(m);
        int r = w->rules->holds(w->rules->ud, w->group->rule[k], w->config, NULL);
        w->visits++;
        if (r == 0) {
            return false;
        }
        *unsure = *unsure || r < 0;
    }
    return true;
}

static void keep_row(struct walk *w)
{
    if (w->n_rows == w->room) {
        w->room = MAX(2 * w->room, (size_t)256);
        w->rows = xrealloc(w->rows, w->room * w->group->n, sizeof(*w->rows));
    }
    uint16_t *row = w->rows + w->n_rows * w->group->n;
    for (size_t i = 0; i < w->group->n; i++) {
        row[i] = w->config[w->group->param[i]];
    }
}

/* Lists the group's combinations, 0 or an error of a rule. */
static int list_from(struct walk *w, size_t depth, bool unsure)
{
    if (depth == w->group->n) {
        int r = unsure ? keeps_all(w) : 1;
        if (r > 0) {
            if (!w->first_only) {
                keep_row(w);
            }
            w->n_rows++;
        }
        return MIN(r, 0);
    }
    size_t param = w->group->param[depth];
    for (uint32_t value = 0; value < w->rules->sizes[param]; value++) {
        if (w->first_only && w->n_rows > 0) {
            return 0;
        }
        if (++w->visits > w->most || w->n_rows > TUNE_LIST_MAX) {
            w->cut = true;
            return 0;
        }
        bool doubt = unsure;
        w->config[param] = (uint16_t)value;
        if (!may_go_on(w, depth, &doubt)) {
            continue;
        }
        int r = list_from(w, depth + 1, doubt);
        if (r < 0 || w->cut) {
            return r;
        }
    }
    return 0;
}

/* Is there none that keeps these rules of the group? False also if it took too long to see. */
static bool is_empty(const struct tune_rules *rules, const struct group *group, uint64_t asked)
{
    struct walk w = { .rules = rules, .group = group, .asked = asked, .first_only = true,
                      .most = VISITS_MAX };
    return list_from(&w, 0, false) == 0 && !w.cut && w.n_rows == 0;
}

/* Leaves out every rule without which there's still nothing. */
static uint64_t conflict_of(const struct tune_rules *rules, const struct group *group)
{
    uint64_t all = group->n_rules == 64 ? ~(uint64_t)0 : ((uint64_t)1 << group->n_rules) - 1;
    uint64_t ret = 0;
    if (!is_empty(rules, group, all)) {
        return 0;
    }
    for (size_t k = group->n_rules; k-- > 0;) {
        uint64_t without = all & ~((uint64_t)1 << k);
        all = is_empty(rules, group, without) ? without : all;
    }
    for (size_t k = 0; k < group->n_rules; k++) {
        ret |= (all >> k & 1) << group->rule[k];
    }
    return ret;
}

/*
 * A random descent: each parameter takes one of the values that no rule forbids so far. Returns the
 * product of how many there were, 0 for a dead end.
 */
static double descend(const struct tune_rules *rules, const struct group *group, struct rng *rng,
                      uint16_t *config)
{
    struct walk w = { .rules = rules, .group = group, .asked = ~(uint64_t)0 };
    auto_free uint16_t *open = xcalloc(TUNE_VALUES_MAX, sizeof(*open));
    double weight = 1;
    for (size_t depth = 0; depth < group->n; depth++) {
        size_t param = group->param[depth], n = 0;
        for (uint32_t value = 0; value < rules->sizes[param]; value++) {
            bool unsure = false;
            w.config[param] = (uint16_t)value;
            if (may_go_on(&w, depth, &unsure)) {
                open[n++] = (uint16_t)value;
            }
        }
        if (n == 0) {
            return 0;
        }
        w.config[param] = open[rng_below(rng, n)];
        weight *= (double)n;
    }
    if (keeps_all(&w) != 1) {
        return 0;
    }
    for (size_t i = 0; i < group->n; i++) {
        config[group->param[i]] = w.config[group->param[i]];
    }
    return weight;
}

static int draw_loose(const struct tune_rules *rules, const struct group *group, struct rng *rng,
                      uint16_t *config)
{
    struct walk w = { .rules = rules, .group = group, .asked = ~(uint64_t)0 };
    for (int try = 0; try < DRAW_TRIES; try++) {
        for (size_t i = 0; i < group->n; i++) {
            w.config[group->param[i]] = (uint16_t)rng_below(rng, rules->sizes[group->param[i]]);
        }
        if (keeps_all(&w) == 1) {
            for (size_t i = 0; i < group->n; i++) {
                config[group->param[i]] = w.config[group->param[i]];
            }
            return 0;
        }
    }
    /* One of several descents, by weight, as they come. */
    uint16_t other[TUNE_PARAMS_MAX];
    double sum = 0;
    for (int i = 0; i < DESCENTS; i++) {
        double weight = descend(rules, group, rng, other);
        sum += weight;
        if (weight > 0 && rng_unit(rng) * sum < weight) {
            for (size_t k = 0; k < group->n; k++) {
                config[group->param[k]] = other[group->param[k]];
            }
        }
    }
    return sum > 0 ? 0 : ERR_NOTFOUND;
}

static double estimate(const struct tune_rules *rules, const struct group *group)
{
    struct rng rng;
    uint16_t config[TUNE_PARAMS_MAX];
    double sum = 0;
    rng_init(&rng, 1, 0, 0);
    for (int i = 0; i < COUNT_DESCENTS; i++) {
        sum += descend(rules, group, &rng, config);
    }
    return sum / COUNT_DESCENTS;
}

/* Lists a group if that is possible. */
static int solve_group(const struct tune_rules *rules, struct arena *arena, struct group *group,
                       struct err *err)
{
    if (group->n_rules == 0) {
        group->n_rows = rules->sizes[group->param[0]];
        return 0;
    }
    struct walk w = { .rules = rules, .group = group, .asked = ~(uint64_t)0, .most = VISITS_MAX,
                      .err = err };
    int r = list_from(&w, 0, false);
    if (r == 0 && w.cut) {
        group->estimate = estimate(rules, group);
        struct rng rng;
        rng_init(&rng, 1, 1, 0);
        r = draw_loose(rules, group, &rng, w.config);
    } else if (r == 0 && w.n_rows > 0) {
        size_t size = w.n_rows * group->n;
        group->rows = memcpy(arena_alloc(arena, size, sizeof(*w.rows)), w.rows,
                             size * sizeof(*w.rows));
        group->n_rows = w.n_rows;
    } else if (r == 0) {
        r = ERR_NOTFOUND;
    }
    free(w.rows);
    return r;
}

/* --- All groups --- */

/* Rules that depend on nothing: a broken one leaves nothing. */
static int check_fixed(const struct tune_rules *rules, uint64_t *ret_conflict, struct err *err)
{
    uint16_t none[TUNE_PARAMS_MAX] = { 0 };
    for (size_t k = 0; k < rules->n_rules; k++) {
        int r = rules->deps[k] ? 1 : rules->holds(rules->ud, k, none, err);
        if (r < 0) {
            return r;
        }
        if (r == 0) {
            *ret_conflict = (uint64_t)1 << k;
            return err_set(err, ERR_NOTFOUND, "rule %zu never holds", k);
        }
    }
    return 0;
}

int tune_solve(const struct tune_rules *rules, struct arena *arena, struct tune_solution **ret,
               uint64_t *ret_conflict, struct err *err)
{
    require(rules->n <= TUNE_PARAMS_MAX && rules->n_rules <= TUNE_RULES_MAX);
    struct tune_solution *solution = arena_alloc(arena, 1, sizeof(*solution));
    *ret_conflict = 0;
    int r = check_fixed(rules, ret_conflict, err);
    if (r < 0) {
        return r;
    }
    solution->rules = rules;
    make_groups(rules, solution);
    for (size_t i = 0; i < solution->n; i++) {
        struct group *group = &solution->groups[i];
        r = solve_group(rules, arena, group, err);
        if (r == ERR_NOTFOUND) {
            *ret_conflict = conflict_of(rules, group);
            return err_set(err, r, "nothing keeps the rules of parameter %u", group->param[0]);
        }
        if (r < 0) {
            return r;
        }
    }
    *ret = solution;
    return 0;
}

double tune_solve_count(const struct tune_solution *solution, enum tune_count *ret_kind)
{
    double count = 1;
    *ret_kind = TUNE_COUNT_EXACT;
    for (size_t i = 0; i < solution->n; i++) {
        const struct group *group = &solution->groups[i];
        count *= group->n_rows ? (double)group->n_rows : group->estimate;
        *ret_kind = group->n_rows ? *ret_kind : TUNE_COUNT_ESTIMATE;
    }
    return count;
}

/* Row `row` of a listed group into a config. */
static void place(const struct group *group, size_t row, uint16_t *config)
{
    for (size_t i = 0; i < group->n; i++) {
        config[group->param[i]] = group->rows ? group->rows[row * group->n + i] : (uint16_t)row;
    }
}

static int by_rank(const void *a, const void *b, void *ud)
{
    const uint16_t *x = a, *y = b;
    for (size_t i = 0; i < *(const size_t *)ud; i++) {
        if (x[i] != y[i]) {
            return x[i] < y[i] ? -1 : 1;
        }
    }
    return 0;
}

uint16_t *tune_solve_list(const struct tune_solution *solution, struct arena *arena, size_t most,
                          size_t *ret_n)
{
    enum tune_count kind;
    double count = tune_solve_count(solution, &kind);
    if (kind != TUNE_COUNT_EXACT || count > (double)most) {
        return NULL;
    }
    size_t n = (size_t)count, width = solution->rules->n;
    uint16_t *rows = arena_alloc(arena, n * MAX(width, (size_t)1), sizeof(*rows));
    for (size_t row = 0; row < n; row++) {
        size_t number = row;
        for (size_t i = 0; i < solution->n; i++) {
            const struct group *group = &solution->groups[i];
            place(group, number % group->n_rows, rows + row * width);
            number /= group->n_rows;
        }
    }
    if (width > 0) {
        qsort_r(rows, n, width * sizeof(*rows), by_rank, &width);
    }
    *ret_n = n;
    return rows;
}

int tune_solve_draw(const struct tune_solution *solution, struct rng *rng, uint16_t *ret_config)
{
    uint16_t config[TUNE_PARAMS_MAX];
    for (size_t i = 0; i < solution->n; i++) {
        const struct group *group = &solution->groups[i];
        if (group->n_rows) {
            place(group, rng_below(rng, group->n_rows), config);
        } else {
            int r = draw_loose(solution->rules, group, rng, config);
            if (r < 0) {
                return r;
            }
        }
    }
    memcpy(ret_config, config, solution->rules->n * sizeof(*config));
    return 0;
}
