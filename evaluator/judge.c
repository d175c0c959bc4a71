/* SPDX-License-Identifier: MIT */
/*
 * One judgement: bind every plan at every shape, compile what that needs, send one job to the
 * device worker, complete the verdict. A device worker that dies under a candidate gets a second
 * try in a fresh process; the second death is the candidate's verdict.
 */
#include "base/frame.h"
#include "base/util.h"
#include "evaluator/judge_internal.h"
#include "evaluator/profile.h"
#include "evaluator/pytorch.h"
#include "evaluator/sanitize.h"
#include "evaluator/judge_refuse.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void on_later_closed(uv_handle_t *handle)
{
    struct judgement *j = handle->data;
    arena_free(j->arena);
    buf_done(&j->blob);
    json_decref(j->protocols);
    free(j->error);
    free(j);
}

static void complete(struct judgement *j)
{
    struct verdict *v = &j->verdict;
    const struct device_info *d = &j->ev->device;
    char hex[ID_HEX];
    id_hex(&j->request.task->id, hex);
    v->task = arena_strdup(j->arena, hex);
    id_hex(j->request.candidate ? &j->request.candidate->id : &j->request.task->id, hex);
    v->candidate = arena_strdup(j->arena, hex);
    v->device = arena_strdup(j->arena, d->name);
    v->arch = arena_strdup(j->arena, d->arch);
    v->driver = arena_strdup(j->arena, d->driver);
    v->compiler = arena_strdup(j->arena, d->compiler);
    v->modelled = d->modelled;
    v->gate_version = EVALUATOR_GATE_VERSION;
    v->detail = v->detail ? v->detail : "";
    v->phase = v->phase ? v->phase : "";
    v->relation = v->relation ? v->relation : "";
    v->sol_bound = v->sol_bound ? v->sol_bound : "";
    v->sol_basis = v->sol_basis ? v->sol_basis : "";
    v->throttle = v->throttle ? v->throttle : "";
    v->bottleneck_why = v->bottleneck_why ? v->bottleneck_why : "";
    v->profile = v->profile ? v->profile : "";
    v->remarks = v->remarks ? v->remarks : "";
    v->degenerate = v->degenerate ? v->degenerate : "";
    if (v->status == VERDICT_STATUS_COMPILE_ERROR || v->status == VERDICT_STATUS_PLAN_ERROR) {
        v->bottleneck = BOTTLENECK_COMPILE_ERROR;
    } else if (v->status != VERDICT_STATUS_ACCEPTED) {
        v->bottleneck = BOTTLENECK_INCORRECT;
    }
}

/* The one way out: calls back, then frees. */
static void finish(struct judgement *j)
{
    if (j->code == 0) {
        complete(j);
    }
    *j->at = j->next;
    if (j->next) {
        j->next->at = j->at;
    }
    for (size_t i = 0; i < j->n_units; i++) {
        compile_cancel(j->units[i].ticket);
    }
    profile_stop(j);
    sanitize_stop(j);
    j->done(j->ud, j->code, j->code == 0 ? &j->verdict : NULL, j->error);
    uv_close((uv_handle_t *)&j->later, on_later_closed);
}

static void on_later(uv_timer_t *timer)
{
    finish(timer->data);
}

void judge_end(struct judgement *j)
{
    if (!j->over) {
        j->over = true;
        uv_timer_start(&j->later, on_later, 0, 0);
    }
}

static void end_with(struct judgement *j, enum verdict_status status, const char *phase,
                     const char *detail)
{
    if (j->over) {
        return;
    }
    j->verdict.status = status;
    j->verdict.phase = arena_strdup(j->arena, phase);
    j->verdict.detail = arena_strdup(j->arena, detail);
    judge_end(j);
}

static void end_broken(struct judgement *j, int code, const char *error)
{
    if (j->over) {
        return;
    }
    j->code = code;
    j->error = xstrdup(error ? error : err_name(code));
    judge_end(j);
}

void judge_accepted(struct judgement *j)
{
    const struct verdict *v = &j->verdict;
    bool accepted = v->status == VERDICT_STATUS_ACCEPTED;
    bool sanitized = v->sanitizer.tool && *v->sanitizer.tool;
    if (accepted && j->request.sanitize && !sanitized) {
        sanitize_start(j);
    } else if (accepted && j->request.profile) {
        profile_start(j);
    } else {
        judge_end(j);
    }
}

