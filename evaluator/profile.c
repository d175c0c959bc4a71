/* SPDX-License-Identifier: MIT */
#include "evaluator/profile.h"
#include "base/frame.h"
#include "base/util.h"
#include "evaluator/profile_class.h"

#include <stdio.h>
#include <stdlib.h>

enum { GATE_MS = 60000 };

static void says(struct judgement *j, const char *text)
{
    j->verdict.profile = arena_strdup(j->arena, text);
}

/* The profile failed as a whole: the verdict stands without it. */
static void give_up(struct judgement *j, const char *why)
{
    auto_free char *text = xprintf("not profiled: %s", why ? why : "no reason was given");
    says(j, text);
    judge_end(j);
}

static double bytes_needed(const struct judgement *j)
{
    const struct task *task = j->request.task;
    const struct shape *timed = j->request.timed ? j->request.timed : &task->shapes[0];
    int64_t bytes = 0;
    if (task->bytes) {
        expr_eval(task->bytes, &timed->symbols, &bytes, NULL);
    }
    return (double)bytes;
}

/* Where several kernels share a run, which of them matters. */
static void say_kernels(const json_t *kernels, struct buf *why)
{
    const char *name, *longest = NULL;
    json_t *time;
    double sum = 0, most = 0;
    json_object_foreach((json_t *)(uintptr_t)kernels, name, time)
    {
        double us = json_number_value(time);
        sum += us;
        longest = us > most ? name : longest;
        most = MAX(most, us);
    }
    if (longest && json_object_size(kernels) > 1) {
        buf_printf(why, "; %.128s takes %.0f %% of the kernels' time", longest, 100 * most / sum);
    }
}

static void classify(struct judgement *j, const json_t *kernels)
{
    struct verdict *v = &j->verdict;
    struct profile_facts facts = { .time_us = v->time.median_us, .sol = v->sol,
                                   .bytes = bytes_needed(j) };
    for (size_t i = 0; i < j->n_cases; i++) {
        if (j->cases[i].time) {
            facts.n_launches = j->cases[i].bound[SIDE_CANDIDATE]->n_launches;
        }
    }
    char text[1024];
    enum bottleneck class = profile_class(&v->counters, &facts, text, sizeof(text));
    if (class != BOTTLENECK_NONE) {
        auto_buf struct buf why;
        buf_init(&why, 4096);
        buf_puts(&why, text);
        say_kernels(kernels, &why);
        v->bottleneck = class;
        v->bottleneck_why = arena_strdup(j->arena, why.at);
    }
}

static void take(struct judgement *j, const json_t *json)
{
    counters_parse(json_object_get(json, "counters"), &j->verdict.counters);
    double joules = json_number_value(json_object_get(json, "joules"));
    j->verdict.joules = joules > 0 ? joules : 0;
    classify(j, json_object_get(json, "kernels"));
    auto_buf struct buf text;
    buf_init(&text, 4096);
    const json_t *list = json_object_get(json, "unavailable");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *one = json_string_value(json_array_get(list, i));
        buf_printf(&text, "%s%s", i ? "; " : "not available: ", one ? one : "");
    }
    says(j, text.at ? text.at : "");
}

/* It runs some thousand times while it's weighed. */
static void suspect(struct judgement *j, const char *why)
{
    auto_free char *text = xprintf("right while it was judged, but not when it ran on: %s",
                                   why ? why : "");
    j->verdict.status = VERDICT_STATUS_SUSPECT;
    j->verdict.phase = "energy";
    j->verdict.detail = arena_strdup(j->arena, text);
    judge_end(j);
}

static void on_profiled(void *ud, const struct pool_result *result)
{
    struct judgement *j = ud;
    j->job = NULL;
    if (j->over) {
        return;
    }
    const char *error = json_string_value(json_object_get(result->json, "error"));
    j->verdict.device_s += result->seconds;
    bool lost = result->code == ERR_TIMEOUT || result->code == ERR_CRASH;
    if ((lost && str_eq(result->phase, "energy"))
        || json_is_true(json_object_get(result->json, "failed"))) {
        suspect(j, error ? error : result->error);
        return;
    }
    if (result->code < 0 || error) {
        give_up(j, result->code < 0 ? result->error : error);
        return;
    }
    take(j, result->json);
    judge_end(j);
}

static int open_pool(struct evaluator *ev, struct pool **ret, struct err *err)
{
    const char *library = getenv("WARPSMITH_CUPTI");
    return evaluator_device_pool(ev, library && *library ? library : "auto", ret, err);
}

static void on_gate(void *ud, int code, const struct image *image, const char *error)
{
    struct judgement *j = ud;
    struct err err = { 0 };
    j->profile_gate = NULL;
    if (code < 0 || !image->ok) {
        give_up(j, code < 0 ? error : image->log);
        return;
    }
    if (open_pool(j->ev, &j->profile_pool, &err) < 0) {
        give_up(j, err_text(&err));
        return;
    }
    pool_set_setup(j->profile_pool, xstrdup("{\"kind\":\"setup\"}"), image->bytes, image->len,
                   GATE_MS);
    struct buf job;
    buf_init(&job, FRAME_JSON_MAX);
    judge_write_job(j, "profile", &job);
    if (job.failed) {
        buf_done(&job);
        give_up(j, "the launches of one job are too many for one frame");
        return;
    }
    j->job = pool_submit(j->profile_pool, buf_take(&job), j->blob.at, j->blob.len,
                         judge_deadline(j), on_profiled, j);
}

void profile_start(struct judgement *j)
{
    if (j->verdict.time.n == 0) { /* nothing of it was to be timed */
        judge_end(j);
        return;
    }
    struct compile_request gate = { .name = "gate.cu", .source = gate_source(),
                                    .deadline_ms = GATE_MS };
    /* NULL where on_gate was called in here. */
    j->profile_gate = compiler_get(j->ev->compiler, &gate, on_gate, j);
}

int evaluator_counters(struct evaluator *ev, struct err *err)
{
    struct pool *pool = NULL;
    int r = open_pool(ev, &pool, err);
    if (r < 0) {
        return r;
    }
    while (!pool_hello(pool) && !pool_failure(pool) && uv_run(ev->loop, UV_RUN_ONCE)) {
    }
    const json_t *counters = json_object_get(pool_hello(pool), "counters");
    const char *why = json_string_value(json_object_get(counters, "why"));
    if (!pool_hello(pool)) {
        why = pool_failure(pool);
    }
    if (!json_is_true(json_object_get(counters, "available"))) {
        r = err_set(err, ERR_UNSUPPORTED, "%s", why ? why : "the worker doesn't say why");
    }
    pool_close(pool);
    return r;
}

void profile_stop(struct judgement *j)
{
    compile_cancel(j->profile_gate);
    pool_close(j->profile_pool);
    j->profile_gate = NULL;
    j->profile_pool = NULL;
}
