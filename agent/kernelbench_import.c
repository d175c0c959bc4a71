/* SPDX-License-Identifier: MIT */
/* kernelbench import: problems as tasks' folders, which every command takes that takes a task. */
#include "agent/command.h"
#include "agent/kernelbench.h"
#include "base/file.h"
#include "base/jread.h"
#include "base/util.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PROBLEM_MAX = 1 << 20 };

int kernelbench_write_task(const char *folder, const struct problem *p, const json_t *doc, struct err *err)
{
    auto_free char *document = xprintf("%s/task.json", folder);
    auto_free char *copy = xprintf("%s/%s", folder, strrchr(p->path, '/') + 1);
    auto_free char *text = json_pretty(doc);
    auto_free char *lines = xprintf("%s\n", text);
    int r = folder_make(folder, err);
    r = r < 0 ? r : file_copy(p->path, copy, PROBLEM_MAX, err);
    return r < 0 ? r : file_write(document, lines, strlen(lines), err);
}

static int import_one(struct session *s, struct pytorch *pytorch, struct kernelbench_maps *maps,
                      const struct problem *p, size_t *ret_done, struct err *err)
{
    struct err why = { 0 };
    struct task *task = NULL, *changed = NULL;
    json_t *described = NULL, *doc = NULL;
    int r = kernelbench_describe(&s->loop, pytorch, p, &task, &described, &why);
    r = r < 0 ? r : kernelbench_document(s->options, maps, p, described, &doc, &why);
    r = r < 0 ? r : problem_document_task(p, doc, &changed, &why);
    if (r < 0) {
        printf("%d/%-3d %-44.44s %s\n", p->level, p->id, p->name, err_text(&why));
        fflush(stdout);
        r = 0;
    } else {
        auto_free char *folder = xprintf("%s/level%d/%s", s->options->out, p->level, p->name);
        r = kernelbench_write_task(folder, p, doc, err);
        *ret_done += r == 0;
    }
    task_free(task);
    task_free(changed);
    json_decref(described);
    json_decref(doc);
    return r;
}

int kernelbench_import(const struct options *o)
{
    struct err err = { 0 };
    struct session session = { 0 };
    struct pytorch *pytorch = NULL;
    struct kernelbench_maps *maps = NULL;
    struct problem *problems = NULL;
    size_t n = 0, done = 0;
    auto_arena struct arena *arena = arena_new();
    int r = o->out ? kernelbench_problems(o, arena, &problems, &n, &err)
                   : err_set(&err, ERR_INVALID, "--out DIR is missing: where the tasks' folders go");
    r = r < 0 ? r : kernelbench_precision_check(o, &err);
    r = r < 0 || !o->mapped ? r : kernelbench_maps_open(&maps, &err);
    r = r < 0 ? r : session_open(&session, o, 0, &err);
    if (r == 0) {
        struct pytorch_options options = { .device = "cpu", .log = &o->log };
        r = pytorch_open(&session.loop, &options, &pytorch, &err);
        for (size_t i = 0; r == 0 && i < n; i++) {
            r = import_one(&session, pytorch, maps, &problems[i], &done, &err);
        }
        pytorch_close(pytorch);
        session_close(&session);
    }
    kernelbench_maps_close(maps);
    if (r < 0) {
        return options_fail(&err);
    }
    printf("%zu of %zu problems imported, to %s/levelN/NAME\n", done, n, o->out);
    return EXIT_DONE;
}
