/* SPDX-License-Identifier: MIT */
/* Blocks: scratch memory, starting a block's warps, taking turns, counts. */
#include "evaluator/sim/exec_parts.h"
#include "base/util.h"

#include <errno.h>
#include <stdlib.h>

enum { SLICE = 8192 }; /* warp instructions before another warp gets its turn */
#define WHOLE (UINT64_MAX / 2) /* a quantum that no block uses up */

int exec_scratch_new(struct exec_scratch **ret_scratch)
{
    *ret_scratch = xcalloc(1, sizeof(struct exec_scratch));
    return 0;
}

void exec_scratch_free(struct exec_scratch *x)
{
    if (!x)
        return;
    for (unsigned i = 0; i < EXEC_MAX_WARPS; i++) {
        free(x->warps[i].copies);
        wgmma_free(&x->warps[i]);
    }
    free(x->memory);
    free(x->sites);
    free(x->block_runs);
    free(x->trace);
    l1_free(x->l1);
    race_free(x->race);
    free(x);
}

static size_t round_up(size_t n)
{
    return (n + 255) / 256 * 256;
}

static uint8_t *carve(uint8_t **at, size_t n)
{
    uint8_t *p = *at;
    *at += round_up(n);
    return p;
}

/* One allocation for everything whose size the program and the launch decide. */
static int carve_memory(struct exec_scratch *x)
{
    const struct exec_program *p = x->program;
    const struct exec_launch *l = x->launch;
    bool shadow = l->checks & EXEC_CHECK_UNWRITTEN;
    size_t preds = p->n_preds * sizeof(uint32_t), local = 32ull * p->local_bytes;
    size_t ready = (p->reg_bytes / 64 + 1) * sizeof(uint64_t), pred_ready = p->n_preds * 8ull;
    size_t warp = round_up(p->reg_bytes) + round_up(preds) + round_up(local) * (shadow ? 2 : 1) +
                  (l->profile ? round_up(ready) + round_up(pred_ready) : 0);
    size_t bytes = warp * x->n_warps + round_up(x->shared_bytes) * 2 + 8 * 256 + 4096;
    if (bytes > x->memory_bytes) {
        free(x->memory);
        x->memory = aligned_alloc(256, round_up(bytes));
        x->memory_bytes = x->memory ? bytes : 0;
        if (!x->memory)
            return -ENOMEM;
    }
    memset(x->memory, 0, bytes);
    uint8_t *at = x->memory;
    x->tmp = carve(&at, 8 * 256);
    x->shared = carve(&at, x->shared_bytes);
    x->shared_shadow = carve(&at, x->shared_bytes);
    if (!shadow)
        x->shared_shadow = NULL;
    for (uint32_t i = 0; i < x->n_warps; i++) {
        struct warp *w = &x->warps[i];
        w->regs = carve(&at, p->reg_bytes);
        w->preds = (uint32_t *)carve(&at, preds);
        w->local = carve(&at, local);
        w->local_shadow = shadow ? carve(&at, local) : NULL;
        w->chain.ready = l->profile ? (uint64_t *)carve(&at, ready) : NULL;
        w->chain.pred_ready = l->profile ? (uint64_t *)carve(&at, pred_ready) : NULL;
    }
    return 0;
}

static int check_launch(struct exec_scratch *x)
{
    const struct exec_launch *l = x->launch;
    uint64_t threads = 1, shared;
    for (unsigned i = 0; i < 3; i++) {
        if (!l->block[i] || !l->grid[i] || l->block[i] > 1024)
            return ERR_INVALID;
        threads *= l->block[i];
    }
    if (threads > 32 * EXEC_MAX_WARPS)
        return ERR_INVALID;
    x->threads = (uint32_t)threads;
    x->n_warps = (x->threads + 31) / 32;
    shared = (x->program->static_shared + 15ull) / 16 * 16 + l->dynamic_shared;
    if (shared > EXEC_WINDOW_SIZE)
        return ERR_INVALID;
    x->shared_bytes = l->dynamic_shared ? (uint32_t)shared : x->program->static_shared;
    return 0;
}

int exec_scratch_prepare(struct exec_scratch *x, const struct exec_launch *launch)
{
    const struct exec_program *p = launch->program;
    x->launch_copy = *launch;
    x->launch = &x->launch_copy;
    x->program = p;
    x->latency = launch->latency ? launch->latency : exec_latency_default();
    int rc = check_launch(x);
    if (rc || (rc = carve_memory(x)))
        return rc;
    free(x->sites);
    free(x->block_runs);
    x->sites = xcalloc(p->n_sites + 1, sizeof(*x->sites));
    x->block_runs = xcalloc(2 * p->n_blocks, sizeof(*x->block_runs));
    x->block_lanes = x->block_runs + p->n_blocks;
    x->started = false;
    return race_prepare(x);
}

