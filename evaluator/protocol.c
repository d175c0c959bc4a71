/* SPDX-License-Identifier: MIT */
#include "evaluator/protocol.h"
#include "base/jread.h"
#include "base/util.h"
#include "evaluator/judge_internal.h"

#include <stdlib.h>
#include <string.h>

struct asking {
    struct judgement *judgement;
    unsigned rules;
    bool exact;
    protocol_cb done;
    void *ud;
};

static const enum protocol_rule every[] = { PROTOCOL_RULE_KB, PROTOCOL_RULE_VERIFIED };

const char *protocol_rule_name(enum protocol_rule rule)
{
    return rule == PROTOCOL_RULE_KB ? "kb" : "verified";
}

/* What the worker said of this rule; where it didn't get to its end, the verdict says why. */
static json_t *result_of(const struct asking *a, const json_t *said, const struct verdict *v)
{
    json_t *one = json_is_object(said) ? json_deep_copy(said) : json_object();
    if (!json_is_string(json_object_get(one, "status"))) {
        /* A verdict that says accepted and a rule without an end: a worker's bug, not a success. */
        const char *status = v->status == VERDICT_STATUS_ACCEPTED ? "incorrect" : verdict_status_name(v->status);
        json_object_set_new(one, "status", json_string(status));
        json_object_set_new(one, "detail", json_text(v->detail, strlen(v->detail)));
    }
    if (!json_object_get(one, "inputs")) {
        json_object_set_new(one, "inputs", json_string(a->exact ? "exact" : "own generator"));
    }
    json_object_set_new(one, "wall_s", json_real(v->compile_s + v->device_s));
    return one;
}

static void on_judged(void *ud, int code, const struct verdict *v, const char *error)
{
    struct asking *a = ud;
    json_t *results = code < 0 ? NULL : json_object();
    const json_t *said = code < 0 ? NULL : judge_protocols(a->judgement);
    for (size_t i = 0; code >= 0 && i < ARRAY_LEN(every); i++) {
        const char *name = protocol_rule_name(every[i]);
        if (a->rules & every[i]) {
            json_object_set_new(results, name, result_of(a, json_object_get(said, name), v));
        }
    }
    a->done(a->ud, code, results, error);
    json_decref(results);
    free(a);
}

void evaluator_protocol(struct evaluator *ev, const struct protocol_request *request, protocol_cb done,
                        void *ud)
{
    struct asking *a = xcalloc(1, sizeof(*a));
    *a = (struct asking) { NULL, request->rules, request->exact, done, ud };
    uint64_t usual = request->exact ? PROTOCOL_DEADLINE_EXACT_MS : PROTOCOL_DEADLINE_MS;
    struct judge_request judge = { .task = request->task, .candidate = request->candidate,
                                   .depth = JUDGE_DEPTH_PROTOCOL, .rules = request->rules,
                                   .exact = request->exact,
                                   .deadline_ms = request->deadline_ms ? request->deadline_ms : usual };
    a->judgement = evaluator_judge(ev, &judge, on_judged, a);
}
