/* SPDX-License-Identifier: MIT */
#include "agent/tune/tune_walk.h"
#include "base/util.h"

enum {
    CONFLICT_VISITS = 500000, /* to find rules that contradict each other */
    NARROW_ROUNDS = 200,      /* of one rule each */
};

/* What asking a rule costs: names are looked up among those that it depends on. */
static size_t cost(const struct tune_walk *w, size_t rule)
{
    size_t n = (size_t)__builtin_popcountll(w->rules->deps[rule]);
    return 1 + n * n / 16;
}

int tune_walk_keeps(struct tune_walk *w)
{
    int ret = 1;
    for (size_t k = 0; k < w->group->n_rules; k++) {
        if (w->asked >> k & 1) {
            size_t rule = w->group->rule[k];
            w->visits += cost(w, rule);
            int r = w->rules->holds(w->rules->ud, rule, w->config, ret < 0 ? NULL : w->err);
            if (r == 0) {
                return 0;
            }
            ret = ret < 0 ? ret : r;
        }
    }
    return ret;
}

/* --- Bounds --- */

/* Which of the group's rules that count depend on a parameter. */
static uint64_t rules_of(const struct tune_walk *w, size_t param)
{
    uint64_t ret = 0;
    for (size_t k = 0; k < w->group->n_rules; k++) {
        ret |= (w->rules->deps[w->group->rule[k]] >> param & 1) << k;
    }
    return ret & w->asked;
}

static bool can_hold(struct tune_walk *w, size_t rule, const struct tune_box *box)
{
    w->visits += cost(w, rule);
    return w->rules->can_hold(w->rules->ud, rule, box->lo, box->hi);
}

/* Can the rule hold with this parameter in from..to? */
static bool can_hold_in(struct tune_walk *w, size_t rule, const struct tune_box *box, size_t param,
                        uint32_t from, uint32_t to)
{
    struct tune_box part = *box;
    part.lo[param] = (uint16_t)from;
    part.hi[param] = (uint16_t)to;
    return can_hold(w, rule, &part);
}

/*
 * Cuts off both ends of a parameter's bounds what the rule can't hold with: an end alone is asked, then
 * twice as much, and so on, as what can't hold within some bounds can't within narrower ones.
 */
static bool cut_ends(struct tune_walk *w, size_t rule, struct tune_box *box, size_t param)
{
    uint32_t lo = box->lo[param], hi = box->hi[param];
    for (uint32_t step = 1; lo <= hi;) {
        uint32_t to = MIN(lo + step - 1, hi);
        if (!can_hold_in(w, rule, box, param, lo, to)) {
            lo = to + 1;
            step *= 2;
        } else if (step == 1) {
            break;
        } else {
            step = 1;
        }
    }
    for (uint32_t step = 1; lo < hi;) {
        uint32_t from = hi - lo < step ? lo : hi - step + 1;
        if (!can_hold_in(w, rule, box, param, from, hi)) {
            hi = from - 1;
            step *= 2;
        } else if (step == 1) {
            break;
        } else {
            step = 1;
        }
    }
    bool changed = lo != box->lo[param] || hi != box->hi[param];
    if (lo <= hi) {
        box->lo[param] = (uint16_t)lo;
        box->hi[param] = (uint16_t)hi;
    }
    return changed;
}

/* Until nothing changes, or enough has been looked at. False: a rule holds nowhere in the box. */
static bool narrow(struct tune_walk *w, struct tune_box *box, uint64_t pending)
{
    for (size_t rounds = 0; pending && w->rules->can_hold && rounds < NARROW_ROUNDS; rounds++) {
        size_t k = (size_t)__builtin_ctzll(pending), rule = w->group->rule[k];
        pending &= pending - 1;
        if (!can_hold(w, rule, box)) {
            return false;
        }
        for (uint64_t m = w->rules->deps[rule]; m; m &= m - 1) {
            size_t param = (size_t)__builtin_ctzll(m);
            if (box->lo[param] < box->hi[param] && cut_ends(w, rule, box, param)) {
                pending |= rules_of(w, param) & ~((uint64_t)1 << k);
            }
        }
    }
    return true;
}

