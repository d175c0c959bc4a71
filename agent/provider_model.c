/* SPDX-License-Identifier: MIT */
/* A sample's conversation with a model: what it is asked (model_call.h sees to the call), what its
 * replies are taken for. A talk is freed by its drop, or by the commit that still holds it. */
#include "agent/provider_model.h"
#include "agent/campaign_internal.h"
#include "agent/reply.h"
#include "base/util.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MODEL_BODY_MAX = 4 << 20 };

struct model {
    struct provider provider; /* first: the campaign sees only this */
    struct campaign *campaign;
    struct model_desk desk;
};

struct talk {
    struct model *model;
    const struct ask *ask;
    struct arena *arena;
    struct prompt_turn turns[PROMPT_TURNS_MAX];
    size_t n_turns;
    int64_t n_calls, corrections;
    const struct reply *before;
    struct model_call call;
    proposal_cb done;
    void *ud;
};

static void answer(struct talk *t, struct proposal *p)
{
    p->strategy = p->strategy ? p->strategy : "";
    p->direction = p->direction ? p->direction : "";
    p->title = p->title ? p->title : "";
    p->summary = p->summary ? p->summary : "";
    p->status = p->status ? p->status : "";
    p->error = p->error ? p->error : "";
    t->done(t->ud, p);
}

static void give_up(struct talk *t, int code, const char *error)
{
    struct proposal p = { .code = code, .error = error };
    answer(t, &p);
}

static void give_none(struct talk *t, const char *status, const char *error)
{
    struct proposal p = { .kind = PROPOSAL_NONE, .status = status, .error = error };
    answer(t, &p);
}

/*
 * Without the graph: it moves with every lesson of every task, and replies come in any order. What
 * strategy is meant is found out when the attempt is scored.
 */
static void read_reply(struct talk *t)
{
    struct reply *reply = arena_alloc(t->arena, 1, sizeof(*reply));
    const char *text = t->call.record.reply;
    struct reply_input input = { .text = text, .len = strlen(text),
                                 .cut = str_eq(t->call.extra.stop, llm_stop_name(LLM_STOP_LENGTH)),
                                 .before = t->before };
    reply_parse(&input, t->arena, reply);
    t->turns[t->n_turns++] = (struct prompt_turn) { .reply = text, .reply_len = strlen(text),
                                                    .correction = reply->fault ? reply->correction
                                                                               : NULL };
    t->before = reply;
    if (reply->fault == REPLY_FAULT_NONE) {
        struct proposal p = { .kind = PROPOSAL_CANDIDATE, .candidate = reply->candidate,
                              .strategy = reply->strategy, .direction = reply->direction,
                              .invented = reply->invented,
                              .title = reply->title, .summary = reply->summary };
        struct reply_input *again = arena_alloc(t->arena, 1, sizeof(*again));
        *again = input;
        p.reply = again;
        const char *title = reply->candidate->plan->title;
        p.title = *p.title ? p.title : title ? title : reply->strategy;
        answer(t, &p);
        return;
    }
    if (t->corrections >= MODEL_CORRECTIONS || t->n_turns == PROMPT_TURNS_MAX) {
        give_none(t, "bad_reply", arena_printf(t->arena, "%s, after %lld corrections",
                                               reply_fault_name(reply->fault),
                                               (long long)t->corrections));
        return;
    }
    t->corrections++;
    model_call_begin(&t->call, t->n_calls++, "correction");
}

/* The best kernel that won with the strategy proposed first, if the choice follows memory. */
static const struct prompt_example *find_example(struct talk *t)
{
    const struct choice *choice = t->ask->choice;
    if (!choice->recall || !choice->n_strategies) {
        return NULL;
    }
    int index = htg_find_strategy(t->ask->htg, choice->strategies[0].id);
    const struct htg_example *best
        = index < 0 ? NULL : htg_best_example(htg_strategy(t->ask->htg, (size_t)index),
                                              &choice->context);
    struct candidate_record record;
    struct candidate *candidate = NULL;
    if (!best || record_get_candidate(t->call.desk->store, best->candidate, t->arena, &record, NULL) < 0
        || candidate_parse(record.plan, strlen(record.plan), record.source, strlen(record.source),
                           &candidate, NULL) < 0) {
        return NULL; /* from another store: its words came without its kernel */
    }
    struct prompt_example *e = arena_alloc(t->arena, 1, sizeof(*e));
    const char *about = arena_printf(t->arena, "%s on %s%s, %.2fx its parent", best->context.family,
                                     best->context.arch, best->context.modelled ? " (modelled)" : "",
                                     exp(best->gain));
    *e = (struct prompt_example) { choice->strategies[0].id, about, candidate };
    return e;
}

