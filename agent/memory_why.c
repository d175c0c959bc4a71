/* SPDX-License-Identifier: MIT */
/* memory why: every number that made one attempt take its direction, as it was kept then. */
#include "agent/memory_command.h"
#include "base/jread.h"
#include "base/util.h"
#include "graph/choice.h"
#include "memory/record.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* "CAMPAIGN/TASK/4": the number is the last part, a task's name may hold slashes. */
static int parse_reference(const char *text, struct arena *arena, const char **ret_campaign,
                           const char **ret_task, int64_t *ret_seq, struct err *err)
{
    char *copy = arena_strdup(arena, text);
    char *first = strchr(copy, '/'), *last = strrchr(copy, '/');
    if (!first || first == last || !str_to_i64(last + 1, ret_seq) || *ret_seq < 0) {
        return err_set(err, ERR_INVALID, "\"%s\" names no attempt: write CAMPAIGN/TASK/NUMBER, as "
                       "warpsmith report CAMPAIGN shows them", text);
    }
    *first = *last = '\0';
    *ret_campaign = copy;
    *ret_task = first + 1;
    return 0;
}

/* What is kept of the step; ERR_NOTFOUND: no such attempt, or one without a choice (the start). */
static int read_choice(struct store *store, const char *text, struct arena *arena, json_t **ret,
                       struct err *err)
{
    const char *campaign = "", *task = "";
    int64_t seq = 0;
    const void *at;
    size_t len;
    int r = parse_reference(text, arena, &campaign, &task, &seq, err);
    if (r < 0) {
        return r;
    }
    r = store_get(store, STORE_DB_CHOICES, record_attempt_key(arena, campaign, task, seq), arena,
                  &at, &len, err);
    if (r == ERR_NOTFOUND) {
        return err_set(err, r, "the store has no attempt %s", text);
    }
    r = r < 0 ? r : jread_parse(at, len, ret, err);
    if (r == 0 && !json_object_get(*ret, "choice")) {
        json_decref(*ret);
        return err_set(err, ERR_NOTFOUND, "%s is the start of its run: nothing was chosen", text);
    }
    return r;
}

/* "+0.31 (12 tries, exact)", or what was only assumed. */
static void say_estimate(const struct estimate *e, char *ret, size_t size)
{
    if (e->level == CONTEXT_RUNGS) {
        snprintf(ret, size, "%+.3f (assumed, never tried)", e->mean);
        return;
    }
    const struct tally *t = &e->rung[e->level];
    snprintf(ret, size, "%+.3f (%lld tries %s, mean %+.3f; %.0f %% experience)", e->mean,
             (long long)t->n,
             e->level == CONTEXT_RUNG_EXACT       ? "here"
                 : e->level == CONTEXT_RUNG_CLASS ? "at this bottleneck"
                                                  : "elsewhere",
             t->mean, 100 * e->share);
}

static void print_head(const struct choice *c)
{
    char context[CONTEXT_KEY_MAX];
    context_key(&c->context, CONTEXT_RUNG_EXACT, context);
    const struct choice_direction *d = &c->directions[c->picked];
    printf("%s, step %llu took %s (probability %.1f %%)\n", c->task, (unsigned long long)c->step,
           d->id, 100 * d->probability);
    printf("context     %s%s\n", context, c->context.modelled ? ", modelled" : "");
    printf("memory      %s; trust %.2f; ablation %s; temperature %g\n",
           c->control ? "ignored: this step is a control" : "followed", c->trust,
           select_ablation_name(c->ablation), c->tuning.temperature);
    printf("order       edges weigh against %.3g pseudo-observations%s\n", c->k_edge,
           c->k_edge >= 1000 ? ": so far what came before made no difference" : "");
    printf("came from  ");
    for (size_t i = 0; i < c->n_sources; i++) {
        printf(" %s%s", i ? "< " : "", c->sources[i]);
    }
    printf("%s\n", c->n_sources ? "" : " (not looked at)");
}

static void print_direction(const struct choice *c, const struct choice_direction *d)
{
    char text[128];
    double before = c->n_sources ? c->tuning.w * (d->transition - d->estimate.mean) : 0;
    printf("\n%s%s  P %.1f %%, score %+.3f = before %+.3f, strategies %+.3f, opens %+.3f%s%s%s",
           d->id, d->allowed ? "" : " (not allowed)", 100 * d->probability, d->score, before,
           d->unary, c->tuning.opening * d->opens, *d->opens_to ? " (" : "", d->opens_to,
           *d->opens_to ? ")" : "");
    printf(", penalties -%.3f", d->failed + d->stale + d->exhausted + d->unfit);
    printf("%s%s%s%s\n", d->failed > 0 ? " failed" : "", d->stale > 0 ? " stale" : "",
           d->exhausted > 0 ? " exhausted" : "", d->unfit > 0 ? " no strategy fits" : "");
    say_estimate(&d->estimate, text, sizeof(text));
    printf("    by itself %s\n", text);
    for (size_t i = 0; i < c->n_sources; i++) {
        say_estimate(&d->terms[i].estimate, text, sizeof(text));
        printf("    after %s, attention %.2f: %s\n", c->sources[i], d->terms[i].attention, text);
    }
}

static int by_probability(const void *a, const void *b)
{
    double x = (*(const struct choice_direction *const *)a)->score;
    double y = (*(const struct choice_direction *const *)b)->score;
    return x > y ? -1 : x < y;
}

static void print_choice(const struct choice *c)
{
    const struct choice_direction *order[HTG_DIRECTIONS_MAX];
    char text[128];
    for (size_t i = 0; i < c->n_directions; i++) {
        order[i] = &c->directions[i];
    }
    qsort(order, c->n_directions, sizeof(*order), by_probability);
    print_head(c);
    for (size_t i = 0; i < c->n_directions; i++) {
        print_direction(c, order[i]);
    }
    printf("\nstrategies of %s, the first %zu were %s\n", c->directions[c->picked].id, c->n_recalled,
           c->recall ? "recalled" : "drawn, and not shown to the provider");
    for (size_t i = 0; i < c->n_strategies; i++) {
        const struct choice_strategy *s = &c->strategies[i];
        say_estimate(&s->estimate, text, sizeof(text));
        printf("    %-36s score %+.3f = %s, doubt %+.3f, penalty -%.3f%s\n", s->id, s->score, text,
               s->explore, s->penalty, s->provisional ? ", provisional" : "");
    }
}

static int run(const struct options *o, size_t n_args, const char *const *args)
{
    (void)n_args;
    auto_arena struct arena *arena = arena_new();
    struct session session;
    struct err err = { 0 };
    struct choice *choice = NULL;
    json_t *json = NULL;
    int r = session_open(&session, o, SESSION_STORE_READ, &err);
    if (r < 0) {
        return options_fail(&err);
    }
    r = read_choice(session.store, args[0], arena, &json, &err);
    if (r == 0) {
        r = choice_parse(json_object_get(json, "choice"), arena, &choice, &err);
    }
    if (r == 0 && o->json) {
        r = output_json(o->json, json_incref(json), &err);
    } else if (r == 0) {
        print_choice(choice);
    }
    json_decref(json);
    session_close(&session);
    return r < 0 ? options_fail(&err) : EXIT_DONE;
}

const struct memory_part memory_why = {
    "why", "why CAMPAIGN/TASK/NUMBER", "why an attempt took its direction", 1, 1, run,
};
