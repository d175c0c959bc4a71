/* SPDX-License-Identifier: MIT */
#include "evaluator/profile_class.h"
#include "base/buf.h"
#include "base/util.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const double bound_pct = 60, near_pct = 80;
static const double near_sol = 0.85;  /* of the task's bound: near the limit whatever is busy */
static const double least_sol = 0.7;  /* below, a busy part is busy with what the task doesn't need */
static const double part_of_total = 5; /* points; further off it is another part */
static const double launch_us = 2.5;  /* an empty launch, from one to the next on one stream */
static const double gaps = 0.5;       /* share of a run in which no kernel runs */
static const double worth_saying = 20; /* per cent of DRAM's peak, or of shared memory's passes */
static const double scattered = 16;   /* sectors a load: more than 16 bytes a thread ever need */

/* The parts that the two totals are made of, and whether a busy one means a memory-bound kernel. */
static const struct part {
    enum counter counter;
    const char *name;
    bool of_memory, memory;
} parts[] = {
    { COUNTER_DRAM, "DRAM", true, true },
    { COUNTER_L1, "L1 and shared memory", true, true },
    { COUNTER_L2, "L2", true, true },
    { COUNTER_TENSOR, "the tensor cores", false, false },
    { COUNTER_FMA, "the f32 pipe", false, false },
    { COUNTER_ALU, "the integer pipe", false, false },
    { COUNTER_FP64, "the f64 pipe", false, false },
    { COUNTER_XU, "the special function pipe", false, false },
    { COUNTER_LSU, "the load/store pipe", false, true },
    { COUNTER_ISSUE, "instruction issue", false, false },
};

struct busy {
    const char *name; /* NULL: not known */
    double pct;
    bool memory;
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

/* How busy the memory system or the SMs are, and with what: the part nearest to the total, for the
 * total is the largest of its parts (some of which have no counter here). */
static struct busy busiest(const struct counters *c, bool of_memory)
{
    enum counter all = of_memory ? COUNTER_MEMORY : COUNTER_COMPUTE;
    bool known = counters_has(c, all);
    double total = counters_get(c, all), nearest = part_of_total;
    struct busy busy = { .memory = of_memory };
    if (known) {
        busy = (struct busy) { of_memory ? "the memory system" : "the SMs", total, of_memory };
    }
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        double value = used(c, parts[i].counter), away = fabs(total - value);
        bool better = known ? away < nearest : value > busy.pct;
        if (parts[i].of_memory == of_memory && counters_has(c, parts[i].counter) && better) {
            busy = (struct busy) { parts[i].name, known ? total : value, parts[i].memory };
            nearest = away;
        }
    }
    return busy;
}

static void say_traffic(const struct counters *c, const struct profile_facts *f, struct buf *why)
{
    double moved = counters_get(c, COUNTER_DRAM_READ) + counters_get(c, COUNTER_DRAM_WRITE);
    if (f->bytes > 0 && moved > 0 && counters_get(c, COUNTER_DRAM) >= worth_saying) {
        buf_printf(why, "; DRAM moves %.2fx the bytes that the task needs", moved / f->bytes);
    }
    double requests = counters_get(c, COUNTER_LOAD_REQUESTS);
    double sectors = requests > 0 ? counters_get(c, COUNTER_LOAD_SECTORS) / requests : 0;
    if (sectors > scattered) {
        buf_printf(why, "; a warp's load touches %.0f sectors of 32 bytes (scattered)", sectors);
    }
    double passes = counters_get(c, COUNTER_SHARED_WAVEFRONTS);
    double conflicts = passes > 0 ? 100 * counters_get(c, COUNTER_SHARED_CONFLICTS) / passes : 0;
    if (conflicts > worth_saying) {
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
    struct busy m = busiest(c, true), k = busiest(c, false);
    if (!m.name || !k.name) {
        return BOTTLENECK_NONE;
    }
    if (launches_bound(c, f, why)) {
        return BOTTLENECK_LAUNCH_BOUND;
    }
    const struct busy *top = m.pct >= k.pct ? &m : &k, *other = top == &m ? &k : &m;
    buf_printf(why, "%s at %.0f %% of peak, %s at %.0f %%", top->name, top->pct, other->name,
               other->pct);
    bool near = top->pct >= near_pct && (f->sol == 0 || f->sol >= least_sol);
    if (near || f->sol >= near_sol) {
        buf_printf(why, "; %.0f %% of the speed of light", 100 * f->sol);
        return BOTTLENECK_NEAR_LIMIT;
    }
    if (top->pct < bound_pct) {
        say_stalls(c, why);
        say_filling(c, why);
        return BOTTLENECK_LATENCY_BOUND;
    }
    if (top->memory) {
        say_traffic(c, f, why);
    }
    return top->memory ? BOTTLENECK_MEMORY_BOUND : BOTTLENECK_COMPUTE_BOUND;
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
