/* SPDX-License-Identifier: MIT */
#include "agent/tune/tune_walk.h"
#include "base/util.h"

enum { CONFLICT_VISITS = 500000 /* to find rules that contradict each other */ };

int tune_walk_keeps(struct tune_walk *w)
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

bool tune_walk_may_go_on(struct tune_walk *w, size_t depth, bool *unsure)
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
    uint64_t open = w->rules->can_hold ? w->group->touched[depth] & w->asked : 0;
    for (uint64_t m = open; m; m &= m - 1) {
        w->visits++;
        if (!w->rules->can_hold(w->rules->ud, w->group->rule[__builtin_ctzll(m)], w->config,
                                w->group->set[depth])) {
            return false;
        }
    }
    return true;
}

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

int tune_walk_list(struct tune_walk *w, size_t depth, bool unsure)
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
        if (!tune_walk_may_go_on(w, depth, &doubt)) {
            continue;
        }
        int r = tune_walk_list(w, depth + 1, doubt);
        if (r < 0 || w->cut) {
            return r;
        }
    }
    return 0;
}

/* Is there none that keeps these rules of the group? False also if that took more than is left. */
static bool is_empty(const struct tune_rules *rules, const struct tune_group *group, uint64_t asked,
                     size_t *left)
{
    struct tune_walk w = { .rules = rules, .group = group, .asked = asked, .first_only = true,
                      .most = *left };
    bool empty = tune_walk_list(&w, 0, false) == 0 && !w.cut && w.n_rows == 0;
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
