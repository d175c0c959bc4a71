/* SPDX-License-Identifier: MIT */
#include "base/util.h"
#include "evaluator/worker/compare.h"
#include "evaluator/worker/oracle.h"

#include <stdio.h>

enum {
    TRIAL_AGAIN = 8000,
    ELEMENTS_MODELLED = 160000, /* of all trials of a shape on the simulator, about */
    CHECKS_ALL = 7,     /* the simulator's: WARPSIM_CHECK_ALL */
    CHECKS_WRITES = 1,  /* WARPSIM_CHECK_UNWRITTEN: without it, what is written isn't followed */
};

static void checks(const struct judge *j, bool on)
{
    if (j->gpu->cu.warpsim_checks) {
        require(j->gpu->cu.warpsim_checks(on ? CHECKS_ALL : CHECKS_WRITES) == 0);
    }
}

static int run_recorded(struct judge *j, struct program *p)
{
    CUgraphExec graph = NULL;
    int r = program_record(p, &graph, &j->err);
    if (r == 0) {
        r = gpu_check(j->gpu, j->gpu->cu.cuGraphLaunch(graph, j->gpu->stream), "the graph",
                      &j->err);
        r = r < 0 ? r : gpu_finish(j->gpu, "running the graph", &j->err);
        j->gpu->cu.cuGraphExecDestroy(graph);
    }
    return r;
}

static int launch(struct judge *j, struct program *p, const char *who)
{
    int r = 0;
    checks(j, who[4] == 'c'); /* "the candidate" alone is diagnosed */
    if (p->bound->graph) {
        r = run_recorded(j, p);
    } else {
        r = program_run(p, &j->err);
        r = r < 0 ? r : gpu_finish(j->gpu, "running the kernels", &j->err);
    }
    checks(j, false);
    return r < 0 ? judge_failed(j, who, r) : 0;
}

static int prepare(struct judge *j, struct program *p, const char *who)
{
    checks(j, who[4] == 'c');
    int r = program_prepare(p, &j->err);
    r = r < 0 ? r : gpu_finish(j->gpu, "preparing", &j->err);
    checks(j, false);
    return r < 0 ? judge_failed(j, who, r) : 0;
}

int judge_execute(struct judge *j, struct program *p, const CUdeviceptr *at, const char *who)
{
    program_point(p, at);
    int r = p->n_prepare ? prepare(j, p, who) : 0;
    return r < 0 ? r : launch(j, p, who);
}

/* What is prepared for a set of weights must not have seen the inputs: they come afterwards. */
static int prepare_blind(struct judge *j, struct check *c, uint64_t trial, enum gate_mode mode)
{
    struct rig_buffers *set = &c->rig->sets[0];
    if (c->candidate->n_prepare == 0) {
        return 0;
    }
    int r = rig_protect(c->rig, set, true, &j->err);
    r = r < 0 ? r : rig_poison_inputs(c->rig, set, &j->err);
    r = r < 0 ? r : gpu_finish(j->gpu, "poisoning", &j->err);
    r = r < 0 ? r : prepare(j, c->candidate, "the candidate");
    r = r < 0 ? r : rig_fill(c->rig, set, RIG_PART_INPUTS | RIG_PART_INOUT, trial, mode, &j->err);
    r = r < 0 ? r : gpu_finish(j->gpu, "filling inputs", &j->err);
    return r < 0 ? r : rig_protect(c->rig, set, false, &j->err);
}

/* Inputs are in place; outputs and scratch are poisoned, the candidate runs. */
static int run_poisoned(struct judge *j, struct check *c, enum rig_poison poison, uint64_t trial,
                        enum gate_mode mode)
{
    struct rig_buffers *set = &c->rig->sets[0];
    bool fresh = j->gpu->modelled && poison == RIG_POISON_A;
    int r = rig_poison_outputs(c->rig, set, poison, &j->err);
    r = r < 0 || fresh ? r : rig_poison_scratch(c->rig, set, poison, &j->err);
    r = r < 0 ? r : gate_poison_shared(j->gate, rig_poison_word(poison), &j->err);
    r = r < 0 ? r : gpu_finish(j->gpu, "poisoning", &j->err);
    program_point(c->candidate, set->at);
    r = r < 0 ? r : prepare_blind(j, c, trial, mode);
    return r < 0 ? r : launch(j, c->candidate, "the candidate");
}

static int judge_zones(struct judge *j, struct check *c, const struct gate_comparison *zones)
{
    if (zones->wrong == 0) {
        return 0;
    }
    char where[256];
    rig_describe(c->rig, zones->first, where, sizeof(where));
    return judge_decide(j, VERDICT_STATUS_INCORRECT,
                        "the candidate wrote outside its buffers at shape %s: %llu bytes, the "
                        "first of them %s", c->rig->one->shape,
                        (unsigned long long)zones->wrong, where);
}

