/* SPDX-License-Identifier: MIT */
#include "base/util.h"
#include "evaluator/worker/judge.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* Slots of the gate's results. */
enum { SLOT_ZONES = 0, SLOT_NORM = 1, SLOT_COMPARE = 1 + TASK_TENSORS_MAX,
       SLOT_SAME = 1 + 2 * TASK_TENSORS_MAX, SLOTS = 1 + 3 * TASK_TENSORS_MAX };

enum { TRIALS_MODELLED = 8 }; /* on all shapes together, on the simulator */

static void checks(const struct judge *j, bool on)
{
    if (j->gpu->cu.warpsim_checks) {
        j->gpu->cu.warpsim_checks(on ? ~0u : 0);
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

int judge_execute(struct judge *j, struct program *p, const CUdeviceptr *at, const char *who)
{
    program_point(p, at);
    checks(j, who[4] == 'c'); /* "the candidate" alone is diagnosed */
    int r = p->n_prepare ? program_prepare(p, &j->err) : 0;
    if (r == 0 && p->bound->graph) {
        r = run_recorded(j, p);
    } else if (r == 0) {
        r = program_run(p, &j->err);
        r = r < 0 ? r : gpu_finish(j->gpu, "running the kernels", &j->err);
    }
    checks(j, false);
    return r < 0 ? judge_failed(j, who, r) : 0;
}

/* Inputs are in place; outputs and scratch are poisoned, the candidate runs. */
static int run_poisoned(struct judge *j, struct check *c, enum rig_poison poison)
{
    struct rig_buffers *set = &c->rig->sets[0];
    bool fresh = j->gpu->modelled && poison == RIG_POISON_A;
    int r = rig_poison_outputs(c->rig, set, poison, &j->err);
    r = r < 0 || fresh ? r : rig_poison_scratch(c->rig, set, poison, &j->err);
    r = r < 0 ? r : gate_poison_shared(j->gate, rig_poison_word(poison), &j->err);
    r = r < 0 ? r : gpu_finish(j->gpu, "poisoning", &j->err);
    return r < 0 ? r : judge_execute(j, c->candidate, set->at, "the candidate");
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

/* Without protection in hardware, inputs are compared with the reference's copy afterwards. */
static int judge_inputs(struct judge *j, struct check *c)
{
    const struct rig_buffers *set = &c->rig->sets[0];
    struct gate_comparison found[SLOTS];
    int r = gate_clear(j->gate, &j->err);
    for (size_t i = 0; r == 0 && i < c->rig->n_tensors; i++) {
        if (!rig_is_output(&set->buffers[i])) {
            r = gate_same(j->gate, set->at[i], c->rig->reference.at[i],
                          rig_bytes(&set->buffers[i]), SLOT_SAME + (int)i, &j->err);
        }
    }
    r = r < 0 ? r : gate_read(j->gate, SLOTS, found, &j->err);
    for (size_t i = 0; r == 0 && i < c->rig->n_tensors; i++) {
        if (found[SLOT_SAME + i].wrong && !rig_is_aliased(c->rig, i)) {
            r = judge_decide(j, VERDICT_STATUS_INCORRECT,
                             "the candidate changed the input %s at shape %s", set->buffers[i].name,
                             c->rig->one->shape);
        }
    }
    return r;
}

/* Makes the expected outputs: inputs anew from the key, in memory that the candidate never had. */
static int run_reference(struct judge *j, struct check *c, uint64_t trial, enum gate_mode mode)
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
    r = r < 0 ? r : gpu_finish(j->gpu, "filling the reference's inputs", &j->err);
    uint64_t start = clock_ns();
    r = r < 0 ? r : judge_execute(j, c->reference, rig->reference.at, "the reference");
    j->reference_seconds = (double)(clock_ns() - start) * 1e-9;
    return r;
}

/* Size of the expected outputs; says whether every one is finite. */
static int measure_expected(struct judge *j, struct check *c, double *ret_rms, bool *ret_finite)
{
    struct rig *rig = c->rig;
    struct gate_comparison found[SLOTS];
    int r = gate_clear(j->gate, &j->err);
    for (size_t i = 0; r == 0 && i < rig->n_tensors; i++) {
        const struct bound_buffer *b = &rig->reference.buffers[i];
        if (rig_is_output(b)) {
            r = gate_norm(j->gate, rig->reference.at[i], b, j->job->atol, SLOT_NORM + (int)i,
                          &j->err);
        }
    }
    r = r < 0 ? r : gate_read(j->gate, SLOTS, found, &j->err);
    bool significant = false;
    *ret_finite = true;
    for (size_t i = 0; r == 0 && i < rig->n_tensors; i++) {
        const struct gate_comparison *f = &found[SLOT_NORM + i];
        ret_rms[i] = sqrt(f->expected2 / (double)MAX(rig->reference.buffers[i].count, 1));
        *ret_finite = *ret_finite && f->not_finite == 0;
        significant = significant || f->significant > 0;
    }
    j->degenerate = j->degenerate || (r == 0 && !significant);
    return r;
}

static double fetch(struct judge *j, CUdeviceptr at, enum dtype dtype, uint64_t index,
                    uint64_t *ret_bits)
{
    size_t size = dtype_size(dtype);
    uint64_t bits = 0;
    j->gpu->cu.cuMemcpyDtoH(&bits, at + index * size, size);
    *ret_bits = bits;
    float f;
    double d;
    uint32_t low = (uint32_t)bits;
    switch (dtype) {
    case DTYPE_F64: memcpy(&d, &bits, 8); return d;
    case DTYPE_BF16: low <<= 16; /* fall through */
    case DTYPE_F32: memcpy(&f, &low, 4); return f;
    case DTYPE_F16: {
        int exponent = (low >> 10) & 31, mantissa = low & 1023;
        d = exponent == 31 ? (mantissa ? NAN : INFINITY)
            : exponent     ? ldexp(1024 + mantissa, exponent - 25)
                           : ldexp(mantissa, -24);
        return low & 0x8000 ? -d : d;
    }
    case DTYPE_I64: return (double)(int64_t)bits;
    case DTYPE_I32: return (int32_t)low;
    case DTYPE_I16: return (int16_t)low;
    case DTYPE_I8: return (int8_t)low;
    default: return (double)low;
    }
}

static int decide_wrong(struct judge *j, struct check *c, const struct rig_buffers *set, size_t i,
                        const struct gate_comparison *found, double atol, enum gate_mode mode,
                        const char *when)
{
    const struct bound_buffer *b = &set->buffers[i];
    uint64_t bits, want;
    double expected = fetch(j, c->rig->reference.at[i], b->dtype, found->first, &want);
    double got = fetch(j, set->at[i], b->dtype, found->first, &bits);
    size_t size = dtype_size(b->dtype);
    uint64_t mask = size == 8 ? ~0ull : (1ull << (8 * size)) - 1;
    uint64_t a = rig_poison_word(RIG_POISON_A) * 0x100000001ull & mask;
    uint64_t p = rig_poison_word(RIG_POISON_B) * 0x100000001ull & mask;
    bool never = size >= 2 && (bits == a || bits == p);
    uint64_t inner = (uint64_t)MAX(b->inner, 1);
    return judge_decide(
        j, VERDICT_STATUS_INCORRECT,
        "output %s: %llu of %lld elements are wrong at shape %s (%s%s); the first at index %llu "
        "(row %llu, column %llu): expected %.9g, got %.9g%s; largest error %.3g, relative error of "
        "the whole tensor %.3g; tolerance %.3g + %.3g * |expected|",
        b->name, (unsigned long long)found->wrong, (long long)b->count, c->rig->one->shape,
        gate_mode_name(mode), when, (unsigned long long)found->first,
        (unsigned long long)(found->first / inner), (unsigned long long)(found->first % inner),
        isnan(expected) ? NAN : expected, isnan(got) ? NAN : got, never ? " (never written)" : "",
        gate_max_error(found),
        found->expected2 > 0 ? sqrt(found->error2 / found->expected2) : 0.0, atol, j->job->rtol);
}

/* The tolerance's absolute part is meant for outputs of the size that the task's own inputs give;
 * other inputs scale it with the outputs. */
static double scaled_atol(const struct judge *j, const struct check *c, size_t i, double rms)
{
    double own = c->scale[i];
    return j->job->atol * (own > 0 && rms > own ? rms / own : 1);
}

static int compare(struct judge *j, struct check *c, const struct rig_buffers *set,
                   const double *rms, enum gate_mode mode, const char *when)
{
    struct gate_comparison found[SLOTS];
    int r = gate_clear(j->gate, &j->err);
    for (size_t i = 0; r == 0 && i < c->rig->n_tensors; i++) {
        if (rig_is_output(&set->buffers[i])) {
            r = gate_compare(j->gate, c->rig->reference.at[i], set->at[i], &set->buffers[i],
                             scaled_atol(j, c, i, rms[i]), j->job->rtol, SLOT_COMPARE + (int)i,
                             &j->err);
        }
    }
    r = r < 0 ? r : gate_read(j->gate, SLOTS, found, &j->err);
    for (size_t i = 0; r == 0 && i < c->rig->n_tensors; i++) {
        struct gate_comparison *f = &found[SLOT_COMPARE + i];
        f->expected2 = rms[i] * rms[i] * (double)set->buffers[i].count;
        if (f->wrong) {
            return decide_wrong(j, c, set, i, f, scaled_atol(j, c, i, rms[i]), mode, when);
        }
        if (mode == GATE_MODE_OWN) { /* others have outputs of another size */
            j->verdict.max_error = MAX(j->verdict.max_error, gate_max_error(f));
        }
    }
    return r;
}

int check_outputs(struct judge *j, struct check *c, struct rig_buffers *set, uint64_t trial,
                  enum gate_mode mode, const char *when)
{
    double rms[TASK_TENSORS_MAX];
    bool finite = true;
    int r = run_reference(j, c, trial, mode);
    r = r < 0 ? r : measure_expected(j, c, rms, &finite);
    if (r == 0 && mode == GATE_MODE_OWN) {
        memcpy(c->scale, rms, c->rig->n_tensors * sizeof(*rms));
    }
    if (r == 0 && !finite && mode != GATE_MODE_OWN) {
        j->dropped++;
        return 0;
    }
    if (r == 0 && j->slabs->plain && set == &c->rig->sets[0]) {
        r = judge_inputs(j, c);
    }
    return r < 0 ? r : compare(j, c, set, rms, mode, when);
}

/* Did two runs on the same inputs give the same bits? */
static int compare_runs(struct judge *j, struct check *c, bool *ret_same)
{
    const struct rig_buffers *set = &c->rig->sets[0];
    struct gate_comparison found[SLOTS];
    int r = gate_clear(j->gate, &j->err);
    for (size_t i = 0; r == 0 && i < c->rig->n_tensors; i++) {
        if (rig_is_output(&set->buffers[i])) {
            r = gate_same(j->gate, set->at[i], c->rig->kept.at[i], rig_bytes(&set->buffers[i]),
                          SLOT_SAME + (int)i, &j->err);
        }
    }
    r = r < 0 ? r : gate_read(j->gate, SLOTS, found, &j->err);
    *ret_same = true;
    for (size_t i = 0; r == 0 && i < c->rig->n_tensors; i++) {
        *ret_same = *ret_same && found[SLOT_SAME + i].wrong == 0;
    }
    return r;
}

static int check_zones(struct judge *j, struct check *c)
{
    struct gate_comparison zones;
    int r = gate_clear(j->gate, &j->err);
    r = r < 0 ? r : rig_check_zones(c->rig, SLOT_ZONES, &j->err);
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

int check_trial(struct judge *j, struct check *c, uint64_t trial, enum gate_mode mode, bool twice)
{
    struct rig_buffers *set = &c->rig->sets[0];
    enum rig_poison first = trial % 2 ? RIG_POISON_B : RIG_POISON_A;
    bool same = true;
    int r = prepare_inputs(j, c, trial, mode);
    r = r < 0 ? r : run_poisoned(j, c, first);
    r = r < 0 ? r : check_zones(j, c);
    if (r == 0 && twice) {
        r = rig_keep(c->rig, set, &j->err);
        r = r < 0 ? r : rig_fill(c->rig, set, RIG_PART_INOUT, trial, mode, &j->err);
        r = r < 0 ? r : run_poisoned(j, c, first == RIG_POISON_A ? RIG_POISON_B : RIG_POISON_A);
        r = r < 0 ? r : check_zones(j, c);
        r = r < 0 ? r : compare_runs(j, c, &same);
    }
    r = r < 0 ? r : check_outputs(j, c, set, trial, mode, "");
    if (r == 0 && !same) {
        /* Expected values are there now, so both runs can be held against them. */
        double rms[TASK_TENSORS_MAX];
        memcpy(rms, c->scale, c->rig->n_tensors * sizeof(*rms));
        j->verdict.nondeterministic = true;
        r = compare(j, c, &c->rig->kept, rms, mode, ", another run on the same inputs");
    }
    j->trials += r == 0;
    return r;
}

/* Modes take turns over shapes, so that a few trials a shape still see them all. */
static enum gate_mode mode_of(size_t trial, size_t index)
{
    return trial == 0 ? GATE_MODE_OWN
                      : (enum gate_mode)(1 + (trial - 1 + index) % (GATE_MODE_COUNT - 1));
}

/* Two trials at least on every shape. On a GPU more as long as there is time for them; on the
 * simulator a number that depends on the job alone, so that every run does the same. */
static bool enough(const struct judge *j, int done)
{
    if (!j->gpu->modelled) {
        return done >= 2 && j->check_seconds > j->job->check_seconds;
    }
    int shapes = 0;
    for (size_t i = 0; i < j->job->n_cases; i++) {
        shapes += j->job->cases[i].check;
    }
    return done >= MAX(2, (TRIALS_MODELLED + shapes - 1) / shapes);
}

static int check_trials(struct judge *j, struct check *c, size_t index)
{
    for (int t = 0; t < j->job->trials && !enough(j, t); t++) {
        uint64_t start = clock_ns();
        judge_phase(j, "check", c->rig->one, t);
        int r = rig_place(c->rig, j->gpu->modelled || t % 2 == 1, &j->err);
        r = r < 0 ? r : check_trial(j, c, (uint64_t)t, mode_of((size_t)t, index), t == 0);
        j->check_seconds += (double)(clock_ns() - start) * 1e-9;
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

int check_case(struct judge *j, const struct job_case *one, size_t index)
{
    struct rig rig;
    struct program candidate, reference;
    double scale[TASK_TENSORS_MAX] = { 0 };
    struct check c = { &rig, &candidate, &reference, scale, CHECK_SAME };
    judge_phase(j, "load", one, 0);
    int r = program_load(&candidate, j->gpu, &j->job->images[one->candidate.image], one,
                         one->candidate.bound, j->arena, &j->err);
    if (r < 0) {
        return judge_failed(j, "the candidate", r);
    }
    r = program_load(&reference, j->gpu, &j->job->images[one->reference.image], one,
                     one->reference.bound, j->arena, &j->err);
    if (r < 0) {
        program_unload(&candidate);
        return judge_failed(j, "the reference", r);
    }
    r = rig_open(&rig, j->slabs, j->gate, j->job, one, 1, j->arena, &j->err);
    if (r == 0) {
        j->rig = &rig;
        r = check_trials(j, &c, index);
        j->rig = NULL;
        rig_close(&rig);
    }
    program_unload(&candidate);
    program_unload(&reference);
    return r;
}
