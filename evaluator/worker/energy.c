/* SPDX-License-Identifier: MIT */
#include "evaluator/worker/energy.h"
#include "base/util.h"

#include <math.h>
#include <time.h>

enum { BATCHES = 2, RUNS_MAX = 1000 };
static const double batch_seconds = 0.02; /* a look at the counter takes up to 4 ms */
static const double look_seconds = 0.01;
static const double watch_seconds = 1;
static const double most_seconds = 3;  /* then what was seen must do */
static const double still_seconds = 2; /* a counter that hasn't moved by then doesn't */

struct watch {
    struct gpu *gpu;
    const struct nvml *nvml;
    int (*run)(void *ud, struct err *err);
    void *ud;
    CUevent ends[BATCHES];
    size_t batch, queued, done; /* runs a batch; batches */
    double start, looked;
    uint64_t millijoules;
    size_t steps; /* of the counter */
    double from, to;         /* when the counter was seen to move: at its second step, at its last */
    uint64_t e_from, e_to;
    double first_end, last_end; /* of batches, and how many ended by then */
    size_t n_first, n_last;
};

static double now(void)
{
    return (double)clock_ns() * 1e-9;
}

/* The first step holds the time before the GPU was busy, so the second is where counting begins. */
static int look(struct watch *w, struct err *err)
{
    double t = now();
    uint64_t millijoules = 0;
    if (t - w->looked < look_seconds) {
        return 0;
    }
    int r = nvml_energy_mj(w->nvml, &millijoules);
    if (r < 0) {
        return err_set(err, ERR_UNSUPPORTED, "NVML doesn't give this GPU's energy");
    }
    w->looked = now();
    if (millijoules != w->millijoules) {
        w->millijoules = millijoules;
        if (++w->steps == 2) {
            w->from = t;
            w->e_from = millijoules;
        }
        w->to = t;
        w->e_to = millijoules;
    }
    return 0;
}

static int queue_batch(struct watch *w, struct err *err)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < w->batch; i++) {
        r = w->run(w->ud, err);
    }
    r = r < 0 ? r : gpu_check(w->gpu, w->gpu->cu.cuEventRecord(w->ends[w->queued % BATCHES],
                                                               w->gpu->stream),
                              "cuEventRecord", err);
    w->queued++;
    return r;
}

/* Waits for the oldest batch, looking at the counter meanwhile. */
static int await_batch(struct watch *w, struct err *err)
{
    CUresult result;
    int r = 0;
    while (r == 0
           && (result = w->gpu->cu.cuEventQuery(w->ends[w->done % BATCHES]))
               == CUDA_ERROR_NOT_READY) {
        r = look(w, err);
        nanosleep(&(struct timespec) { .tv_nsec = 100000 }, NULL);
    }
    r = r < 0 ? r : gpu_check(w->gpu, result, "running the kernels", err);
    r = r < 0 ? r : look(w, err);
    w->done++;
    if (w->steps < 2 || w->n_first == 0) {
        w->first_end = now();
        w->n_first = w->done;
    }
    w->last_end = now();
    w->n_last = w->done;
    return r;
}

static bool enough(const struct watch *w)
{
    bool pace = w->steps >= 2 && w->n_last > w->n_first;
    bool watched = w->steps >= 2 && w->to - w->from >= watch_seconds;
    return pace && (watched || now() - w->start > most_seconds);
}

static int watch(struct watch *w, struct err *err)
{
    int r = nvml_energy_mj(w->nvml, &w->millijoules);
    if (r < 0) {
        return err_set(err, ERR_UNSUPPORTED, "NVML doesn't give this GPU's energy");
    }
    w->start = now();
    for (int i = 0; r == 0 && i < BATCHES; i++) {
        r = queue_batch(w, err);
    }
    while (r == 0 && !enough(w)) {
        if (w->steps == 0 && w->done > 0 && now() - w->start > still_seconds) {
            r = err_set(err, ERR_UNSUPPORTED, "the GPU's energy counter stands still");
            break;
        }
        r = await_batch(w, err);
        r = r < 0 ? r : queue_batch(w, err);
    }
    int finished = gpu_finish(w->gpu, "running the kernels", r < 0 ? NULL : err);
    return r < 0 ? r : finished;
}

/* Once alone, to know how many make a batch. */
static int size_batch(struct watch *w, struct err *err)
{
    double start = now();
    int r = w->run(w->ud, err);
    r = r < 0 ? r : gpu_finish(w->gpu, "running the kernels", err);
    double once = MAX(now() - start, 1e-7);
    w->batch = (size_t)MIN(ceil(batch_seconds / once), RUNS_MAX);
    return r;
}

int energy_measure(struct gpu *gpu, const struct nvml *nvml,
                   int (*run)(void *ud, struct err *err), void *ud, struct energy *ret,
                   struct err *err)
{
    struct watch w = { .gpu = gpu, .nvml = nvml, .run = run, .ud = ud };
    int r = nvml->device ? size_batch(&w, err)
                         : err_set(err, ERR_UNSUPPORTED, "there is no NVML for this GPU");
    for (int i = 0; r == 0 && i < BATCHES; i++) {
        r = gpu_check(gpu, gpu->cu.cuEventCreate(&w.ends[i], CU_EVENT_DISABLE_TIMING),
                      "cuEventCreate", err);
    }
    r = r < 0 ? r : watch(&w, err);
    for (int i = 0; i < BATCHES; i++) {
        if (w.ends[i] && !gpu->broken) {
            gpu->cu.cuEventDestroy(w.ends[i]);
        }
    }
    if (r == 0 && w.to <= w.from) {
        r = err_set(err, ERR_UNSUPPORTED, "the GPU's energy counter moved too seldom");
    }
    if (r < 0) {
        return r;
    }
    double runs = (double)((w.n_last - w.n_first) * w.batch);
    double watts = (double)(w.e_to - w.e_from) * 1e-3 / (w.to - w.from);
    double seconds = (w.last_end - w.first_end) / runs;
    *ret = (struct energy) { .joules = watts * seconds, .watts = watts, .run_us = seconds * 1e6,
                             .seconds = w.to - w.from };
    return 0;
}