int check_fill(struct judge *j, struct check *c, uint64_t trial, enum gate_mode mode)
{
    struct rig *rig = c->rig;
    uint64_t weights = c->weights == CHECK_SAME ? trial : c->weights;
    int r = rig_fill(rig, &rig->reference, RIG_PART_INPUTS | RIG_PART_INOUT, trial, mode, &j->err);
    r = r < 0 ? r : rig_fill(rig, &rig->reference, RIG_PART_WEIGHTS, weights, mode, &j->err);
    for (size_t i = 0; r == 0 && i < rig->n_tensors; i++) {
        const struct bound_buffer *b = &rig->reference.buffers[i];
        if (b->role == TENSOR_ROLE_OUTPUT) {
            r = gpu_check(j->gpu, j->gpu->cu.cuMemsetD8Async(rig->reference.at[i], 0, rig_bytes(b),
                                                             j->gpu->stream), "clearing", &j->err);
        }
    }
    return r < 0 ? r : gpu_finish(j->gpu, "filling the reference's inputs", &j->err);
}

int check_expect(struct judge *j, struct check *c)
{
    const struct rig *rig = c->rig;
    return j->job->oracle
        ? oracle_run(j->job->oracle, &rig->reference, rig->n_tensors, false, &j->err)
        : judge_execute(j, c->reference, rig->reference.at, "the reference");
}

int check_reference(struct judge *j, struct check *c, uint64_t trial, enum gate_mode mode)
{
    int r = check_fill(j, c, trial, mode);
    uint64_t start = clock_ns();
    r = r < 0 ? r : check_expect(j, c);
    j->reference_seconds = (double)(clock_ns() - start) * 1e-9;
    return r;
}

/* Expected outputs for the inputs of `trial`, then one or two sets (NULL: none) against them. */
static int check_sets(struct judge *j, struct check *c, const struct rig_buffers *set,
                      const struct rig_buffers *other, uint64_t trial, enum gate_mode mode,
                      const char *when)
{
    struct expected expected = { 0 };
    int r = rig_reveal(c->rig, true, &j->err);
    r = r < 0 ? r : check_reference(j, c, trial, mode);
    r = r < 0 ? r : compare_measure(j, c, &expected);
    if (r == 0 && !compare_tells(c, &expected, mode)) {
        j->dropped++;
        return rig_reveal(c->rig, false, &j->err);
    }
    if (r == 0 && j->slabs->plain && set == &c->rig->sets[0]) {
        r = compare_inputs(j, c);
    }
    r = r < 0 || !other ? r : compare_outputs(j, c, other, &expected, mode, when);
    r = r < 0 ? r : compare_outputs(j, c, set, &expected, mode,
                                    other ? ", another run on the same inputs" : when);
    return r < 0 ? r : rig_reveal(c->rig, false, &j->err);
}

int check_outputs(struct judge *j, struct check *c, struct rig_buffers *set, uint64_t trial,
                  enum gate_mode mode, const char *when)
{
    return check_sets(j, c, set, NULL, trial, mode, when);
}

static int check_zones(struct judge *j, struct check *c)
{
    struct gate_comparison zones;
    int r = gate_clear(j->gate, &j->err);
    r = r < 0 ? r : rig_check_zones(c->rig, 0, &j->err);
    r = r < 0 ? r : gate_read(j->gate, 1, &zones, &j->err);
    return r < 0 ? r : judge_zones(j, c, &zones);
}

static int prepare_inputs(struct judge *j, struct check *c, uint64_t trial, enum gate_mode mode)
{
    struct rig_buffers *set = &c->rig->sets[0];
    int r = rig_protect(c->rig, set, true, &j->err);
    /* On the simulator scratch starts as memory that nobody wrote, which it then watches. */
    r = r < 0 || !j->gpu->modelled ? r : rig_renew_scratch(c->rig, set, &j->err);
    r = r < 0 ? r : rig_fill(c->rig, set, RIG_PART_ALL, trial, mode, &j->err);
    r = r < 0 ? r : gpu_finish(j->gpu, "filling inputs", &j->err);
    return r < 0 ? r : rig_protect(c->rig, set, false, &j->err);
}

/* Prepared once, a candidate runs often: on other inputs, on the scratch that the run before left. */
static int run_again(struct judge *j, struct check *c, uint64_t trial, enum gate_mode mode)
{
    struct rig_buffers *set = &c->rig->sets[0];
    uint64_t other = trial + TRIAL_AGAIN, weights = c->weights;
    if (c->candidate->n_prepare == 0) {
        return 0;
    }
    int r = rig_protect(c->rig, set, true, &j->err);
    r = r < 0 ? r : rig_fill(c->rig, set, RIG_PART_INPUTS | RIG_PART_INOUT, other, mode, &j->err);
    r = r < 0 ? r : rig_poison_outputs(c->rig, set, RIG_POISON_B, &j->err);
    r = r < 0 ? r : gpu_finish(j->gpu, "filling inputs", &j->err);
    r = r < 0 ? r : rig_protect(c->rig, set, false, &j->err);
    r = r < 0 ? r : launch(j, c->candidate, "the candidate");
    r = r < 0 ? r : check_zones(j, c);
    c->weights = weights == CHECK_SAME ? trial : weights;
    r = r < 0 ? r : check_sets(j, c, set, NULL, other, mode, ", the second run after one preparation");
    c->weights = weights;
    return r;
}

