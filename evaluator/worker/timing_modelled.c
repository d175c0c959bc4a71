/* SPDX-License-Identifier: MIT */
/*
 * On the simulator time is a function of counts: one run of a sample of blocks says it all. Values
 * don't matter then, so inputs are filled cheaply, and nothing is checked here (the shapes that the
 * simulator can run whole were checked before).
 */
#include "base/id.h"
#include "base/util.h"
#include "evaluator/worker/timing.h"

enum { SAMPLED_BLOCKS = 64 };

static int run_timed(struct timing *t, struct side *side, const CUdeviceptr *at, bool prepare,
                     double *ret_us)
{
    struct judge *j = t->judge;
    struct gpu *gpu = j->gpu;
    float ms = 0;
    program_point(&side->program, at);
    int r = gpu_check(gpu, gpu->cu.cuEventRecord(t->start, gpu->stream), "cuEventRecord", &j->err);
    r = r < 0 ? r : prepare ? program_prepare(&side->program, &j->err)
                            : program_run(&side->program, &j->err);
    r = r < 0 ? r : gpu_check(gpu, gpu->cu.cuEventRecord(t->stop, gpu->stream), "cuEventRecord",
                              &j->err);
    r = r < 0 ? r : gpu_finish(gpu, "running the kernels", &j->err);
    r = r < 0 ? r : gpu_check(gpu, gpu->cu.cuEventElapsedTime(&ms, t->start, t->stop),
                              "cuEventElapsedTime", &j->err);
    if (r < 0) {
        return judge_failed(j, side->who, r);
    }
    *ret_us = (double)ms * 1e3;
    return 0;
}

static int run_side(struct timing *t, struct side *side, const CUdeviceptr *at,
                    double *ret_prepare_us)
{
    double us = 0;
    int r = side->program.n_prepare ? run_timed(t, side, at, true, ret_prepare_us) : 0;
    r = r < 0 ? r : run_timed(t, side, at, false, &us);
    if (r == 0) {
        side->series.us[side->series.n++] = us;
    }
    return r;
}

static int run_baseline(struct timing *t)
{
    struct known_times *known = t->judge->times;
    double ignored = 0;
    for (size_t i = 0; i < ARRAY_LEN(known->at); i++) {
        if (known->at[i].us > 0 && id_eq(&known->at[i].id, &t->one->baseline_id)) {
            t->baseline.series.us[t->baseline.series.n++] = known->at[i].us;
            return 0;
        }
    }
    int r = run_side(t, &t->baseline, t->rig.baseline[0].at, &ignored);
    if (r == 0) {
        size_t slot = known->next++ % ARRAY_LEN(known->at);
        known->at[slot].id = t->one->baseline_id;
        known->at[slot].us = t->baseline.series.us[0];
    }
    return r;
}

int timing_modelled(struct timing *t)
{
    struct judge *j = t->judge;
    const struct cuda_api *cu = &j->gpu->cu;
    int r = rig_place(&t->rig, false, &j->err);
    r = r < 0 ? r : rig_fill_cheaply(&t->rig, &t->rig.sets[0], &j->err);
    r = r < 0 ? r : gpu_finish(j->gpu, "filling inputs", &j->err);
    t->alpha = STATS_ALPHA_ONE;
    cu->warpsim_sample_blocks(SAMPLED_BLOCKS);
    if (cu->warpsim_checks) {
        cu->warpsim_checks(0);
    }
    r = r < 0 ? r : run_side(t, &t->candidate, t->rig.sets[0].at, &j->verdict.prepare_us);
    if (r == 0 && t->has_baseline) {
        r = run_baseline(t);
    }
    cu->warpsim_sample_blocks(0);
    return r;
}