static void on_judged(void *ud, const struct pool_result *result);

static void on_oracle(void *ud, int code, const json_t *answer, const char *error)
{
    struct judgement *j = ud;
    j->question = NULL;
    j->oracle_ms += uv_now(j->ev->loop) - j->asked_ms;
    log_line(&j->ev->log, LOG_LEVEL_INFO, "judge", "oracle took=%.3f", (double)(uv_now(j->ev->loop) - j->asked_ms) * 1e-3);
    json_t *failed = code < 0 ? json_pack("{s:b,s:s}", "ok", 0, "error", error) : NULL;
    char *text = json_dumps(failed ? failed : answer, JSON_COMPACT);
    json_decref(failed);
    pool_answer(j->job, text ? text : xstrdup("{\"ok\":false,\"error\":\"no text\"}"));
}

/* A job's own deadline rests while the oracle is asked: so all its answers have one together. */
static uint64_t oracle_most(const struct judgement *j)
{
    uint64_t most = JUDGE_ORACLE_SHARE * judge_deadline(j);
    return most > j->oracle_ms ? most - j->oracle_ms : 1;
}

/* A worker runs what a model wrote: it may ask for these alone, and about this problem alone. */
static void on_question(void *ud, const json_t *question)
{
    static const char *const kinds[] = { "open", "make", "run", "close" };
    struct judgement *j = ud;
    const char *kind = json_string_value(json_object_get(question, "kind"));
    bool known = false;
    for (size_t i = 0; kind && i < ARRAY_LEN(kinds); i++) {
        known = known || str_eq(kind, kinds[i]);
    }
    if (!known || !j->ev->oracle || !j->request.task->oracle) {
        pool_answer(j->job, xstrdup("{\"ok\":false,\"error\":\"that can't be asked here\"}"));
        return;
    }
    json_t *passed = json_copy((json_t *)(uintptr_t)question);
    json_object_set_new(passed, "problem", json_string(j->request.task->oracle));
    json_object_set_new(passed, "hash", json_string(j->request.task->oracle_hash));
    j->asked_ms = uv_now(j->ev->loop);
    j->question = pytorch_ask(j->ev->oracle, passed, oracle_most(j), on_oracle, j);
}

static void drop_question(struct judgement *j)
{
    if (j->question) {
        pytorch_forget(j->question);
        j->question = NULL;
    }
}

uint64_t judge_deadline(const struct judgement *j)
{
    uint64_t ms = j->request.deadline_ms;
    if (!ms) {
        ms = j->ev->device.modelled ? JUDGE_DEADLINE_MODELLED_MS : JUDGE_DEADLINE_MS;
    }
    return ms;
}

const json_t *judge_protocols(const struct judgement *j)
{
    return j->protocols;
}

static void send_job(struct judgement *j)
{
    struct buf job;
    buf_init(&job, FRAME_JSON_MAX);
    judge_write_job(j, j->request.depth == JUDGE_DEPTH_TASK    ? "task"
                        : j->request.depth == JUDGE_DEPTH_PROTOCOL ? "protocol"
                                                                   : "judge", &job);
    if (job.failed) {
        buf_done(&job);
        end_broken(j, ERR_TOOBIG, "the launches of one job are too many for one frame");
        return;
    }
    j->tries++;
    j->job = pool_submit(j->ev->device_pool, buf_take(&job), j->blob.at, j->blob.len,
                         judge_deadline(j), on_judged, j);
    pool_on_ask(j->job, on_question);
    if (j->request.task->oracle) { /* which makes weights and memory for a problem once */
        uint64_t group;
        memcpy(&group, j->request.task->id.bytes, sizeof(group));
        pool_group(j->job, group | 1);
    }
}

