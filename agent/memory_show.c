/* SPDX-License-Identifier: MIT */
/* memory show: the graph as this store knows it, or one node of it. */
#include "agent/memory_command.h"
#include "base/jread.h"
#include "base/util.h"
#include "graph/tally.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

const struct tally *memory_everywhere(const struct htg *htg, enum stats_kind kind, const char *from,
                                      const char *node, bool modelled)
{
    char key[STATS_KEY_MAX];
    stats_key(kind, from, node, modelled ? "*|*|*-model" : "*|*|*", key);
    return htg_stat(htg, key);
}

/* "12 tries, 1.31x on average, 2 failed": experience on devices, then in the model. */
static void experience(const struct htg *htg, enum stats_kind kind, const char *node, char *ret,
                       size_t size)
{
    size_t n = 0;
    ret[0] = '\0';
    for (int modelled = 0; modelled < 2; modelled++) {
        const struct tally *t = memory_everywhere(htg, kind, NULL, node, modelled != 0);
        if (t && t->n && n < size) {
            n += (size_t)snprintf(ret + n, size - n, "%s%lld tries%s, %.2fx on average, %lld failed",
                                  n ? "; " : "", (long long)t->n, modelled ? " (modelled)" : "",
                                  exp(t->mean), (long long)t->failures);
        }
    }
    if (n == 0) {
        snprintf(ret, size, "never tried");
    }
}

static void print_all(const struct htg *htg)
{
    char text[256];
    for (size_t d = 0; d < htg_directions(htg); d++) {
        const struct htg_direction *direction = htg_direction(htg, d);
        experience(htg, STATS_KIND_DIRECTION, direction->id, text, sizeof(text));
        printf("%s: %s\n  %s\n", direction->id, direction->title, text);
        for (size_t s = 0; s < htg_strategies(htg); s++) {
            const struct htg_strategy *strategy = htg_strategy(htg, s);
            if (strategy->direction_index == (int)d) {
                experience(htg, STATS_KIND_STRATEGY, strategy->id, text, sizeof(text));
                printf("    %-32s %s\n", strategy->id, text);
            }
        }
    }
    printf("\n%zu directions, %zu strategies, %zu transitions; memory show NODE says more about one\n",
           htg_directions(htg), htg_strategies(htg), htg_transitions(htg));
}

static void print_list(const char *title, const struct htg_list *list)
{
    if (list->n == 0) {
        return;
    }
    printf("%-12s", title);
    for (size_t i = 0; i < list->n; i++) {
        printf("%s%s", i ? ", " : "", list->at[i]);
    }
    printf("\n");
}

static void print_strategy(const struct htg *htg, const struct htg_strategy *s)
{
    char text[256];
    experience(htg, STATS_KIND_STRATEGY, s->id, text, sizeof(text));
    printf("strategy    %s (%s)\ndirection   %s\n%s\n\n%s\n\npitfalls    %s\nexperience  %s\n", s->id,
           htg_state_name(s->state), s->direction, s->title, s->guidance, s->pitfalls, text);
    print_list("tunables", &s->tunables);
    print_list("families", &s->families);
    print_list("bottlenecks", &s->bottlenecks);
    print_list("archs", &s->archs);
    print_list("dtypes", &s->dtypes);
    for (size_t i = 0; i < s->n_examples; i++) {
        char key[CONTEXT_KEY_MAX];
        context_key(&s->examples[i].context, CONTEXT_RUNG_EXACT, key);
        printf("example     candidate %.12s, %.2fx in %s\n", s->examples[i].candidate,
               exp(s->examples[i].gain), key);
    }
}

static void print_direction(const struct htg *htg, const struct htg_direction *d)
{
    char text[256];
    experience(htg, STATS_KIND_DIRECTION, d->id, text, sizeof(text));
    printf("direction   %s\n%s\n%s\nexperience  %s\n", d->id, d->title, d->summary, text);
    for (size_t i = 0; i < htg_transitions(htg); i++) {
        const struct htg_transition *t = htg_transition(htg, i);
        if (str_eq(t->from, d->id)) {
            printf("\nthen %s (%+.2f nats)\n  when  %s\n  why   %s\n  risk  %s\n", t->to, t->prior,
                   t->when, t->why, t->risk);
        }
    }
}