static uint32_t special_lane(const struct exec_scratch *x, const struct warp *w, uint32_t what,
                             unsigned lane)
{
    const struct exec_launch *l = x->launch;
    uint32_t t = w->index * 32 + lane;
    switch (what) {
    case SPECIAL_TID_X:
        return t % l->block[0];
    case SPECIAL_TID_Y:
        return t / l->block[0] % l->block[1];
    case SPECIAL_TID_Z:
        return t / l->block[0] / l->block[1];
    case SPECIAL_NTID_X:
    case SPECIAL_NTID_Y:
    case SPECIAL_NTID_Z:
        return l->block[what - SPECIAL_NTID_X];
    case SPECIAL_CTAID_X:
    case SPECIAL_CTAID_Y:
    case SPECIAL_CTAID_Z:
        return x->ctaid[what - SPECIAL_CTAID_X];
    case SPECIAL_NCTAID_X:
    case SPECIAL_NCTAID_Y:
    case SPECIAL_NCTAID_Z:
        return l->grid[what - SPECIAL_NCTAID_X];
    case SPECIAL_LANEID:
        return lane;
    case SPECIAL_WARPID:
        return w->index;
    case SPECIAL_NWARPID:
        return 64;
    case SPECIAL_SMID: /* as if blocks went round the multiprocessors */
        return l->sm_count ? (x->ctaid[0] + x->ctaid[1] * l->grid[0]) % l->sm_count : 0;
    case SPECIAL_NSMID:
        return l->sm_count ? l->sm_count : 1;
    case SPECIAL_LANEMASK_EQ:
        return 1u << lane;
    case SPECIAL_LANEMASK_LE:
        return ALL_LANES >> (31 - lane);
    case SPECIAL_LANEMASK_LT:
        return (1u << lane) - 1;
    case SPECIAL_LANEMASK_GE:
        return ALL_LANES << lane;
    case SPECIAL_LANEMASK_GT:
        return (ALL_LANES << lane) & ~(1u << lane);
    case SPECIAL_DYNAMIC_SMEM:
        return l->dynamic_shared;
    case SPECIAL_TOTAL_SMEM:
        return x->shared_bytes;
    case SPECIAL_ONE:
        return 1;
    case SPECIAL_ENVREG1:
        return (uint32_t)(l->grid_workspace >> 32);
    case SPECIAL_ENVREG2:
        return (uint32_t)l->grid_workspace;
    default:
        return 0;
    }
}

static void start_warp(struct exec_scratch *x, uint32_t index)
{
    const struct exec_program *p = x->program;
    struct warp *w = &x->warps[index];
    uint32_t rest = x->threads - index * 32;
    w->index = index;
    w->exists = rest >= 32 ? ALL_LANES : (1u << rest) - 1;
    w->live = w->mask = w->exists;
    w->pc = 0;
    w->n_groups = w->fair = 0;
    w->running = true;
    w->done = w->asks = false;
    w->n_copies = w->copy_group = 0;
    w->n_wgmma = w->wgmma_group = 0;
    w->chain = (struct chain){.ready = w->chain.ready, .pred_ready = w->chain.pred_ready};
    memset(w->barrier_lanes, 0, sizeof(w->barrier_lanes));
    /* registers start the same in every block, and as NaN: what a kernel forgets to set shows */
    memset(w->regs, 0xff, p->reg_bytes);
    memset(w->preds, 0, p->n_preds * sizeof(*w->preds));
    if (w->local_shadow)
        memset(w->local_shadow, 0, 32ull * p->local_bytes);
    if (w->chain.ready) {
        memset(w->chain.ready, 0, (p->reg_bytes / 64 + 1) * sizeof(*w->chain.ready));
        memset(w->chain.pred_ready, 0, p->n_preds * sizeof(*w->chain.pred_ready));
    }
    for (size_t i = 0; i < p->n_specials; i++) {
        uint32_t *d = (uint32_t *)(w->regs + p->specials[i].ref);
        for (unsigned lane = 0; lane < 32; lane++)
            d[lane] = special_lane(x, w, p->specials[i].what, lane);
    }
    group_enter_block(x, w, 0);
}

