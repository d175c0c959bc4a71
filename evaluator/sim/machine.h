#pragma once
/* SPDX-License-Identifier: MIT */
/* What the time model and the device attributes know about a GPU: one table of numbers for each
 * machine, in machine.c, each with where it comes from. Rates are per SM and per SM clock cycle
 * unless the name says otherwise; a lane is one thread's share of a warp instruction; a sector is
 * 32 bytes.
 *
 * "CPG" in machine.c is NVIDIA's CUDA C++ Programming Guide (arithmetic throughput and compute
 * capability tables), "spec" the product's data sheet, "measured" this project's own measurement on
 * an H200, "fit" a number chosen so that the model meets such measurements. */
#include <stdint.h>

#include "evaluator/sim/exec_counts.h"

enum machine_tensor {
    MACHINE_TENSOR_F16, /* and bf16 */
    MACHINE_TENSOR_TF32,
    MACHINE_TENSOR_F64,
    MACHINE_TENSOR_INT8, /* and fp8 */
    MACHINE_TENSOR_WG_F16, /* through wgmma */
    MACHINE_TENSOR_WG_TF32,
    MACHINE_TENSOR_KINDS
};

struct machine {
    const char *key, *name;
    unsigned cc_major, cc_minor;
    unsigned sms;
    double clock_hz; /* SM boost clock, at which the model runs */
    unsigned mem_clock_khz, mem_bus_bits;
    uint64_t memory; /* bytes */
    uint64_t l2;     /* bytes, as reported */

    /* limits */
    unsigned sm_threads, sm_blocks, sm_regs, sm_shared;
    unsigned block_regs, block_shared, block_shared_optin, block_shared_reserved;
    unsigned reg_unit;    /* registers are given to a warp in units of so many */
    unsigned shared_unit; /* shared memory is given to a block in units of so many bytes */

    /* throughput of an SM */
    double issue;    /* warp instructions */
    double fma;      /* lanes of f32 and packed half arithmetic, integer multiplication */
    double alu;      /* lanes of 32-bit integer addition, logic, comparison */
    double f64, sfu; /* lanes */
    double lsu;      /* lanes of loads, stores, atomics and shuffles */
    double barrier;  /* warps that arrive at a barrier */
    double tensor[MACHINE_TENSOR_KINDS]; /* FLOPs through mma.sync, or wgmma */
    double shared_wavefronts, l1_lines;
    double l2_sectors; /* 32-byte sectors between an SM and L2 */

    /* throughput of the whole GPU, by the second */
    double blocks_s;      /* blocks started */
    double l2_bytes_s;    /* L2 in whole lines, read */
    double l2_write_s;    /* and written */
    double l2_requests_s; /* loads of up to a line that L2 answers */
    double l2_partial_s;  /* stores of a part of a sector */
    double atomics_s;     /* requests of a warp to one line; more lines help by their root */
    double dram_read_s, dram_write_s,
        dram_mixed_s;    /* bytes: only read, only written, half and half */
    double host_bytes_s; /* between host and device */

    /* caches: the share that keeps data for reuse */
    double l1_keeps;         /* of an SM's memory left by shared memory */
    double l2_keeps;         /* of `l2`, within a launch */
    double l2_leaves;        /* of `l2`, for the next launch */
    double l2_flushed_dirty; /* of `l2`, written and not yet in DRAM when a timed sequence begins */

    /* latencies, cycles */
    struct exec_latency latency; /* `global` and `global_atomic` are placeholders, see model.c */
    double l2_latency, dram_latency;
    double block_cycles; /* from one block's end on an SM to the first instruction of the next */

    /* time outside the SMs' work, nanoseconds */
    double event_ns;  /* from an event to the first operation behind it */
    double launch_ns; /* a launch in a stream, when launches wait in a queue */
    double graph_ns;  /* the same as a node of a graph, or launched programmatically */
    double cold_ns;   /* until the first bytes come from DRAM: code, parameters, page tables */

    double smooth; /* exponent of the smooth maximum over the bounds */
    double queue,
        queue_blocks; /* how much queues lengthen waits: queue / blocks of an SM ^ queue_blocks */
};

/* By key ("h200", "b200"), or NULL. */
const struct machine *machine_find(const char *key);
/* The keys, comma separated, for messages. */
const char *machine_keys(void);
