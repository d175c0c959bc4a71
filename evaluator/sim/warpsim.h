#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * What libwarpsim.so offers beyond the CUDA Driver API. A program that dlopens it as its libcuda
 * looks these up with dlsym; on a real driver they aren't there, and all it loses is the detail.
 *
 * The simulated device is chosen by the environment before cuInit: WARPSIM_DEVICE (h200, b200) and
 * WARPSIM_THREADS (host threads; default: online processors). Times that events return are
 * modelled, the same on every run and host, and must be labelled so wherever they are shown.
 *
 * Functions return 0, or -1 when there is nothing to say (no launch yet, no fault).
 */
#include <stddef.h>
#include <stdint.h>

enum warpsim_check {
    WARPSIM_CHECK_UNWRITTEN = 1,  /* reads of memory that nobody wrote */
    WARPSIM_CHECK_RACES = 2,      /* shared-memory races between barriers */
    WARPSIM_CHECK_DIVERGENCE = 4, /* barriers that a warp's threads reach at different places */
    WARPSIM_CHECK_ALL = 7
};

enum warpsim_bound { /* what the modelled time of a launch is mostly made of */
                     WARPSIM_BOUND_LAUNCH,
                     WARPSIM_BOUND_BLOCKS, /* starting blocks */
                     WARPSIM_BOUND_LATENCY,
                     WARPSIM_BOUND_ISSUE,
                     WARPSIM_BOUND_ALU,
                     WARPSIM_BOUND_FMA,
                     WARPSIM_BOUND_F64,
                     WARPSIM_BOUND_SFU,
                     WARPSIM_BOUND_TENSOR,
                     WARPSIM_BOUND_LSU,
                     WARPSIM_BOUND_SHARED, /* and L1: they share one data path */
                     WARPSIM_BOUND_ATOMIC,
                     WARPSIM_BOUND_L2,
                     WARPSIM_BOUND_DRAM,
                     WARPSIM_BOUND_COUNT
};

/* The last launch. Counts are of the whole grid: scaled up where only a share of blocks ran. */
struct warpsim_counters {
    uint64_t blocks, blocks_run, blocks_profiled;
    double warp_insts, lane_insts; /* PTX */
    double tensor_flops;
    double load_sectors, store_sectors; /* 32 bytes, as the warps ask for them */
    double l1_hit;                      /* share of load sectors */
    double l2_read_bytes, dram_read_bytes, dram_write_bytes;
    double shared_wavefronts, shared_conflicts; /* passes, and those that conflicts added */
    unsigned registers, shared_bytes, blocks_per_sm;
    double occupancy; /* resident warps over the SM's limit */
    double waves;
    double time_ns;                       /* modelled */
    double bound_ns[WARPSIM_BOUND_COUNT]; /* what each would take alone */
    enum warpsim_bound bound;
    double host_seconds;    /* spent executing */
    double host_lane_insts; /* lane instructions executed in it */
};

/* The text of the last fault or refusal: kernel, PTX line, CUDA line where known, block, thread,
 * address and what lies there; or why a module or launch isn't supported. */
int warpsim_diagnosis(char *buf, size_t n);

/* 0: every block of a launch runs (the default). n: at most n blocks of each launch run, spread
 * over the grid in groups of neighbours, and counts are scaled up; outputs are then incomplete, and
 * reads of unwritten memory and races aren't diagnosed. */
int warpsim_sample_blocks(unsigned max_blocks);

/* Which diagnoses are on (enum warpsim_check); default all. Bounds, alignment and protection are
 * always checked. */
int warpsim_checks(unsigned mask);

/* Ends a running launch as a timeout. Async-signal-safe, callable from any thread. */
int warpsim_stop(void);

int warpsim_counters(struct warpsim_counters *ret_counters);

/* "dram", "l2", ... or NULL. */
const char *warpsim_bound_name(enum warpsim_bound bound);
