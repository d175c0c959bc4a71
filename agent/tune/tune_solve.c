/* SPDX-License-Identifier: MIT */
#include "agent/tune/tune_walk.h"
#include "base/util.h"

#include <stdlib.h>
#include <string.h>

enum {
    LIST_VISITS = 1000000, /* of values and rules, for one group's list */
    SHARE_TRIES = 200,     /* to see how much a rule forbids */
};

struct tune_solution {
    const struct tune_rules *rules;
    size_t n;
    struct tune_group groups[TUNE_PARAMS_MAX];
};

/* --- Groups --- */

static size_t root_of(const uint8_t *up, size_t i)
{
    while (up[i] != i) {
        i = up[i];
    }
    return i;
}

/* The share of random values that keep a rule; never 0. What can't be evaluated counts as kept. */
static double share_kept(const struct tune_rules *rules, size_t rule, struct rng *rng)
{
    uint16_t config[TUNE_PARAMS_MAX] = { 0 };
    size_t kept = 0;
    for (int i = 0; i < SHARE_TRIES; i++) {
        for (uint64_t m = rules->deps[rule]; m; m &= m - 1) {
            size_t param = (size_t)__builtin_ctzll(m);
            config[param] = (uint16_t)rng_below(rng, rules->sizes[param]);
        }
        kept += rules->holds(rules->ud, rule, config, NULL) != 0;
    }
    return ((double)kept + 0.5) / (SHARE_TRIES + 1);
}

/* Sets first what completes the rule that leaves the fewest combinations. */
static void order_params(const struct tune_rules *rules, uint64_t members, struct tune_group *group)
{
    double shares[TUNE_RULES_MAX];
    struct rng rng;
    rng_init(&rng, 1, 2, 0);
    for (size_t k = 0; k < group->n_rules; k++) {
        shares[k] = share_kept(rules, group->rule[k], &rng);
    }
    uint64_t left = members;
    while (left) {
        uint64_t next = left;
        double least = 0;
        for (size_t k = 0; k < group->n_rules; k++) {
            uint64_t open = rules->deps[group->rule[k]] & left;
            double size = shares[k];
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
}

/* With which parameter all that a rule depends on is set. */
static void order_rules(const struct tune_rules *rules, struct tune_group *group)
{
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
        struct tune_group *group = &solution->groups[solution->n++];
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
        order_rules(rules, group);
    }
}

/* Lists a group if that is possible. */
static int solve_group(const struct tune_rules *rules, struct arena *arena, struct tune_group *group,
                       struct err *err)
{
    if (group->n_rules == 0) {
        group->n_rows = rules->sizes[group->param[0]];
        return 0;
    }
    struct tune_walk w = { .rules = rules, .group = group, .asked = ~(uint64_t)0, .most = LIST_VISITS,
                           .err = err };
    int r = tune_walk_list(&w);
    if (r == 0 && w.cut) {
        struct rng rng;
        rng_init(&rng, 1, 1, 0);
        tune_walk_look(rules, group);
        r = tune_walk_draw(rules, group, &rng, w.config);
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
        struct tune_group *group = &solution->groups[i];
        r = solve_group(rules, arena, group, err);
        if (r == ERR_NOTFOUND) {
            *ret_conflict = tune_walk_conflict(rules, group);
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
        const struct tune_group *group = &solution->groups[i];
        count *= group->n_rows ? (double)group->n_rows : group->estimate;
        *ret_kind = group->n_rows ? *ret_kind : TUNE_COUNT_ESTIMATE;
    }
    return count;
}

/* Row `row` of a listed group into a config. */
static void place(const struct tune_group *group, size_t row, uint16_t *config)
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
            const struct tune_group *group = &solution->groups[i];
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
        const struct tune_group *group = &solution->groups[i];
        if (group->n_rows) {
            place(group, rng_below(rng, group->n_rows), config);
        } else {
            int r = tune_walk_draw(solution->rules, group, rng, config);
            if (r < 0) {
                return r;
            }
        }
    }
    memcpy(ret_config, config, solution->rules->n * sizeof(*config));
    return 0;
}
