/* SPDX-License-Identifier: MIT */
#include "evaluator/aside.h"
#include "base/util.h"
#include "evaluator/evaluator_internal.h"
#include "evaluator/pytorch.h"

#include <stdlib.h>

enum { TURN_MS = 600000 }; /* until the GPU is ours; another process may be timing there */

struct aside {
    struct evaluator *ev;
    aside_question question;
    aside_cb done;
    void *ud;
    struct pool_ticket *job; /* NULL: over */
    struct pytorch_question *asked;
    json_t *answer;
    int code;
    char *error;
};

static void on_over(void *ud, const struct pool_result *result)
{
    struct aside *a = ud;
    a->job = NULL;
    if (a->asked) {
        pytorch_forget(a->asked);
    }
    const char *refused = json_string_value(json_object_get(result->json, "error"));
    if (a->code == 0 && (result->code < 0 || refused)) {
        a->done(a->ud, result->code < 0 ? result->code : ERR_PROTOCOL, NULL, refused ? refused : result->error);
    } else {
        a->done(a->ud, a->code, a->answer, a->error);
    }
    json_decref(a->answer);
    free(a->error);
    free(a);
}

static void on_answer(void *ud, int code, const json_t *answer, const char *error)
{
    struct aside *a = ud;
    a->asked = NULL;
    a->code = code;
    a->answer = code < 0 ? NULL : json_deep_copy(answer);
    a->error = code < 0 ? xstrdup(error ? error : err_name(code)) : NULL;
    pool_answer(a->job, xstrdup("{}"));
}

/* The worker has the turn; it waits until it is answered, and knows nothing of the question. */
static void on_turn(void *ud, const json_t *said)
{
    struct aside *a = ud;
    (void)said;
    json_t *question = a->asked || a->answer ? NULL : a->question(a->ud);
    if (!question) {
        pool_answer(a->job, xstrdup("{}"));
        return;
    }
    a->asked = pytorch_ask(a->ev->oracle, question, 0, on_answer, a);
}

void evaluator_aside(struct evaluator *ev, aside_question question, aside_cb done, void *ud)
{
    struct aside *a = xcalloc(1, sizeof(*a));
    *a = (struct aside) { .ev = ev, .question = question, .done = done, .ud = ud };
    a->job = pool_submit(ev->device_pool, xstrdup("{\"kind\":\"aside\"}"), "", 0, TURN_MS, on_over, a);
    pool_on_ask(a->job, on_turn);
}