/* The prompt for the talk's turns so far. */
static int write_words(struct model_call *call, struct err *err)
{
    struct talk *t = container_of(call, struct talk, call);
    const struct ask *a = t->ask;
    const struct prompt_example *example = find_example(t);
    struct prompt_input input = {
        .task = a->task, .device = a->device, .htg = a->htg, .choice = a->choice,
        .parent = a->parent, .parent_verdict = a->parent_verdict, .parent_seq = a->parent_seq,
        .parent_direction = a->parent_direction, .parent_strategy = a->parent_strategy,
        .baseline = a->baseline, .example = example, .tried = a->tried, .n_tried = a->n_tried,
        .turns = t->turns, .n_turns = t->n_turns, .sample = a->sample, .samples = a->samples,
        .tune_budget = a->tune_budget,
    };
    struct prompt prompt;
    int r = prompt_build(&input, t->arena, &prompt, err);
    if (example) {
        candidate_free((struct candidate *)(uintptr_t)example->candidate);
    }
    for (size_t i = 0; r == 0 && i < prompt.n; i++) {
        call->messages[i] = (struct llm_message) { prompt.messages[i].role, prompt.messages[i].text };
    }
    call->n_messages = r == 0 ? prompt.n : 0;
    return r;
}

static void on_end(struct model_call *call, enum model_call_end end, const char *why)
{
    struct talk *t = container_of(call, struct talk, call);
    struct proposal p = { .kind = PROPOSAL_BUDGET, .error = why };
    switch (end) {
    case MODEL_CALL_ANSWERED:
        read_reply(t);
        return;
    case MODEL_CALL_REFUSED:
        give_none(t, "refused", why);
        return;
    case MODEL_CALL_FAILED:
        if (model_call_hopeless(call)) {
            give_up(t, call->code, why);
        } else {
            give_none(t, "no_reply", why);
        }
        return;
    case MODEL_CALL_BUDGET:
        t->n_calls--;
        answer(t, &p);
        return;
    case MODEL_CALL_BROKEN:
        give_up(t, call->code, why);
        return;
    }
}

static struct talk *talk_new(struct model *m, const struct ask *ask)
{
    struct talk *t = xcalloc(1, sizeof(*t));
    t->model = m;
    t->ask = ask;
    t->arena = arena_new();
    t->call.desk = &m->desk;
    t->call.arena = t->arena;
    t->call.task = ask->task->name;
    t->call.seq = ask->seq;
    t->call.words = write_words;
    t->call.done = on_end;
    return t;
}

static void ask_model(const struct provider *provider, const struct ask *ask, struct talk **talk,
                      const struct verdict *failed, proposal_cb done, void *ud)
{
    struct model *m = (struct model *)(uintptr_t)provider;
    *talk = *talk ? *talk : talk_new(m, ask);
    struct talk *t = *talk;
    t->done = done;
    t->ud = ud;
    t->corrections = 0;
    if (t->n_turns == PROMPT_TURNS_MAX) {
        give_none(t, "bad_reply", "this candidate was mended as often as a prompt can tell");
        return;
    }
    if (failed && t->n_turns) {
        struct verdict *copy = arena_alloc(t->arena, 1, sizeof(*copy));
        verdict_copy(failed, t->arena, copy);
        t->turns[t->n_turns - 1].verdict = copy;
    }
    model_call_begin(&t->call, t->n_calls++, failed ? "repair" : "ask");
}

static void free_talk(struct model_call *call)
{
    struct talk *t = container_of(call, struct talk, call);
    arena_free(t->arena);
    free(t);
}

static void drop(const struct provider *provider, struct talk *t)
{
    (void)provider;
    model_call_drop(&t->call, free_talk);
}

static void facts(const struct provider *provider, struct provider_facts *ret)
{
    const struct model *m = (const struct model *)(const void *)provider;
    const struct llm *llm = m->desk.llm;
    *ret = (struct provider_facts) {
        .waiting = llm ? llm_waiting(llm) : 0,
        .pending = m->desk.asking,
        .where = llm ? llm_where(llm) : "",
        .model = llm ? llm_model(llm) : "",
    };
}

static struct model_desk *desk_of(const struct provider *provider)
{
    return &((struct model *)(uintptr_t)provider)->desk;
}

int provider_model_new(struct campaign *c, struct provider **ret, struct err *err)
{
    struct model *m = xcalloc(1, sizeof(*m));
    m->campaign = c;
    m->provider = (struct provider) { .name = "model", .repairs = true, .ask = ask_model,
                                      .drop = drop, .facts = facts, .desk = desk_of };
    m->desk = (struct model_desk) { .store = c->session->store, .budget = &c->budget,
                                    .turns = c->turns, .campaign = c->id,
                                    .provider = m->provider.name, .replay = c->replay != NULL };
    if (c->replay) {
        *ret = &m->provider;
        return 0;
    }
    struct llm_options options = *c->options.model;
    options.reply_max = options.reply_max ? options.reply_max : MODEL_BODY_MAX;
    options.seed = c->options.seed;
    int r = llm_open(&c->session->loop, &options, &m->desk.llm, err);
    const char *missing = r == 0 && c->options.usd > 0 ? llm_price_missing(m->desk.llm) : NULL;
    if (missing) {
        r = err_set(err, ERR_INVALID, "--usd: %s", missing);
        llm_close(m->desk.llm);
    }
    if (r < 0) {
        free(m);
        return r;
    }
    m->provider.name = llm_name(m->desk.llm);
    m->desk.provider = m->provider.name;
    *ret = &m->provider;
    return 0;
}

void provider_model_free(struct provider *provider)
{
    struct model *m = (struct model *)(void *)provider;
    if (m) {
        llm_close(m->desk.llm);
        free(m);
    }
}