bool tune_walk_begin(struct tune_walk *w, struct tune_box *ret)
{
    for (size_t i = 0; i < w->group->n; i++) {
        size_t param = w->group->param[i];
        ret->lo[param] = 0;
        ret->hi[param] = (uint16_t)(w->rules->sizes[param] - 1);
    }
    uint64_t all = w->group->n_rules == 64 ? ~(uint64_t)0 : ((uint64_t)1 << w->group->n_rules) - 1;
    return narrow(w, ret, all & w->asked);
}

bool tune_walk_set(struct tune_walk *w, size_t depth, uint16_t value, struct tune_box *box,
                   bool *unsure)
{
    size_t param = w->group->param[depth];
    w->config[param] = box->lo[param] = box->hi[param] = value;
    for (uint64_t m = w->group->ready[depth] & w->asked; m; m &= m - 1) {
        size_t rule = w->group->rule[__builtin_ctzll(m)];
        w->visits += cost(w, rule);
        int r = w->rules->holds(w->rules->ud, rule, w->config, NULL);
        if (r == 0) {
            return false;
        }
        *unsure = *unsure || r < 0;
    }
    return narrow(w, box, rules_of(w, param) & ~w->group->ready[depth]);
}

/* --- Lists --- */

static void keep_row(struct tune_walk *w)
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

static int list_from(struct tune_walk *w, size_t depth, const struct tune_box *box, bool unsure)
{
    if (depth == w->group->n) {
        int r = unsure ? tune_walk_keeps(w) : 1;
        if (r > 0) {
            if (!w->first_only) {
                keep_row(w);
            }
            w->n_rows++;
        }
        return MIN(r, 0);
    }
    size_t param = w->group->param[depth];
    for (uint32_t value = box->lo[param]; value <= box->hi[param]; value++) {
        if (w->first_only && w->n_rows > 0) {
            return 0;
        }
        if (++w->visits > w->most || w->n_rows > TUNE_LIST_MAX) {
            w->cut = true;
            return 0;
        }
        bool doubt = unsure;
        struct tune_box inner = *box;
        if (!tune_walk_set(w, depth, (uint16_t)value, &inner, &doubt)) {
            continue;
        }
        int r = list_from(w, depth + 1, &inner, doubt);
        if (r < 0 || w->cut) {
            return r;
        }
    }
    return 0;
}

int tune_walk_list(struct tune_walk *w)
{
    struct tune_box box;
    return tune_walk_begin(w, &box) ? list_from(w, 0, &box, false) : 0;
}

/* --- Contradictions --- */

/* Is there none that keeps these rules of the group? False also if that took more than is left. */
static bool is_empty(const struct tune_rules *rules, const struct tune_group *group, uint64_t asked,
                     size_t *left)
{
    struct tune_walk w = { .rules = rules, .group = group, .asked = asked, .first_only = true,
                           .most = *left };
    bool empty = tune_walk_list(&w) == 0 && !w.cut && w.n_rows == 0;
    *left -= MIN(*left, w.visits);
    return empty;
}

/* Leaves out every rule without which there's still nothing. */
uint64_t tune_walk_conflict(const struct tune_rules *rules, const struct tune_group *group)
{
    uint64_t all = group->n_rules == 64 ? ~(uint64_t)0 : ((uint64_t)1 << group->n_rules) - 1;
    uint64_t ret = 0;
    size_t left = CONFLICT_VISITS;
    if (!is_empty(rules, group, all, &left)) {
        return 0;
    }
    for (size_t k = group->n_rules; k-- > 0;) {
        uint64_t without = all & ~((uint64_t)1 << k);
        all = is_empty(rules, group, without, &left) ? without : all;
    }
    for (size_t k = 0; k < group->n_rules; k++) {
        ret |= (all >> k & 1) << group->rule[k];
    }
    return ret;
}
