/* SPDX-License-Identifier: MIT */
#include "evaluator/sim/machine.h"

#include <stddef.h>
#include <string.h>

static const struct machine machines[] = {
    {
        .key = "h200",
        .name = "Warpsim H200 (simulated)",
        .cc_major = 9,
        .cc_minor = 0,
        .sms = 132,         /* spec */
        .clock_hz = 1980e6, /* spec, boost */
        .mem_clock_khz = 3201000,
        .mem_bus_bits = 6144,
        .memory = 141ull * 1000 * 1000 * 1000,
        .l2 = 60ull << 20,

        /* CPG, cc 9.0 */
        .sm_threads = 2048,
        .sm_blocks = 32,
        .sm_regs = 65536,
        .sm_shared = 228 << 10,
        .block_regs = 65536,
        .block_shared = 48 << 10,
        .block_shared_optin = 227 << 10,
        .block_shared_reserved = 1 << 10,
        .reg_unit = 256,
        .shared_unit = 128,

        .issue = 4,      /* four schedulers */
        .fma = 128,      /* CPG */
        .alu = 110,      /* measured: 64 by the CPG, but ptxas moves additions to the FMA pipe */
        .f64 = 64,       /* CPG */
        .sfu = 16,       /* CPG, measured */
        .lsu = 32,       /* CPG */
        .barrier = 0.47, /* measured */
        /* measured: mma.sync reaches 0.59 of 989 TFLOP/s (4096 a cycle), wgmma 0.9 */
        .tensor = {4096 * 0.59, 2048 * 0.59, 256, 8192 * 0.59, 4096 * 0.9, 2048 * 0.9},
        .shared_wavefronts = 1, /* measured: 128 bytes */
        .l1_lines = 0.75,       /* measured */
        .l2_sectors = 2,        /* 64 bytes */

        .blocks_s = 1.655e9,     /* measured: a million empty blocks in 604 us */
        .l2_bytes_s = 8.2e12,    /* measured: 16 to 32 MB read again and again */
        .l2_write_s = 4.8e12,    /* measured: filling 4 to 60 MB */
        .l2_requests_s = 110e9,  /* measured: gathered words */
        .l2_partial_s = 66e9,    /* measured: words stored 128 bytes and more apart */
        .atomics_s = 0.42e9,     /* measured */
        .dram_read_s = 4.51e12,  /* measured; spec 4.8e12 */
        .dram_write_s = 4.71e12, /* measured */
        .dram_mixed_s = 4.35e12, /* measured: copies */
        .host_bytes_s = 25e9,    /* pageable memory, PCIe 5 */

        .l1_keeps = 0.8,
        .l2_keeps = 0.68,        /* measured: 40 MB read ten times stay, 64 MB don't */
        .l2_leaves = 0.5,        /* measured: 30 MB written or read are there for the next launch */
        .l2_flushed_dirty = 0.5, /* fit: what reading 4 to 128 MB costs after a flush */

        /* measured: chains of each, less what PTX has more of than the machine's code */
        .latency = {.alu = 4,
                    .fma = 4,
                    .f64 = 8,
                    .sfu = 18,
                    .tensor = 33,
                    .shuffle = 24,
                    .shared = 25,
                    .l1 = 32,
                    .global = 600,
                    .global_atomic = 600,
                    .constant = 8,
                    .barrier = 20},
        .l2_latency = 270,
        .dram_latency = 850, /* measured */
        .block_cycles = 300, /* measured: blocks one by one on an SM */

        .event_ns = 1360,  /* measured: an empty kernel takes 2.66 us, each more 1.3 us */
        .launch_ns = 1300, /* measured */
        .graph_ns = 900,
        .cold_ns = 1000, /* measured */
        .smooth = 4,
        .queue = 0.6, /* fit: copies and sums with 1 to 8 blocks on an SM */
        .queue_blocks = 0.7,
    },
    {
        .key = "b200",
        .name = "Warpsim B200 (simulated)",
        .cc_major = 10,
        .cc_minor = 0,
        .sms = 148,         /* spec */
        .clock_hz = 1965e6, /* spec, boost */
        .mem_clock_khz = 3996000,
        .mem_bus_bits = 8192,
        .memory = 180ull * 1000 * 1000 * 1000,
        .l2 = 126ull << 20,

        /* CPG, cc 10.0. No B200 was measured: what follows the limits is an H200's, or its share of
         * the data sheet's figure. */
        .sm_threads = 2048,
        .sm_blocks = 32,
        .sm_regs = 65536,
        .sm_shared = 228 << 10,
        .block_regs = 65536,
        .block_shared = 48 << 10,
        .block_shared_optin = 227 << 10,
        .block_shared_reserved = 1 << 10,
        .reg_unit = 256,
        .shared_unit = 128,

        .issue = 4,
        .fma = 128,
        .alu = 110,
        .f64 = 64,
        .sfu = 16,
        .lsu = 32,
        .barrier = 0.47,

        .tensor = {4096 * 0.59, 2048 * 0.59, 128, 8192 * 0.59, 4096 * 0.9, 2048 * 0.9},
        .shared_wavefronts = 1,
        .l1_lines = 0.75,
        .l2_sectors = 2,

        .blocks_s = 1.9e9,
        .l2_bytes_s = 12e12,
        .l2_write_s = 8e12,
        .l2_requests_s = 150e9,
        .l2_partial_s = 90e9,
        .atomics_s = 0.42e9,
        .dram_read_s = 7.5e12, /* spec 8e12, and the shares that an H200 reaches */
        .dram_write_s = 7.8e12,
        .dram_mixed_s = 7.2e12,
        .host_bytes_s = 25e9,

        .l1_keeps = 0.8,
        .l2_keeps = 0.68,
        .l2_leaves = 0.5,
        .l2_flushed_dirty = 0.5,

        .latency = {.alu = 4,
                    .fma = 4,
                    .f64 = 8,
                    .sfu = 18,
                    .tensor = 33,
                    .shuffle = 24,
                    .shared = 25,
                    .l1 = 32,
                    .global = 600,
                    .global_atomic = 600,
                    .constant = 8,
                    .barrier = 20},
        .l2_latency = 270,
        .dram_latency = 850,
        .block_cycles = 300,

        .event_ns = 1360,
        .launch_ns = 1300,
        .graph_ns = 900,
        .cold_ns = 1000,
        .smooth = 4,
        .queue = 0.6,
        .queue_blocks = 0.7,
    },
};

const struct machine *machine_find(const char *key)
{
    for (size_t i = 0; i < sizeof(machines) / sizeof(machines[0]); i++)
        if (strcmp(machines[i].key, key) == 0)
            return &machines[i];
    return NULL;
}

const char *machine_keys(void)
{
    return "h200, b200";
}
