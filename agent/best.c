/* SPDX-License-Identifier: MIT */
#include "agent/best.h"
#include "base/file.h"
#include "base/jread.h"
#include "base/util.h"

#include <string.h>

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
    return r;
}
