/* SPDX-License-Identifier: MIT */
#include "graph/htg_private.h"
#include "base/util.h"

#include <jansson.h>
#include <string.h>

static int check_id(const char *what, const char *id, struct err *err)
{
    if (!id || !*id) {
        return err_set(err, ERR_INVALID, "%s: the id is empty", what);
    }
    if (strlen(id) >= HTG_ID_MAX) {
        return err_set(err, ERR_TOOBIG, "%s \"%.40s...\": the id is over %d bytes", what, id,
                       HTG_ID_MAX - 1);
    }
    if (strspn(id, "abcdefghijklmnopqrstuvwxyz0123456789-") != strlen(id)) {
        return err_set(err, ERR_INVALID, "%s \"%s\": an id is lower-case-with-dashes", what, id);
    }
    return 0;
}

static int check_prior(const char *id, double prior, struct err *err)
{
    if (!(prior >= -2 && prior <= 3)) {
        return err_set(err, ERR_INVALID, "\"%s\": a prior of %g nats is outside -2..3", id, prior);
    }
    return 0;
}

static int check_priors(const char *id, const struct htg_prior *prior, struct err *err)
{
    int r = 0;
    for (int i = 0; r == 0 && i < CONTEXT_CLASSES; i++) {
        r = (prior->given >> i & 1) ? check_prior(id, prior->gain[i], err) : 0;
    }
    return r;
}

/* Copies; a text over the limit is an error, an absent one is "". */
static int copy_text(struct htg *htg, const char *id, const char *from, const char **ret,
                     struct err *err)
{
    if (from && strlen(from) > HTG_TEXT_MAX) {
        return err_set(err, ERR_TOOBIG, "\"%s\": a text is over %d bytes", id, HTG_TEXT_MAX);
    }
    /* Whatever is kept here ends up in a JSON document. */
    json_t *probe = json_string(from ? from : "");
    if (!probe) {
        return err_set(err, ERR_INVALID, "\"%s\": a text isn't UTF-8", id);
    }
    json_decref(probe);
    *ret = arena_strdup(htg->arena, from ? from : "");
    return 0;
}

static int copy_texts(struct htg *htg, const char *id, const char *const *from,
                      const char **const *ret, size_t n, struct err *err)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < n; i++) {
        r = copy_text(htg, id, from[i], ret[i], err);
    }
    return r;
}

static int copy_list(struct htg *htg, const char *id, const struct htg_list *from,
                     struct htg_list *ret, struct err *err)
{
    if (from->n > HTG_LIST_MAX) {
        return err_set(err, ERR_TOOBIG, "\"%s\": a list is over %d entries", id, HTG_LIST_MAX);
    }
    const char **at = arena_alloc(htg->arena, MAX(from->n, 1), sizeof(*at));
    for (size_t i = 0; i < from->n; i++) {
        if (!from->at[i] || !from->at[i][0] || strlen(from->at[i]) >= HTG_ID_MAX) {
            return err_set(err, ERR_INVALID, "\"%s\": a list entry is empty or over %d bytes", id,
                           HTG_ID_MAX - 1);
        }
        at[i] = arena_strdup(htg->arena, from->at[i]);
    }
    *ret = (struct htg_list){at, from->n};
    return 0;
}

int htg_add_direction(struct htg *htg, const struct htg_direction *direction, struct err *err)
{
    int r = check_id("direction", direction->id, err);
    if (r == 0) {
        r = check_priors(direction->id, &direction->prior, err);
    }
    if (r < 0) {
        return r;
    }
    if (str_eq(direction->id, HTG_START)) {
        return err_set(err, ERR_INVALID, "direction \"" HTG_START "\": this name is taken");
    }
    if (htg_find_direction(htg, direction->id) >= 0) {
        return err_set(err, ERR_EXISTS, "direction \"%s\" is there already", direction->id);
    }
    if (htg->n_directions == HTG_DIRECTIONS_MAX) {
        return err_set(err, ERR_FULL, "over %d directions", HTG_DIRECTIONS_MAX);
    }
    struct htg_direction made = {.prior = direction->prior};
    const char *const from[] = {direction->id, direction->title, direction->summary};
    const char **const to[] = {&made.id, &made.title, &made.summary};
    r = copy_texts(htg, direction->id, from, to, ARRAY_LEN(to), err);
    if (r == 0) {
        htg->directions[htg->n_directions++] = made;
    }
    return r;
}

static int copy_applies(struct htg *htg, const struct htg_strategy *from, struct htg_strategy *to,
                        struct err *err)
{
    for (size_t i = 0; i < from->bottlenecks.n; i++) {
        enum context_class class;
        if (!from->bottlenecks.at[i] || !context_class_parse(from->bottlenecks.at[i], &class)) {
            return err_set(err, ERR_INVALID, "strategy \"%s\": unknown bottleneck \"%s\"", from->id,
                           from->bottlenecks.at[i] ? from->bottlenecks.at[i] : "");
        }
    }
    const struct htg_list *const lists[] = {&from->tunables, &from->families, &from->bottlenecks,
                                            &from->archs, &from->dtypes};
    struct htg_list *const rets[] = {&to->tunables, &to->families, &to->bottlenecks, &to->archs,
                                     &to->dtypes};
    int r = 0;
    for (size_t i = 0; r == 0 && i < ARRAY_LEN(lists); i++) {
        r = copy_list(htg, from->id, lists[i], rets[i], err);
    }
    return r;
}