static int print_node(const struct htg *htg, const char *id)
{
    int direction = htg_find_direction(htg, id), strategy = htg_find_strategy(htg, id);
    if (direction >= 0) {
        print_direction(htg, htg_direction(htg, (size_t)direction));
    } else if (strategy >= 0) {
        print_strategy(htg, htg_strategy(htg, (size_t)strategy));
    } else {
        const char *known[HTG_DIRECTIONS_MAX + HTG_STRATEGIES_MAX];
        size_t n = 0;
        for (size_t i = 0; i < htg_directions(htg); i++) {
            known[n++] = htg_direction(htg, i)->id;
        }
        for (size_t i = 0; i < htg_strategies(htg); i++) {
            known[n++] = htg_strategy(htg, i)->id;
        }
        const char *near = suggest(id, known, n);
        fprintf(stderr, "warpsmith: the memory has no node \"%s\"%s%s%s\n", id,
                near ? ", did you mean \"" : "", near ? near : "", near ? "\"?" : "");
        return EXIT_USAGE;
    }
    return EXIT_DONE;
}

static json_t *tally_json(const struct htg *htg, enum stats_kind kind, const char *id)
{
    const struct tally *t = memory_everywhere(htg, kind, NULL, id, false);
    const struct tally *m = memory_everywhere(htg, kind, NULL, id, true);
    json_t *json = json_object();
    if (t && t->n) {
        json_object_set_new(json, "measured", json_pack("{s:I, s:f, s:I}", "n", (json_int_t)t->n,
                                                        "mean_gain", t->mean, "failures",
                                                        (json_int_t)t->failures));
    }
    if (m && m->n) {
        json_object_set_new(json, "modelled", json_pack("{s:I, s:f, s:I}", "n", (json_int_t)m->n,
                                                        "mean_gain", m->mean, "failures",
                                                        (json_int_t)m->failures));
    }
    return json;
}

static json_t *memory_json(const struct htg *htg)
{
    json_t *directions = json_array(), *strategies = json_array(), *transitions = json_array();
    for (size_t i = 0; i < htg_directions(htg); i++) {
        const struct htg_direction *d = htg_direction(htg, i);
        json_array_append_new(directions,
                              json_pack("{s:s, s:s, s:o}", "id", d->id, "title", d->title,
                                        "experience", tally_json(htg, STATS_KIND_DIRECTION, d->id)));
    }
    for (size_t i = 0; i < htg_strategies(htg); i++) {
        const struct htg_strategy *s = htg_strategy(htg, i);
        json_array_append_new(strategies,
                              json_pack("{s:s, s:s, s:s, s:s, s:o}", "id", s->id, "direction",
                                        s->direction, "title", s->title, "state",
                                        htg_state_name(s->state), "experience",
                                        tally_json(htg, STATS_KIND_STRATEGY, s->id)));
    }
    for (size_t i = 0; i < htg_transitions(htg); i++) {
        const struct htg_transition *t = htg_transition(htg, i);
        json_array_append_new(transitions, json_pack("{s:s, s:s, s:f}", "from", t->from, "to",
                                                     t->to, "prior", t->prior));
    }
    return json_pack("{s:o, s:o, s:o}", "directions", directions, "strategies", strategies,
                     "transitions", transitions);
}

static int run(const struct options *o, size_t n_args, const char *const *args)
{
    struct session session;
    struct err err = { 0 };
    int r = session_open(&session, o, SESSION_MEMORY | SESSION_STORE_READ, &err);
    if (r == ERR_NOTFOUND) { /* no store yet: the seed memory alone */
        r = session_open(&session, o, SESSION_MEMORY, &err);
    }
    if (r < 0) {
        return options_fail(&err);
    }
    int code = EXIT_DONE;
    if (o->json) {
        r = output_json(o->json, memory_json(session.htg), &err);
        code = r < 0 ? options_fail(&err) : EXIT_DONE;
    } else if (n_args > 0) {
        code = print_node(session.htg, args[0]);
    } else {
        print_all(session.htg);
    }
    session_close(&session);
    return code;
}

const struct memory_part memory_show = {
    "show", "show [NODE]", "the graph with what this store learned, or one node whole", 0, 1, run,
};
