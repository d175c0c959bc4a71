/* SPDX-License-Identifier: MIT */
#include "agent/learn.h"
#include "base/jread.h"
#include "base/util.h"
#include "graph/htg_like.h"
#include "graph/htg_seed.h"
#include "memory/node.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

enum { SLUG_MAX = 40, NAMESAKES_MOST = 99 };

const char *learn_known(const struct htg *htg, const struct learn_invention *invention)
{
    struct htg_idea idea = { invention->direction, invention->title, invention->summary };
    int index = htg_find_like(htg, &idea, HTG_LIKE_LEAST);
    return index < 0 ? NULL : htg_strategy(htg, (size_t)index)->id;
}

/* "Two rows at once!" is "two-rows-at-once". */
static size_t make_slug(const char *title, char ret[SLUG_MAX + 1])
{
    size_t n = 0;
    for (; *title && n < SLUG_MAX; title++) {
        if (isalnum((unsigned char)*title) && (unsigned char)*title < 0x80) {
            ret[n++] = (char)tolower((unsigned char)*title);
        } else if (n > 0 && ret[n - 1] != '-') {
            ret[n++] = '-';
        }
    }
    while (n > 0 && ret[n - 1] == '-') {
        n--;
    }
    ret[n] = '\0';
    return n;
}

static bool find_name(const struct htg *htg, const char *title, char ret[HTG_ID_MAX])
{
    char slug[SLUG_MAX + 1];
    if (make_slug(title, slug) == 0) {
        return false;
    }
    snprintf(ret, HTG_ID_MAX, "%s", slug);
    for (int i = 2; htg_find_strategy(htg, ret) >= 0 && i <= NAMESAKES_MOST; i++) {
        snprintf(ret, HTG_ID_MAX, "%s-%d", slug, i);
    }
    return htg_find_strategy(htg, ret) < 0;
}

static size_t count_provisional(const struct htg *htg, const char *direction)
{
    size_t n = 0;
    for (size_t i = 0; i < htg_strategies(htg); i++) {
        const struct htg_strategy *s = htg_strategy(htg, i);
        n += s->state == HTG_STATE_PROVISIONAL && str_eq(s->direction, direction);
    }
    return n;
}

int learn_invented(struct htg *htg, struct store *store, struct store_batch *batch,
                   const struct learn_invention *invention, const char **ret_id, struct err *err)
{
    char id[HTG_ID_MAX];
    *ret_id = NULL;
    if (htg_find_direction(htg, invention->direction) < 0) {
        return err_set(err, ERR_INVALID, "a strategy was invented for an unknown direction \"%.40s\"",
                       invention->direction);
    }
    if (htg_strategies(htg) == HTG_STRATEGIES_MAX || !find_name(htg, invention->title, id)
        || count_provisional(htg, invention->direction) >= LEARN_PROVISIONAL_MOST) {
        return 0;
    }
    json_t *title = json_text(invention->title, MIN(strlen(invention->title), (size_t)200));
    json_t *text = json_text(invention->summary, MIN(strlen(invention->summary), (size_t)4000));
    json_t *json = json_pack("{s:s, s:s, s:o, s:o, s:s}", "id", id, "direction",
                             invention->direction, "title", title, "guidance", text, "state",
                             htg_state_name(HTG_STATE_PROVISIONAL));
    auto_free char *node = json_canonical(json);
    int r = htg_seed_strategy(htg, json, err);
    json_decref(json);
    r = r < 0 ? r : node_put(batch, store, "strategy", id, node, err);
    if (r == 0) {
        *ret_id = htg_strategy(htg, (size_t)htg_find_strategy(htg, id))->id;
    }
    return r;
}
