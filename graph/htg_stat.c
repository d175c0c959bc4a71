/* SPDX-License-Identifier: MIT */
#include "graph/htg_private.h"
#include "base/util.h"

#include <string.h>

void htg_settle(const struct htg *htg, struct htg_node *node)
{
    int64_t tries = 0;
    const char *const everywhere[] = {"*|*|*", "*|*|*-model"};
    for (size_t i = 0; i < ARRAY_LEN(everywhere); i++) {
        char key[STATS_KEY_MAX];
        stats_key(STATS_KIND_STRATEGY, NULL, node->strategy.id, everywhere[i], key);
        const struct tally *tally = stats_find(htg->stats, key);
        tries += tally ? tally->n : 0;
    }
    node->strategy.state = node->declared;
    if (node->declared == HTG_STATE_SEED) {
        return;
    }
    if (node->strategy.won_tasks >= HTG_PROMOTE_TASKS) {
        node->strategy.state = HTG_STATE_PROMOTED;
    } else if (node->strategy.won_tasks == 0 && tries >= HTG_RETIRE_TRIES) {
        node->strategy.state = HTG_STATE_RETIRED;
    }
}

/* After a statistic of a strategy moved: count its wins again by the difference, and settle. */
static void follow(struct htg *htg, const char *key, bool was, bool is)
{
    enum stats_kind kind;
    const char *node, *where;
    size_t len;
    char id[HTG_ID_MAX];
    if (stats_key_parse(key, &kind, &node, &len, &where, NULL) < 0 || len >= sizeof(id) ||
        (kind != STATS_KIND_PROOF && kind != STATS_KIND_STRATEGY)) {
        return;
    }
    memcpy(id, node, len);
    id[len] = '\0';
    int index = htg_find_strategy(htg, id);
    if (index < 0) {
        return;
    }
    if (kind == STATS_KIND_PROOF) {
        htg->nodes[index]->strategy.won_tasks += (size_t)is - (size_t)was;
    }
    htg_settle(htg, htg->nodes[index]);
}

int htg_stat_set(struct htg *htg, const char *key, const struct tally *tally, struct err *err)
{
    const struct tally *old = stats_find(htg->stats, key);
    bool was = old && old->n > 0;
    int r = stats_set(htg->stats, key, tally, err);
    if (r == 0) {
        follow(htg, key, was, tally->n > 0);
    }
    return r;
}

int htg_stat_add(struct htg *htg, const char *key, double gain, bool failed, struct err *err)
{
    const struct tally *old = stats_find(htg->stats, key);
    bool was = old && old->n > 0;
    int r = stats_add(htg->stats, key, gain, failed, err);
    if (r == 0) {
        follow(htg, key, was, true);
    }
    return r;
}

const struct tally *htg_stat(const struct htg *htg, const char *key)
{
    return stats_find(htg->stats, key);
}

const struct stats *htg_stats(const struct htg *htg)
{
    return htg->stats;
}
