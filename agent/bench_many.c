/* SPDX-License-Identifier: MIT */
#include "agent/bench_many.h"
#include "base/util.h"

#include <stdlib.h>

struct run {
    struct session *session;
    const struct many *many;
    size_t live, most;
    bool empty;
    int code;
    struct err *err;
};

struct one {
    struct run *run;
    void *item;
};

static void on_judged(void *ud, int code, const struct verdict *verdict, const char *error)
{
    struct one *one = ud;
    struct run *run = one->run;
    run->live--;
    if (code == 0) {
        run->many->done(run->many->ud, one->item, verdict);
    } else if (run->code == 0) {
        run->code = err_set(run->err, code, "%s", error);
    }
    free(one);
}

static void start(struct run *run)
{
    while (run->code == 0 && !run->empty && run->live < run->most) {
        struct judge_request request = { 0 };
        void *item = NULL;
        if (!run->many->next(run->many->ud, &request, &item)) {
            run->empty = true;
            return;
        }
        struct one *one = xcalloc(1, sizeof(*one));
        *one = (struct one) { run, item };
        run->live++;
        evaluator_judge(run->session->evaluator, &request, on_judged, one);
    }
}

int many_run(struct session *session, const struct many *many, size_t most, struct err *err)
{
    struct run run = { .session = session, .many = many, .most = most, .err = err };
    start(&run);
    while (run.live && uv_run(&session->loop, UV_RUN_ONCE)) {
        start(&run);
    }
    return run.code;
}