static void on_judged(void *ud, const struct pool_result *result)
{
    struct judgement *j = ud;
    j->job = NULL;
    drop_question(j);
    if (j->over) {
        return;
    }
    j->verdict.device_s += result->seconds;
    char text[4096];
    switch (result->code) {
    case 0: {
        double compile_s = j->verdict.compile_s, device_s = j->verdict.device_s;
        const char *remarks = j->verdict.remarks;
        int registers = j->verdict.registers, spill = j->verdict.spill_bytes;
        int shared = j->verdict.shared_bytes;
        struct err err = { 0 };
        struct verdict v = { 0 };
        const char *refused = json_string_value(json_object_get(result->json, "error"));
        if (refused && j->tries < JUDGE_TRIES && strstr(refused, "the oracle was restarted meanwhile")) {
            send_job(j); /* another problem ended it */
            return;
        }
        if (refused) { /* the oracle's trouble, or our bug: no verdict */
            end_broken(j, j->request.task->oracle ? ERR_ENVIRONMENT : ERR_PROTOCOL, refused);
            return;
        }
        if (verdict_parse(result->json, j->arena, &v, &err) < 0) {
            end_broken(j, ERR_PROTOCOL, err.text);
            return;
        }
        j->verdict = v;
        j->protocols = json_incref(json_object_get(result->json, "protocols"));
        j->verdict.remarks = remarks;
        j->verdict.compile_s = compile_s;
        j->verdict.device_s = device_s;
        j->verdict.registers = v.registers ? v.registers : registers;
        j->verdict.spill_bytes = v.spill_bytes ? v.spill_bytes : spill;
        j->verdict.shared_bytes = v.shared_bytes ? v.shared_bytes : shared;
        judge_accepted(j);
        return;
    }
    case ERR_TIMEOUT:
        snprintf(text, sizeof(text),
                 "%s (phase: %s); the candidate was stopped. Look for a loop that doesn't end or a "
                 "barrier that not every thread reaches; a slow but right candidate needs a longer "
                 "--deadline",
                 result->error, result->phase[0] ? result->phase : "start");
        end_with(j, VERDICT_STATUS_TIMEOUT, result->phase, text);
        return;
    case ERR_CRASH:
    case ERR_PROTOCOL:
        if (j->tries < JUDGE_TRIES) {
            send_job(j);
            return;
        }
        snprintf(text, sizeof(text), "%s (phase: %s), twice; it isn't tried again", result->error,
                 result->phase[0] ? result->phase : "start");
        end_with(j, VERDICT_STATUS_CRASH, result->phase, text);
        return;
    default:
        end_broken(j, result->code, result->error);
    }
}

static void add_resources(struct judgement *j, const json_t *kernels)
{
    const char *name;
    json_t *kernel;
    json_object_foreach((json_t *)(uintptr_t)kernels, name, kernel)
    {
        (void)name;
        int registers = (int)json_integer_value(json_object_get(kernel, "registers"));
        int spill = (int)json_integer_value(json_object_get(kernel, "spill_bytes"));
        int shared = (int)json_integer_value(json_object_get(kernel, "shared"));
        j->verdict.registers = MAX(j->verdict.registers, registers);
        j->verdict.spill_bytes = MAX(j->verdict.spill_bytes, spill);
        j->verdict.shared_bytes = MAX(j->verdict.shared_bytes, shared);
    }
}

/* Ends the judgement if what was compiled does what no gate could make harmless. */
static bool refuse(struct judgement *j, enum side side, const struct image *image)
{
    if (side == SIDE_REFERENCE || !image) {
        return false;
    }
    bool candidates = side == SIDE_CANDIDATE;
    const struct plan *plan = (candidates ? j->request.candidate : j->request.baseline)->plan;
    auto_free char *why = judge_refusal(plan, image->findings);
    if (why && candidates) {
        end_with(j, VERDICT_STATUS_UNSUPPORTED, "compile", why);
    } else if (why) {
        auto_free char *text = xprintf("the baseline is refused: %s", why);
        end_broken(j, ERR_UNSUPPORTED, text);
    } else if (candidates) {
        auto_free char *remarks = judge_remarks(j->verdict.remarks, image->findings);
        j->verdict.remarks = arena_strdup(j->arena, remarks);
    }
    return why != NULL;
}

