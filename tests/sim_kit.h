#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * Running kernels on the block executor without a driver: CUDA source is compiled by NVRTC, or PTX
 * text taken as it is; buffers are device addresses of a vmem. One kit a test.
 */
#include <stddef.h>
#include <stdint.h>
#include "evaluator/sim/exec.h"
#include "evaluator/sim/vmem.h"

struct sim_kit {
    struct vmem *mem;
    struct ptx_module *module;
    struct exec_counts counts;
    struct exec_fault fault;
    struct err err;
    unsigned checks;
    uint64_t budget;
    uint32_t shared; /* dynamic */
    bool in_turns;   /* all blocks at once, as a cooperative launch has them; few, then */
};

void kit_init(struct sim_kit *kit); /* all checks on */
void kit_done(struct sim_kit *kit);

/* PTX of CUDA source, or NULL and the log on stderr; free() it. */
char *kit_compile(const char *source, const char *arch, const char *const *options, int n);
/* Loads PTX; 0 or the parser's code. Replaces the module before. */
int kit_load(struct sim_kit *kit, const char *ptx);
/* Compiles and loads; fails the test if that fails. */
void kit_cuda(struct sim_kit *kit, const char *source, const char *arch);

uint64_t kit_buffer(struct sim_kit *kit, const void *bytes, size_t n); /* bytes NULL: unwritten */
void kit_read(struct sim_kit *kit, uint64_t addr, void *bytes, size_t n);

/* Runs a whole grid. Arguments are 8 bytes each and cut to the kernel's parameters. 0, or what
 * decoding or the executor answered (err or fault says more). */
int kit_run(struct sim_kit *kit, const char *kernel, const uint32_t grid[3],
            const uint32_t block[3], const uint64_t *args);
/* The same in one dimension. */
int kit_run1(struct sim_kit *kit, const char *kernel, uint32_t grid, uint32_t block,
             const uint64_t *args);
/* With the parameters' bytes as they are. */
int kit_run_raw(struct sim_kit *kit, const char *kernel, const uint32_t grid[3],
                const uint32_t block[3], const void *params, size_t n);
uint64_t kit_float(float f); /* a float as an argument */
