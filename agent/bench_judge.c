/* SPDX-License-Identifier: MIT */
#include "agent/bench_judge.h"
#include "base/util.h"

#include <stdio.h>

struct wait {
    struct judged *judged;
    struct err *err;
};

static void on_judged(void *ud, int code, const struct verdict *v, const char *error)
{
    struct wait *w = ud;
    struct judged *j = w->judged;
    j->done = true;
    j->code = code;
    if (code < 0) {
        err_set(w->err, code, "%s", error);
        return;
    }
    snprintf(j->status, sizeof(j->status), "%s", verdict_status_name(v->status));
    snprintf(j->phase, sizeof(j->phase), "%s", v->phase);
    snprintf(j->sanitizer, sizeof(j->sanitizer), "%s", v->sanitizer.tool ? v->sanitizer.tool : "");
    snprintf(j->found, sizeof(j->found), "%s", v->sanitizer.text ? v->sanitizer.text : v->detail);
    j->us = v->time.median_us;
    j->speedup = v->speedup;
    j->sol = v->sol;
    j->compile_s = v->compile_s;
    j->device_s = v->device_s;
    j->error_share = v->precision_limit > 0 ? v->precision_error / v->precision_limit : 0;
}

int judge_wait(struct session *session, const struct judge_request *request, struct judged *ret,
               struct err *err)
{
    struct judged judged = { 0 };
    struct wait wait = { &judged, err };
    uint64_t began = clock_ns();
    evaluator_judge(session->evaluator, request, on_judged, &wait);
    while (!judged.done && uv_run(&session->loop, UV_RUN_ONCE)) {
    }
    judged.seconds = (double)(clock_ns() - began) * 1e-9;
    if (judged.code == 0) {
        *ret = judged;
    }
    return judged.code;
}
