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

enum machine_tensor {
    MACHINE_TENSOR_F16, /* and bf16 */
    MACHINE_TENSOR_TF32,
    MACHINE_TENSOR_F64,
    MACHINE_TENSOR_INT8, /* and fp8 */
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

    /* throughput */
    double issue;           /* warp instructions */
    double fma, half2;      /* lanes; half2 counts instructions on pairs */
    double alu, imad;       /* lanes of 32-bit integer add/logic/compare, and multiply */
    double f64, sfu, cvt64; /* lanes */
    double shuffle,
        uniform; /* lanes of shfl and redux; warp instructions of vote, bar and the like */
    double lsu;  /* lanes of loads, stores and atomics */
    double tensor[MACHINE_TENSOR_KINDS]; /* FLOPs through mma.sync */
    double shared_wavefronts, l1_wavefronts;
    double l2_sectors;   /* 32-byte sectors between an SM and L2 */
    double atomic_lanes; /* global atomics, for the whole GPU */

    /* whole GPU, bytes a second */
    double l2_bytes_s, dram_bytes_s;
    double l2_effective; /* share of `l2` that keeps data for reuse */
    double l1_effective; /* share of an SM's memory left by shared that keeps data for reuse */
    double write_cost;   /* a written DRAM byte costs so many read bytes */

    /* time outside the SMs' work, in nanoseconds */
    double launch_ns;      /* an empty kernel between two events */
    double graph_ns;       /* the same as a node of a graph, or a programmatic launch */
    double memory_ramp_ns; /* until DRAM streams at full rate, and its tail */
    double block_cycles;   /* to start one block on an SM */
    double copy_ns;        /* fixed cost of a memcpy or memset */
    double host_bytes_s;   /* between host and device */

    double smooth; /* exponent of the smooth maximum over the bounds */
};

/* By key ("h200", "b200"), or NULL. */
const struct machine *machine_find(const char *key);
/* The keys, comma separated, for messages. */
const char *machine_keys(void);
