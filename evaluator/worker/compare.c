/* SPDX-License-Identifier: MIT */
#include "evaluator/worker/compare.h"
#include "base/util.h"
#include "evaluator/worker/oracle.h"
#include "evaluator/worker/precision.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* Slots of the gate's results. */
enum { SLOT_NORM = 0, SLOT_COMPARE = TASK_TENSORS_MAX, SLOT_SAME = 2 * TASK_TENSORS_MAX,
       SLOTS = 3 * TASK_TENSORS_MAX };

/* What PyTorch's own f32 misses by, so often is allowed where that is more than the task's tolerance. */
enum { OWN_ERRORS = 4, ROUNDING_ERRORS = 8 };

/* Without protection in hardware, inputs are compared with the reference's copy afterwards. */
int compare_inputs(struct judge *j, struct check *c)
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

int compare_measure(struct judge *j, struct check *c, struct expected *ret)
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
    *ret = (struct expected) { 0 };
    for (size_t i = 0; r == 0 && i < rig->n_tensors; i++) {
        const struct gate_comparison *f = &found[SLOT_NORM + i];
        double n = (double)MAX(rig->reference.buffers[i].count, 1);
        ret->rms[i] = sqrt(f->expected2 / n);
        ret->mean[i] = f->expected1 / n;
        ret->spread[i] = sqrt(fmax(0, f->expected2 / n - ret->mean[i] * ret->mean[i]));
        ret->not_finite += f->not_finite;
    }
    return r;
}

bool compare_tells(struct check *c, const struct expected *expected, enum gate_mode mode)
{
    if (mode == GATE_MODE_OWN) {
        memcpy(c->scale, expected->rms, c->rig->n_tensors * sizeof(*c->scale));
        c->not_finite = expected->not_finite;
    }
    return expected->not_finite <= c->not_finite;
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
    case DTYPE_F8E5M2: low <<= 8; /* fall through */
    case DTYPE_F16: {
        int exponent = (low >> 10) & 31, mantissa = low & 1023;
        d = exponent == 31 ? (mantissa ? NAN : INFINITY)
            : exponent     ? ldexp(1024 + mantissa, exponent - 25)
                           : ldexp(mantissa, -24);
        return low & 0x8000 ? -d : d;
    }
    case DTYPE_F8E4M3: {
        int exponent = (low >> 3) & 15, mantissa = low & 7;
        d = (low & 0x7f) == 0x7f ? NAN
            : exponent           ? ldexp(8 + mantissa, exponent - 10)
                                 : ldexp(mantissa, -9);
        return low & 0x80 ? -d : d;
    }
    case DTYPE_I64: return (double)(int64_t)bits;
    case DTYPE_I32: return (int32_t)low;
    case DTYPE_I16: return (int16_t)low;
    case DTYPE_I8: return (int8_t)low;
    default: return (double)low;
    }
}

/* The rule for one output: what isn't stored in the declared precision may be rounded to it. */
static struct precision_rule rule_of(const struct judge *j, const struct rig *rig, size_t output)
{
    const struct bound_buffer *buffers = rig->reference.buffers;
    double unit = precision_unit(j->job->precision), wider = 0;
    for (size_t i = 0; i < rig->n_tensors; i++) {
        double own = precision_unit(dtype_name(buffers[i].dtype));
        wider += buffers[i].role != TENSOR_ROLE_OUTPUT && own > 0 && own < unit;
    }
    return (struct precision_rule) { j->job->precision, buffers[output].dtype,
                                     (double)rig->one->accumulation, j->job->roundings + wider };
}

/* "; the error looks like bf16", or nothing. */
static void say_like(const struct precision_rule *rule, double error, double spread, char *ret,
                     size_t size)
{
    const char *like = precision_like(rule, error, spread);
    snprintf(ret, size, "%s%s", like ? "; the error looks like " : "", like ? like : "");
}

static int decide_wrong(struct judge *j, struct check *c, const struct rig_buffers *set, size_t i,
                        const struct gate_comparison *found, double spread, double atol,
                        enum gate_mode mode, const char *when)
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
    struct precision_rule rule = rule_of(j, c->rig, i);
    char like[64] = "";
    if (!never) {
        say_like(&rule, sqrt(found->error2 / (double)b->count), spread, like, sizeof(like));
    }
    return judge_decide(
        j, VERDICT_STATUS_INCORRECT,
        "output %s: %llu of %lld elements are wrong at shape %s (%s%s); the first at index %llu "
        "(row %llu, column %llu): expected %.9g, got %.9g%s; largest error %.3g, relative error of "
        "the whole tensor %.3g; tolerance %.3g + %.3g * |expected|%s",
        b->name, (unsigned long long)found->wrong, (long long)b->count, c->rig->one->shape,
        gate_mode_name(mode), when, (unsigned long long)found->first,
        (unsigned long long)(found->first / inner), (unsigned long long)(found->first % inner),
        isnan(expected) ? NAN : expected, isnan(got) ? NAN : got, never ? " (never written)" : "",
        gate_max_error(found),
        found->expected2 > 0 ? sqrt(found->error2 / found->expected2) : 0.0, atol, j->job->rtol,
        like);
}

