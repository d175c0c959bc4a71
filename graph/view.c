/* SPDX-License-Identifier: MIT */
#include "graph/view.h"
#include "base/rng.h"
#include "base/util.h"
#include "graph/htg_private.h"

#include <stdlib.h>
#include <string.h>

enum { VIEWS_MOST = 4096, VIEW_SLOTS = 2 * VIEWS_MOST };

/* As stats_index gives them. A row of places is a row of numbers. */
struct place {
    uint32_t rung[CONTEXT_RUNGS];
};

struct view {
    const struct htg *htg;
    char where[CONTEXT_RUNGS][CONTEXT_KEY_MAX];
    size_t n_directions, n_strategies, seen; /* seen: so many statistics are placed */
    struct place *directions, *edges, *strategies;
    bool *fits;
    uint16_t *by_direction; /* strategies, those of direction d from first[d] on */
    uint16_t first[HTG_DIRECTIONS_MAX + 1];
};

/* By the exact context's key, open addressing; emptied when full. */
struct views {
    struct view *slots[VIEW_SLOTS];
    size_t n;
};

struct views *views_new(void)
{
    return xcalloc(1, sizeof(struct views));
}

static void view_done(struct view *view)
{
    free(view->directions);
    free(view->edges);
    free(view->strategies);
    free(view->fits);
    free(view->by_direction);
    *view = (struct view) { .htg = NULL };
}

static void views_clear(struct views *views)
{
    for (size_t i = 0; i < VIEW_SLOTS; i++) {
        if (views->slots[i]) {
            view_done(views->slots[i]);
            free(views->slots[i]);
            views->slots[i] = NULL;
        }
    }
    views->n = 0;
}

void views_free(struct views *views)
{
    if (views) {
        views_clear(views);
    }
    free(views);
}

static bool listed(const struct htg_list *list, const char *name)
{
    for (size_t i = 0; i < list->n; i++) {
        if (str_eq(list->at[i], name)) {
            return true;
        }
    }
    return list->n == 0;
}

static bool arch_listed(const struct htg_list *list, const char *arch)
{
    for (size_t i = 0; i < list->n; i++) {
        if (context_arch_matches(arch, list->at[i])) {
            return true;
        }
    }
    return list->n == 0;
}

static bool fits(const struct htg_strategy *s, const struct context *context)
{
    /* Before anything is measured any bottleneck is possible. */
    bool bottleneck = context->class == CONTEXT_CLASS_NONE
        || listed(&s->bottlenecks, context_class_name(context->class));
    return bottleneck && listed(&s->families, context->family)
        && arch_listed(&s->archs, context->arch);
}

static struct place *edge_at(const struct view *view, size_t from, size_t to)
{
    size_t row = from == VIEW_START ? view->n_directions : from;
    return &view->edges[row * view->n_directions + to];
}

/* The place that a key's node has in the view; NULL if the graph doesn't know it. */
static struct place *place_of(const struct view *view, enum stats_kind kind, const char *node,
                              size_t len)
{
    char id[2 * HTG_ID_MAX + 2];
    if (len >= sizeof(id)) {
        return NULL;
    }
    memcpy(id, node, len);
    id[len] = '\0';
    if (kind == STATS_KIND_STRATEGY) {
        int i = htg_find_strategy(view->htg, id);
        return i < 0 ? NULL : &view->strategies[i];
    }
    if (kind == STATS_KIND_DIRECTION) {
        int i = htg_find_direction(view->htg, id);
        return i < 0 ? NULL : &view->directions[i];
    }
    char *to = strchr(id, '>');
    *to++ = '\0';
    int from = htg_edge_row(view->htg, id), i = htg_find_direction(view->htg, to);
    return from < 0 || i < 0 ? NULL : edge_at(view, (size_t)from, (size_t)i);
}

/* Places the statistics that came since the last look. */
static void catch_up(struct view *view)
{
    const struct stats *stats = view->htg->stats;
    for (size_t n = stats_count(stats); view->seen < n; view->seen++) {
        const struct tally *tally;
        const char *key = stats_at(stats, view->seen, &tally);
        const char *bar = strchr(key, '|'); /* trust and proofs stand under no context */
        if (!bar) {
            continue;
        }
        enum stats_kind kind;
        const char *node, *where;
        size_t len;
        require(stats_key_parse(key, &kind, &node, &len, &where, NULL) == 0);
        for (int rung = 0; rung < CONTEXT_RUNGS; rung++) {
            if (str_eq(where, view->where[rung])
                && (kind == STATS_KIND_DIRECTION || kind == STATS_KIND_STRATEGY
                    || kind == STATS_KIND_TRANSITION)) {
                struct place *place = place_of(view, kind, node, len);
                if (place) {
                    place->rung[rung] = (uint32_t)view->seen + 1;
                }
            }
        }
    }
}

static void look_up(const struct view *view, enum stats_kind kind, const char *from,
                    const char *node, struct place *ret)
{
    char key[STATS_KEY_MAX];
    for (int rung = 0; rung < CONTEXT_RUNGS; rung++) {
        stats_key(kind, from, node, view->where[rung], key);
        ret->rung[rung] = stats_index(view->htg->stats, key);
    }
}

