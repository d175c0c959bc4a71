/* SPDX-License-Identifier: MIT */
/* A call is freed by whoever dropped it, or by the commit that still holds it. */
#include "agent/model_call.h"
#include "base/jread.h"
#include "base/util.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A reply's text in its record: far below what can be read back, even if every byte is escaped. */
enum { TEXT_MAX = 512 << 10, FAILURES_MAX = 3 };

static void end(struct model_call *c, enum model_call_end how, const char *why)
{
    c->begun = false;
    c->desk->asking--;
    c->done(c, how, why);
}

static void broken(struct model_call *c, int code, const char *why)
{
    c->code = code;
    end(c, MODEL_CALL_BROKEN, why);
}

static void keep(struct model_call *c, store_done_fn done)
{
    auto_free char *extra = call_extra_text(&c->extra);
    c->record.extra = extra;
    struct store_batch *batch = store_batch_new();
    struct err err = { 0 };
    int r = record_put_call(batch, &c->record, &err);
    c->record.extra = "";
    if (r == 0 && str_eq(c->record.state, "intent")) {
        model_request_put(c, batch);
    }
    if (r < 0) {
        store_batch_free(batch);
        broken(c, r, err_text(&err));
        return;
    }
    c->committing = true;
    store_submit(c->desk->store, batch, done, c);
}

/* Back from a commit; false: nobody waits for it any more, or it failed. */
static bool kept(struct model_call *c, int status, const struct err *err)
{
    c->committing = false;
    if (c->dropped) {
        c->dropped(c);
        return false;
    }
    if (status < 0) {
        broken(c, status, err_text(err));
        return false;
    }
    return true;
}

/* An answer that is durable: use it. */
static void use(struct model_call *c)
{
    const char *reply = c->record.reply;
    bool refused = str_eq(c->extra.stop, llm_stop_name(LLM_STOP_REFUSED))
        || str_eq(c->extra.stop, llm_stop_name(LLM_STOP_FILTERED));
    if (refused) {
        end(c, MODEL_CALL_REFUSED, *reply ? reply : "the model refused to answer");
    } else if (str_eq(c->record.state, "failed")) {
        end(c, MODEL_CALL_FAILED, c->record.error);
    } else {
        end(c, MODEL_CALL_ANSWERED, "");
    }
}

static void use_soon(void *ud)
{
    use(ud);
}

static void on_answer_kept(void *ud, int status, const struct err *err)
{
    struct model_call *c = ud;
    if (kept(c, status, err)) {
        turns_add(c->desk->turns, &c->turn, use_soon, c);
    }
}

/* One call's bad luck, after all its retries, is its own; several in a row are the provider's. */
bool model_call_hopeless(const struct model_call *c)
{
    bool its_own = c->code == 0 || c->code == ERR_TOOBIG || c->code == ERR_INVALID;
    return c->fatal || c->code == ERR_ENVIRONMENT || (!its_own && c->desk->in_a_row >= FAILURES_MAX);
}

/* What the record can hold: text without NULs that isn't too long to be read back. */
static const char *clean(struct model_call *c, const char *text, size_t len)
{
    json_t *json = json_text(text, MIN(len, (size_t)TEXT_MAX));
    size_t n = json_string_length(json);
    char *copy = arena_strndup(c->arena, json_string_value(json), n);
    for (size_t i = 0; i < n; i++) {
        copy[i] = copy[i] ? copy[i] : '?';
    }
    json_decref(json);
    return copy;
}

static int64_t bytes_asked(const struct model_call *c)
{
    size_t n = 0;
    for (size_t i = 0; i < c->n_messages; i++) {
        n += strlen(c->messages[i].text);
    }
    return (int64_t)n;
}

static void set_answer(struct model_call *c, const struct llm_reply *reply)
{
    struct call_record *r = &c->record;
    const struct llm_usage *u = &reply->usage;
    r->state = "answered";
    r->error = "";
    r->reply = clean(c, reply->text, reply->len);
    r->usd = isfinite(reply->usd) ? reply->usd : 0;
    r->tokens_in = reply->usage_known ? u->in : 0;
    r->tokens_cached = reply->usage_known ? u->cached : 0;
    r->tokens_out = reply->usage_known ? u->out : 0;
    c->extra.stop = llm_stop_name(reply->stop);
    c->extra.usage_known = reply->usage_known;
    c->extra.usd_known = isfinite(reply->usd);
    c->extra.written = u->written;
    c->extra.reasoning = u->reasoning;
    /* No tokenizer makes more tokens than bytes, so this is a bound where nobody counted. */
    c->extra.tokens_bound = reply->usage_known ? 0 : bytes_asked(c) + (int64_t)reply->len;
    if (reply->len > TEXT_MAX) {
        r->state = "failed";
        r->reply = "";
        r->error = arena_printf(c->arena, "the reply is %zu bytes long, %d are allowed", reply->len,
                                TEXT_MAX);
        c->code = ERR_TOOBIG;
    }
}

static void settle(struct model_call *c, const struct llm_reply *reply)
{
    bool answered = reply->code == 0;
    double unsure = isfinite(reply->usd_unsure) ? reply->usd_unsure : 0; /* no price: no dollars */
    double usd = unsure;
    int64_t tokens = reply->tokens_unsure;
    if (answered) {
        usd += isfinite(reply->usd) ? reply->usd : c->record.reserved_usd;
        tokens += reply->usage_known ? reply->usage.in + reply->usage.out : c->extra.tokens_bound;
    }
    budget_settle(c->desk->budget, c->record.reserved_usd, c->extra.tokens_reserved, usd, tokens);
    c->reserved = false;
    c->extra.usd_unsure += unsure;
    c->extra.tokens_unsure += reply->tokens_unsure;
}