static size_t count_proofs(const struct htg *htg, const char *id)
{
    size_t won = 0;
    char prefix[STATS_KEY_MAX];
    stats_key(STATS_KIND_PROOF, NULL, id, "", prefix);
    for (size_t i = 0; i < stats_count(htg->stats); i++) {
        const struct tally *tally;
        won += str_prefix(stats_at(htg->stats, i, &tally), prefix) && tally->n > 0;
    }
    return won;
}

int htg_add_strategy(struct htg *htg, const struct htg_strategy *strategy, struct err *err)
{
    int r = check_id("strategy", strategy->id, err);
    if (r == 0) {
        r = check_priors(strategy->id, &strategy->prior, err);
    }
    if (r < 0) {
        return r;
    }
    int direction = strategy->direction ? htg_find_direction(htg, strategy->direction) : -1;
    if (direction < 0) {
        return err_set(err, ERR_INVALID, "strategy \"%s\": unknown direction \"%.40s\"",
                       strategy->id, strategy->direction ? strategy->direction : "");
    }
    if (htg_find_strategy(htg, strategy->id) >= 0) {
        return err_set(err, ERR_EXISTS, "strategy \"%s\" is there already", strategy->id);
    }
    if (htg->n_nodes == HTG_STRATEGIES_MAX) {
        return err_set(err, ERR_FULL, "over %d strategies", HTG_STRATEGIES_MAX);
    }
    struct htg_node *node = arena_alloc(htg->arena, 1, sizeof(*node));
    struct htg_strategy *made = &node->strategy;
    *made = (struct htg_strategy){.prior = strategy->prior, .direction_index = direction};
    const char *const from[] = {strategy->id, strategy->title, strategy->guidance,
                                strategy->pitfalls};
    const char **const to[] = {&made->id, &made->title, &made->guidance, &made->pitfalls};
    r = copy_texts(htg, strategy->id, from, to, ARRAY_LEN(to), err);
    if (r == 0) {
        r = copy_applies(htg, strategy, made, err);
    }
    if (r < 0) {
        return r;
    }
    made->direction = htg->directions[direction].id;
    made->won_tasks = count_proofs(htg, made->id);
    node->declared = strategy->state;
    htg_settle(htg, node);
    size_t slot = htg_slot(htg, made->id);
    htg->nodes[htg->n_nodes++] = node;
    htg->by_id[slot] = (uint16_t)htg->n_nodes;
    return 0;
}

int htg_add_transition(struct htg *htg, const struct htg_transition *transition, struct err *err)
{
    int from = transition->from ? htg_edge_row(htg, transition->from) : -1;
    int to = transition->to ? htg_find_direction(htg, transition->to) : -1;
    if (from < 0 || to < 0) {
        const char *name = from < 0 ? transition->from : transition->to;
        return err_set(err, ERR_INVALID, "transition: unknown direction \"%.40s\"",
                       name ? name : "");
    }
    if (htg->edges[from][to]) {
        return err_set(err, ERR_EXISTS, "transition %s > %s is there already", transition->from,
                       transition->to);
    }
    if (htg->n_transitions == HTG_TRANSITIONS_MAX) {
        return err_set(err, ERR_FULL, "over %d transitions", HTG_TRANSITIONS_MAX);
    }
    int r = check_prior(transition->to, transition->prior, err);
    if (r < 0) {
        return err_wrap(err, "transition %s > %s", transition->from, transition->to);
    }
    struct htg_transition *made = arena_alloc(htg->arena, 1, sizeof(*made));
    const char *const texts[] = {transition->from, transition->to, transition->when,
                                 transition->why, transition->risk};
    const char **const rets[] = {&made->from, &made->to, &made->when, &made->why, &made->risk};
    r = copy_texts(htg, transition->to, texts, rets, ARRAY_LEN(rets), err);
    if (r < 0) {
        return r;
    }
    made->prior = transition->prior;
    htg->transitions[htg->n_transitions++] = made;
    htg->edges[from][to] = (uint16_t)htg->n_transitions;
    return 0;
}

/* Best first; a candidate stands there once, with its best gain. */
static void insert_example(struct htg_strategy *strategy, const struct htg_example *example)
{
    struct htg_example *at = strategy->examples;
    size_t n = strategy->n_examples;
    for (size_t i = 0; i < n; i++) {
        if (str_eq(at[i].candidate, example->candidate)) {
            if (at[i].gain >= example->gain) {
                return;
            }
            memmove(at + i, at + i + 1, (n - i - 1) * sizeof(*at));
            n--;
            break;
        }
    }
    size_t place = n;
    while (place > 0 && at[place - 1].gain < example->gain) {
        place--;
    }
    if (place < HTG_EXAMPLES_MAX) {
        n = MIN(n, (size_t)HTG_EXAMPLES_MAX - 1);
        memmove(at + place + 1, at + place, (n - place) * sizeof(*at));
        at[place] = *example;
        n++;
    }
    strategy->n_examples = n;
}

int htg_add_example(struct htg *htg, const char *strategy, const struct htg_example *example,
                    struct err *err)
{
    int index = htg_find_strategy(htg, strategy);
    if (index < 0) {
        return err_set(err, ERR_NOTFOUND, "no strategy \"%.40s\"", strategy);
    }
    insert_example(&htg->nodes[index]->strategy, example);
    return 0;
}