static void on_compiled(void *ud, int code, const struct image *image, const char *error)
{
    struct unit *unit = ud;
    struct judgement *j = unit->judgement;
    unit->ticket = NULL;
    unit->ready = true;
    j->pending--;
    bool candidates = unit->side == SIDE_CANDIDATE;
    if (code < 0 && candidates && (code == ERR_TIMEOUT || code == ERR_CRASH)) {
        char text[2048];
        snprintf(text, sizeof(text), "compiling kernel.cu: %.1900s", error);
        end_with(j, code == ERR_TIMEOUT ? VERDICT_STATUS_TIMEOUT : VERDICT_STATUS_CRASH, "compile",
                 text);
    } else if (code < 0) {
        end_broken(j, code, error);
    } else if (refuse(j, unit->side, image)) {
        return;
    } else if (!image->ok && candidates) {
        end_with(j, VERDICT_STATUS_COMPILE_ERROR, "compile", image->log);
    } else if (!image->ok) {
        auto_free char *text
            = xprintf("the %s doesn't compile: %s", judge_side_name(unit->side), image->log);
        end_broken(j, ERR_INVALID, text);
    } else {
        size_t pad = (16 - j->blob.len % 16) % 16;
        buf_add(&j->blob, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", pad);
        unit->offset = j->blob.len;
        unit->len = image->len;
        if (buf_add(&j->blob, image->bytes, image->len) < 0) {
            end_broken(j, ERR_TOOBIG, "the compiled images of one job are too large");
        }
        if (candidates) {
            add_resources(j, image->kernels);
            j->verdict.compile_s += image->cached ? 0 : image->seconds;
        }
    }
    if (j->pending == 0 && !j->over) {
        send_job(j);
    }
}

/* The index of the unit with this source and these options, added if it's new. */
static size_t unit_for(struct judgement *j, enum side side, const char *source,
                       const struct bound *bound)
{
    for (size_t i = 0; i < j->n_units; i++) {
        const struct unit *u = &j->units[i];
        bool same = u->side == side && u->n_options == bound->n_options;
        for (size_t k = 0; same && k < u->n_options; k++) {
            same = str_eq(u->options[k], bound->options[k]);
        }
        if (same) {
            return i;
        }
    }
    j->units[j->n_units] = (struct unit) {
        .judgement = j,
        .side = side,
        .source = source,
        .options = bound->options,
        .n_options = bound->n_options,
    };
    return j->n_units++;
}

/* Binds one side at one shape; a candidate's mistake is its verdict, anybody else's ends the job. */
static int bind_side(struct judgement *j, struct shape_case *c, enum side side)
{
    const struct task *task = j->request.task;
    if (side == SIDE_CANDIDATE && j->request.depth == JUDGE_DEPTH_TASK) {
        c->bound[side] = c->bound[SIDE_REFERENCE]; /* there is none, and it isn't run */
        c->unit[side] = c->unit[SIDE_REFERENCE];
        return 0;
    }
    const struct candidate *candidate
        = side == SIDE_BASELINE ? j->request.baseline : j->request.candidate;
    static const struct plan nothing = { 0 };
    const struct plan *plan = side != SIDE_REFERENCE ? candidate->plan
        : task->oracle                               ? &nothing
                                                     : task->reference_plan;
    const char *source = side == SIDE_REFERENCE ? task->reference_source : candidate->source;
    struct err err = { 0 };
    int r = candidate_bind(task, c->shape, plan, &j->ev->device.facts, j->arena, &c->bound[side],
                           &err);
    if (r < 0 && side == SIDE_CANDIDATE) {
        end_with(j, VERDICT_STATUS_PLAN_ERROR, "bind", err_text(&err));
        return r;
    }
    if (r < 0) {
        err_wrap(&err, "task %s: %s", task->name, judge_side_name(side));
        end_broken(j, r, err_text(&err));
        return r;
    }
    bool launches = side != SIDE_REFERENCE || !task->oracle;
    c->unit[side] = launches ? unit_for(j, side, source, c->bound[side]) : JUDGE_NO_UNIT;
    return 0;
}

static int bind_all(struct judgement *j)
{
    const struct task *task = j->request.task;
    enum judge_depth depth = j->request.depth;
    bool quick = depth == JUDGE_DEPTH_QUICK || depth == JUDGE_DEPTH_TIME
        || depth == JUDGE_DEPTH_TUNE;
    bool timing = depth == JUDGE_DEPTH_FULL || depth == JUDGE_DEPTH_PROTOCOL || quick, modelled = j->ev->device.modelled;
    for (size_t i = 0; i < task->n_shapes; i++) {
        /* Untimed, the default shape (the first) comes last: what is wrong shows cheaply before. */
        const struct shape *shape = &task->shapes[timing ? i : (i + 1) % task->n_shapes];
        struct shape_case *c = &j->cases[j->n_cases];
        bool is_default = shape->use == SHAPE_USE_DEFAULT;
        *c = (struct shape_case) { .shape = shape };
        c->time = timing && shape == (j->request.timed ? j->request.timed : &task->shapes[0]);
        /* The simulator would need minutes for large shapes: it times a default one by samples. */
        c->check = !modelled || task->n_shapes == 1
            || (!is_default && task_shape_is_small(task, shape));
        bool held_out = shape->use == SHAPE_USE_HELD_OUT && (task->specialise || quick);
        bool small = quick && shape->use == SHAPE_USE_SMALL && !modelled;
        if (!c->time && (held_out || small || !c->check)) {
            continue;
        }
        int r = bind_side(j, c, SIDE_REFERENCE);
        r = r < 0 ? r : bind_side(j, c, SIDE_CANDIDATE);
        if (r == 0 && c->time && j->request.baseline) {
            r = bind_side(j, c, SIDE_BASELINE);
        }
        if (r < 0) {
            return r;
        }
        j->n_cases++;
    }
    return 0;
}

/* Can this be judged here at all? */
static bool check_request(struct judgement *j)
{
    const struct task *task = j->request.task;
    if (task->oracle && !j->ev->oracle) {
        end_broken(j, ERR_UNSUPPORTED, "PyTorch says what is right in this task, and wasn't started");
    } else if (task->oracle && j->ev->device.modelled && !task_shape_is_small(task, &task->shapes[0])) {
        end_broken(j, ERR_UNSUPPORTED, "this problem is too large for the simulator; it needs a GPU");
    } else if (j->request.depth == JUDGE_DEPTH_PROTOCOL && (!task->oracle || !j->request.rules)) {
        end_broken(j, ERR_UNSUPPORTED, "KernelBench's rules are for problems that PyTorch says what is right in");
    } else if (!task->oracle && !task->reference_plan) {
        end_broken(j, ERR_UNSUPPORTED, "this task has no reference kernel");
    }
    return !j->over;
}

struct judgement *evaluator_judge(struct evaluator *ev, const struct judge_request *request,
                                  judge_cb done, void *ud)
{
    struct judgement *j = xcalloc(1, sizeof(*j));
    j->ev = ev;
    j->request = *request;
    j->done = done;
    j->ud = ud;
    j->arena = arena_new();
    j->next = ev->live;
    j->at = &ev->live;
    if (j->next) {
        j->next->at = &j->next;
    }
    ev->live = j;
    uv_timer_init(ev->loop, &j->later);
    j->later.data = j;
    buf_init(&j->blob, FRAME_BLOB_MAX);
    if (!check_request(j)) {
        return j;
    }
    if (bind_all(j) < 0) {
        return j;
    }
    j->pending = j->n_units + 1; /* one more, so that cached images don't start the job in here */
    for (size_t i = 0; i < j->n_units && !j->over; i++) {
        struct unit *u = &j->units[i];
        struct compile_request compile = {
            .name = u->side == SIDE_REFERENCE ? "reference.cu" : "kernel.cu",
            .source = u->source,
            .options = u->options,
            .n_options = u->n_options,
            .deadline_ms = request->compile_deadline_ms ? request->compile_deadline_ms
                                                        : judge_deadline(j),
        };
        struct compile_ticket *ticket = compiler_get(ev->compiler, &compile, on_compiled, u);
        u->ticket = u->ready ? NULL : ticket;
    }
    if (--j->pending == 0 && !j->over) {
        send_job(j);
    }
    return j;
}

void judge_cancel(struct judgement *j)
{
    if (j->job) {
        struct pool_ticket *job = j->job;
        j->job = NULL;
        j->over = true; /* the pool's callback must find nothing to do */
        drop_question(j);
        pool_cancel(job);
    }
    j->code = ERR_CANCELED;
    free(j->error);
    j->error = xstrdup("canceled");
    uv_timer_stop(&j->later);
    finish(j);
}
