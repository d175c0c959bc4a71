/* SPDX-License-Identifier: MIT */
/* How KernelBench and KernelBench-Verified take time: events around one run, the mean of a hundred. */
#include "base/util.h"
#include "evaluator/worker/protocol.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { WARM_UPS = 3 };
static const size_t flush_bytes = 256 << 20; /* KernelBench's, for every GPU */
static const uint64_t hold_ns = 2000000000;

struct clock {
    struct protocol *protocol;
    struct slab *flush; /* NULL: none */
    CUevent start, stop;
};

static int open_clock(struct clock *c, bool flush)
{
    struct judge *j = c->protocol->judge;
    const struct cuda_api *cu = &j->gpu->cu;
    int r = flush ? slab_take(j->slabs, flush_bytes, &c->flush, &j->err) : 0;
    r = r < 0 ? r : gpu_check(j->gpu, cu->cuEventCreate(&c->start, CU_EVENT_DEFAULT), "cuEventCreate", &j->err);
    return r < 0 ? r : gpu_check(j->gpu, cu->cuEventCreate(&c->stop, CU_EVENT_DEFAULT), "cuEventCreate",
                                 &j->err);
}

static void close_clock(struct clock *c)
{
    const struct gpu *gpu = c->protocol->judge->gpu;
    slab_give(c->flush);
    if (c->start && !gpu->broken) {
        gpu->cu.cuEventDestroy(c->start);
    }
    if (c->stop && !gpu->broken) {
        gpu->cu.cuEventDestroy(c->stop);
    }
}

static int record(struct clock *c, CUevent event)
{
    struct judge *j = c->protocol->judge;
    return gpu_check(j->gpu, j->gpu->cu.cuEventRecord(event, j->gpu->stream), "cuEventRecord", &j->err);
}

/* What the run starts behind: the flush, or a wait until everything is queued. */
static int before(struct clock *c)
{
    struct judge *j = c->protocol->judge;
    return c->flush
        ? gpu_check(j->gpu, j->gpu->cu.cuMemsetD32Async(c->flush->base, 42, flush_bytes / 4, j->gpu->stream),
                    "flushing the L2", &j->err)
        : gate_hold(j->gate, hold_ns, &j->err);
}

static int sample(struct clock *c, double *ret_us)
{
    struct judge *j = c->protocol->judge;
    float ms = 0;
    int r = before(c);
    r = r < 0 ? r : record(c, c->start);
    r = r < 0 ? r : protocol_launch(c->protocol);
    int after = record(c, c->stop);
    gate_release(j->gate);
    r = r < 0 ? r : after;
    r = r < 0 ? r : gpu_finish(j->gpu, "running the kernels", &j->err);
    r = r < 0 ? r : gpu_check(j->gpu, j->gpu->cu.cuEventElapsedTime(&ms, c->start, c->stop),
                              "cuEventElapsedTime", &j->err);
    if (r == 0) {
        *ret_us = (double)ms * 1e3;
    }
    return r;
}

static int take(struct clock *c, struct rule *rule, size_t discarded)
{
    struct judge *j = c->protocol->judge;
    int r = 0;
    for (int i = 0; r == 0 && i < WARM_UPS; i++) {
        r = protocol_launch(c->protocol);
        r = r < 0 ? r : gpu_finish(j->gpu, "running the kernels", &j->err);
    }
    for (size_t i = 0; r == 0 && i < discarded + PROTOCOL_TRIALS; i++) {
        double us = 0;
        r = sample(c, &us);
        if (r == 0 && i >= discarded) {
            rule->us[rule->n++] = us;
        }
    }
    return r;
}

int protocol_time(struct protocol *p, struct rule *rule)
{
    bool kb = rule == &p->kb;
    struct clock c = { .protocol = p };
    judge_phase(p->judge, "time", p->one, 0);
    int r = open_clock(&c, kb);
    r = r < 0 ? r : take(&c, rule, kb ? 1 : 0);
    close_clock(&c);
    return r < 0 ? judge_failed(p->judge, "the candidate", r) : 0;
}

static json_t *rounded(double us)
{
    char text[64];
    snprintf(text, sizeof(text), "%.3g", us * 1e-3);
    return json_real(strtod(text, NULL) * 1e3);
}

void protocol_statistics(const double *us, size_t n, json_t *to)
{
    double sum = 0, square = 0, least = INFINITY, most = 0;
    for (size_t i = 0; i < n; i++) {
        sum += us[i];
        least = MIN(least, us[i]);
        most = MAX(most, us[i]);
    }
    for (size_t i = 0; i < n; i++) {
        square += (us[i] - sum / (double)n) * (us[i] - sum / (double)n);
    }
    if (n > 0) {
        json_object_set_new(to, "mean_us", rounded(sum / (double)n));
        json_object_set_new(to, "std_us", rounded(sqrt(square / (double)n)));
        json_object_set_new(to, "min_us", rounded(least));
        json_object_set_new(to, "max_us", rounded(most));
    }
    json_object_set_new(to, "n", json_integer((json_int_t)n));
}
