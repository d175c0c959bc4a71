/* SPDX-License-Identifier: MIT */
/* kernelbench list: what a suite's problems are, and which can't be judged. */
#include "agent/command.h"
#include "agent/kernelbench.h"
#include "base/buf.h"
#include "base/util.h"

#include <string.h>

int kernelbench_problems(const struct options *o, struct arena *arena, struct problem **ret,
                         size_t *ret_n, struct err *err)
{
    return o->suite ? problem_find(o->suite, o->levels, o->problems, arena, ret, ret_n, err)
                    : err_set(err, ERR_INVALID, "--suite DIR is missing: a checkout of KernelBench");
}

struct asked {
    bool done;
    int code;
    json_t *answer;
    char error[1024];
};

static void on_answer(void *ud, int code, const json_t *answer, const char *error)
{
    struct asked *a = ud;
    a->done = true;
    a->code = code;
    a->answer = json_deep_copy(answer);
    snprintf(a->error, sizeof(a->error), "%s", code < 0 && error ? error : "");
}

int kernelbench_ask(uv_loop_t *loop, struct pytorch *pytorch, json_t *question, json_t **ret,
                    struct err *err)
{
    struct asked a = { 0 };
    pytorch_ask(pytorch, question, 0, on_answer, &a);
    while (!a.done && uv_run(loop, UV_RUN_ONCE)) {
    }
    if (!a.done) {
        return err_set(err, ERR_BUG, "the loop ended before the oracle answered");
    }
    const char *why = json_string_value(json_object_get(a.answer, "error"));
    if (a.code < 0) {
        return err_set(err, a.code, "%s", a.error);
    }
    if (!json_is_true(json_object_get(a.answer, "ok"))) {
        int r = err_set(err, ERR_INVALID, "%s", why ? why : "the oracle doesn't say why");
        json_decref(a.answer);
        return r;
    }
    json_object_del(a.answer, "ok");
    *ret = a.answer;
    return 0;
}

int kernelbench_describe(uv_loop_t *loop, struct pytorch *pytorch, const struct problem *problem,
                         struct task **ret, json_t **ret_described, struct err *err)
{
    json_t *described = NULL;
    int r = problem->unreadable
        ? err_set(err, ERR_INVALID, "%s", problem->unreadable)
        : kernelbench_ask(loop, pytorch, json_pack("{s:s,s:s}", "kind", "describe", "problem", problem->path),
                          &described, err);
    r = r < 0 ? r : problem_task(problem, described, ret, err);
    if (ret_described) {
        *ret_described = described;
    } else {
        json_decref(described);
    }
    return r;
}

char *kernelbench_tensors(const json_t *list)
{
    struct buf out;
    buf_init(&out, 1 << 16);
    size_t i, k;
    json_t *tensor, *dim;
    json_array_foreach(list, i, tensor)
    {
        if (i == 4) {
            buf_printf(&out, " and %zu more", json_array_size(list) - i);
            break;
        }
        const json_t *shape = json_object_get(tensor, "shape");
        const char *dtype = json_string_value(json_object_get(tensor, "dtype"));
        buf_puts(&out, i ? ", " : "");
        json_array_foreach(shape, k, dim)
        {
            buf_printf(&out, "%s%lld", k ? "x" : "", (long long)json_integer_value(dim));
        }
        buf_printf(&out, "%s%s", json_array_size(shape) ? " " : "scalar ", dtype ? dtype : "?");
    }
    return out.len ? buf_take(&out) : xstrdup("");
}

struct counts {
    size_t good, unsupported, failed;
};

static json_t *list_one(uv_loop_t *loop, struct pytorch *pytorch, const struct problem *p, FILE *out,
                        struct counts *counts)
{
    struct err err = { 0 };
    struct task *task = NULL;
    json_t *described = NULL;
    char hex[ID_HEX];
    id_hex(&p->hash, hex);
    int r = kernelbench_describe(loop, pytorch, p, &task, &described, &err);
    *(r == 0 ? &counts->good : r == ERR_UNSUPPORTED ? &counts->unsupported : &counts->failed) += 1;
    json_t *one = json_pack("{s:i,s:i,s:s,s:s,s:s,s:s}", "level", p->level, "id", p->id, "name", p->name,
                            "family", p->family, "hash", hex, "status",
                            r == 0 ? "ready" : r == ERR_UNSUPPORTED ? "unsupported" : "failed");
    if (r < 0) {
        json_object_set_new(one, "why", json_text(err_text(&err), strlen(err_text(&err))));
    }
    if (described) {
        json_object_set(one, "described", described);
    }
    if (out) {
        auto_free char *in = kernelbench_tensors(json_object_get(described, "inputs"));
        auto_free char *made = kernelbench_tensors(json_object_get(described, "outputs"));
        size_t weights = json_array_size(json_object_get(described, "weights"))
            + json_array_size(json_object_get(described, "inout"));
        double mib = json_number_value(json_object_get(described, "bytes")) / (1 << 20);
        fprintf(out, "%d/%-3d %-44.44s %s%s%s%s%s", p->level, p->id, p->name, in, *in ? " -> " : "",
                made, r < 0 ? *in ? "; " : "" : "", r < 0 ? err_text(&err) : "");
        if (weights) {
            fprintf(out, "; %zu weights", weights);
        }
        if (described) {
            fprintf(out, "; %.4g MiB", mib);
        }
        fprintf(out, "\n");
        fflush(out); /* the next may take its time */
    }
    task_free(task);
    json_decref(described);
    return one;
}

static int list_all(struct session *s, struct pytorch *pytorch, const struct problem *problems,
                    size_t n, struct err *err)
{
    const struct options *o = s->options;
    bool quiet = o->json && str_eq(o->json, "-");
    struct counts counts = { 0 };
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++) {
        json_array_append_new(list, list_one(&s->loop, pytorch, &problems[i], quiet ? NULL : stdout,
                                             &counts));
    }
    if (!quiet) {
        printf("\n%zu problems: %zu can be judged, %zu can't be by anyone, %zu can't be here (PyTorch %s)\n",
               n, counts.good, counts.unsupported, counts.failed,
               json_string_value(json_object_get(pytorch_hello(pytorch), "torch")));
    }
    json_t *all = json_pack("{s:s,s:O,s:o}", "suite", o->suite, "oracle", pytorch_hello(pytorch),
                            "problems", list);
    if (!o->json) {
        json_decref(all);
        return 0;
    }
    return output_json(o->json, all, err);
}

int kernelbench_list(const struct options *o)
{
    struct err err = { 0 };
    struct session session = { 0 };
    struct pytorch *pytorch = NULL;
    struct problem *problems = NULL;
    size_t n = 0;
    auto_arena struct arena *arena = arena_new();
    int r = kernelbench_problems(o, arena, &problems, &n, &err);
    r = r < 0 ? r : session_open(&session, o, 0, &err);
    if (r == 0) {
        struct pytorch_options options = { .device = "cpu", .log = &o->log };
        r = pytorch_open(&session.loop, &options, &pytorch, &err);
        r = r < 0 ? r : list_all(&session, pytorch, problems, n, &err);
        pytorch_close(pytorch);
        session_close(&session);
    }
    return r < 0 ? options_fail(&err) : EXIT_DONE;
}
