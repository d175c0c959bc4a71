#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * The hardware counters that a verdict may carry: our name, unit, the metric behind it (as Nsight
 * Compute and CUPTI name it), and what it says. Which of them are known differs by chip and driver,
 * so a set has a mark for each value; what isn't marked isn't known.
 *
 * The values are of all kernels of one run of a plan. A count is their sum; a share, ratio or
 * average is weighted by how long each kernel took. The simulator gives those that it models, and
 * they are modelled figures then, as its times are.
 */
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define COUNTER_ACTIVE ".avg.pct_of_peak_sustained_active"
#define COUNTER_ELAPSED ".avg.pct_of_peak_sustained_elapsed"

/* X(enum, name, unit, scale from the metric to the unit, metric, what it says) */
#define COUNTER_LIST(X)                                                                            \
    X(TIME, "time_us", "us", 1e-3, "gpu__time_duration.sum", "kernels' time, apart from each other")\
    X(COMPUTE, "compute_pct", "%", 1, "sm__throughput" COUNTER_ELAPSED, "busiest part of the SMs") \
    X(MEMORY, "memory_pct", "%", 1, "gpu__compute_memory_throughput" COUNTER_ELAPSED,              \
      "busiest part of the memory system")                                                         \
    X(DRAM, "dram_pct", "%", 1, "dram__throughput" COUNTER_ELAPSED, "DRAM throughput of peak")     \
    X(DRAM_READ, "dram_read_bytes", "B", 1, "dram__bytes_read.sum", "bytes read from DRAM")        \
    X(DRAM_WRITE, "dram_write_bytes", "B", 1, "dram__bytes_write.sum", "bytes written to DRAM")    \
    X(L2, "l2_pct", "%", 1, "lts__throughput" COUNTER_ELAPSED, "L2 throughput of peak")            \
    X(L2_HIT, "l2_hit_pct", "%", 1, "lts__t_sector_hit_rate.pct", "sectors found in L2")           \
    X(L1, "l1_pct", "%", 1, "l1tex__throughput" COUNTER_ACTIVE, "L1 and shared memory, of peak")   \
    X(L1_HIT, "l1_hit_pct", "%", 1, "l1tex__t_sector_hit_rate.pct", "sectors found in L1")         \
    X(LOAD_SECTORS, "load_sectors", "", 1, "l1tex__t_sectors_pipe_lsu_mem_global_op_ld.sum",       \
      "sectors of 32 bytes that global loads touched")                                             \
    X(LOAD_REQUESTS, "load_requests", "", 1, "l1tex__t_requests_pipe_lsu_mem_global_op_ld.sum",    \
      "warps' global loads")                                                                       \
    X(STORE_SECTORS, "store_sectors", "", 1, "l1tex__t_sectors_pipe_lsu_mem_global_op_st.sum",     \
      "sectors of 32 bytes that global stores touched")                                            \
    X(STORE_REQUESTS, "store_requests", "", 1, "l1tex__t_requests_pipe_lsu_mem_global_op_st.sum",  \
      "warps' global stores")                                                                      \
    X(SHARED_WAVEFRONTS, "shared_wavefronts", "", 1,                                               \
      "l1tex__data_pipe_lsu_wavefronts_mem_shared.sum", "passes through shared memory")            \
    X(SHARED_CONFLICTS, "shared_conflicts", "", 1,                                                 \
      "l1tex__data_bank_conflicts_pipe_lsu_mem_shared.sum", "of these, what conflicts added")      \
    X(TENSOR, "tensor_pct", "%", 1, "sm__pipe_tensor_cycles_active" COUNTER_ACTIVE, "tensor cores busy")\
    X(FMA, "fma_pct", "%", 1, "sm__pipe_fma_cycles_active" COUNTER_ACTIVE, "f32 multiply-add pipe busy")\
    X(ALU, "alu_pct", "%", 1, "sm__pipe_alu_cycles_active" COUNTER_ACTIVE, "integer and logic pipe busy")\
    X(FP64, "fp64_pct", "%", 1, "sm__pipe_fp64_cycles_active" COUNTER_ACTIVE, "f64 pipe busy")     \
    X(XU, "xu_pct", "%", 1, "sm__inst_executed_pipe_xu" COUNTER_ACTIVE,                            \
      "special functions and conversions, of peak")                                                \
    X(LSU, "lsu_pct", "%", 1, "sm__inst_executed_pipe_lsu" COUNTER_ACTIVE, "load and store pipe, of peak")\
    X(ISSUE, "issue_pct", "%", 1, "smsp__issue_active" COUNTER_ACTIVE, "cycles with an instruction issued")\
    X(INSTRUCTIONS, "instructions", "", 1, "sm__inst_executed.sum", "warps' instructions")         \
    X(OCCUPANCY, "occupancy_pct", "%", 1, "sm__warps_active" COUNTER_ACTIVE, "resident warps of the most")\
    X(ELIGIBLE, "eligible", "warps", 1, "smsp__warps_eligible.avg.per_cycle_active",               \
      "warps ready to issue, of each scheduler")                                                   \
    X(SM_ACTIVE, "sm_active_pct", "%", 1, "sm__cycles_active" COUNTER_ELAPSED,                     \
      "time with a block on an SM; less: an uneven or small grid")                                 \
    COUNTER_STALLS(X)

