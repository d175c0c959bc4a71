/* SPDX-License-Identifier: MIT */
/*
 * LEARN: what one sample teaches, in one place. Called once for each attempt, in the order in which
 * attempts become durable, just before their batch is submitted: what is changed in the graph here
 * and what is put into the batch take effect together, or the campaign ends.
 */
#include "agent/campaign_internal.h"
#include "agent/learn.h"
#include "base/jread.h"
#include "base/util.h"
#include "memory/node.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

/*
 * The direction that the candidate went in: its strategy's own, else the one that its author names, else
 * the step's. A step that went elsewhere says nothing of the direction that was asked for.
 */
static const char *went_in(const struct run *run, const struct sample *s)
{
    const struct htg *htg = run->campaign->session->htg;
    int index = *s->strategy ? htg_find_strategy(htg, s->strategy) : -1;
    if (index >= 0) {
        return htg_strategy(htg, (size_t)index)->direction;
    }
    bool named = s->direction && htg_find_direction(htg, s->direction) >= 0;
    return named ? s->direction : run->step.direction;
}

/* The gain, for direction, edge, strategy and trust. */
static int teach_gain(struct run *run, const struct sample *s, struct htg_increments *ret,
                      struct err *err)
{
    const struct choice *choice = run->step.choice;
    struct htg *htg = run->campaign->session->htg;
    bool known = *s->strategy && htg_find_strategy(htg, s->strategy) >= 0;
    struct htg_observation o = {
        .context = choice->context,
        .source = choice->n_sources ? choice->sources[0] : NULL,
        .direction = went_in(run, s),
        .strategy = known ? s->strategy : NULL,
        .task = run->task->name,
        .gain = s->gain,
        .failed = s->outcome == SELECT_OUTCOME_FAILED,
        .control = choice->control,
        .ablation = run->campaign->ablation,
    };
    return htg_observe(htg, &o, ret, err);
}

/* A candidate that won becomes a worked example of its strategy. */
static int teach_example(struct run *run, const struct sample *s, struct store_batch *batch,
                         struct err *err)
{
    struct campaign *c = run->campaign;
    if (s->outcome != SELECT_OUTCOME_GAINED || htg_find_strategy(c->session->htg, s->strategy) < 0) {
        return 0;
    }
    struct htg_example example = { .context = run->step.choice->context, .gain = s->gain };
    char hex[ID_HEX], context[CONTEXT_KEY_MAX];
    id_hex(&s->candidate->id, hex);
    snprintf(example.candidate, sizeof(example.candidate), "%s", hex);
    context_key(&example.context, CONTEXT_RUNG_EXACT, context);
    int r = htg_add_example(c->session->htg, s->strategy, &example, err);
    if (r < 0) {
        return r;
    }
    json_t *json = json_pack("{s:s, s:s, s:s, s:f}", "strategy", s->strategy, "candidate", hex,
                             "context", context, "gain", s->gain);
    auto_free char *text = json_canonical(json);
    json_decref(json);
    auto_free char *id = xprintf("%s.%.16s", s->strategy, hex);
    return node_put(batch, c->session->store, "example", id, text, err);
}

/* The same letters and digits, as far as an id goes. */
static bool same_letters(const char *a, const char *b)
{
    for (int n = 0; n < HTG_ID_MAX / 2; a++, b++, n++) {
        a += strcspn(a, LETTERS);
        b += strcspn(b, LETTERS);
        if (tolower((unsigned char)*a) != tolower((unsigned char)*b)) {
            return false;
        }
        if (!*a) {
            return true;
        }
    }
    return true;
}

/* Does the first reading stand? An id of the graph does, and a new name that nothing in it has. */
static bool plain(const struct run *run, const struct sample *s)
{
    const struct htg *htg = run->campaign->session->htg;
    if (!s->invented) {
        return htg_find_strategy(htg, s->strategy) >= 0;
    }
    for (size_t i = 0; i < htg_strategies(htg); i++) {
        const struct htg_strategy *known = htg_strategy(htg, i);
        if (same_letters(s->title, known->id) || same_letters(s->title, known->title)) {
            return false;
        }
    }
    return true;
}

/*
 * What strategy a model's reply means, by the graph as it is now: it is read once more, since it may
 * give a title in place of an id, or call new what was learned meanwhile.
 */
static void resolve(struct run *run, struct sample *s)
{
    struct arena *arena = run->step.arena;
    const struct htg *htg = run->campaign->session->htg;
    if (plain(run, s)) {
        return;
    }
    struct reply_input input = *s->reply;
    struct reply reply;
    input.htg = htg;
    reply_parse(&input, arena, &reply);
    candidate_free(reply.candidate);
    bool known = !reply.invented && htg_find_strategy(htg, reply.strategy) >= 0;
    const char *own = s->candidate->plan->title;
    s->invented = reply.invented;
    s->strategy = known ? arena_strdup(arena, reply.strategy) : "";
    s->summary = reply.summary;
    s->title = reply.invented ? reply.title : own && *own ? arena_strdup(arena, own) : s->strategy;
}

/*
 * What the model called new: a strategy that says the same gets the credit, whatever came of it; one
 * that is new and won becomes a node, in time to be credited itself.
 */
static int teach_invention(struct run *run, struct sample *s, bool learns,
                           struct store_batch *batch, struct err *err)
{
    struct campaign *c = run->campaign;
    struct learn_invention invention = { went_in(run, s), s->title, s->summary };
    const char *id = learn_known(c->session->htg, &invention);
    if (id) {
        s->invented = false;
    } else if (learns && s->outcome == SELECT_OUTCOME_GAINED) {
        int r = learn_invented(c->session->htg, c->session->store, batch, &invention, &id, err);
        if (r < 0) {
            return r;
        }
    }
    if (id) {
        s->strategy = arena_strdup(run->step.arena, id);
    }
    return 0;
}

int run_teach(struct run *run, struct sample *s, struct store_batch *batch,
              struct htg_increments *ret, struct err *err)
{
    enum select_ablation ablation = run->campaign->ablation;
    bool learns = ablation != SELECT_ABLATION_FROZEN && ablation != SELECT_ABLATION_NONE;
    ret->n = 0;
    if (!run->step.choice || !s->judged) {
        return 0; /* the start; or nothing came, which is the model's doing and not a direction's */
    }
    if (s->reply) {
        resolve(run, s);
    }
    int r = s->invented ? teach_invention(run, s, learns, batch, err) : 0;
    r = r < 0 ? r : teach_gain(run, s, ret, err);
    return r == 0 && learns ? teach_example(run, s, batch, err) : r;
}
