/* SPDX-License-Identifier: MIT */
#include "evaluator/sim/launch.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "evaluator/sim/launch_plan.h"
#include "evaluator/sim/threads.h"

#define FULL_PROFILED 64 /* blocks that stand for the time of a launch that runs whole */
/* A sampled launch stops taking blocks at about this many lane instructions (a second or so). */
#define SAMPLE_LANES 250e6
#define SAMPLE_LEAST 6
#define TURN_QUANTUM 4096 /* warp instructions */

struct thread_state {
    struct exec_scratch *plain, *profiled;
    struct trace *trace;
    bool plain_ready, profiled_ready; /* for this launch */
};

struct launcher {
    struct threads *threads;
    struct thread_state *states; /* one for each thread */
};

struct unit_result {
    struct exec_counts counts;
    uint64_t chain_max, lane_insts, blocks;
    struct trace_block *traces; /* unit.n of them, when profiled */
};

struct run { /* one launch */
    const struct launch_request *request;
    struct launcher *launcher;
    struct exec_launch plain, profiled;
    const struct launch_unit *units;
    struct unit_result *results;
    size_t n_units;
    atomic_size_t next;
    atomic_uint_least64_t fault_block; /* the first one that failed; UINT64_MAX: none */
    atomic_int err;
    pthread_mutex_t lock; /* over fault */
    struct exec_fault fault;
};

int launcher_new(struct threads *threads, struct launcher **ret_launcher)
{
    struct launcher *l = xcalloc(1, sizeof(*l));
    l->threads = threads;
    l->states = xcalloc(threads_count(threads), sizeof(*l->states));
    *ret_launcher = l;
    return 0;
}

void launcher_free(struct launcher *l)
{
    if (!l)
        return;
    for (unsigned i = 0; i < threads_count(l->threads); i++) {
        exec_scratch_free(l->states[i].plain);
        exec_scratch_free(l->states[i].profiled);
        trace_free(l->states[i].trace);
    }
    free(l->states);
    free(l);
}

void launch_profile_done(struct launch_profile *p)
{
    free(p->traces);
    free(p->weighs);
    memset(p, 0, sizeof(*p));
}

static void block_at(const uint32_t grid[3], uint64_t index, uint32_t ret_ctaid[3])
{
    ret_ctaid[0] = (uint32_t)(index % grid[0]);
    ret_ctaid[1] = (uint32_t)(index / grid[0] % grid[1]);
    ret_ctaid[2] = (uint32_t)(index / grid[0] / grid[1]);
}

static int ready(struct exec_scratch **scratch, bool *is_ready, const struct exec_launch *launch)
{
    int err = *scratch ? 0 : exec_scratch_new(scratch);
    if (err == 0 && !*is_ready)
        err = exec_scratch_prepare(*scratch, launch);
    *is_ready = err == 0;
    return err;
}

static void note_fault(struct run *run, uint64_t block, const struct exec_fault *fault)
{
    pthread_mutex_lock(&run->lock);
    if (block < run->fault_block) {
        run->fault_block = block;
        run->fault = *fault;
    }
    pthread_mutex_unlock(&run->lock);
}

static int profile_block(struct thread_state *t, uint64_t index, const uint32_t ctaid[3],
                         struct unit_result *r, struct exec_fault *fault)
{
    struct exec_counts counts = {0};
    const uint64_t *sectors;
    size_t n;

    exec_trace_reset(t->profiled);
    int err = exec_block(t->profiled, ctaid, &counts, fault);
    if (err)
        return err;
    struct trace_block *b = &r->traces[r->blocks];
    exec_trace(t->profiled, &sectors, &n);
    trace_block(t->trace, sectors, n, b);
    memcpy(b->ctaid, ctaid, sizeof(b->ctaid));
    b->index = index;
    r->chain_max = MAX(r->chain_max, counts.chain_cycles);
    exec_counts_add(&r->counts, &counts);
    return 0;
}

