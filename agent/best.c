/* SPDX-License-Identifier: MIT */
#include "agent/best.h"
#include "agent/export.h"
#include "base/file.h"
#include "base/jread.h"
#include "base/util.h"

#include <string.h>

enum { BEST_BYTES_MAX = 64 << 20 };

struct waiting {
    bool done;
    int code;
    struct err *err;
    const char *path;
};

static void on_image(void *ud, int code, const void *bytes, size_t len, const char *error)
{
    struct waiting *w = ud;
    w->done = true;
    w->code = code < 0 ? err_set(w->err, code, "%s", error)
                       : file_write(w->path, bytes, len, w->err);
}

/* What starts it from PyTorch and from C; a plan that can't leave (a library's call) has none. */
static int write_exports(struct session *s, const struct task *task, const struct candidate *candidate,
                         const struct verdict *verdict, const char *folder, struct err *err)
{
    auto_arena struct arena *arena = arena_new();
    auto_buf struct buf text;
    struct export e = { 0 };
    struct err why = { 0 };
    buf_init(&text, BEST_BYTES_MAX);
    if (export_make(s, task, candidate, task->name, NULL, arena, &e, &why) < 0) {
        return why.code == ERR_UNSUPPORTED ? 0 : err_set(err, why.code, "%s", err_text(&why));
    }
    e.made = arena_printf(arena, "Task %s, best of a campaign: %s%s", task->name, verdict_status_name(verdict->status),
                          verdict->modelled ? " on a simulated device" : "");
    auto_free char *module = xprintf("%s/%s.py", folder, e.name), *launcher = xprintf("%s/c", folder);
    int r = export_function(&e, &text, &why);
    r = r < 0 ? r : file_write(module, text.at, text.len, &why);
    r = r < 0 ? r : folder_make(launcher, &why);
    r = r < 0 ? r : export_c(&e, launcher, &why);
    export_done(&e);
    return r == 0 || r == ERR_UNSUPPORTED ? 0 : err_set(err, r, "%s", err_text(&why));
}

int best_write(struct session *s, const struct task *task, const struct candidate *candidate,
               const struct verdict *verdict, const char *folder, struct err *err)
{
    int r = folder_make(folder, err);
    r = r < 0 ? r : candidate_save(candidate, folder, err);
    if (r < 0) {
        return r;
    }
    auto_free char *verdict_path = xprintf("%s/verdict.json", folder);
    json_t *json = verdict_json(verdict);
    auto_free char *text = json_dumps(json, JSON_INDENT(2) | JSON_SORT_KEYS);
    json_decref(json);
    r = file_write(verdict_path, text, strlen(text), err);
    bool modelled = evaluator_device(s->evaluator)->modelled;
    auto_free char *image_path = xprintf("%s/kernel.%s", folder, modelled ? "ptx" : "cubin");
    struct waiting waiting = { .err = err, .path = image_path };
    if (r == 0) {
        evaluator_image(s->evaluator, task, candidate, on_image, &waiting);
        while (!waiting.done && uv_run(&s->loop, UV_RUN_ONCE)) {
        }
        r = waiting.code;
    }
    return r < 0 ? r : write_exports(s, task, candidate, verdict, folder, err);
}

struct sanitized {
    bool done, clean;
    int code;
    struct err *err;
    const char *path;
    FILE *say;
};

static void on_sanitized(void *ud, int code, const struct verdict *v, const char *error)
{
    struct sanitized *w = ud;
    w->done = true;
    if (code < 0) {
        w->code = err_set(w->err, code, "%s", error);
        return;
    }
    w->clean = v->status == VERDICT_STATUS_ACCEPTED;
    const char *tool = v->sanitizer.tool && *v->sanitizer.tool ? v->sanitizer.tool : "not run";
    fprintf(w->say, "  sanitizer (%s): %s\n", tool,
            w->clean ? (v->sanitizer.text && *v->sanitizer.text ? v->sanitizer.text : "nothing found")
                     : v->detail);
    json_t *json = verdict_json(v);
    auto_free char *text = json_dumps(json, JSON_INDENT(2) | JSON_SORT_KEYS);
    json_decref(json);
    w->code = file_write(w->path, text, strlen(text), w->err);
}

int best_sanitize(struct session *s, const struct task *task, const struct candidate *candidate,
                  const char *folder, FILE *say, bool *ret_clean, struct err *err)
{
    auto_free char *path = xprintf("%s/sanitizer.json", folder);
    struct sanitized waiting = { .err = err, .path = path, .say = say };
    struct judge_request request = { .task = task, .candidate = candidate, .sanitize = true,
                                     .depth = JUDGE_DEPTH_CHECK };
    evaluator_judge(s->evaluator, &request, on_sanitized, &waiting);
    while (!waiting.done && uv_run(&s->loop, UV_RUN_ONCE)) {
    }
    if (waiting.code == 0) {
        *ret_clean = waiting.clean;
    }
    return waiting.code;
}
