/* SPDX-License-Identifier: MIT */
#include "evaluator/worker/copy.h"
#include "base/util.h"

#include <string.h>

#define HOLD_NS 2000000000ull

struct copy {
    struct gpu *gpu;
    struct gate *gate;
    struct slab *from, *to, *flush;
    CUevent start, stop;
    size_t half;
    struct err *err;
};

/* The same preparation as for a candidate's sample: persisting lines reset, twice the L2 written. */
static int sample(struct copy *c, double *ret_us)
{
    const struct cuda_api *cu = &c->gpu->cu;
    int r = cu->cuCtxResetPersistingL2Cache
        ? gpu_check(c->gpu, cu->cuCtxResetPersistingL2Cache(), "resetting the L2", c->err)
        : 0;
    r = r < 0 ? r : gpu_check(c->gpu, cu->cuMemsetD32Async(c->flush->base, 0, c->flush->size / 4,
                                                           c->gpu->stream),
                              "flushing the L2", c->err);
    r = r < 0 ? r : gate_hold(c->gate, HOLD_NS, c->err);
    if (r < 0) {
        return r;
    }
    r = gpu_check(c->gpu, cu->cuEventRecord(c->start, c->gpu->stream), "cuEventRecord", c->err);
    r = r < 0 ? r : gpu_check(c->gpu, cu->cuMemcpyDtoDAsync(c->to->base, c->from->base, c->half,
                                                            c->gpu->stream),
                              "cuMemcpyDtoDAsync", c->err);
    int after = gpu_check(c->gpu, cu->cuEventRecord(c->stop, c->gpu->stream), "cuEventRecord",
                          c->err);
    gate_release(c->gate);
    int done = gpu_finish(c->gpu, "copying", c->err);
    r = r < 0 ? r : after < 0 ? after : done;
    float ms = 0;
    r = r < 0 ? r : gpu_check(c->gpu, cu->cuEventElapsedTime(&ms, c->start, c->stop),
                              "cuEventElapsedTime", c->err);
    if (r == 0) {
        *ret_us = (double)ms * 1e3;
    }
    return r;
}

static int take(struct copy *c, struct slabs *slabs)
{
    int r = slab_take(slabs, c->half, &c->from, c->err);
    r = r < 0 ? r : slab_take(slabs, c->half, &c->to, c->err);
    r = r < 0 ? r : slab_take(slabs, MAX(2 * (size_t)c->gpu->l2_bytes, 1 << 20), &c->flush, c->err);
    r = r < 0 ? r : gpu_check(c->gpu, c->gpu->cu.cuEventCreate(&c->start, CU_EVENT_DEFAULT),
                              "cuEventCreate", c->err);
    r = r < 0 ? r : gpu_check(c->gpu, c->gpu->cu.cuEventCreate(&c->stop, CU_EVENT_DEFAULT),
                              "cuEventCreate", c->err);
    /* Numbers, since zeros may travel faster. */
    r = r < 0 ? r : gpu_check(c->gpu, c->gpu->cu.cuMemsetD32Async(c->from->base, 0x3f9d70a4u,
                                                                  c->half / 4, c->gpu->stream),
                              "filling a buffer", c->err);
    return r;
}

int copy_time(struct gpu *gpu, struct slabs *slabs, struct gate *gate, size_t bytes,
              struct interval *ret_us, struct err *err)
{
    struct copy c = { .gpu = gpu, .gate = gate, .half = MAX(bytes / 2, (size_t)4), .err = err };
    double us[COPY_SAMPLES], warm;
    int r = take(&c, slabs);
    r = r < 0 ? r : sample(&c, &warm);
    for (size_t i = 0; r == 0 && i < COPY_SAMPLES; i++) {
        r = sample(&c, &us[i]);
    }
    if (c.start) {
        gpu->cu.cuEventDestroy(c.start);
    }
    if (c.stop) {
        gpu->cu.cuEventDestroy(c.stop);
    }
    slab_give(c.from);
    slab_give(c.to);
    slab_give(c.flush);
    if (r == 0) {
        stats_median(us, COPY_SAMPLES, STATS_ALPHA_ONE, ret_us);
    }
    return r;
}
