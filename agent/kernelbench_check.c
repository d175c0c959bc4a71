/* SPDX-License-Identifier: MIT */
/* kernelbench check: are a suite's problems fit to be judged by? No trivial candidate must pass, and
 * PyTorch's own f32 must. */
#include "agent/command.h"
#include "agent/kernelbench.h"
#include "base/util.h"

#include <stdio.h>
#include <string.h>

struct checking {
    bool done;
    json_t *verdict;
    char error[1024];
};

static void on_judged(void *ud, int code, const struct verdict *v, const char *error)
{
    struct checking *c = ud;
    c->done = true;
    c->verdict = code < 0 ? NULL : verdict_json(v);
    snprintf(c->error, sizeof(c->error), "%s", code < 0 && error ? error : "");
}

static const char *text_of(const json_t *json, const char *key)
{
    const char *text = json_string_value(json_object_get(json, key));
    return text ? text : "";
}

/* {"level", "id", "name", "finding": sound, degenerate, unfit, unsupported or failed, "why", "seconds"} */
static json_t *check_one(struct session *s, const struct problem *p)
{
    struct err err = { 0 };
    struct task *task = NULL;
    struct checking c = { 0 };
    uint64_t start = clock_ns();
    const char *finding = "failed", *why = c.error;
    int r = kernelbench_describe(&s->loop, evaluator_oracle(s->evaluator), p, &task, NULL, &err);
    if (r < 0) {
        finding = r == ERR_UNSUPPORTED ? "unsupported" : "failed";
        why = err_text(&err);
    } else {
        struct judge_request request = { .task = task, .depth = JUDGE_DEPTH_TASK,
                                         .deadline_ms = (uint64_t)(s->options->deadline_s * 1000) };
        evaluator_judge(s->evaluator, &request, on_judged, &c);
        while (!c.done && uv_run(&s->loop, UV_RUN_ONCE)) {
        }
    }
    if (c.verdict) {
        bool degenerate = *text_of(c.verdict, "degenerate");
        bool unfit = str_eq(text_of(c.verdict, "phase"), "itself");
        finding = unfit ? "unfit" : degenerate ? "degenerate"
            : str_eq(text_of(c.verdict, "status"), "accepted") ? "sound" : "failed";
        why = degenerate && !unfit ? text_of(c.verdict, "degenerate") : text_of(c.verdict, "detail");
    }
    json_t *one = json_pack("{s:i,s:i,s:s,s:s,s:s,s:f}", "level", p->level, "id", p->id, "name", p->name,
                            "family", p->family, "finding", finding, "seconds",
                            (double)(clock_ns() - start) * 1e-9);
    json_object_set_new(one, "why", json_text(why, strlen(why)));
    json_decref(c.verdict);
    task_free(task);
    return one;
}

static int check_all(struct session *s, const struct problem *problems, size_t n, struct err *err)
{
    const struct options *o = s->options;
    bool quiet = o->json && str_eq(o->json, "-");
    size_t sound = 0;
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++) {
        json_t *one = check_one(s, &problems[i]);
        const char *finding = text_of(one, "finding");
        sound += str_eq(finding, "sound");
        if (!quiet) {
            printf("%d/%-3d %-40.40s %-11s %5.1f s  %.200s\n", problems[i].level, problems[i].id,
                   problems[i].name, finding, json_number_value(json_object_get(one, "seconds")),
                   str_eq(finding, "sound") ? "" : text_of(one, "why"));
            fflush(stdout);
        }
        json_array_append_new(list, one);
    }
    if (!quiet) {
        printf("\n%zu problems, %zu sound\n", n, sound);
    }
    json_t *all = json_pack("{s:s,s:s,s:O,s:o}", "suite", o->suite, "device",
                            evaluator_device(s->evaluator)->name, "oracle",
                            pytorch_hello(evaluator_oracle(s->evaluator)), "problems", list);
    if (!o->json) {
        json_decref(all);
        return 0;
    }
    return output_json(o->json, all, err);
}

int kernelbench_check(const struct options *o)
{
    struct err err = { 0 };
    struct session session = { 0 };
    struct problem *problems = NULL;
    size_t n = 0;
    auto_arena struct arena *arena = arena_new();
    int r = kernelbench_problems(o, arena, &problems, &n, &err);
    r = r < 0 ? r : session_open(&session, o, SESSION_EVALUATOR | SESSION_ORACLE, &err);
    if (r == 0) {
        r = check_all(&session, problems, n, &err);
        session_close(&session);
    }
    return r < 0 ? options_fail(&err) : EXIT_DONE;
}