static int run_unit(struct run *run, struct thread_state *t, size_t i)
{
    const struct launch_unit *unit = &run->units[i];
    struct unit_result *r = &run->results[i];
    struct exec_fault fault = {0};
    int err = unit->profiled ? ready(&t->profiled, &t->profiled_ready, &run->profiled)
                             : ready(&t->plain, &t->plain_ready, &run->plain);
    if (err)
        return err;
    if (unit->profiled) {
        r->traces = xcalloc(unit->n, sizeof(*r->traces));
        trace_begin(t->trace, run->plain.mem);
    }
    for (uint64_t b = unit->first; b < unit->first + unit->n && b < run->fault_block; b++) {
        uint32_t ctaid[3];
        block_at(run->plain.grid, b, ctaid);
        err = unit->profiled ? profile_block(t, b, ctaid, r, &fault)
                             : exec_block(t->plain, ctaid, &r->counts, &fault);
        if (err == ERR_DEVICE)
            note_fault(run, b, &fault);
        if (err)
            return err;
        r->blocks++;
    }
    r->lane_insts = r->counts.lane_insts;
    return 0;
}

static void run_thread(void *arg, unsigned thread)
{
    struct run *run = arg;
    struct thread_state *t = &run->launcher->states[thread];

    for (;;) {
        size_t i = atomic_fetch_add(&run->next, 1);
        if (i >= run->n_units || run->units[i].first > run->fault_block || run->err)
            break;
        int err = run_unit(run, t, i);
        if (err && err != ERR_DEVICE)
            run->err = err;
    }
}

static int run_units(struct run *run, const struct launch_unit *units, size_t n)
{
    run->units = units;
    run->n_units = n;
    run->results = xcalloc(n, sizeof(*run->results));
    run->next = 0;
    if (n == 1)
        run_thread(run, 0);
    else
        threads_run(run->launcher->threads, run_thread, run);
    return run->err ? run->err : run->fault_block != UINT64_MAX ? ERR_DEVICE : 0;
}

static void free_results(struct run *run)
{
    for (size_t i = 0; i < run->n_units; i++)
        free(run->results[i].traces);
    free(run->results);
    run->results = NULL;
    run->n_units = 0;
}

/* Adds the results of the units that ran to the profile, in launch order. */
static void collect(struct run *run, struct launch_profile *p)
{
    size_t more = 0;
    for (size_t i = 0; i < run->n_units; i++)
        more += run->units[i].profiled ? run->results[i].blocks : 0;
    p->traces = xrealloc(p->traces, p->n_traces + more, sizeof(*p->traces));
    p->weighs = xrealloc(p->weighs, p->n_traces + more, sizeof(*p->weighs));
    for (size_t i = 0; i < run->n_units; i++) {
        const struct launch_unit *unit = &run->units[i];
        const struct unit_result *r = &run->results[i];
        p->blocks_run += r->blocks;
        p->lane_insts += r->lane_insts;
        if (!unit->profiled)
            continue;
        for (uint64_t b = 0; b < r->blocks; b++) {
            p->weighs[p->n_traces] = unit->weighs;
            p->traces[p->n_traces++] = r->traces[b];
        }
        p->chain_max = MAX(p->chain_max, r->chain_max);
        if (unit->weighs) {
            exec_counts_add(&p->counts, &r->counts);
            p->weighed += r->blocks;
        }
    }
    free_results(run);
}

static uint32_t group_size(uint64_t want)
{
    return want >= 64 ? TRACE_GROUP : want >= 24 ? 4 : 2;
}

/* Host time in lane instructions: those of tensor instructions count for more. */
static double host_cost(const struct exec_counts *c)
{
    double cost = (double)c->lane_insts;
    for (int i = 0; i < EXEC_TENSOR_COUNT; i++)
        cost += (double)c->tensor_flops[i] / 4;
    return cost;
}

/* Block 0 first: what it costs says how many more are worth their time. */
static int run_sampled(struct run *run, struct launch_profile *p)
{
    const uint32_t *grid = run->plain.grid;
    struct launch_unit *units;
    size_t n;

    launch_plan_sample(grid, 1, 1, &units, &n);
    int err = run_units(run, units, 1);
    double cost = host_cost(&run->results[0].counts);
    collect(run, p);
    free(units);
    if (err || run->request->max_blocks == 1 || p->blocks == 1)
        return err;

    double afford = SAMPLE_LANES / MAX(cost, 1.0);
    uint64_t want = run->request->max_blocks;
    if (afford < (double)want)
        want = MIN(want, (uint64_t)MAX(afford, (double)SAMPLE_LEAST));
    launch_plan_sample(grid, want, group_size(want), &units, &n);
    if (!units[0].weighs) { /* block 0 was only a probe */
        memset(&p->counts, 0, sizeof(p->counts));
        p->weighed = 0;
        p->weighs[0] = false;
    }
    err = run_units(run, units + 1, n - 1);
    collect(run, p);
    free(units);
    return err;
}

