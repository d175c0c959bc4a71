/* SPDX-License-Identifier: MIT */
/* export: a candidate on a task, as files that other programs take. */
#include "agent/catalog.h"
#include "agent/command.h"
#include "agent/export.h"
#include "agent/kernelbench.h"
#include "base/file.h"
#include "base/util.h"

#include <stdio.h>
#include <string.h>

enum { FILE_BYTES_MAX = 256 << 20, PROBLEM_BYTES_MAX = 1 << 20 };

/* What PyTorch says of the problem that the task was made of: its forward's shapes and numbers. */
static int describe(struct session *s, const struct task *task, json_t **ret, struct err *err)
{
    struct pytorch_options python = { .device = "cpu", .log = s->log };
    struct pytorch *pytorch = NULL;
    int r = pytorch_open(&s->loop, &python, &pytorch, err);
    r = r < 0 ? r : kernelbench_ask(&s->loop, pytorch,
                                    json_pack("{s:s,s:s}", "kind", "describe", "problem", task->oracle), ret, err);
    const char *hash = json_string_value(json_object_get(*ret, "hash"));
    if (r == 0 && (!hash || !task->oracle_hash || !str_eq(hash, task->oracle_hash))) {
        r = err_set(err, ERR_INVALID, "%s isn't the file that the task was made of", task->oracle);
    }
    pytorch_close(pytorch);
    return r;
}

static int write_file(const struct options *o, const struct export *e, bool model, struct err *err)
{
    auto_buf struct buf text;
    buf_init(&text, FILE_BYTES_MAX);
    auto_free char *path = xprintf("%s/%s.py", o->to, e->name), *problem = NULL;
    size_t len;
    int r = model ? file_read(e->task->oracle, PROBLEM_BYTES_MAX, &problem, &len, err) : 0;
    r = r < 0 ? r : model ? export_model(e, problem, &text, err) : export_function(e, &text, err);
    r = r < 0 ? r : file_write(path, text.at, text.len, err);
    if (r == 0) {
        printf("%s\n", path);
    }
    return r;
}

static int export_to(struct session *s, const struct task *task, const struct candidate *candidate,
                     struct err *err)
{
    const struct options *o = s->options;
    auto_arena struct arena *arena = arena_new();
    struct export e = { 0 };
    json_t *described = NULL;
    bool model = str_eq(o->format, "upstream");
    int r = task->oracle ? describe(s, task, &described, err) : 0;
    r = r < 0 ? r : export_make(s, task, candidate, task->name, described, arena, &e, err);
    r = r < 0 ? r : folder_make(o->to, err);
    if (r == 0) {
        char *made = arena_printf(arena, "Task %s, candidate %s: not judged by this command", task->name,
                              *candidate->name ? candidate->name : "?");
        for (char *at = made; *at; at++) { /* it stands in one line of a comment */
            *at = (unsigned char)*at < 32 ? ' ' : *at;
        }
        e.made = made;
        e.from_source = o->from_source;
        r = str_eq(o->format, "c") ? export_c(&e, o->to, err) : write_file(o, &e, model, err);
    }
    if (r == 0 && str_eq(o->format, "c")) {
        printf("%s/launch.c\n", o->to);
    }
    export_done(&e);
    json_decref(described);
    return r;
}

static int run_export(const struct options *given)
{
    struct err err = { 0 };
    struct options options = *given, *o = &options;
    struct session session = { 0 };
    struct task *task = NULL;
    struct candidate *candidate = NULL;
    o->format = o->format ? o->format : "torch";
    int r = !o->to ? err_set(&err, ERR_INVALID, "--to DIR is missing")
        : str_eq(o->format, "torch") || str_eq(o->format, "c") || str_eq(o->format, "upstream")
        ? 0
        : err_set(&err, ERR_INVALID, "--format \"%.40s\" is none of torch, c, upstream", o->format);
    r = r < 0 ? r : catalog_task(o->args[0], &task, &err);
    if (r == 0 && str_eq(o->format, "upstream") && !task->oracle) {
        r = err_set(&err, ERR_INVALID, "task %s is no KernelBench problem, so there is no Model to keep; use --format "
                                       "torch or c", task->name);
    }
    r = r < 0 ? r : catalog_candidate(o->args[1], task->family, &candidate, &err);
    r = r < 0 ? r : session_open(&session, o, SESSION_EVALUATOR, &err);
    if (r == 0) {
        r = export_to(&session, task, candidate, &err);
        session_close(&session);
    }
    candidate_free(candidate);
    task_free(task);
    return r < 0 ? options_fail(&err) : EXIT_DONE;
}

const struct command command_export = {
    .name = "export",
    .summary = "a candidate with its launcher, for PyTorch or C programs",
    .usage = "export TASK CANDIDATE --to DIR [--format torch|c|upstream]",
    .help = "Binds the candidate's plan to the task's default shape, compiles it, and writes what launches it\n"
            "through the CUDA driver: a Python module with one function on tensors (torch), launch.h and\n"
            "launch.c with the image and an example that times it (c), or KernelBench's ModelNew, for a task\n"
            "that was imported from there (upstream). Other shapes than that one are refused. Nothing is judged:\n"
            "eval does that. On a machine without a GPU the image is PTX, which the driver compiles.\n\n"
            "  warpsmith export softmax softmax/06_row_in_registers --to out\n"
            "  warpsmith export runs/c1/task runs/c1/best --format c --to out",
    .takes = "to format from-source gpu store jobs verbose",
    .args_min = 2,
    .args_max = 2,
    .run = run_export,
};
