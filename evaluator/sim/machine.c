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

        .issue = 4,    /* four schedulers */
        .fma = 128,    /* CPG */
        .half2 = 128,  /* CPG: 256 f16 results */
        .alu = 64,     /* CPG */
        .imad = 64,    /* CPG */
        .f64 = 64,     /* CPG */
        .sfu = 16,     /* CPG */
        .cvt64 = 16,   /* CPG */
        .shuffle = 32, /* CPG */
        .uniform = 1,  /* fit */
        .lsu = 32,     /* CPG: 32 ld/st units */
        /* spec: 989 TFLOP/s of bf16 are 4096 a cycle through wgmma; mma.sync reaches about 0.62 of
           it */
        .tensor = {4096 * 0.62, 2048 * 0.62, 256, 8192 * 0.62},
        .shared_wavefronts = 1, /* 128 bytes */
        .l1_wavefronts = 1,     /* 128 bytes */
        .l2_sectors = 2,        /* 64 bytes */
        .atomic_lanes = 2400,   /* fit */

        .l2_bytes_s = 7.0e12,    /* fit: 20 MB read warm in 6.3 us (measured) less launch */
        .dram_bytes_s = 4.27e12, /* measured: copy of 4 GiB; spec 4.8 TB/s */
        .l2_effective = 0.6,     /* fit: two partitions, each line may stand in both */
        .l1_effective = 0.8,
        .write_cost = 1.0,

        .launch_ns = 2300, /* fit */
        .graph_ns = 1300,  /* fit */
        .memory_ramp_ns =
            2000,            /* fit: 20 MB cold 11.0 us, copy of 128 MiB at 3.97 TB/s (measured) */
        .block_cycles = 100, /* fit */
        .copy_ns = 2300,
        .host_bytes_s = 25e9, /* pageable, PCIe 5 */
        .smooth = 4,
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

        /* CPG, cc 10.0 */
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
        .half2 = 128,
        .alu = 64,
        .imad = 64,
        .f64 = 64,
        .sfu = 16,
        .cvt64 = 16,
        .shuffle = 32,
        .uniform = 1,
        .lsu = 32,
        /* mma.sync doesn't reach tcgen05's rates; taken as Hopper's, not measured */
        .tensor = {4096 * 0.62, 2048 * 0.62, 128, 8192 * 0.62},
        .shared_wavefronts = 1,
        .l1_wavefronts = 1,
        .l2_sectors = 2,
        .atomic_lanes = 2400,

        .l2_bytes_s = 10e12,
        .dram_bytes_s = 7.1e12, /* spec 8 TB/s times the share that a copy reaches on an H200 */
        .l2_effective = 0.6,
        .l1_effective = 0.8,
        .write_cost = 1.0,

        .launch_ns = 2300,
        .graph_ns = 1300,
        .memory_ramp_ns = 2000,
        .block_cycles = 100,
        .copy_ns = 2300,
        .host_bytes_s = 25e9,
        .smooth = 4,
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
