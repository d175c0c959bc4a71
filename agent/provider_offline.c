/* SPDX-License-Identifier: MIT */
/*
 * The provider without a model: the shipped variants of the task's family, each proposed once, in
 * the order that the graph's choices ask for their directions and strategies.
 */
#include "agent/provider.h"
#include "base/util.h"

#include <string.h>

static bool tried(const struct ask *ask, const struct candidate *variant)
{
    for (size_t i = 0; i < ask->n_tried; i++) {
        if (str_eq(ask->variants[i], variant->name)) {
            return true;
        }
    }
    return false;
}

static bool could(const struct provider *provider, const struct ask *ask,
                  uint64_t *ret_directions, bool *ret_strategies)
{
    (void)provider;
    *ret_directions = 0;
    for (size_t i = 0; i < ask->family->n; i++) {
        const struct candidate *v = ask->family->variants[i];
        int direction = v->plan->direction ? htg_find_direction(ask->htg, v->plan->direction) : -1;
        int strategy = v->plan->strategy ? htg_find_strategy(ask->htg, v->plan->strategy) : -1;
        if (direction < 0 || tried(ask, v)) {
            continue;
        }
        *ret_directions |= (uint64_t)1 << direction;
        if (strategy >= 0) {
            ret_strategies[strategy] = true;
        }
    }
    return *ret_directions != 0;
}

/* How early a variant's strategy stands in the ranking; one that isn't ranked comes last. */
static size_t rank(const struct choice *choice, const struct candidate *variant)
{
    for (size_t i = 0; i < choice->n_strategies; i++) {
        if (str_eq(choice->strategies[i].id, variant->plan->strategy)) {
            return i;
        }
    }
    return SIZE_MAX;
}

static void ask_offline(const struct provider *provider, const struct ask *ask, struct talk **talk,
                        const struct verdict *failed, proposal_cb done, void *ud)
{
    (void)provider;
    (void)talk;
    (void)failed;
    const char *direction = ask->choice->directions[ask->choice->picked].id;
    const struct candidate *best = NULL;
    size_t best_rank = SIZE_MAX;
    for (size_t i = 0; i < ask->family->n; i++) {
        const struct candidate *v = ask->family->variants[i];
        if (!str_eq(v->plan->direction, direction) || tried(ask, v)) {
            continue;
        }
        size_t r = rank(ask->choice, v);
        if (!best || r < best_rank) {
            best = v;
            best_rank = r;
        }
    }
    struct proposal proposal = { .code = ERR_NOTFOUND, .error = "no shipped variant is left",
                                 .strategy = "", .title = "", .summary = "", .status = "" };
    struct err err = { 0 };
    if (best) {
        proposal.code = candidate_with_params(best, NULL, 0, &proposal.candidate, &err);
        proposal.error = err.text;
        proposal.strategy = best->plan->strategy ? best->plan->strategy : "";
        proposal.title = best->plan->title ? best->plan->title : best->name;
    }
    done(ud, &proposal);
}

static const struct provider offline = { .name = "offline", .could = could, .ask = ask_offline };

const struct provider *provider_offline(void)
{
    return &offline;
}
