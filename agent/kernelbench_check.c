/* SPDX-License-Identifier: MIT */
/*
 * kernelbench check: are a suite's problems fit to be judged by? No trivial candidate must pass, and
 * PyTorch's own f32, handed in as a candidate, must. What was found lies in OUT/check, one file a problem,
 * and isn't asked again.
 *
 * Problems are described by a process of their own, on the CPU and without data, while the GPU checks those
 * that are: of these the smallest comes next, so that whoever stops early has most of it.
 */
#include "agent/command.h"
#include "agent/kernelbench.h"
#include "base/file.h"
#include "base/jread.h"
#include "base/util.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DESCRIBE_MS = 60000 };

enum stage { STAGE_OPEN, STAGE_DESCRIBED, STAGE_DONE };

/* A problem in hand; what can't be judged has no task, and says why. */
struct checking {
    const struct problem *problem;
    enum stage stage;
    struct task *task;
    json_t *described, *facts;
    int code;
    double bytes;
    char why[1024];
    bool judged;
    json_t *verdict;
};

struct check_run {
    struct session *session;
    struct pytorch *oracle, *describer; /* the same where the device is simulated */
    size_t n, next;                     /* next: whose description is asked for next */
    struct checking *all, *asking;      /* asking: whose is under way; NULL: nobody's */
    json_t *list;
    uint64_t began;
};

static const char *text_of(const json_t *json, const char *key)
{
    const char *text = json_string_value(json_object_get(json, key));
    return text ? text : "";
}

/* All that was found depends on. */
static json_t *stamp(const struct session *s, const struct problem *p)
{
    char hex[ID_HEX];
    id_hex(&p->hash, hex);
    return json_pack("{s:s,s:i,s:s,s:s}", "hash", hex, "gate", EVALUATOR_GATE_VERSION, "device",
                     evaluator_device(s->evaluator)->name, "torch",
                     text_of(pytorch_hello(evaluator_oracle(s->evaluator)), "torch"));
}

static char *file_of(const struct session *s, const struct problem *p)
{
    return xprintf("%s/check/level%d_%d.json", s->options->out, p->level, p->id);
}

/* What an earlier check of the same found, or NULL. */
static json_t *known(const struct session *s, const struct problem *p)
{
    json_t *found = NULL, *now = stamp(s, p);
    auto_free char *file = s->options->out ? file_of(s, p) : NULL;
    if (!file || s->options->fresh || jread_file(file, &found, NULL) < 0
        || !json_equal(json_object_get(found, "of"), now)) {
        json_decref(found);
        found = NULL;
    }
    json_decref(now);
    return found;
}

static void ask_next(struct check_run *run);

static void take_description(struct checking *c, json_t *described)
{
    struct err err = { 0 };
    c->described = described;
    c->bytes = json_number_value(json_object_get(described, "bytes"));
    c->code = problem_task(c->problem, described, &c->task, &err);
    snprintf(c->why, sizeof(c->why), "%.1000s", c->code < 0 ? err_text(&err) : "");
}

static void on_described(void *ud, int code, const json_t *answer, const char *error)
{
    struct check_run *run = ud;
    struct checking *c = run->asking;
    run->asking = NULL;
    c->stage = STAGE_DESCRIBED;
    if (code < 0 || !json_is_true(json_object_get(answer, "ok"))) {
        c->code = code < 0 ? code : ERR_INVALID;
        snprintf(c->why, sizeof(c->why), "%.1000s", code < 0 && error ? error : text_of(answer, "error"));
    } else {
        json_t *described = json_deep_copy(answer);
        json_object_del(described, "ok");
        take_description(c, described);
    }
    ask_next(run);
}

static void ask_next(struct check_run *run)
{
    while (run->next < run->n && run->all[run->next].stage != STAGE_OPEN) {
        run->next++;
    }
    if (run->next < run->n) {
        run->asking = &run->all[run->next++];
        const char *path = run->asking->problem->path;
        pytorch_ask(run->describer, json_pack("{s:s,s:s}", "kind", "describe", "problem", path),
                    DESCRIBE_MS, on_described, run);
    }
}

/* Where shapes need a run, the CPU may not do: the GPU's oracle is asked. */
static void describe_there(struct check_run *run, struct checking *c)
{
    struct err err = { 0 };
    json_t *described = NULL;
    json_t *question = json_pack("{s:s,s:s}", "kind", "describe", "problem", c->problem->path);
    if (kernelbench_ask(&run->session->loop, run->oracle, question, &described, &err) == 0) {
        take_description(c, described);
    }
}

/* Of those described, the smallest; NULL: none is there yet. */
static struct checking *smallest(const struct check_run *run)
{
    struct checking *best = NULL;
    for (size_t i = 0; i < run->n; i++) {
        struct checking *c = &run->all[i];
        best = c->stage == STAGE_DESCRIBED && (!best || c->bytes < best->bytes) ? c : best;
    }
    return best;
}

