/* SPDX-License-Identifier: MIT */
#include "evaluator/profile_class.h"
#include "base/buf.h"
#include "base/util.h"

#include <stdio.h>
#include <string.h>

static const double bound_pct = 60, near_pct = 80;
static const double near_sol = 0.85;  /* of the task's bound: near the limit whatever is busy */
static const double least_sol = 0.7;  /* below, a busy part is busy with what the task doesn't need */
static const double launch_us = 2.5;  /* an empty launch, from one to the next on one stream */
static const double gaps = 0.5;       /* share of a run in which no kernel runs */
static const double scattered = 16;   /* sectors a load: more than 16 bytes a thread ever need */

static const struct unit {
    enum counter counter;
    bool memory;
    const char *name;
} units[] = {
    { COUNTER_DRAM, true, "DRAM" },
    { COUNTER_L2, true, "L2" },
    { COUNTER_L1, true, "L1 and shared memory" },
    { COUNTER_LSU, true, "the load/store pipe" },
    { COUNTER_TENSOR, false, "the tensor cores" },
    { COUNTER_FMA, false, "the f32 pipe" },
    { COUNTER_ALU, false, "the integer pipe" },
    { COUNTER_FP64, false, "the f64 pipe" },
    { COUNTER_XU, false, "the special function pipe" },
    { COUNTER_ISSUE, false, "instruction issue" },
    /* What these two hold besides the above has no counter of its own here. */
    { COUNTER_MEMORY, true, "the memory system" },
    { COUNTER_COMPUTE, false, "the SMs" },
};

/* Of the whole GPU's peak: some are of the SMs that have work, which may be few. */
static double used(const struct counters *c, enum counter counter)
{
    double value = counters_get(c, counter);
    bool active = strstr(counter_metric(counter), "sustained_active") != NULL;
    return active && counters_has(c, COUNTER_SM_ACTIVE)
        ? value * counters_get(c, COUNTER_SM_ACTIVE) / 100
        : value;
}

static const struct unit *busiest(const struct counters *c, bool memory, double *ret)
{
    const struct unit *most = NULL;
    *ret = 0;
    for (size_t i = 0; i < ARRAY_LEN(units); i++) {
        /* A sum's part explains more than the sum, unless it says clearly less. */
        double margin = i >= ARRAY_LEN(units) - 2 ? 5 : 0, value = used(c, units[i].counter);
        if (units[i].memory == memory && value > *ret + margin) {
            most = &units[i];
            *ret = value;
        }
    }
    return most;
}

static void say_traffic(const struct counters *c, const struct profile_facts *f, struct buf *why)
{
    double moved = counters_get(c, COUNTER_DRAM_READ) + counters_get(c, COUNTER_DRAM_WRITE);
    if (f->bytes > 0 && counters_has(c, COUNTER_DRAM_READ)) {
        buf_printf(why, "; DRAM moves %.2fx the bytes that the task needs", moved / f->bytes);
    }
    double requests = counters_get(c, COUNTER_LOAD_REQUESTS);
    double sectors = requests > 0 ? counters_get(c, COUNTER_LOAD_SECTORS) / requests : 0;
    if (sectors > scattered) {
        buf_printf(why, "; a warp's load touches %.0f sectors of 32 bytes (scattered)", sectors);
    }
    double passes = counters_get(c, COUNTER_SHARED_WAVEFRONTS);
    double conflicts = passes > 0 ? 100 * counters_get(c, COUNTER_SHARED_CONFLICTS) / passes : 0;
    if (conflicts > 20) {
        buf_printf(why, "; %.0f %% of the passes through shared memory are bank conflicts",
                   conflicts);
    }
}

/* Why warps wait, if it can be known; being picked or ready isn't waiting. */
static void say_stalls(const struct counters *c, struct buf *why)
{
    double sum = 0;
    enum counter worst = COUNTER_COUNT;
    for (int i = 0; i < COUNTER_COUNT; i++) {
        enum counter k = (enum counter)i;
        if (!counter_is_stall(k) || k == COUNTER_STALL_NOT_SELECTED) {
            continue;
        }
        sum += counters_get(c, k);
        if (worst == COUNTER_COUNT || counters_get(c, k) > counters_get(c, worst)) {
            worst = k;
        }
    }
    if (sum > 0) {
        buf_printf(why, "; warps stall mostly on %s (%.0f %%): %s",
                   counter_name(worst) + strlen("stall_"), 100 * counters_get(c, worst) / sum,
                   counter_says(worst));
    }
}

static void say_filling(const struct counters *c, struct buf *why)
{
    if (counters_has(c, COUNTER_OCCUPANCY)) {
        buf_printf(why, "; %.0f %% of the warps that fit are resident",
                   counters_get(c, COUNTER_OCCUPANCY));
    }
    if (counters_has(c, COUNTER_SM_ACTIVE) && counters_get(c, COUNTER_SM_ACTIVE) < 80) {
        buf_printf(why, "; an SM has work %.0f %% of the time (a small or uneven grid)",
                   counters_get(c, COUNTER_SM_ACTIVE));
    }
}

/* A run made of starts: less than two launches' worth a kernel, or gaps for the most part. */
static bool launches_bound(const struct counters *c, const struct profile_facts *f, struct buf *why)
{
    double n = (double)MAX(f->n_launches, 1), kernels = counters_get(c, COUNTER_TIME);
    if (f->time_us <= 0) {
        return false;
    }
    if (f->time_us < 2 * launch_us * n) {
        buf_printf(why, "%.3g us for %.0f launch%s, where an empty one takes about %.1f us",
                   f->time_us, n, n > 1 ? "es" : "", launch_us);
        return true;
    }
    if (n > 1 && kernels > 0 && kernels < gaps * f->time_us) {
        buf_printf(why, "%.0f kernels run for %.3g us of the %.3g us that a run takes", n, kernels,
                   f->time_us);
        return true;
    }
    return false;
}

static enum bottleneck decide(const struct counters *c, const struct profile_facts *f,
                              struct buf *why)
{
    double memory, compute;
    const struct unit *m = busiest(c, true, &memory), *k = busiest(c, false, &compute);
    if (!m || !k) {
        return BOTTLENECK_NONE;
    }
    if (launches_bound(c, f, why)) {
        return BOTTLENECK_LAUNCH_BOUND;
    }
    bool is_memory = memory >= compute;
    double top = MAX(memory, compute);
    buf_printf(why, "%s at %.0f %% of peak, %s at %.0f %%", is_memory ? m->name : k->name, top,
               is_memory ? k->name : m->name, MIN(memory, compute));
    bool near = top >= near_pct && (f->sol == 0 || f->sol >= least_sol);
    if (near || f->sol >= near_sol) {
        buf_printf(why, "; %.0f %% of the speed of light", 100 * f->sol);
        return BOTTLENECK_NEAR_LIMIT;
    }
    if (top < bound_pct) {
        say_stalls(c, why);
        say_filling(c, why);
        return BOTTLENECK_LATENCY_BOUND;
    }
    if (is_memory) {
        say_traffic(c, f, why);
    }
    return is_memory ? BOTTLENECK_MEMORY_BOUND : BOTTLENECK_COMPUTE_BOUND;
}

enum bottleneck profile_class(const struct counters *c, const struct profile_facts *f,
                              char *ret_why, size_t size)
{
    auto_buf struct buf why;
    buf_init(&why, 2048);
    enum bottleneck result = decide(c, f, &why);
    snprintf(ret_why, size, "%s", why.at ? why.at : "");
    return result;
}
