/* SPDX-License-Identifier: MIT */
/* Measuring a device's ceilings: compile the kernels that do, send them to the device worker. */
#include "base/util.h"
#include "evaluator/evaluator_internal.h"

#include <stdlib.h>

enum { COMPILE_MS = 60000, MEASURE_MS = 30000 };

struct measuring {
    struct evaluator *ev;
    ceilings_cb done;
    void *ud;
};

static void finish(struct measuring *m, int code, const struct ceilings *ceilings,
                   const char *error)
{
    m->done(m->ud, code, ceilings, error);
    free(m);
}

static void on_measured(void *ud, const struct pool_result *result)
{
    struct measuring *m = ud;
    struct err err = { 0 };
    struct ceilings ceilings;
    const char *refused = json_string_value(json_object_get(result->json, "error"));
    if (result->code < 0 || refused) {
        finish(m, result->code < 0 ? result->code : ERR_DEVICE, NULL,
               refused ? refused : result->error);
        return;
    }
    int r = ceilings_parse(json_object_get(result->json, "ceilings"), &ceilings, &err);
    finish(m, r, r == 0 ? &ceilings : NULL, r == 0 ? NULL : err_text(&err));
}

static void on_compiled(void *ud, int code, const struct image *image, const char *error)
{
    struct measuring *m = ud;
    if (code < 0 || !image->ok) {
        finish(m, code < 0 ? code : ERR_ENVIRONMENT, NULL, code < 0 ? error : image->log);
        return;
    }
    pool_submit(m->ev->device_pool, xstrdup("{\"kind\":\"ceilings\"}"), image->bytes, image->len,
                MEASURE_MS, on_measured, m);
}

void evaluator_measure_ceilings(struct evaluator *ev, ceilings_cb done, void *ud)
{
    struct measuring *m = xcalloc(1, sizeof(*m));
    *m = (struct measuring) { ev, done, ud };
    struct compile_request request = { .name = "peaks.cu", .source = peaks_source(),
                                       .deadline_ms = COMPILE_MS };
    compiler_get(ev->compiler, &request, on_compiled, m);
}

void evaluator_set_ceilings(struct evaluator *ev, const struct ceilings *ceilings)
{
    ev->device.ceilings = *ceilings;
    ev->device.has_ceilings = true;
}
