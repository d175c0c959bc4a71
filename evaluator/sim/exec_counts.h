#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * What a block did, for the time model. Counts of PTX warp instructions are weighted into estimated
 * machine instructions by pipe (a 64-bit add is two, a move none, a division many).
 *
 * Memory figures are those of one warp request: sectors are the distinct 32-byte pieces it touches,
 * lines the distinct 128-byte lines (tag look-ups), wavefronts the passes through shared memory
 * that bank conflicts make of it (8-byte accesses go by half-warps, 16-byte by quarter-warps).
 *
 * Chain cycles come from a scoreboard for each warp: an instruction issues when its warp's last one
 * has, and when its registers are ready, at fixed latencies. Adding counts is exec_counts_add.
 */
#include <stdint.h>

#define EXEC_PIPES(X)                                                                              \
    X(ALU)    /* integer, logic, comparisons, selection */                                         \
    X(FMA)    /* f32 and packed half arithmetic, integer multiply-add */                           \
    X(F64)                                                                                         \
    X(SFU)    /* MUFU, conversions */                                                              \
    X(TENSOR)                                                                                      \
    X(LSU)    /* loads, stores, atomics, shuffles, ldmatrix */                                     \
    X(CTRL)   /* branches, votes */                                                                \
    X(BAR)
enum exec_pipe {
#define X(name) EXEC_PIPE_##name,
    EXEC_PIPES(X)
#undef X
    EXEC_PIPE_COUNT
};

enum exec_tensor {
    EXEC_TENSOR_F16, /* f16 and bf16 inputs */
    EXEC_TENSOR_TF32,
    EXEC_TENSOR_I8,
    EXEC_TENSOR_F64,
    EXEC_TENSOR_F8,
    EXEC_TENSOR_WG_F16, /* by wgmma, which has a rate of its own */
    EXEC_TENSOR_WG_TF32,
    EXEC_TENSOR_COUNT
};

struct exec_traffic {
    uint64_t requests; /* warp instructions */
    uint64_t sectors, lines, bytes; /* bytes asked for by lanes */
};

struct exec_counts {
    uint64_t blocks, warps;
    uint64_t warp_insts, lane_insts;   /* PTX instructions, and times active lanes */
    double issue[EXEC_PIPE_COUNT];     /* estimated machine warp instructions */
    uint64_t tensor_flops[EXEC_TENSOR_COUNT];
    uint64_t barriers; /* arrivals of warps */
    /* the rest only with exec_launch.profile */
    struct exec_traffic global_load, global_store, global_atomic, async_copy, local;
    uint64_t shared_requests, shared_wavefronts, shared_bytes;
    uint64_t atomic_serial;  /* extra passes of atomics that hit one address */
    uint64_t chain_cycles;   /* of each block's slowest warp, summed over blocks */
    uint64_t chain_memory;   /* the part of it that waits for global memory */
    uint64_t warp_cycles;    /* of all warps, summed */
    uint64_t load_cycles;    /* bytes x cycles in flight of global loads, summed: / warp_cycles is
                                the mean of bytes in flight a warp */
};

struct exec_latency { /* cycles from issue until the result can be used */
    uint16_t alu, fma, f64, sfu, tensor, shuffle, shared, l1, global, global_atomic, constant, barrier;
};

void exec_counts_add(struct exec_counts *to, const struct exec_counts *from);
const struct exec_latency *exec_latency_default(void);