void exec_block_start(struct exec_scratch *x, const uint32_t ctaid[3])
{
    memcpy(x->ctaid, ctaid, sizeof(x->ctaid));
    x->used = 0;
    x->slice = 0;
    x->next_warp = 0;
    x->barriers_used = 0;
    for (unsigned i = 0; i < BAR_COUNT; i++)
        x->barriers[i] = (struct barrier){.all = true};
    /* what nobody has written is all ones: NaN in every float format */
    memset(x->shared, 0xff, x->shared_bytes);
    if (x->shared_shadow)
        memset(x->shared_shadow, 0, x->shared_bytes);
    if (x->race)
        race_block_start(x);
    if (x->launch->profile)
        profile_block_start(x);
    for (uint32_t i = 0; i < x->n_warps; i++)
        start_warp(x, i);
    x->started = true;
}

static void collect(struct exec_scratch *x, struct exec_counts *counts)
{
    const struct exec_program *p = x->program;
    struct exec_counts *c = &x->counts;
    if (x->launch->profile)
        profile_block_end(x);
    c->blocks++;
    c->warps += x->n_warps;
    for (size_t i = 0; i < p->n_blocks; i++) {
        uint64_t runs = x->block_runs[i];
        if (!runs)
            continue;
        c->warp_insts += runs * p->blocks[i].n;
        c->lane_insts += x->block_lanes[i] * p->blocks[i].n;
        for (unsigned k = 0; k < EXEC_PIPE_COUNT; k++)
            c->issue[k] += (double)runs * p->blocks[i].issue[k];
        for (unsigned k = 0; k < EXEC_TENSOR_COUNT; k++)
            c->tensor_flops[k] += runs * p->blocks[i].tensor_flops[k];
    }
    memset(x->block_runs, 0, 2 * p->n_blocks * sizeof(*x->block_runs));
    exec_counts_add(counts, c);
    memset(c, 0, sizeof(*c));
}

static int out_of_time(struct exec_scratch *x, const char *why)
{
    const struct warp *w = &x->warps[x->next_warp];
    uint32_t mask = w->mask ? w->mask : 1;
    return fault_at(x, w, w->running ? &x->program->insns[w->pc] : NULL,
                    (unsigned)__builtin_ctz(mask), EXEC_FAULT_TIMEOUT, 0, "%s", why);
}

/* One turn of one warp. 0 if it did something. */
static int turn(struct exec_scratch *x, struct warp *w)
{
    x->slept = false;
    /* Asking again makes no sense before any mbarrier has changed. */
    if (w->asks && w->asked_at == x->mbarrier_updates && !w->n_groups)
        return RUN_WAIT;
    w->asks = false;
    x->slice = SLICE;
    int rc = run_warp(x, w);
    uint64_t ran = (uint64_t)(SLICE - (x->slept ? x->unused : x->slice));
    x->used += ran;
    if (rc == RUN_FAULT)
        return rc;
    if (x->launch->stop && *x->launch->stop)
        return out_of_time(x, "stopped from outside");
    if (x->launch->budget && x->used > x->launch->budget)
        return out_of_time(x, "the block's budget of instructions is used up");
    if (rc == 0)
        group_rotate(x, w);
    return rc;
}

int exec_block_step(struct exec_scratch *x, uint64_t quantum, struct exec_counts *counts,
                    struct exec_fault *ret_fault)
{
    uint64_t until = x->used + quantum;
    uint32_t idle = 0, done = 0;
    for (uint32_t i = 0; i < x->n_warps; i++)
        done += x->warps[i].done;
    while (done < x->n_warps) {
        struct warp *w = &x->warps[x->next_warp];
        if (!w->done) {
            uint64_t before = x->used + x->releases;
            int rc = turn(x, w);
            if (rc == RUN_FAULT)
                goto fault;
            done += w->done;
            idle = rc == RUN_WAIT && x->used + x->releases == before && !w->done ? idle + 1 : 0;
        } else {
            idle++;
        }
        x->next_warp = (x->next_warp + 1) % x->n_warps;
        if (idle > 2 * x->n_warps && done < x->n_warps) {
            barrier_deadlock(x);
            goto fault;
        }
        bool gives_way = x->slept && quantum < WHOLE;
        if ((x->used >= until || gives_way) && done < x->n_warps)
            return 1;
    }
    x->started = false;
    collect(x, counts);
    return 0;
fault:
    x->started = false;
    collect(x, counts);
    *ret_fault = x->fault;
    return ERR_DEVICE;
}

int exec_block(struct exec_scratch *x, const uint32_t ctaid[3], struct exec_counts *counts,
               struct exec_fault *ret_fault)
{
    exec_block_start(x, ctaid);
    return exec_block_step(x, WHOLE, counts, ret_fault);
}

void exec_trace(const struct exec_scratch *x, const uint64_t **ret_sectors, size_t *ret_n)
{
    *ret_sectors = x->trace;
    *ret_n = x->n_trace;
}

void exec_trace_reset(struct exec_scratch *x)
{
    x->n_trace = 0;
}
