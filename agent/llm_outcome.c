/* SPDX-License-Identifier: MIT */
#include "agent/llm_outcome.h"
#include "base/util.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct reading {
    const struct llm_wire *wire;
    const struct http_reply *reply;
    const char *from;
    struct llm_problem problem;
    bool has_problem;
};

__attribute__((format(printf, 4, 5))) static void say(struct llm_outcome *o, enum llm_action action,
                                                      int code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    o->action = action;
    o->code = code;
    vsnprintf(o->text, sizeof(o->text), format, args);
    va_end(args);
}

/* There is no whole answer. */
static void of_failure(const struct reading *r, struct llm_outcome *o)
{
    const struct http_reply *reply = r->reply;
    const char *name = r->wire->name, *error = reply->error;
    enum llm_action again = reply->sent ? LLM_ACTION_REPEAT : LLM_ACTION_RETRY;
    const char *state = reply->status ? "in the middle of its answer" : "before it answered";
    switch (reply->failure) {
    case HTTP_SETUP:
        say(o, LLM_ACTION_FAIL, ERR_INVALID, "%s: %s; see --base-url and --proxy", name, error);
        o->fatal = true;
        break;
    case HTTP_TRUST:
        say(o, LLM_ACTION_FAIL, ERR_ENVIRONMENT,
            "%s: the server's certificate isn't trusted: %s; if it is your own server or proxy, give "
            "its certificate with --ca FILE", name, error);
        o->fatal = true;
        break;
    case HTTP_CONNECT:
        say(o, LLM_ACTION_RETRY, ERR_ENVIRONMENT,
            "%s: no connection: %s; is there a network, a proxy to name (--proxy), another address "
            "(--base-url)?", name, error);
        o->fatal = true;
        break;
    case HTTP_SLOW:
        say(o, again, ERR_TIMEOUT, "%s: out of time: %s; --llm-timeout gives it more", name, error);
        break;
    case HTTP_TOOBIG:
        say(o, LLM_ACTION_FAIL, ERR_TOOBIG, "%s: %s", name, error);
        o->billed = true;
        break;
    case HTTP_GARBLED:
        say(o, again, ERR_PROTOCOL, "%s: not an answer in HTTP, or broken inside: %s", name, error);
        break;
    default:
        say(o, again, ERR_PROTOCOL, "%s: the connection broke %s: %s", name,
            reply->sent ? state : "while the request was being sent", error);
    }
}

/* "429 rate_limit_exceeded: text (request req_1)" */
static void describe(const struct reading *r, long status, char *ret, size_t size)
{
    const struct llm_problem *p = &r->problem;
    const char *kind = p->code[0] ? p->code : p->type;
    char body[200];
    llm_wire_quote(r->reply->body, MIN(r->reply->len, (size_t)300), body, sizeof(body));
    snprintf(ret, size, "%ld%s%s%s%s%s%s%s", status, *kind ? " " : "", kind,
             p->message[0] || body[0] ? ": " : "",
             r->has_problem && p->message[0] ? p->message : body,
             r->reply->request_id[0] ? " (request " : "", r->reply->request_id,
             r->reply->request_id[0] ? ")" : "");
}

static bool is_code(const struct llm_problem *p, const char *code)
{
    return str_eq(p->code, code) || str_eq(p->type, code);
}

/* Said with 429 or 400: no waiting will mend it. */
static bool is_out_of_money(const struct llm_problem *p)
{
    return is_code(p, "insufficient_quota") || is_code(p, "billing_hard_limit_reached")
        || is_code(p, "billing_not_active") || is_code(p, "billing_error")
        || strstr(p->message, "credit balance is too low")
        || strstr(p->message, "API usage limits"); /* a limit that the account's owner set */
}

static void fatal(struct llm_outcome *o, const char *name, const char *said, const char *advice)
{
    say(o, LLM_ACTION_FAIL, ERR_ENVIRONMENT, "%s: %s; %s", name, said, advice);
    o->fatal = true;
}

