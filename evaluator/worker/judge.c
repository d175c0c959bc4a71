/* SPDX-License-Identifier: MIT */
#include "evaluator/worker/judge.h"
#include "base/util.h"
#include "evaluator/worker/degenerate.h"
#include "evaluator/worker/itself.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int judge_decide(struct judge *j, enum verdict_status status, const char *format, ...)
{
    char text[4096];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    j->verdict.status = status;
    j->verdict.phase = j->phase;
    j->verdict.detail = arena_strdup(j->arena, text);
    return JUDGE_DECIDED;
}

void judge_phase(struct judge *j, const char *phase, const struct job_case *one, int trial)
{
    j->phase = phase;
    channel_progress(j->channel, phase, one->shape, trial);
}

/* A fault's text holds an address of ours ("at 0x7f..."): say which buffer lies there. */
static void name_buffer(struct judge *j)
{
    char where[256];
    const char *hit = strstr(j->err.text, " at 0x");
    if (!hit || !j->rig || !rig_locate(j->rig, strtoull(hit + 4, NULL, 16), where, sizeof(where))) {
        return;
    }
    size_t n = strlen(j->err.text);
    snprintf(j->err.text + n, sizeof(j->err.text) - n, " (%s)", where);
}

int judge_failed(struct judge *j, const char *who, int code)
{
    if (code == JUDGE_DECIDED) {
        return code;
    }
    if (code == ERR_ENVIRONMENT) { /* the oracle's alone */
        j->failed = arena_strdup(j->arena, err_text(&j->err));
        return JUDGE_DECIDED;
    }
    name_buffer(j);
    enum verdict_status status = code == ERR_INVALID ? VERDICT_STATUS_PLAN_ERROR
        : code == ERR_UNSUPPORTED || code == -ENOMEM ? VERDICT_STATUS_UNSUPPORTED
                                                     : VERDICT_STATUS_LAUNCH_ERROR;
    bool own = who[4] == 'c';
    return judge_decide(j, status, "%s%s%s", own ? "" : who, own ? "" : ": ", err_text(&j->err));
}

int judge_load(struct judge *j, const struct job_case *one, const struct job_side *side,
               const char *who, struct program *ret)
{
    *ret = (struct program) { 0 };
    if (side->image == JOB_NO_IMAGE && side == &one->reference) {
        return 0;
    }
    int r = side->image == JOB_NO_IMAGE
        ? err_set(&j->err, ERR_INVALID, "there is nothing to run")
        : program_load(ret, j->gpu, &j->job->images[side->image], one, side->bound, j->arena, &j->err);
    return r < 0 ? judge_failed(j, who, r) : 0;
}

/* The case with the small shape first: errors show early, and cheap trials come before dear ones. */
static int check_all(struct judge *j)
{
    const struct job *job = j->job;
    int r = 0;
    for (int timed = 0; timed < 2; timed++) {
        for (size_t i = 0; r == 0 && i < job->n_cases; i++) {
            if (job->cases[i].check && job->cases[i].time == (timed == 1)) {
                r = check_case(j, &job->cases[i]);
            }
        }
    }
    return r;
}

static void describe_acceptance(struct judge *j)
{
    size_t shapes = 0;
    for (size_t i = 0; i < j->job->n_cases; i++) {
        shapes += j->job->cases[i].check;
    }
    auto_buf struct buf text;
    buf_init(&text, 4096);
    buf_printf(&text, "%d trials on %zu shapes agree with the reference; largest error %.3g",
               j->trials, shapes, j->verdict.max_error);
    if (j->dropped) {
        buf_printf(&text, "; %d trials were dropped, because the reference has no finite answer",
                   j->dropped);
    }
    if (j->verdict.precision_limit > 0) {
        buf_printf(&text, ", RMS error %.1e of the outputs' spread where %s allows %.1e%s",
                   j->verdict.precision_error, j->job->precision, j->verdict.precision_limit,
                   j->told ? "" : " (too much to tell the next lower precision)");
    }
    if (j->verdict.degenerate && *j->verdict.degenerate) {
        buf_printf(&text, "; the task is degenerate, so would pass: %s", j->verdict.degenerate);
    }
    if (j->verdict.nondeterministic) {
        buf_puts(&text, "; two runs on the same inputs differ in their bits");
    }
    if (j->verdict.detail) {
        buf_printf(&text, "; %s", j->verdict.detail);
    }
    j->verdict.status = VERDICT_STATUS_ACCEPTED;
    j->verdict.phase = "done";
    j->verdict.detail = arena_strdup(j->arena, text.at);
}

void judge_start(struct judge *j, const struct judge_tools *tools, const struct job *job,
                 struct arena *arena)
{
    *j = (struct judge) { .gpu = tools->gpu, .slabs = tools->slabs, .gate = tools->gate,
                          .times = tools->times, .channel = tools->channel, .nvml = tools->nvml,
                          .degenerate = tools->degenerate, .job = job, .arena = arena,
                          .phase = "load", .started = clock_ns() };
    j->verdict.modelled = j->gpu->modelled;
    if (j->gpu->modelled) {
        slabs_drop_all(j->slabs);
    }
}

json_t *judge_answer(struct judge *j, int r)
{
    if (r != 0 && r != JUDGE_DECIDED) {
        judge_failed(j, "the gate", r);
    }
    if (j->failed) {
        return json_pack("{s:b,s:s}", "ok", 0, "error", j->failed);
    }
    j->verdict.device_s = (double)(clock_ns() - j->started) * 1e-9;
    return verdict_json(&j->verdict);
}

json_t *judge_run(const struct judge_tools *tools, const struct job *job, struct arena *arena)
{
    struct judge j;
    judge_start(&j, tools, job, arena);
    /* Not for a quick look, whose cases say less than all of the task's. */
    int r = job->trials > 1 ? degenerate_check(&j, NULL, 0) : 0;
    r = r < 0 || job->tuning ? r : check_all(&j);
    for (size_t i = 0; r == 0 && i < job->n_cases; i++) {
        if (job->cases[i].time) {
            r = timing_case(&j, &job->cases[i]);
        }
    }
    if (r == 0 && job->tuning) { /* last, so that it's spared for what is hopeless */
        if (j.gpu->modelled) {
            slabs_drop_all(j.slabs);
        }
        r = check_all(&j);
    }
    if (r == 0) {
        describe_acceptance(&j);
    }
    return judge_answer(&j, r);
}

json_t *judge_task(const struct judge_tools *tools, const struct job *job, struct arena *arena)
{
    struct judge j;
    char detail[1024] = "";
    judge_start(&j, tools, job, arena);
    int r = degenerate_check(&j, detail, sizeof(detail));
    r = r < 0 || !job->oracle ? r : itself_check(&j);
    if (r == 0) {
        bool sound = !*j.verdict.degenerate;
        j.phase = "task";
        judge_decide(&j, sound ? VERDICT_STATUS_ACCEPTED : VERDICT_STATUS_SUSPECT, "%s%s%s%s",
                     sound ? "no trivial candidate passes" : "the task is degenerate: ",
                     sound && *detail ? ", but for a shape that isn't timed: " : "", detail,
                     job->oracle ? "; PyTorch's own f32 passes" : "");
    }
    return judge_answer(&j, r);
}