static void on_judged(void *ud, int code, const struct verdict *v, const char *error)
{
    struct checking *c = ud;
    c->judged = true;
    c->code = code;
    c->verdict = code < 0 ? NULL : verdict_json(v);
    snprintf(c->why, sizeof(c->why), "%s", code < 0 && error ? error : "");
}

static void judge(struct check_run *run, struct checking *c)
{
    struct session *s = run->session;
    struct err err = { 0 };
    const char *path = c->problem->path;
    if (run->describer != run->oracle) {
        pytorch_ask(run->oracle, json_pack("{s:s,s:s,s:O}", "kind", "know", "problem", path, "described",
                                           c->described), 0, NULL, NULL);
    }
    struct judge_request request = { .task = c->task, .depth = JUDGE_DEPTH_TASK,
                                     .deadline_ms = (uint64_t)(s->options->deadline_s * 1000) };
    evaluator_judge(s->evaluator, &request, on_judged, c);
    while (!c->judged && uv_run(&s->loop, UV_RUN_ONCE)) {
    }
    kernelbench_ask(&s->loop, run->oracle, json_pack("{s:s,s:s}", "kind", "facts", "problem", path), &c->facts,
                    &err);
}

/* "sound", "degenerate", "unfit" (PyTorch's own f32 fails), "unsupported" or "failed". */
static const char *finding_of(const struct checking *c, const char **ret_why)
{
    *ret_why = c->why;
    if (!c->verdict) {
        return c->code == ERR_UNSUPPORTED ? "unsupported" : "failed";
    }
    *ret_why = text_of(c->verdict, "detail");
    if (str_eq(text_of(c->verdict, "phase"), "itself")) {
        return "unfit";
    }
    if (*text_of(c->verdict, "degenerate")) {
        *ret_why = text_of(c->verdict, "degenerate");
        return "degenerate";
    }
    return str_eq(text_of(c->verdict, "status"), "accepted") ? "sound" : "failed";
}

static json_t *check_one(struct check_run *run, struct checking *c)
{
    const struct problem *p = c->problem;
    const char *why;
    uint64_t start = clock_ns();
    if (!c->task && c->code == ERR_INVALID && run->describer != run->oracle) {
        describe_there(run, c);
    }
    if (c->task) {
        judge(run, c);
    }
    const char *finding = finding_of(c, &why);
    json_t *one = json_pack("{s:i,s:i,s:s,s:s,s:s,s:f,s:f,s:o}", "level", p->level, "id", p->id, "name", p->name,
                            "family", p->family, "finding", finding, "bytes", c->bytes, "seconds",
                            (double)(clock_ns() - start) * 1e-9, "of", stamp(run->session, p));
    json_object_set_new(one, "why", json_text(why, strlen(why)));
    if (c->facts) { /* by how much the second run missed the reference, and what took the time */
        json_object_set(one, "reference", c->facts);
    }
    return one;
}

static int keep(const struct session *s, const struct problem *p, const json_t *found, struct err *err)
{
    auto_free char *file = file_of(s, p);
    auto_free char *text = json_dumps(found, JSON_INDENT(1) | JSON_REAL_PRECISION(9));
    require(text != NULL);
    return file_write(file, text, strlen(text), err);
}

/* By how much PyTorch's f32 misses its double, the worst output's, as a share of the output's RMS. */
static double worst_of(const json_t *one)
{
    double worst = 0;
    const char *name;
    json_t *off;
    json_object_foreach(json_object_get(json_object_get(one, "reference"), "off"), name, off)
    {
        double most = json_number_value(json_object_get(off, "most"));
        (void)name;
        worst = most > worst ? most : worst;
    }
    return worst;
}

static void tell(const struct options *o, const json_t *one, bool was_known)
{
    const char *finding = text_of(one, "finding"), *method = text_of(json_object_get(one, "reference"), "method");
    if (o->json && str_eq(o->json, "-")) {
        return;
    }
    printf("%lld/%-3lld %-40.40s %-11s %5.1f s  ",
           (long long)json_integer_value(json_object_get(one, "level")),
           (long long)json_integer_value(json_object_get(one, "id")), text_of(one, "name"), finding,
           json_number_value(json_object_get(one, "seconds")));
    if (str_eq(finding, "sound")) {
        printf("itself off by %.2g (reference in %s)", worst_of(one), method);
    } else {
        printf("%.200s", text_of(one, "why"));
    }
    printf("%s\n", was_known ? " (known)" : "");
    fflush(stdout);
}

static const char *const findings[] = { "sound", "degenerate", "unfit", "unsupported", "failed" };

static size_t count_of(const json_t *list, int level, const char *finding)
{
    size_t n = 0, i;
    json_t *one;
    json_array_foreach((json_t *)(uintptr_t)list, i, one)
    {
        n += json_integer_value(json_object_get(one, "level")) == level
            && (!finding || str_eq(finding, text_of(one, "finding")));
    }
    return n;
}

