/* SPDX-License-Identifier: MIT */
/*
 * One call, from intent to use:
 *
 *     prompt -> reserve the worst price -> INTENT durable -> sent -> settle -> ANSWER durable -> read
 *
 * A call that the store has an answer of is read at once, one that it has an intent of is sent again
 * under its key and with its words. A talk is freed by its drop, or by the commit that still holds it.
 */
#include "agent/model_talk.h"
#include "base/jread.h"
#include "base/util.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A reply's text in its record: far below what can be read back, even if every byte is escaped. */
enum { MODEL_TEXT_MAX = 512 << 10, MODEL_BODY_MAX = 4 << 20 };

enum { FAILURES_MAX = 3 };

static void answer(struct talk *t, struct proposal *p)
{
    p->strategy = p->strategy ? p->strategy : "";
    p->direction = p->direction ? p->direction : "";
    p->title = p->title ? p->title : "";
    p->summary = p->summary ? p->summary : "";
    p->status = p->status ? p->status : "";
    p->error = p->error ? p->error : "";
    t->asking = false;
    t->model->asking--;
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

struct store *model_store(const struct talk *t)
{
    return t->model->campaign->session->store;
}

static void talk_free(struct talk *t)
{
    arena_free(t->arena);
    free(t);
}

static void keep(struct talk *t, store_done_fn done)
{
    auto_free char *extra = call_extra_text(&t->extra);
    t->record.extra = extra;
    struct store_batch *batch = store_batch_new();
    struct err err = { 0 };
    int r = record_put_call(batch, &t->record, &err);
    t->record.extra = "";
    if (r == 0 && str_eq(t->record.state, "intent")) {
        model_put_prompts(t, batch);
    }
    if (r < 0) {
        store_batch_free(batch);
        give_up(t, r, err_text(&err));
        return;
    }
    t->committing = true;
    store_submit(model_store(t), batch, done, t);
}

/* Back from a commit; false: nobody waits for it any more, or it failed. */
static bool kept(struct talk *t, int status, const struct err *err)
{
    t->committing = false;
    if (t->dropped) {
        talk_free(t);
        return false;
    }
    if (status < 0) {
        give_up(t, status, err_text(err));
        return false;
    }
    return true;
}

static void next_call(struct talk *t, const char *kind);

/*
 * Without the graph: it moves with every lesson of every task, and replies come in any order. What
 * strategy is meant is found out when the attempt is scored.
 */
static void read_reply(struct talk *t)
{
    struct reply *reply = arena_alloc(t->arena, 1, sizeof(*reply));
    const char *text = t->record.reply;
    struct reply_input input = { .text = text, .len = strlen(text),
                                 .cut = str_eq(t->extra.stop, llm_stop_name(LLM_STOP_LENGTH)),
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
    next_call(t, "correction");
}

/* One call's bad luck, after all its retries, costs a sample; several in a row are the provider's. */
static bool ends_campaign(const struct talk *t)
{
    bool its_own = t->code == 0 || t->code == ERR_TOOBIG || t->code == ERR_INVALID;
    return t->fatal || t->code == ERR_ENVIRONMENT || (!its_own && t->model->in_a_row >= FAILURES_MAX);
}

/* An answer that is durable: use it. */
static void use(struct talk *t)
{
    bool refused = str_eq(t->extra.stop, llm_stop_name(LLM_STOP_REFUSED))
        || str_eq(t->extra.stop, llm_stop_name(LLM_STOP_FILTERED));
    if (!str_eq(t->record.state, "failed") && !refused) {
        read_reply(t);
    } else if (refused) {
        give_none(t, "refused", *t->record.reply ? t->record.reply : "the model refused to answer");
    } else if (ends_campaign(t)) {
        give_up(t, t->code, t->record.error);
    } else {
        give_none(t, "no_reply", t->record.error);
    }
}

static void use_soon(void *ud)
{
    use(ud);
}

static void on_answer_kept(void *ud, int status, const struct err *err)
{
    struct talk *t = ud;
    if (kept(t, status, err)) {
        turns_add(t->model->campaign->turns, &t->turn, use_soon, t);
    }
}

/* What the record can hold: text without NULs that isn't too long to be read back. */
static const char *clean(struct talk *t, const char *text, size_t len)
{
    json_t *json = json_text(text, MIN(len, (size_t)MODEL_TEXT_MAX));
    size_t n = json_string_length(json);
    char *copy = arena_strndup(t->arena, json_string_value(json), n);
    for (size_t i = 0; i < n; i++) {
        copy[i] = copy[i] ? copy[i] : '?';
    }
    json_decref(json);
    return copy;
}

static int64_t bytes_asked(const struct talk *t)
{
    size_t n = 0;
    for (size_t i = 0; i < t->n_messages; i++) {
        n += strlen(t->messages[i].text);
    }
    return (int64_t)n;
}

static void set_answer(struct talk *t, const struct llm_reply *reply)
{
    struct call_record *r = &t->record;
    const struct llm_usage *u = &reply->usage;
    r->state = "answered";
    r->error = "";
    r->reply = clean(t, reply->text, reply->len);
    r->usd = isfinite(reply->usd) ? reply->usd : 0;
    r->tokens_in = reply->usage_known ? u->in : 0;
    r->tokens_cached = reply->usage_known ? u->cached : 0;
    r->tokens_out = reply->usage_known ? u->out : 0;
    t->extra.stop = llm_stop_name(reply->stop);
    t->extra.usage_known = reply->usage_known;
    t->extra.usd_known = isfinite(reply->usd);
    t->extra.written = u->written;
    t->extra.reasoning = u->reasoning;
    /* No tokenizer makes more tokens than bytes, so this is a bound where nobody counted. */
    t->extra.tokens_bound = reply->usage_known ? 0 : bytes_asked(t) + (int64_t)reply->len;
    if (reply->len > MODEL_TEXT_MAX) {
        r->state = "failed";
        r->reply = "";
        r->error = arena_printf(t->arena, "the reply is %zu bytes long, %d are allowed", reply->len,
                                MODEL_TEXT_MAX);
        t->code = ERR_TOOBIG;
    }
}

static void settle(struct talk *t, const struct llm_reply *reply)
{
    struct budget *b = &t->model->campaign->budget;
    bool answered = reply->code == 0;
    double unsure = isfinite(reply->usd_unsure) ? reply->usd_unsure : 0; /* no price: no dollars */
    double usd = unsure + (answered ? isfinite(reply->usd) ? reply->usd
                                                                      : t->record.reserved_usd
                                               : 0);
    int64_t tokens = reply->tokens_unsure;
    if (answered) {
        tokens += reply->usage_known ? reply->usage.in + reply->usage.out : t->extra.tokens_bound;
    }
    budget_settle(b, t->record.reserved_usd, t->extra.tokens_reserved, usd, tokens);
    t->reserved = false;
    t->extra.usd_unsure += unsure;
    t->extra.tokens_unsure += reply->tokens_unsure;
}

static void keep_soon(void *ud)
{
    keep(ud, on_answer_kept);
}

static void on_reply(void *ud, const struct llm_reply *reply)
{
    struct talk *t = ud;
    t->call = NULL;
    t->code = reply->code;
    t->fatal = reply->fatal;
    t->model->in_a_row = reply->code < 0 ? t->model->in_a_row + 1 : 0;
    t->extra.request_id = clean(t, reply->request_id, strlen(reply->request_id));
    if (*reply->model) {
        t->record.model = clean(t, reply->model, strlen(reply->model));
    }
    if (reply->code == 0) {
        set_answer(t, reply);
    } else {
        t->record.state = "failed";
        t->record.reply = "";
        t->record.error = clean(t, reply->error, strlen(reply->error));
    }
    settle(t, reply);
    turns_add(t->model->campaign->turns, &t->turn, keep_soon, t); /* many replies may come at once */
}

static struct llm_request request_of(const struct talk *t)
{
    return (struct llm_request) { .key = t->extra.key, .messages = t->messages,
                                  .n = t->n_messages, .temperature = (double)NAN };
}

static void ask_soon(void *ud)
{
    struct talk *t = ud;
    struct err err = { 0 };
    struct llm_request request = request_of(t);
    int r = llm_ask(t->model->llm, &request, on_reply, t, &t->call, &err);
    if (r < 0) {
        give_up(t, r, err_text(&err));
    }
}

static void on_intent_kept(void *ud, int status, const struct err *err)
{
    struct talk *t = ud;
    if (kept(t, status, err)) {
        turns_add(t->model->campaign->turns, &t->turn, ask_soon, t);
    }
}

/* Reserve, then make the intent durable; the rest follows from on_intent_kept. */
static void send_call(struct talk *t)
{
    struct model *m = t->model;
    struct llm_request request = request_of(t);
    const char *why = "";
    double usd = llm_worst_usd(m->llm, &request);
    t->extra.tokens_reserved = llm_worst_tokens(m->llm, &request);
    t->record.reserved_usd = isfinite(usd) ? usd : 0;
    if (!budget_reserve(&m->campaign->budget, usd, t->extra.tokens_reserved, &why)) {
        struct proposal p = { .kind = PROPOSAL_BUDGET, .error = why };
        t->n_calls--;
        answer(t, &p);
        return;
    }
    t->reserved = true;
    t->record.state = "intent";
    t->extra.sends++;
    keep(t, on_intent_kept);
}

/* What was under way when an earlier process ended: the same words again, under the same key. */
static int take_up(struct talk *t, const struct call_record *known, struct err *err)
{
    call_extra_read(known->extra, t->arena, &t->extra);
    t->record.request = known->request;
    int r = model_request_read(model_store(t), known->request, t->arena, t->messages,
                               PROMPT_MESSAGES_MAX, &t->n_messages, err);
    bool counted_once = str_eq(known->provider, "spool"); /* its request lies there only once */
    if (r == 0 && str_eq(known->state, "intent") && !counted_once) {
        t->extra.usd_unsure += known->reserved_usd;
        t->extra.tokens_unsure += t->extra.tokens_reserved;
    }
    return r;
}

static void begin_record(struct talk *t, int64_t number, const char *kind)
{
    struct model *m = t->model;
    t->code = 0;
    t->fatal = false;
    memset(t->prompts, 0, sizeof(t->prompts));
    t->record = (struct call_record) {
        .campaign = m->campaign->id, .task = t->ask->task->name, .seq = t->ask->seq,
        .attempt = number, .state = "intent", .provider = m->provider.name,
        .model = m->llm ? llm_model(m->llm) : "", .request = "", .reply = "", .error = "",
    };
    t->extra = (struct call_extra) { .key = model_key(t, number), .kind = kind, .stop = "",
                                     .request_id = "" };
}

static void next_call(struct talk *t, const char *kind)
{
    struct campaign *c = t->model->campaign;
    struct call_record known;
    struct err err = { 0 };
    int64_t number = t->n_calls++;
    int r = record_get_call(model_store(t), c->id, t->ask->task->name, t->ask->seq, number, t->arena,
                            &known, &err);
    bool there = r == 0;
    if (there && (str_eq(known.state, "answered") || (c->replay && str_eq(known.state, "failed")))) {
        t->record = known;
        call_extra_read(known.extra, t->arena, &t->extra);
        t->code = 0;
        t->fatal = false;
        use(t);
        return;
    }
    begin_record(t, number, kind);
    if (r == ERR_NOTFOUND && c->replay) {
        r = err_set(&err, ERR_INVALID, "task %s: attempt %lld: the record has no answer of call %lld",
                    t->ask->task->name, (long long)t->ask->seq, (long long)number);
    } else if (there) {
        r = take_up(t, &known, &err);
    } else if (r == ERR_NOTFOUND) {
        r = model_build(t, &err);
        t->record.request = r == 0 ? model_request_text(t) : "";
    }
    if (r < 0) {
        give_up(t, r, err_text(&err));
        return;
    }
    send_call(t);
}

static void ask_model(const struct provider *provider, const struct ask *ask, struct talk **talk,
                      const struct verdict *failed, proposal_cb done, void *ud)
{
    struct model *m = (struct model *)(uintptr_t)provider;
    struct talk *t = *talk;
    if (!t) {
        t = xcalloc(1, sizeof(*t));
        t->model = m;
        t->ask = ask;
        t->arena = arena_new();
        *talk = t;
    }
    t->done = done;
    t->ud = ud;
    t->asking = true;
    m->asking++;
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
    next_call(t, failed ? "repair" : "ask");
}

static void drop(const struct provider *provider, struct talk *t)
{
    struct model *m = (struct model *)(uintptr_t)provider;
    m->asking -= t->asking;
    turns_remove(&t->turn);
    if (t->call) {
        llm_cancel(t->call);
        t->call = NULL;
    }
    t->dropped = true;
    if (!t->committing) {
        talk_free(t);
    }
}

static void facts(const struct provider *provider, struct provider_facts *ret)
{
    const struct model *m = (const struct model *)(const void *)provider;
    *ret = (struct provider_facts) {
        .waiting = m->llm ? llm_waiting(m->llm) : 0,
        .pending = m->asking,
        .where = m->llm ? llm_where(m->llm) : "",
        .model = m->llm ? llm_model(m->llm) : "",
    };
}

int provider_model_new(struct campaign *c, struct provider **ret, struct err *err)
{
    struct model *m = xcalloc(1, sizeof(*m));
    m->campaign = c;
    m->provider = (struct provider) { .name = "model", .repairs = true, .ask = ask_model,
                                      .drop = drop, .facts = facts };
    if (c->replay) {
        *ret = &m->provider;
        return 0;
    }
    struct llm_options options = *c->options.model;
    options.reply_max = options.reply_max ? options.reply_max : MODEL_BODY_MAX;
    options.seed = c->options.seed;
    int r = llm_open(&c->session->loop, &options, &m->llm, err);
    const char *missing = r == 0 && c->options.usd > 0 ? llm_price_missing(m->llm) : NULL;
    if (missing) {
        r = err_set(err, ERR_INVALID, "--usd: %s", missing);
        llm_close(m->llm);
    }
    if (r < 0) {
        free(m);
        return r;
    }
    m->provider.name = llm_name(m->llm);
    *ret = &m->provider;
    return 0;
}

void provider_model_free(struct provider *provider)
{
    struct model *m = (struct model *)(void *)provider;
    if (m) {
        llm_close(m->llm);
        free(m);
    }
}
