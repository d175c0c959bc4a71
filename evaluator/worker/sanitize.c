/* SPDX-License-Identifier: MIT */
#include "evaluator/worker/sanitize.h"
#include "base/util.h"
#include "evaluator/worker/program.h"

/* The simulator's: WARPSIM_CHECK_ALL, and WARPSIM_CHECK_UNWRITTEN, which follows what is written. */
enum { CHECKS_ALL = 7, CHECKS_WRITES = 1 };

static void checks(struct gpu *gpu, bool on)
{
    if (gpu->cu.warpsim_checks) {
        require(gpu->cu.warpsim_checks(on ? CHECKS_ALL : CHECKS_WRITES) == 0);
    }
}

static size_t bytes_of(const struct bound_buffer *b)
{
    return MAX((size_t)b->count * dtype_size(b->dtype), (size_t)1);
}

/* Buffers of their own; an output that shares an input's memory takes its address. */
static int make_buffers(struct gpu *gpu, const struct job_case *one, const struct bound *bound,
                        CUdeviceptr *at, struct err *err)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < bound->n_buffers; i++) {
        if (i >= bound->n_tensors || one->alias[i] < 0) {
            r = gpu_check(gpu, gpu->cu.cuMemAlloc(&at[i], bytes_of(&bound->buffers[i])),
                          "cuMemAlloc", err);
        }
    }
    for (size_t i = 0; r == 0 && i < bound->n_tensors; i++) {
        at[i] = one->alias[i] < 0 ? at[i] : at[one->alias[i]];
    }
    return r;
}

static void free_buffers(struct gpu *gpu, const struct job_case *one, const struct bound *bound,
                         const CUdeviceptr *at)
{
    for (size_t i = 0; i < bound->n_buffers && !gpu->broken; i++) {
        if (at[i] && (i >= bound->n_tensors || one->alias[i] < 0)) {
            gpu->cu.cuMemFree(at[i]);
        }
    }
}

static int fill(const struct sanitize_tools *t, const struct job *job, const struct job_case *one,
                const struct bound *bound, const CUdeviceptr *at, struct err *err)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < bound->n_tensors; i++) {
        if (bound->buffers[i].role != TENSOR_ROLE_OUTPUT) {
            struct gate_key key;
            gate_key_make(job->salt, one->shape, 0, i, &key);
            r = gate_fill(t->gate, at[i], &bound->buffers[i], GATE_MODE_OWN, &key, err);
        }
    }
    return r < 0 ? r : gpu_finish(t->gpu, "filling inputs", err);
}

static int run_case(const struct sanitize_tools *t, const struct job *job,
                    const struct job_case *one, struct arena *arena, struct err *err)
{
    const struct bound *bound = one->candidate.bound;
    CUdeviceptr *at = arena_alloc(arena, bound->n_buffers + 1, sizeof(*at));
    struct program program;
    int r = program_load(&program, t->gpu, &job->images[one->candidate.image], one, bound, arena,
                         err);
    if (r < 0) {
        return r;
    }
    checks(t->gpu, false);
    r = make_buffers(t->gpu, one, bound, at, err);
    r = r < 0 ? r : fill(t, job, one, bound, at, err);
    if (r == 0) {
        checks(t->gpu, true);
        program_point(&program, at);
        r = program.n_prepare ? program_prepare(&program, err) : 0;
        r = r < 0 ? r : program_run(&program, err);
        r = r < 0 ? r : gpu_finish(t->gpu, "running the kernels", err);
        checks(t->gpu, false);
    }
    free_buffers(t->gpu, one, bound, at);
    program_unload(&program);
    return r;
}

json_t *sanitize_run(const struct sanitize_tools *t, const struct job *job, struct arena *arena)
{
    int runs = 0;
    for (size_t i = 0; i < job->n_cases; i++) {
        const struct job_case *one = &job->cases[i];
        struct err err = { 0 };
        /* A tool that watches every access is too slow for the default shape. */
        if (job->n_cases > 1 && str_eq(one->shape, "default")) {
            continue;
        }
        channel_progress(t->channel, "sanitize", one->shape, -1);
        if (run_case(t, job, one, arena, &err) < 0) {
            return json_pack("{s:b,s:s,s:s}", "ok", 0, "error", err_text(&err), "shape",
                             one->shape);
        }
        runs++;
    }
    return json_pack("{s:b,s:i}", "ok", 1, "runs", runs);
}