static void sort_by_direction(struct view *view)
{
    const struct htg *htg = view->htg;
    uint16_t place[HTG_DIRECTIONS_MAX + 1] = { 0 };
    view->by_direction = xcalloc(view->n_strategies + 1, sizeof(*view->by_direction));
    for (size_t s = 0; s < view->n_strategies; s++) {
        place[htg->nodes[s]->strategy.direction_index + 1]++;
    }
    for (size_t d = 0; d < view->n_directions; d++) {
        view->first[d + 1] = (uint16_t)(view->first[d] + place[d + 1]);
        place[d + 1] = view->first[d + 1];
    }
    for (size_t s = 0; s < view->n_strategies; s++) {
        view->by_direction[place[htg->nodes[s]->strategy.direction_index]++] = (uint16_t)s;
    }
}

static void view_init(struct view *view, const struct htg *htg, const struct context *context)
{
    *view = (struct view) { .htg = htg, .n_directions = htg->n_directions,
                            .n_strategies = htg->n_nodes, .seen = stats_count(htg->stats) };
    for (int rung = 0; rung < CONTEXT_RUNGS; rung++) {
        context_key(context, (enum context_rung)rung, view->where[rung]);
    }
    size_t n = view->n_directions;
    view->directions = xcalloc(n + 1, sizeof(*view->directions));
    view->edges = xcalloc((n + 1) * n + 1, sizeof(*view->edges));
    view->strategies = xcalloc(view->n_strategies + 1, sizeof(*view->strategies));
    view->fits = xcalloc(view->n_strategies + 1, sizeof(*view->fits));
    for (size_t to = 0; to < n; to++) {
        const char *id = htg->directions[to].id;
        look_up(view, STATS_KIND_DIRECTION, NULL, id, &view->directions[to]);
        look_up(view, STATS_KIND_TRANSITION, HTG_START, id, edge_at(view, VIEW_START, to));
        for (size_t from = 0; from < n; from++) {
            look_up(view, STATS_KIND_TRANSITION, htg->directions[from].id, id,
                    edge_at(view, from, to));
        }
    }
    for (size_t s = 0; s < view->n_strategies; s++) {
        const struct htg_strategy *strategy = &htg->nodes[s]->strategy;
        look_up(view, STATS_KIND_STRATEGY, NULL, strategy->id, &view->strategies[s]);
        view->fits[s] = fits(strategy, context);
    }
    sort_by_direction(view);
}

const struct view *view_of(const struct htg *htg, const struct context *context)
{
    struct views *views = htg->views;
    char key[CONTEXT_KEY_MAX];
    context_key(context, CONTEXT_RUNG_EXACT, key);
    if (views->n == VIEWS_MOST) {
        views_clear(views);
    }
    size_t i = rng_key(key) % VIEW_SLOTS;
    while (views->slots[i] && !str_eq(views->slots[i]->where[CONTEXT_RUNG_EXACT], key)) {
        i = (i + 1) % VIEW_SLOTS;
    }
    struct view *view = views->slots[i];
    if (view && view->n_directions == htg->n_directions && view->n_strategies == htg->n_nodes) {
        catch_up(view);
        return view;
    }
    if (view) {
        view_done(view); /* nodes came: everything has another place */
    } else {
        view = views->slots[i] = xcalloc(1, sizeof(*view));
        views->n++;
    }
    view_init(view, htg, context);
    return view;
}

static void climb(const struct view *view, const struct place *place, struct ladder *ret)
{
    stats_tallies(view->htg->stats, CONTEXT_RUNGS, place->rung, ret->rung);
}

void view_direction(const struct view *view, size_t direction, struct ladder *ret)
{
    climb(view, &view->directions[direction], ret);
}

void view_edge(const struct view *view, size_t from, size_t to, struct ladder *ret)
{
    climb(view, edge_at(view, from, to), ret);
}

void view_strategy(const struct view *view, size_t strategy, struct ladder *ret)
{
    climb(view, &view->strategies[strategy], ret);
}

bool view_fits(const struct view *view, size_t strategy)
{
    return view->fits[strategy];
}

void view_fetch(const struct view *view)
{
    size_t n = view->n_directions;
    const struct stats *stats = view->htg->stats;
    stats_fetch(stats, CONTEXT_RUNGS * n, (const uint32_t *)view->directions);
    stats_fetch(stats, CONTEXT_RUNGS * (n + 1) * n, (const uint32_t *)view->edges);
    stats_fetch(stats, CONTEXT_RUNGS * view->n_strategies, (const uint32_t *)view->strategies);
}

const struct tally *view_edge_everywhere(const struct view *view, size_t from, size_t to)
{
    const struct tally *tally;
    stats_tallies(view->htg->stats, 1, &edge_at(view, from, to)->rung[CONTEXT_RUNG_EVERYWHERE], &tally);
    return tally;
}

size_t view_strategies(const struct view *view, size_t direction, const uint16_t **ret)
{
    *ret = view->by_direction + view->first[direction];
    return (size_t)(view->first[direction + 1] - view->first[direction]);
}