static void keep_soon(void *ud)
{
    keep(ud, on_answer_kept);
}

static void on_reply(void *ud, const struct llm_reply *reply)
{
    struct model_call *c = ud;
    struct model_desk *desk = c->desk;
    c->call = NULL;
    c->code = reply->code;
    c->fatal = reply->fatal;
    desk->in_a_row = reply->code < 0 ? desk->in_a_row + 1 : 0;
    c->extra.request_id = clean(c, reply->request_id, strlen(reply->request_id));
    if (*reply->model) {
        c->record.model = clean(c, reply->model, strlen(reply->model));
    }
    if (reply->code == 0) {
        set_answer(c, reply);
    } else {
        c->record.state = "failed";
        c->record.reply = "";
        c->record.error = clean(c, reply->error, strlen(reply->error));
    }
    settle(c, reply);
    turns_add(desk->turns, &c->turn, keep_soon, c); /* many replies may come at once */
}

static struct llm_request request_of(const struct model_call *c)
{
    return (struct llm_request) { .key = c->extra.key, .messages = c->messages,
                                  .n = c->n_messages, .temperature = (double)NAN };
}

static void ask_soon(void *ud)
{
    struct model_call *c = ud;
    struct err err = { 0 };
    struct llm_request request = request_of(c);
    int r = llm_ask(c->desk->llm, &request, on_reply, c, &c->call, &err);
    if (r < 0) {
        broken(c, r, err_text(&err));
    }
}

static void on_intent_kept(void *ud, int status, const struct err *err)
{
    struct model_call *c = ud;
    if (kept(c, status, err)) {
        turns_add(c->desk->turns, &c->turn, ask_soon, c);
    }
}

/* Reserve, then make the intent durable; the rest follows from on_intent_kept. */
static void send_call(struct model_call *c)
{
    struct llm_request request = request_of(c);
    const char *why = "";
    double usd = llm_worst_usd(c->desk->llm, &request);
    c->extra.tokens_reserved = llm_worst_tokens(c->desk->llm, &request);
    c->record.reserved_usd = isfinite(usd) ? usd : 0;
    if (!budget_reserve(c->desk->budget, usd, c->extra.tokens_reserved, &why)) {
        end(c, MODEL_CALL_BUDGET, why);
        return;
    }
    c->reserved = true;
    c->record.state = "intent";
    c->extra.sends++;
    keep(c, on_intent_kept);
}

/* What was under way when an earlier process ended: the same words again, under the same key. */
static int take_up(struct model_call *c, const struct call_record *known, struct err *err)
{
    call_extra_read(known->extra, c->arena, &c->extra);
    c->record.request = known->request;
    int r = model_request_read(c->desk->store, known->request, c->arena, c->messages,
                               LLM_MESSAGES_MAX, &c->n_messages, err);
    bool counted_once = str_eq(known->provider, "spool"); /* its request lies there only once */
    if (r == 0 && str_eq(known->state, "intent") && !counted_once) {
        c->extra.usd_unsure += known->reserved_usd;
        c->extra.tokens_unsure += c->extra.tokens_reserved;
    }
    return r;
}

static void begin_record(struct model_call *c, int64_t number, const char *kind)
{
    struct model_desk *desk = c->desk;
    c->code = 0;
    c->fatal = false;
    memset(c->prompts, 0, sizeof(c->prompts));
    c->record = (struct call_record) {
        .campaign = desk->campaign, .task = c->task, .seq = c->seq, .attempt = number,
        .state = "intent", .provider = desk->provider,
        .model = desk->llm ? llm_model(desk->llm) : "", .request = "", .reply = "", .error = "",
    };
    c->extra = (struct call_extra) { .key = model_request_key(c, number), .kind = kind, .stop = "",
                                     .request_id = "" };
}

void model_call_begin(struct model_call *c, int64_t number, const char *kind)
{
    struct model_desk *desk = c->desk;
    struct call_record known;
    struct err err = { 0 };
    c->begun = true;
    desk->asking++;
    int r = record_get_call(desk->store, desk->campaign, c->task, c->seq, number, c->arena, &known,
                            &err);
    bool there = r == 0;
    if (there
        && (str_eq(known.state, "answered") || (desk->replay && str_eq(known.state, "failed")))) {
        c->record = known;
        call_extra_read(known.extra, c->arena, &c->extra);
        c->code = 0;
        c->fatal = false;
        use(c);
        return;
    }
    begin_record(c, number, kind);
    if (desk->missing && (there || r == ERR_NOTFOUND)) {
        c->code = ERR_ENVIRONMENT;
        end(c, MODEL_CALL_FAILED, desk->missing);
        return;
    }
    if (r == ERR_NOTFOUND && desk->replay) {
        r = err_set(&err, ERR_INVALID, "task %s: attempt %lld: the record has no answer of call %lld",
                    c->task, (long long)c->seq, (long long)number);
    } else if (there) {
        r = take_up(c, &known, &err);
    } else if (r == ERR_NOTFOUND) {
        r = c->words(c, &err);
        c->record.request = r == 0 ? model_request_text(c) : "";
    }
    if (r < 0) {
        broken(c, r, err_text(&err));
        return;
    }
    send_call(c);
}

void model_call_drop(struct model_call *c, void (*dropped)(struct model_call *call))
{
    c->desk->asking -= c->begun;
    c->begun = false;
    turns_remove(&c->turn);
    if (c->call) {
        llm_cancel(c->call);
        c->call = NULL;
    }
    c->dropped = dropped;
    if (!c->committing) {
        dropped(c);
    }
}
