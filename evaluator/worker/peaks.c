/* SPDX-License-Identifier: MIT */
#include "evaluator/worker/peaks.h"
#include "base/util.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { RUNS = 7, THREADS = 256 };
#define COPY_MOST ((size_t)2 << 30) /* bytes of one of the two buffers */
static const double run_seconds = 4e-3; /* of one run of arithmetic: no time to get hot */

struct peaks {
    struct gpu *gpu;
    CUmodule module;
    CUdeviceptr from, to; /* bytes each */
    CUdeviceptr ops;
    size_t bytes;
    CUevent start, stop;
    struct err *err;
};

static int check(const struct peaks *p, CUresult result, const char *what)
{
    return gpu_check(p->gpu, result, what, p->err);
}

static int open_all(struct peaks *p, const void *image)
{
    const struct cuda_api *cu = &p->gpu->cu;
    size_t free_bytes = 0, total = 0;
    int r = check(p, cu->cuModuleLoadData(&p->module, image), "the module of peaks");
    r = r < 0 ? r : check(p, cu->cuMemGetInfo(&free_bytes, &total), "cuMemGetInfo");
    if (r == 0 && free_bytes / 4 < (size_t)64 << 20) {
        r = err_set(p->err, -ENOMEM, "%zu bytes of device memory are free", free_bytes);
    }
    p->bytes = MIN(COPY_MOST, free_bytes / 4) & ~(size_t)0xfffff;
    r = r < 0 ? r : check(p, cu->cuMemAlloc(&p->from, p->bytes), "cuMemAlloc");
    r = r < 0 ? r : check(p, cu->cuMemAlloc(&p->to, p->bytes), "cuMemAlloc");
    r = r < 0 ? r : check(p, cu->cuMemAlloc(&p->ops, 64), "cuMemAlloc");
    r = r < 0 ? r : check(p, cu->cuEventCreate(&p->start, CU_EVENT_DEFAULT), "cuEventCreate");
    r = r < 0 ? r : check(p, cu->cuEventCreate(&p->stop, CU_EVENT_DEFAULT), "cuEventCreate");
    /* Numbers, since zeros may travel faster. */
    return r < 0 ? r : check(p, cu->cuMemsetD32Async(p->from, 0x3f9d70a4u, p->bytes / 4,
                                                     p->gpu->stream), "filling a buffer");
}

static void close_all(struct peaks *p)
{
    const struct cuda_api *cu = &p->gpu->cu;
    if (p->gpu->broken) {
        return;
    }
    const CUdeviceptr memory[] = { p->from, p->to, p->ops };
    for (size_t i = 0; i < ARRAY_LEN(memory); i++) {
        if (memory[i]) {
            cu->cuMemFree(memory[i]);
        }
    }
    if (p->start) {
        cu->cuEventDestroy(p->start);
    }
    if (p->stop) {
        cu->cuEventDestroy(p->stop);
    }
    if (p->module) {
        cu->cuModuleUnload(p->module);
    }
}

static int launch(struct peaks *p, CUfunction f, unsigned blocks, void **args)
{
    if (f) {
        return gpu_launch(p->gpu, f, blocks, THREADS, 0, args, p->err);
    }
    return check(p, p->gpu->cu.cuMemcpyDtoDAsync(p->to, p->from, p->bytes, p->gpu->stream),
                 "cuMemcpyDtoDAsync");
}

/* Seconds of one launch, or without a function of the driver's own copy. */
static int timed(struct peaks *p, CUfunction f, unsigned blocks, void **args, double *ret)
{
    const struct cuda_api *cu = &p->gpu->cu;
    float ms = 0;
    int r = check(p, cu->cuEventRecord(p->start, p->gpu->stream), "cuEventRecord");
    r = r < 0 ? r : launch(p, f, blocks, args);
    r = r < 0 ? r : check(p, cu->cuEventRecord(p->stop, p->gpu->stream), "cuEventRecord");
    r = r < 0 ? r : gpu_finish(p->gpu, "measuring a ceiling", p->err);
    r = r < 0 ? r : check(p, cu->cuEventElapsedTime(&ms, p->start, p->stop), "cuEventElapsedTime");
    *ret = (double)ms * 1e-3;
    return r;
}

