/* SPDX-License-Identifier: MIT */
/* A judge job of any bytes. What parses points only into its own tables. */
#include "base/jread.h"
#include "base/util.h"
#include "evaluator/worker/job.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_side(const struct job *job, const struct job_case *one,
                       const struct job_side *side)
{
    const struct bound *b = side->bound;
    bool empty = b->n_launches + b->n_prepare == 0;
    require(side->image < job->n_images || (side->image == JOB_NO_IMAGE && empty));
    require(side->image != JOB_NO_IMAGE || side != &one->reference || job->problem);
    require(b->n_tensors <= b->n_buffers);
    for (size_t i = 0; i < b->n_launches; i++) {
        const struct bound_launch *l = &b->launches[i];
        if (!l->kernel) {
            require(l->buffer >= 0 && (size_t)l->buffer < b->n_buffers);
        }
        for (size_t k = 0; l->kernel && k < l->n_args; k++) {
            const struct bound_arg *a = &l->args[k];
            size_t limit = a->kind == BOUND_ARG_KIND_BUFFER ? b->n_buffers
                : a->kind == BOUND_ARG_KIND_SCALAR          ? one->n_scalars
                                                            : SIZE_MAX;
            require(limit == SIZE_MAX || (a->value >= 0 && (size_t)a->value < limit));
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    json_t *json = NULL;
    if (jread_parse((const char *)data, size, &json, NULL) < 0) {
        return 0;
    }
    static const char blob[64];
    auto_arena struct arena *arena = arena_new();
    struct job *job = arena_alloc(arena, 1, sizeof(*job));
    struct err err = { 0 };
    if (job_parse(json, blob, sizeof(blob), arena, job, &err) == 0) {
        for (size_t i = 0; i < job->n_cases; i++) {
            check_side(job, &job->cases[i], &job->cases[i].reference);
            check_side(job, &job->cases[i], &job->cases[i].candidate);
        }
    } else {
        require(err.text[0]);
    }
    json_decref(json);
    return 0;
}