int check_trial(struct judge *j, struct check *c, uint64_t trial, enum gate_mode mode, bool twice)
{
    struct rig_buffers *set = &c->rig->sets[0];
    /* Two patterns that are no numbers, and numbers as an earlier run would leave them. */
    enum rig_poison first = trial % 2 ? RIG_POISON_B : RIG_POISON_A;
    bool same = true;
    int r = prepare_inputs(j, c, trial, mode);
    r = r < 0 ? r : run_poisoned(j, c, first, trial, mode);
    r = r < 0 ? r : check_zones(j, c);
    if (r == 0 && twice) {
        r = rig_keep(c->rig, set, &j->err);
        r = r < 0 ? r : rig_fill(c->rig, set, RIG_PART_INOUT, trial, mode, &j->err);
        r = r < 0 ? r : run_poisoned(j, c, RIG_POISON_NUMBERS, trial, mode);
        r = r < 0 ? r : check_zones(j, c);
        r = r < 0 ? r : compare_runs(j, c, &same);
    }
    if (r == 0 && !same && j->job->deterministic) {
        return judge_decide(j, VERDICT_STATUS_INCORRECT,
                            "two runs on the same inputs differ in their bits at shape %s, which "
                            "the task forbids", c->rig->one->shape);
    }
    j->verdict.nondeterministic = j->verdict.nondeterministic || !same;
    r = r < 0 ? r : check_sets(j, c, set, same ? NULL : &c->rig->kept, trial, mode, "");
    r = r < 0 || !twice ? r : run_again(j, c, trial, mode);
    j->trials += r == 0;
    return r;
}

/* Modes take turns over trials and shapes, from one that nobody knows on: so the fewest trials see
 * the most of them. */
static enum gate_mode next_mode(struct judge *j, int trial)
{
    enum { OTHERS = GATE_MODE_COUNT - 1 };
    return trial == 0 ? GATE_MODE_OWN
                      : (enum gate_mode)(1 + (j->job->salt[0] + j->turn++) % OTHERS);
}

/* Trials of a shape on the simulator: the smaller, the more, two at least. */
static int modelled_quota(const struct job_case *one)
{
    int64_t elements = 1;
    for (size_t i = 0; i < one->reference.bound->n_tensors; i++) {
        elements += one->reference.bound->buffers[i].count;
    }
    return (int)MAX(2, MIN(ELEMENTS_MODELLED / elements, GATE_MODE_COUNT));
}

/* On the simulator a number that depends on the job alone, so that every run does the same, and that
 * shows every mode on some shape. On a GPU every mode on every shape (a plan may see the default one
 * and do something else there), and only two a shape once there is no more time for them. */
static bool enough(const struct judge *j, const struct job_case *one, int done)
{
    int shapes = 0, others = 0;
    for (size_t i = 0; i < j->job->n_cases; i++) {
        shapes += j->job->cases[i].check;
        others += j->job->cases[i].check ? modelled_quota(&j->job->cases[i]) - 1 : 0;
    }
    if (j->gpu->modelled) {
        bool all = others >= GATE_MODE_COUNT - 1;
        return done >= (all ? modelled_quota(one) : 1 + (GATE_MODE_COUNT - 2 + shapes) / shapes);
    }
    return done >= GATE_MODE_COUNT || (done >= 2 && j->check_seconds > j->job->check_seconds);
}

static int check_trials(struct judge *j, struct check *c)
{
    for (int t = 0; t < j->job->trials && !enough(j, c->rig->one, t); t++) {
        uint64_t start = clock_ns();
        judge_phase(j, "check", c->rig->one, t);
        int r = rig_place(c->rig, j->gpu->modelled || t % 2 == 1, &j->err);
        r = r < 0 ? r : check_trial(j, c, (uint64_t)t, next_mode(j, t), t == 0);
        j->check_seconds += (double)(clock_ns() - start) * 1e-9;
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

int check_case(struct judge *j, const struct job_case *one)
{
    struct rig rig;
    struct program candidate, reference;
    double scale[TASK_TENSORS_MAX] = { 0 };
    struct check c = { &rig, &candidate, &reference, scale, CHECK_SAME, 0 };
    judge_phase(j, "load", one, 0);
    int r = judge_load(j, one, &one->candidate, "the candidate", &candidate);
    if (r < 0) {
        return r;
    }
    r = judge_load(j, one, &one->reference, "the reference", &reference);
    if (r < 0) {
        program_unload(&candidate);
        return r;
    }
    r = rig_open(&rig, j->slabs, j->gate, j->job, one, 1, j->arena, &j->err);
    if (r == 0) {
        j->rig = &rig;
        r = check_trials(j, &c);
        j->rig = NULL;
        rig_close(&rig);
    }
    program_unload(&candidate);
    program_unload(&reference);
    return r;
}