/* The tolerance's absolute part is meant for outputs of the size that the task's own inputs give:
 * other inputs scale it with the outputs, and where they lie far from zero a few roundings of theirs
 * come to it. */
static double scaled_atol(const struct judge *j, const struct check *c, size_t i, double rms,
                          enum gate_mode mode)
{
    static const double far_roundings = 8 * 128 * 0x1p-24;
    double own = c->scale[i];
    if (!dtype_is_float(c->rig->reference.buffers[i].dtype)) {
        return j->job->atol; /* an index isn't right by being near */
    }
    if (j->job->relative) {
        const struct oracle *o = j->job->oracle;
        double own_f32 = o ? OWN_ERRORS * o->off[i] : 0;
        double rounded = o && mode < GATE_MODE_COUNT ? ROUNDING_ERRORS * o->rounded[i][mode] : 0;
        return MAX(j->job->atol, MAX(own_f32, rounded)) * rms;
    }
    bool far = c->rig->unary
        && (mode == GATE_MODE_OFFSET || mode == GATE_MODE_NEGATIVE || mode == GATE_MODE_POSITIVE
            || mode == GATE_MODE_EDGES);
    return j->job->atol * (own > 0 && rms > own ? rms / own : 1) + (far ? far_roundings * own : 0);
}

/* The whole tensor's error against the declared precision's. */
static int compare_precision(struct judge *j, struct check *c, size_t i,
                             const struct gate_comparison *found, const struct expected *expected,
                             const char *when)
{
    const struct bound_buffer *b = &c->rig->reference.buffers[i];
    struct precision_rule rule = rule_of(j, c->rig, i);
    double spread = expected->spread[i] > 0 ? expected->spread[i] : expected->rms[i];
    double error = sqrt(found->error2 / (double)b->count);
    double limit = precision_limit(&rule, expected->rms[i], (size_t)b->count);
    if (j->job->oracle) {
        limit = MAX(limit, OWN_ERRORS * j->job->oracle->off_rms[i] * expected->rms[i]);
    }
    /* Outputs that lie within the absolute tolerance, cancelled to nothing, say, have no digits that
     * anybody asked for. */
    double nothing = j->job->relative ? 0 : j->job->atol;
    if (!(expected->rms[i] > nothing) || isinf(limit)) {
        return 0;
    }
    if (error / limit >= j->verdict.precision_error / fmax(j->verdict.precision_limit, 1e-300)) {
        j->verdict.precision_error = error / spread;
        j->verdict.precision_limit = limit / spread;
    }
    j->told += limit < precision_next(&rule) / 2 * spread;
    if (error <= limit) {
        return 0;
    }
    char like[64];
    say_like(&rule, error, spread, like, sizeof(like));
    return judge_decide(
        j, VERDICT_STATUS_INCORRECT,
        "output %s is less exact than %s gives at shape %s (%s%s): RMS error %.2e of the outputs' "
        "spread, a sum of %lld terms%s allows %.2e%s", b->name, j->job->precision,
        c->rig->one->shape, gate_mode_name(GATE_MODE_OWN), when, error / spread,
        (long long)rule.terms, precision_unit(rule.declared) > 0x1p-24 ? " in f32" : "",
        limit / spread, like);
}

int compare_outputs(struct judge *j, struct check *c, const struct rig_buffers *set,
                    const struct expected *expected, enum gate_mode mode, const char *when)
{
    struct gate_comparison found[SLOTS];
    int r = gate_clear(j->gate, &j->err);
    for (size_t i = 0; r == 0 && i < c->rig->n_tensors; i++) {
        if (rig_is_output(&set->buffers[i])) {
            r = gate_compare(j->gate, c->rig->reference.at[i], set->at[i], &set->buffers[i],
                             scaled_atol(j, c, i, expected->rms[i], mode), j->job->rtol,
                             SLOT_COMPARE + (int)i, &j->err);
        }
    }
    r = r < 0 ? r : gate_read(j->gate, SLOTS, found, &j->err);
    for (size_t i = 0; r == 0 && i < c->rig->n_tensors; i++) {
        struct gate_comparison *f = &found[SLOT_COMPARE + i];
        if (!rig_is_output(&set->buffers[i])) {
            continue;
        }
        f->expected2 = expected->rms[i] * expected->rms[i] * (double)set->buffers[i].count;
        if (f->wrong) {
            return decide_wrong(j, c, set, i, f, expected->spread[i],
                                scaled_atol(j, c, i, expected->rms[i], mode), mode, when);
        }
        if (mode == GATE_MODE_OWN) { /* others have outputs of another size */
            j->verdict.max_error = MAX(j->verdict.max_error, gate_max_error(f));
            r = compare_precision(j, c, i, f, expected, when);
        }
    }
    return r;
}

/* Did two runs on the same inputs give the same bits? */
int compare_runs(struct judge *j, struct check *c, bool *ret_same)
{
    const struct rig_buffers *set = &c->rig->sets[0];
    struct gate_comparison found[SLOTS];
    int r = rig_reveal(c->rig, true, &j->err);
    r = r < 0 ? r : gate_clear(j->gate, &j->err);
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
    return r < 0 ? r : rig_reveal(c->rig, false, &j->err);
}

