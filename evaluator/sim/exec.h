#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * Executes the blocks of a kernel on the CPU, warp by warp, 32 lanes at a time.
 *
 * An exec_program is a decoded kernel: immutable, shared by all host threads. An exec_scratch holds
 * one block's registers, shared and local memory: one for each host thread, or one for each block
 * of a cooperative launch, whose blocks must take turns. Global memory is a `vmem`, which nobody
 * changes during a launch; global atomics are atomic across host threads.
 *
 * Divergent lanes run as groups, the one at the earliest program point first (blocks are laid out
 * in reverse post-order, so groups meet again at the post-dominator: thread frontiers, Diamos et
 * al. 2011); a group that spins for long gives way to the others, as since Volta.
 *
 * Counts are those of the PTX, weighted into what ptxas makes of it; cycles are modelled.
 */
#include "evaluator/sim/exec_counts.h"
#include "evaluator/sim/ptx.h"

struct vmem;

/* Windows of the generic address space that aren't global memory (all outside vmem's range). */
#define EXEC_SHARED_WINDOW 0x0000010000000000ull
#define EXEC_LOCAL_WINDOW 0x0000020000000000ull
#define EXEC_PARAM_WINDOW 0x0000030000000000ull
#define EXEC_WINDOW_SIZE 0x0000000001000000ull

enum exec_check { /* optional diagnoses; bounds, alignment and protection are always checked */
                  EXEC_CHECK_UNWRITTEN = 1, /* reads of memory nobody wrote */
                  EXEC_CHECK_RACES = 2,     /* shared-memory races between warps */
                  EXEC_CHECK_DIVERGENCE =
                      4 /* a barrier that a warp's lanes reach at different places */
};

enum exec_fault_kind {
    EXEC_FAULT_NONE,
    EXEC_FAULT_ADDRESS, /* out of bounds, unmapped or protected memory */
    EXEC_FAULT_MISALIGNED,
    EXEC_FAULT_UNWRITTEN,
    EXEC_FAULT_RACE,
    EXEC_FAULT_BARRIER, /* deadlock or divergence */
    EXEC_FAULT_TRAP,    /* trap, brkpt */
    EXEC_FAULT_ASSERT,
    EXEC_FAULT_TIMEOUT, /* budget used up, or stopped */
    EXEC_FAULT_ILLEGAL  /* an operand that the instruction forbids at run time */
};

struct exec_fault {
    enum exec_fault_kind kind;
    char text[768]; /* one line with kernel, PTX line, CUDA line, block, thread, address, and why */
    uint32_t ptx_line, cuda_line; /* 0: not known */
    uint32_t block[3], thread[3];
    uint64_t address;
};

struct exec_program;
struct exec_scratch;

struct exec_launch {
    const struct exec_program *program;
    const struct vmem *mem;
    uint32_t grid[3], block[3]; /* blocks, threads */
    const uint8_t *params;      /* program's param_size bytes */
    uint32_t dynamic_shared;    /* bytes */
    unsigned checks;            /* enum exec_check */
    bool profile;               /* fill the memory and cycle figures of exec_counts */
    bool trace;                 /* keep the sectors touched (exec_trace), needs profile */
    uint64_t budget;            /* warp instructions a block may execute; 0: no limit */
    const volatile int *stop;   /* NULL, or non-zero ends the launch with a timeout */
    uint32_t sm_count;          /* for %nsmid and %smid */
    uint64_t grid_workspace;    /* device address of 8 zeroed bytes for a grid's barrier, or 0 */
    const struct exec_latency *latency; /* NULL: exec_latency_default() */
    uint32_t l1_bytes; /* that a block can count on; profiled loads that hit it take latency->l1 */
};

struct exec_program_info {
    uint32_t static_shared, local_bytes; /* a block's, a thread's */
    uint32_t const_bytes;
    uint32_t
        live_regs; /* 32-bit registers live at once: a guess at ptxas's count, without its own */
    uint32_t insns;
    bool uses_grid_sync; /* may wait for other blocks (fences, ordered loads): needs turns */
};

/* Decodes a kernel. Addresses of the module's variables must be set; the module must outlive the
 * program. ERR_UNSUPPORTED names the instruction, the kernel and the PTX line; ERR_INVALID. */
int exec_program_new(const struct ptx_module *module, const struct ptx_kernel *kernel,
                     struct exec_program **ret_program, struct err *err);
void exec_program_free(struct exec_program *program);
void exec_program_info(const struct exec_program *program, struct exec_program_info *ret_info);

/* Scratch for one launch on one host thread; may be prepared again for another launch. ERR_INVALID
 * for a launch that can't be (threads, shared memory), -ENOMEM. */
int exec_scratch_new(struct exec_scratch **ret_scratch);
int exec_scratch_prepare(struct exec_scratch *scratch, const struct exec_launch *launch);
void exec_scratch_free(struct exec_scratch *scratch);

/* Runs one whole block and adds to counts. 0, or ERR_DEVICE and ret_fault is filled. */
int exec_block(struct exec_scratch *scratch, const uint32_t ctaid[3], struct exec_counts *counts,
               struct exec_fault *ret_fault);

/* The same in turns: start, then step (at most about `quantum` warp instructions) until it answers
 * 0; 1 means call again. */
void exec_block_start(struct exec_scratch *scratch, const uint32_t ctaid[3]);
int exec_block_step(struct exec_scratch *scratch, uint64_t quantum, struct exec_counts *counts,
                    struct exec_fault *ret_fault);

/* The sectors (32 bytes) touched since exec_trace_reset, in order, once a request: the address with
 * EXEC_TRACE_* in its low five bits; a load that L1 doesn't answer is a miss. Valid until the
 * scratch runs again. */
enum { EXEC_TRACE_LOAD = 0, EXEC_TRACE_STORE = 1, EXEC_TRACE_ATOMIC = 2, EXEC_TRACE_MISS = 3 };
void exec_trace(const struct exec_scratch *scratch, const uint64_t **ret_sectors, size_t *ret_n);
void exec_trace_reset(struct exec_scratch *scratch);
