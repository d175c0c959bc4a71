/* SPDX-License-Identifier: MIT */
#include "evaluator/worker/itself.h"
#include "base/util.h"
#include "evaluator/worker/compare.h"
#include "evaluator/worker/oracle.h"

enum { TRIAL_FIRST = 7000 };
static const uint64_t dear_ns = 300000000; /* after which only the telling distributions are tried */
/* The oracle has held its own f32 against double under each telling one, and says by how much they
 * differ: where a second run takes so long, one of them is enough. */
static const uint64_t very_dear_ns = 500000000;

static int copy_outputs(struct judge *j, const struct rig *rig)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < rig->n_tensors; i++) {
        const struct bound_buffer *b = &rig->reference.buffers[i];
        if (rig_is_output(b)) {
            r = gpu_check(j->gpu, j->gpu->cu.cuMemcpyDtoDAsync(rig->sets[0].at[i], rig->reference.at[i],
                                                               rig_bytes(b), j->gpu->stream),
                          "copying an output", &j->err);
        }
    }
    return r < 0 ? r : gpu_finish(j->gpu, "copying outputs", &j->err);
}

/* As it is, then in double, on the same inputs. */
static int try_mode(struct judge *j, struct check *c, enum gate_mode mode)
{
    struct rig *rig = c->rig;
    struct expected expected;
    uint64_t trial = TRIAL_FIRST + (uint64_t)mode;
    int r = check_fill(j, c, trial, mode);
    r = r < 0 ? r : oracle_run(j->job->oracle, &rig->reference, rig->n_tensors, true, &j->err);
    r = r < 0 ? r : copy_outputs(j, rig);
    r = r < 0 ? r : check_reference(j, c, trial, mode);
    r = r < 0 ? r : compare_measure(j, c, &expected);
    if (r < 0 || !compare_tells(c, &expected, mode)) {
        return r;
    }
    return compare_outputs(j, c, &rig->sets[0], &expected, mode, ", PyTorch's own run");
}

int itself_check(struct judge *j)
{
    struct rig rig;
    double scale[TASK_TENSORS_MAX] = { 0 };
    struct check c = { &rig, NULL, NULL, scale, TRIAL_FIRST, 0 };
    const struct job_case *one = &j->job->cases[0];
    judge_phase(j, "itself", one, 0);
    int r = rig_open(&rig, j->slabs, j->gate, j->job, one, 1, j->arena, &j->err);
    if (r < 0) {
        return r;
    }
    j->rig = &rig;
    r = rig_place(&rig, false, &j->err);
    r = r < 0 ? r : rig_reveal(&rig, true, &j->err);
    uint64_t start = clock_ns();
    for (int mode = 0; r == 0 && mode < GATE_MODE_COUNT; mode++) {
        bool telling = mode == GATE_MODE_OWN || mode == GATE_MODE_OFFSET || mode == GATE_MODE_EDGES;
        uint64_t spent = clock_ns() - start;
        if (mode == GATE_MODE_OWN || spent < dear_ns || (telling && spent < very_dear_ns)) {
            r = try_mode(j, &c, (enum gate_mode)mode);
        }
    }
    if (r == JUDGE_DECIDED && !j->failed) { /* what it says stands, the status isn't a candidate's */
        j->verdict.status = VERDICT_STATUS_SUSPECT;
        j->verdict.phase = "itself";
    }
    r = r < 0 ? r : rig_reveal(&rig, false, &j->err);
    j->rig = NULL;
    rig_close(&rig);
    return r;
}
