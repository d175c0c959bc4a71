/* SPDX-License-Identifier: MIT */
/* kernelbench check: are a suite's problems fit to be judged by? No trivial candidate must pass, and
 * PyTorch's own f32 must. What was found lies in OUT/check, one file a problem, and isn't asked again. */
#include "agent/command.h"
#include "agent/kernelbench.h"
#include "base/file.h"
#include "base/jread.h"
#include "base/util.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A problem in hand; what can't be judged has no task, and says why. */
struct checking {
    const struct problem *problem;
    struct task *task;
    int code;
    double bytes, seconds;
    char why[1024];
    bool done;
    json_t *verdict;
};

static const char *text_of(const json_t *json, const char *key)
{
    const char *text = json_string_value(json_object_get(json, key));
    return text ? text : "";
}

static void on_judged(void *ud, int code, const struct verdict *v, const char *error)
{
    struct checking *c = ud;
    c->done = true;
    c->verdict = code < 0 ? NULL : verdict_json(v);
    snprintf(c->why, sizeof(c->why), "%s", code < 0 && error ? error : "");
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

static json_t *check_one(struct session *s, struct checking *c)
{
    const struct problem *p = c->problem;
    const char *why;
    uint64_t start = clock_ns();
    if (c->task) {
        struct judge_request request = { .task = c->task, .depth = JUDGE_DEPTH_TASK,
                                         .deadline_ms = (uint64_t)(s->options->deadline_s * 1000) };
        evaluator_judge(s->evaluator, &request, on_judged, c);
        while (!c->done && uv_run(&s->loop, UV_RUN_ONCE)) {
        }
    }
    const char *finding = finding_of(c, &why);
    json_t *one = json_pack("{s:i,s:i,s:s,s:s,s:s,s:f,s:o}", "level", p->level, "id", p->id, "name", p->name,
                            "family", p->family, "finding", finding, "seconds",
                            (double)(clock_ns() - start) * 1e-9, "of", stamp(s, p));
    json_object_set_new(one, "why", json_text(why, strlen(why)));
    json_decref(c->verdict);
    return one;
}

static int keep(const struct session *s, const struct problem *p, const json_t *found, struct err *err)
{
    auto_free char *file = file_of(s, p);
    auto_free char *text = json_dumps(found, JSON_INDENT(1) | JSON_REAL_PRECISION(9));
    require(text != NULL);
    return file_write(file, text, strlen(text), err);
}

static void tell(const struct options *o, const json_t *one, bool was_known)
{
    const char *finding = text_of(one, "finding");
    if (o->json && str_eq(o->json, "-")) {
        return;
    }
    printf("%lld/%-3lld %-40.40s %-11s %5.1f s  %.200s%s\n",
           (long long)json_integer_value(json_object_get(one, "level")),
           (long long)json_integer_value(json_object_get(one, "id")), text_of(one, "name"), finding,
           json_number_value(json_object_get(one, "seconds")),
           str_eq(finding, "sound") ? "" : text_of(one, "why"), was_known ? " (known)" : "");
    fflush(stdout);
}

static int by_bytes(const void *a, const void *b)
{
    const struct checking *x = a, *y = b;
    return x->bytes < y->bytes ? -1 : x->bytes > y->bytes;
}

/* Small ones first: whoever stops early has most of it. */
static void describe_all(struct session *s, struct checking *all, const struct problem *problems,
                         size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct err err = { 0 };
        json_t *described = NULL;
        all[i].problem = &problems[i];
        all[i].code = kernelbench_describe(&s->loop, evaluator_oracle(s->evaluator), &problems[i],
                                           &all[i].task, &described, &err);
        snprintf(all[i].why, sizeof(all[i].why), "%.1000s", all[i].code < 0 ? err_text(&err) : "");
        all[i].bytes = json_number_value(json_object_get(described, "bytes"));
        json_decref(described);
    }
    qsort(all, n, sizeof(*all), by_bytes);
}

static int check_all(struct session *s, const struct problem *problems, size_t n, struct err *err)
{
    const struct options *o = s->options;
    auto_free char *folder = o->out ? xprintf("%s/check", o->out) : NULL;
    struct checking *all = xcalloc(n, sizeof(*all));
    json_t *list = json_array();
    size_t sound = 0;
    int r = folder ? folder_make(folder, err) : 0;
    if (r == 0) {
        describe_all(s, all, problems, n);
    }
    for (size_t i = 0; r == 0 && i < n; i++) {
        json_t *found = known(s, all[i].problem);
        bool was_known = found != NULL;
        found = was_known ? found : check_one(s, &all[i]);
        tell(o, found, was_known);
        sound += str_eq(text_of(found, "finding"), "sound");
        bool lasts = !str_eq(text_of(found, "finding"), "failed"); /* a module may be installed, say */
        r = was_known || !o->out || !lasts ? 0 : keep(s, all[i].problem, found, err);
        json_array_append_new(list, found);
    }
    for (size_t i = 0; i < n; i++) {
        task_free(all[i].task);
    }
    free(all);
    if (r == 0 && !(o->json && str_eq(o->json, "-"))) {
        printf("\n%zu problems, %zu sound\n", n, sound);
    }
    json_t *json = json_pack("{s:s,s:O,s:o}", "suite", o->suite, "oracle",
                             pytorch_hello(evaluator_oracle(s->evaluator)), "problems", list);
    if (r == 0 && o->json) {
        return output_json(o->json, json, err);
    }
    json_decref(json);
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
        r = check_all(&session, problems, n, &err);
        session_close(&session);
    }
    return r < 0 ? options_fail(&err) : EXIT_DONE;
}