static int run_full(struct run *run, struct launch_profile *p)
{
    struct launch_unit *sample, *units;
    size_t n_sample, n;

    launch_plan_sample(run->plain.grid, FULL_PROFILED, group_size(FULL_PROFILED), &sample,
                       &n_sample);
    launch_plan_fill(p->blocks, sample, n_sample, &units, &n);
    int err = run_units(run, units, n);
    collect(run, p);
    free(units);
    free(sample);
    return err;
}

/* All blocks at once on this thread, each a quantum at a time, so that they can wait for each other
 * and still do the same every time. */
static int run_in_turns(struct run *run, struct launch_profile *p)
{
    struct thread_state *t = &run->launcher->states[0];
    size_t n = p->blocks, left = n;
    struct exec_scratch **scratch = xcalloc(n, sizeof(*scratch));
    struct exec_counts *counts = xcalloc(n, sizeof(*counts));
    bool *done = xcalloc(n, sizeof(*done));
    uint32_t ctaid[3];
    int err = 0;

    for (size_t i = 0; i < n && !err; i++) {
        err = exec_scratch_new(&scratch[i]);
        if (!err)
            err = exec_scratch_prepare(scratch[i], &run->profiled);
        block_at(run->plain.grid, i, ctaid);
        if (!err)
            exec_block_start(scratch[i], ctaid);
    }
    while (left && !err) {
        for (size_t i = 0; i < n && err >= 0; i++) {
            if (done[i])
                continue;
            err = exec_block_step(scratch[i], TURN_QUANTUM, &counts[i], &run->fault);
            done[i] = err == 0;
            left -= err == 0;
        }
        err = MIN(err, 0);
    }
    p->traces = xcalloc(n, sizeof(*p->traces));
    p->weighs = xcalloc(n, sizeof(*p->weighs));
    for (size_t i = 0; i < n && !err; i++) {
        const uint64_t *sectors;
        size_t n_sectors;
        if (i % TRACE_GROUP == 0)
            trace_begin(t->trace, run->plain.mem);
        exec_trace(scratch[i], &sectors, &n_sectors);
        trace_block(t->trace, sectors, n_sectors, &p->traces[i]);
        block_at(run->plain.grid, i, p->traces[i].ctaid);
        p->traces[i].index = i;
        p->weighs[i] = true;
        p->chain_max = MAX(p->chain_max, counts[i].chain_cycles);
        p->lane_insts += counts[i].lane_insts;
        exec_counts_add(&p->counts, &counts[i]);
    }
    p->blocks_run = p->weighed = p->n_traces = err ? 0 : n;
    for (size_t i = 0; i < n; i++)
        exec_scratch_free(scratch[i]);
    free(scratch);
    free(counts);
    free(done);
    return err;
}

int launch_run(struct launcher *launcher, const struct launch_request *request,
               struct launch_profile *ret_profile, struct exec_fault *ret_fault)
{
    const uint32_t *grid = request->exec.grid;
    struct launch_profile p = {.blocks = (uint64_t)grid[0] * grid[1] * grid[2]};
    struct run run = {.request = request,
                      .launcher = launcher,
                      .plain = request->exec,
                      .profiled = request->exec,
                      .fault_block = UINT64_MAX,
                      .lock = PTHREAD_MUTEX_INITIALIZER};
    uint64_t start = clock_ns();
    int err = 0;

    run.plain.profile = run.plain.trace = false;
    run.profiled.profile = run.profiled.trace = true;
    for (unsigned i = 0; i < threads_count(launcher->threads) && !err; i++) {
        struct thread_state *t = &launcher->states[i];
        t->plain_ready = t->profiled_ready = false;
        if (!t->trace)
            err = trace_new(&t->trace);
    }
    if (!err)
        err = request->in_turns          ? run_in_turns(&run, &p)
              : request->max_blocks == 0 ? run_full(&run, &p)
                                         : run_sampled(&run, &p);
    p.host_seconds = (double)(clock_ns() - start) * 1e-9;
    pthread_mutex_destroy(&run.lock);
    if (err == ERR_DEVICE)
        *ret_fault = run.fault;
    if (err)
        launch_profile_done(&p);
    else
        *ret_profile = p;
    return err;
}