/* Warps that wait for each reason, for every instruction issued. */
#define COUNTER_STALL(X, id, why, says)                                                            \
    X(STALL_##id, "stall_" why, "", 1,                                                             \
      "smsp__average_warps_issue_stalled_" why "_per_issue_active.ratio", says)
#define COUNTER_STALLS(X)                                                                          \
    COUNTER_STALL(X, LONG_SCOREBOARD, "long_scoreboard", "waiting for global or local memory")     \
    COUNTER_STALL(X, SHORT_SCOREBOARD, "short_scoreboard",                                         \
                  "waiting for shared memory or special functions")                                \
    COUNTER_STALL(X, BARRIER, "barrier", "waiting at a block's barrier")                           \
    COUNTER_STALL(X, MEMBAR, "membar", "waiting for a memory fence")                               \
    COUNTER_STALL(X, MATH, "math_pipe_throttle", "waiting for a busy arithmetic pipe")             \
    COUNTER_STALL(X, GMMA, "gmma", "waiting for a warpgroup's multiply")                           \
    COUNTER_STALL(X, MIO, "mio_throttle",                                                          \
                  "waiting for the queue to shared memory and special functions")                  \
    COUNTER_STALL(X, LG, "lg_throttle", "waiting for the queue to global memory")                  \
    COUNTER_STALL(X, TEX, "tex_throttle", "waiting for the queue to the texture unit")             \
    COUNTER_STALL(X, WAIT, "wait", "waiting a fixed latency")                                      \
    COUNTER_STALL(X, NOT_SELECTED, "not_selected", "ready, but another warp was issued")           \
    COUNTER_STALL(X, NO_INSTRUCTION, "no_instruction", "waiting for instructions to be fetched")   \
    COUNTER_STALL(X, IMC, "imc_miss", "waiting for a constant")                                    \
    COUNTER_STALL(X, BRANCH, "branch_resolving", "waiting for a branch's target")                  \
    COUNTER_STALL(X, DISPATCH, "dispatch_stall", "held back by the dispatcher")                    \
    COUNTER_STALL(X, DRAIN, "drain", "waiting for stores at the end")                              \
    COUNTER_STALL(X, SLEEPING, "sleeping", "asleep on purpose")

enum counter {
#define X(name, text, unit, scale, metric, says) COUNTER_##name,
    COUNTER_LIST(X)
#undef X
    COUNTER_COUNT
};

struct counters {
    uint64_t known; /* a bit for each value below */
    double value[COUNTER_COUNT];
};

const char *counter_name(enum counter counter);
const char *counter_unit(enum counter counter); /* "" for counts and ratios */
double counter_scale(enum counter counter);
const char *counter_metric(enum counter counter);
const char *counter_says(enum counter counter);
bool counter_is_stall(enum counter counter);
/* Counts add up over the kernels of a run; all else is averaged. */
bool counter_is_sum(enum counter counter);

bool counters_has(const struct counters *counters, enum counter counter);
/* 0 where it isn't known. */
double counters_get(const struct counters *counters, enum counter counter);
/* What isn't finite isn't known. */
void counters_set(struct counters *counters, enum counter counter, double value);
/* Adds the counters of one more kernel; its time must be known, unless it is the only one. */
void counters_add(struct counters *sum, const struct counters *kernel);

/* {"name": value}; NULL where none is known. Names that aren't ours are ignored. */
json_t *counters_json(const struct counters *counters);
void counters_parse(const json_t *object, struct counters *ret);
