/* SPDX-License-Identifier: MIT */
/* What the simulator counted and modelled, under the names that a GPU's counters have. */
#include "base/util.h"
#include "evaluator/sim/warpsim.h"
#include "evaluator/worker/profile.h"

enum { SAMPLED_BLOCKS = 64 }; /* as where it is timed */

/* How long a part would be busy by itself, of the time that the launch takes. */
static double share(const struct warpsim_counters *w, enum warpsim_bound bound)
{
    return w->time_ns > 0 ? 100 * w->bound_ns[bound] / w->time_ns : 0;
}

static void set_shares(const struct warpsim_counters *w, struct counters *c)
{
    static const struct {
        enum counter counter;
        enum warpsim_bound bound;
        bool memory;
    } parts[] = {
        { COUNTER_DRAM, WARPSIM_BOUND_DRAM, true },     { COUNTER_L2, WARPSIM_BOUND_L2, true },
        { COUNTER_L1, WARPSIM_BOUND_SHARED, true },     { COUNTER_LSU, WARPSIM_BOUND_LSU, true },
        { COUNTER_TENSOR, WARPSIM_BOUND_TENSOR, false }, { COUNTER_FMA, WARPSIM_BOUND_FMA, false },
        { COUNTER_ALU, WARPSIM_BOUND_ALU, false },      { COUNTER_FP64, WARPSIM_BOUND_F64, false },
        { COUNTER_XU, WARPSIM_BOUND_SFU, false },       { COUNTER_ISSUE, WARPSIM_BOUND_ISSUE, false },
    };
    double compute = 0, memory = 0;
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        double value = share(w, parts[i].bound);
        counters_set(c, parts[i].counter, value);
        memory = parts[i].memory ? MAX(memory, value) : memory;
        compute = parts[i].memory ? compute : MAX(compute, value);
    }
    counters_set(c, COUNTER_COMPUTE, compute);
    counters_set(c, COUNTER_MEMORY, memory);
}

static void translate(const struct warpsim_counters *w, struct counters *c)
{
    *c = (struct counters) { 0 };
    counters_set(c, COUNTER_TIME, w->time_ns * 1e-3);
    counters_set(c, COUNTER_DRAM_READ, w->dram_read_bytes);
    counters_set(c, COUNTER_DRAM_WRITE, w->dram_write_bytes);
    counters_set(c, COUNTER_L1_HIT, 100 * w->l1_hit);
    counters_set(c, COUNTER_LOAD_SECTORS, w->load_sectors);
    counters_set(c, COUNTER_STORE_SECTORS, w->store_sectors);
    counters_set(c, COUNTER_SHARED_WAVEFRONTS, w->shared_wavefronts);
    counters_set(c, COUNTER_SHARED_CONFLICTS, w->shared_conflicts);
    counters_set(c, COUNTER_INSTRUCTIONS, w->warp_insts);
    counters_set(c, COUNTER_OCCUPANCY, 100 * w->occupancy);
    set_shares(w, c);
}

/* Launch by launch, because the simulator tells of the last one alone. */
static int run_each(struct gpu *gpu, struct program *program, struct counters *sum,
                    struct cupti_kernels *kernels, struct err *err)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < program->n_launches; i++) {
        struct program one = *program;
        one.launches = program->launches + i;
        one.n_launches = 1;
        r = program_run(&one, err);
        r = r < 0 ? r : gpu_finish(gpu, "running the kernels", err);
        struct warpsim_counters counted;
        struct counters kernel;
        if (r == 0 && one.launches->function && gpu->cu.warpsim_counters(&counted) == 0) {
            translate(&counted, &kernel);
            counters_add(sum, &kernel);
            if (kernels->n < CUPTI_KERNELS_MAX) {
                kernels->us[kernels->n++] = counters_get(&kernel, COUNTER_TIME);
            }
        }
    }
    return r;
}

int profile_modelled(struct gpu *gpu, struct program *program, struct counters *ret,
                     struct cupti_kernels *ret_kernels, struct err *err)
{
    const struct cuda_api *cu = &gpu->cu;
    struct counters sum = { 0 };
    struct cupti_kernels kernels = { 0 };
    if (!cu->warpsim_counters || !cu->warpsim_checks) {
        return err_set(err, ERR_UNSUPPORTED, "this simulator doesn't tell its counters");
    }
    cu->warpsim_sample_blocks(SAMPLED_BLOCKS);
    cu->warpsim_checks(0);
    int r = run_each(gpu, program, &sum, &kernels, err);
    cu->warpsim_sample_blocks(0);
    if (r == 0) {
        *ret = sum;
        *ret_kernels = kernels;
    }
    return r;
}
