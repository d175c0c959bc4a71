#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * Which combinations of values keep a set of rules: counted, listed, drawn uniformly, also where
 * nearly none does. Rules that share a parameter tie it into one group; groups are independent, so
 * a space too large to list is still counted and drawn from exactly if each of its groups can be
 * listed. Within a group parameters are set one by one; a rule is asked as soon as all that it depends
 * on is set, and before that the bounds of what isn't are narrowed to where it can still hold.
 *
 * A group that is too large to list is drawn from by rejection, else by random descents weighted by
 * the choices they had (Knuth 1975), which is uniform only as their number grows; its count is the
 * descents' mean, good for an order of magnitude at best where values are many. All efforts are
 * bounded.
 */
#include "agent/tune/tune_space.h"

enum { TUNE_RULES_MAX = 64 };

struct tune_rules {
    size_t n; /* parameters, TUNE_PARAMS_MAX at most */
    const uint32_t *sizes;
    size_t n_rules;
    const uint64_t *deps; /* a rule: bit i, parameter i */
    /* 1 kept, 0 broken, negative: can't be evaluated. Only what the rule depends on is set. */
    int (*holds)(const void *ud, size_t rule, const uint16_t *config, struct err *err);
    /* False: the rule holds nowhere while each parameter i is in lo[i]..hi[i]. May be NULL. */
    bool (*can_hold)(const void *ud, size_t rule, const uint16_t *lo, const uint16_t *hi);
    const void *ud;
};

struct tune_solution;

/*
 * ERR_NOTFOUND: nothing keeps them all; *ret_conflict is then a smallest set of rules that can't
 * hold together, 0 if it wasn't found within the effort. An error of `holds` is returned as it is,
 * if a combination meets it that no other rule of its group forbids. `rules` is borrowed.
 */
int tune_solve(const struct tune_rules *rules, struct arena *arena, struct tune_solution **ret,
               uint64_t *ret_conflict, struct err *err);
double tune_solve_count(const struct tune_solution *solution, enum tune_count *ret_kind);
/* All of them in order, the last parameter fastest; NULL if more than `most`. */
uint16_t *tune_solve_list(const struct tune_solution *solution, struct arena *arena, size_t most,
                          size_t *ret_n);
/* 0 or ERR_NOTFOUND. Safe for several threads. */
int tune_solve_draw(const struct tune_solution *solution, struct rng *rng, uint16_t *ret_config);