static void tell_counts(const struct check_run *run)
{
    printf("\n");
    for (int level = 1; level <= PROBLEM_LEVELS; level++) {
        size_t n = count_of(run->list, level, NULL);
        for (size_t k = 0; n && k < ARRAY_LEN(findings); k++) {
            size_t found = count_of(run->list, level, findings[k]);
            if (k == 0) {
                printf("level %d: %zu problems, %zu sound", level, n, found);
            } else if (found) {
                printf(", %zu %s", found, findings[k]);
            }
        }
        printf("%s", n ? "\n" : "");
    }
    printf("%zu of %zu problems in %.0f s\n", json_array_size(run->list), run->n,
           (double)(clock_ns() - run->began) * 1e-9);
}

static int put_lists(struct check_run *run, struct err *err)
{
    const struct options *o = run->session->options;
    json_t *json = json_pack("{s:s,s:O,s:O}", "suite", o->suite, "oracle", pytorch_hello(run->oracle),
                             "problems", run->list);
    auto_free char *file = o->out ? xprintf("%s/check.json", o->out) : NULL;
    auto_free char *text = json_dumps(json, JSON_INDENT(1) | JSON_REAL_PRECISION(9));
    int r = file ? file_write(file, text, strlen(text), err) : 0;
    if (r == 0 && o->json) {
        return output_json(o->json, json, err);
    }
    json_decref(json);
    return r;
}

static int add(struct check_run *run, struct checking *c, json_t *found, bool was_known, struct err *err)
{
    const struct session *s = run->session;
    bool lasts = !str_eq(text_of(found, "finding"), "failed"); /* a module may be installed, say */
    c->stage = STAGE_DONE;
    tell(s->options, found, was_known);
    json_array_append_new(run->list, found);
    task_free(c->task);
    json_decref(c->verdict);
    json_decref(c->described);
    json_decref(c->facts);
    c->task = NULL;
    c->verdict = c->described = c->facts = NULL;
    return was_known || !s->options->out || !lasts ? 0 : keep(s, c->problem, found, err);
}

static bool time_is_up(const struct check_run *run)
{
    double most = run->session->options->wall_s;
    return most > 0 && (double)(clock_ns() - run->began) * 1e-9 >= most;
}

static int check_all(struct check_run *run, struct err *err)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < run->n; i++) {
        json_t *found = known(run->session, run->all[i].problem);
        r = found ? add(run, &run->all[i], found, true, err) : 0;
    }
    ask_next(run);
    while (r == 0 && !time_is_up(run)) {
        struct checking *c = smallest(run);
        if (c) {
            r = add(run, c, check_one(run, c), false, err);
        } else if (!run->asking || !uv_run(&run->session->loop, UV_RUN_ONCE)) {
            break;
        }
    }
    if (r == 0 && !(run->session->options->json && str_eq(run->session->options->json, "-"))) {
        tell_counts(run);
    }
    return r < 0 ? r : put_lists(run, err);
}

static void drop(struct check_run *run)
{
    for (size_t i = 0; i < run->n; i++) {
        task_free(run->all[i].task);
        json_decref(run->all[i].described);
    }
    free(run->all);
    json_decref(run->list);
}

static int check(struct session *s, const struct problem *problems, size_t n, struct err *err)
{
    struct check_run run = { .session = s, .oracle = evaluator_oracle(s->evaluator), .n = n,
                             .all = xcalloc(n, sizeof(*run.all)), .list = json_array(), .began = clock_ns() };
    auto_free char *folder = s->options->out ? xprintf("%s/check", s->options->out) : NULL;
    struct pytorch_options options = { .device = "cpu", .log = &s->options->log };
    struct pytorch *own = NULL;
    for (size_t i = 0; i < n; i++) {
        const char *unreadable = problems[i].unreadable;
        run.all[i] = (struct checking) { .problem = &problems[i], .code = unreadable ? ERR_NOTFOUND : 0,
                                         .stage = unreadable ? STAGE_DESCRIBED : STAGE_OPEN };
        snprintf(run.all[i].why, sizeof(run.all[i].why), "%.1000s", unreadable ? unreadable : "");
    }
    int r = folder ? folder_make(folder, err) : 0;
    r = r < 0 || evaluator_device(s->evaluator)->modelled ? r : pytorch_open(&s->loop, &options, &own, err);
    run.describer = own ? own : run.oracle;
    r = r < 0 ? r : check_all(&run, err);
    run.next = n;
    pytorch_close(own);
    while (run.asking && uv_run(&s->loop, UV_RUN_ONCE)) { /* a description under way still has us */
    }
    drop(&run);
    return r;
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
        r = check(&session, problems, n, &err);
        session_close(&session);
    }
    return r < 0 ? options_fail(&err) : EXIT_DONE;
}