/* 4xx but for those that a later try may mend. */
static void of_refusal(const struct reading *r, long status, const char *said, struct llm_shape *shape,
                       struct llm_outcome *o)
{
    const char *name = r->wire->name;
    char advice[256];
    if (is_out_of_money(&r->problem) || status == 402) {
        fatal(o, name, said, "the account is out of credit or quota");
    } else if (status == 401) {
        snprintf(advice, sizeof(advice), "the key in %s isn't taken", r->from);
        fatal(o, name, said, advice);
    } else if (status == 403) {
        fatal(o, name, said, "this key, or this place, isn't allowed to ask that");
    } else if (status == 404 || status == 405 || is_code(&r->problem, "model_not_found")) {
        snprintf(advice, sizeof(advice), "is \"%s\" a model of this server, and --base-url right?",
                 shape->model);
        fatal(o, name, said, advice);
    } else if (status == 413) {
        say(o, LLM_ACTION_FAIL, ERR_TOOBIG, "%s: %s", name, said);
    } else if ((status == 400 || status == 422) && llm_wire_reshape(&r->problem, shape)) {
        say(o, LLM_ACTION_RESHAPE, ERR_INVALID, "%s: %s", name, said);
    } else {
        say(o, LLM_ACTION_FAIL, ERR_INVALID, "%s: %s", name, said);
    }
}

static void of_status(const struct reading *r, long status, struct llm_shape *shape,
                      struct llm_outcome *o)
{
    char said[900];
    const char *name = r->wire->name;
    describe(r, status, said, sizeof(said));
    bool gateway = status == 408 || status == 502 || status == 504 || status == 524;
    bool crowded = status == 429 || status == 503 || status == 529;
    bool later = crowded || status == 409 || status == 425
        || (status >= 500 && status != 501 && status != 505);
    if (status >= 300 && status < 400) {
        snprintf(said, sizeof(said), "%ld, a redirect to %s", status, r->reply->location);
        fatal(o, name, said, "none is followed, since the key is meant for one server: set --base-url");
    } else if (is_out_of_money(&r->problem) || r->reply->should_retry == 0 || (!later && !gateway)) {
        of_refusal(r, status, said, shape, o);
        o->crowded = crowded;
        o->code = crowded && !o->fatal ? ERR_BUSY : o->code;
    } else if (gateway) { /* a model may be at work behind it */
        say(o, LLM_ACTION_REPEAT, ERR_TIMEOUT, "%s: %s", name, said);
    } else {
        say(o, LLM_ACTION_RETRY, crowded ? ERR_BUSY : ERR_PROTOCOL, "%s: %s", name, said);
        o->crowded = crowded;
    }
    if (r->reply->should_retry == 1 && o->action == LLM_ACTION_FAIL && !o->fatal) {
        o->action = LLM_ACTION_RETRY;
    }
}

/* 200 with an error inside: a router in front of models passes on what it got, status as code. */
static void of_hidden_error(const struct reading *r, struct llm_shape *shape, struct llm_outcome *o)
{
    long status = strtol(r->problem.code, NULL, 10);
    of_status(r, status >= 400 && status < 600 ? status : 500, shape, o);
}

static void of_success(struct reading *r, struct llm_shape *shape, struct arena *arena,
                       struct llm_answer *ret_answer, struct llm_outcome *o)
{
    const struct http_reply *reply = r->reply;
    json_t *json = NULL;
    struct err err = { 0 };
    int code = llm_wire_parse(reply->body, reply->len, &json, &err);
    if (code == 0) {
        r->has_problem = llm_wire_problem(json, &r->problem);
        if (r->has_problem && !json_object_get(json, "choices") && !json_object_get(json, "content")) {
            of_hidden_error(r, shape, o);
            json_decref(json);
            return;
        }
        code = r->wire->read(json, arena, ret_answer, &err);
    }
    json_decref(json);
    if (code == 0) {
        o->action = LLM_ACTION_ANSWER;
        return;
    }
    char type[80];
    llm_wire_quote(reply->type, strlen(reply->type), type, sizeof(type));
    bool odd = *type && !strstr(type, "json");
    say(o, LLM_ACTION_REPEAT, ERR_PROTOCOL, "%s: the answer%s%s%s can't be read: %s", r->wire->name,
        odd ? " (" : "", odd ? type : "", odd ? ")" : "", err_text(&err));
}

void llm_outcome_of(const struct llm_wire *wire, const struct http_reply *reply, const char *from,
                    struct llm_shape *shape, struct arena *arena, struct llm_answer *ret_answer,
                    struct llm_outcome *ret)
{
    struct reading r = { .wire = wire, .reply = reply, .from = from };
    *ret = (struct llm_outcome) { .wait_s = reply->retry_after_s };
    if (reply->failure != HTTP_OK) {
        of_failure(&r, ret);
    } else if (reply->status >= 200 && reply->status < 300) {
        of_success(&r, shape, arena, ret_answer, ret);
    } else {
        json_t *json = NULL;
        if (llm_wire_parse(reply->body, reply->len, &json, NULL) == 0) {
            r.has_problem = llm_wire_problem(json, &r.problem);
        }
        json_decref(json);
        of_status(&r, reply->status, shape, ret);
    }
}