/* The shortest of a few, after one to warm up. */
static int best(struct peaks *p, CUfunction f, unsigned blocks, void **args, double *ret)
{
    double seconds = 0, least = 0;
    int r = timed(p, f, blocks, args, &seconds);
    for (int i = 0; r == 0 && i < RUNS; i++) {
        r = timed(p, f, blocks, args, &seconds);
        least = least > 0 ? MIN(least, seconds) : seconds;
    }
    if (r == 0 && least <= 0) {
        r = err_set(p->err, ERR_DEVICE, "a run took no time");
    }
    *ret = least;
    return r;
}

/* Bytes a second; the best grid differs from chip to chip. */
static int memory(struct peaks *p, const char *name, double bytes, double *ret)
{
    const unsigned sms = (unsigned)p->gpu->sm_count;
    const unsigned grids[] = { 4 * sms, 8 * sms, 16 * sms, 32 * sms };
    CUfunction f = NULL;
    uint64_t n = p->bytes / 16;
    void *args[] = { &p->from, &p->to, &n };
    int r = check(p, p->gpu->cu.cuModuleGetFunction(&f, p->module, name), name);
    for (size_t i = 0; r == 0 && i < ARRAY_LEN(grids); i++) {
        double seconds = 0;
        r = best(p, f, grids[i], args, &seconds);
        *ret = r < 0 ? *ret : MAX(*ret, bytes / seconds);
    }
    return r;
}

/* The best of two ways of ours and the driver's. */
static int copying(struct peaks *p, double *ret)
{
    CUfunction f = NULL;
    uint64_t n = p->bytes / 16;
    void *args[] = { &p->from, &p->to, &n };
    double seconds = 0, driver = 0;
    int r = check(p, p->gpu->cu.cuModuleGetFunction(&f, p->module, "peak_copy"), "peak_copy");
    r = r < 0 ? r : best(p, f, (unsigned)(n / 1024), args, &seconds);
    r = r < 0 ? r : best(p, NULL, 0, NULL, &driver);
    *ret = r < 0 ? *ret : 2 * (double)p->bytes / MIN(seconds, driver);
    return r < 0 ? r : memory(p, "peak_copy_strided", 2 * (double)p->bytes, ret);
}

/* Operations a second; ret_wide says whether wgmma made them. */
static int arithmetic(struct peaks *p, const char *name, unsigned blocks_an_sm, double *ret,
                      bool *ret_wide)
{
    CUfunction f = NULL;
    int rounds = 1;
    uint64_t ops[2] = { 0 };
    void *args[] = { &p->from, &p->ops, &rounds };
    unsigned blocks = (unsigned)p->gpu->sm_count * blocks_an_sm;
    double seconds = 0;
    int r = check(p, p->gpu->cu.cuModuleGetFunction(&f, p->module, name), name);
    /* As many rounds as make a run of the length wanted. */
    while (r == 0 && rounds < 1 << 20) {
        r = timed(p, f, blocks, args, &seconds);
        if (seconds >= run_seconds / 2) {
            break;
        }
        rounds *= seconds < run_seconds / 16 ? 8 : 2;
    }
    r = r < 0 ? r : best(p, f, blocks, args, &seconds);
    r = r < 0 ? r : check(p, p->gpu->cu.cuMemcpyDtoH(ops, p->ops, sizeof(ops)), "cuMemcpyDtoH");
    if (r == 0) {
        *ret = (double)ops[0] * blocks / seconds;
        *ret_wide = ops[1] == 1;
    }
    return r;
}

int peaks_measure(struct gpu *gpu, const void *image, const char *driver, struct ceilings *ret,
                  struct err *err)
{
    struct peaks p = { .gpu = gpu, .err = err };
    struct ceilings c = { 0 };
    bool wide = false, ignored;
    int r = open_all(&p, image);
    r = r < 0 ? r : copying(&p, &c.copy);
    r = r < 0 ? r : memory(&p, "peak_read", (double)p.bytes, &c.read);
    r = r < 0 ? r : arithmetic(&p, "peak_f32", 8, &c.f32, &ignored);
    r = r < 0 ? r : arithmetic(&p, "peak_f16", 1, &c.f16, &wide);
    r = r < 0 ? r : arithmetic(&p, "peak_bf16", 1, &c.bf16, &wide);
    r = r < 0 ? r : arithmetic(&p, "peak_tf32", 1, &c.tf32, &wide);
    close_all(&p);
    if (r == 0) {
        snprintf(c.instruction, sizeof(c.instruction), "%s", wide ? "wgmma" : "mma.sync");
        snprintf(c.driver, sizeof(c.driver), "%s", driver);
        *ret = c;
    }
    return r;
}
