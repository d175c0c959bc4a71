/* SPDX-License-Identifier: MIT */
#include "evaluator/worker/degenerate.h"
#include "base/buf.h"
#include "base/util.h"
#include "evaluator/worker/compare.h"
#include "evaluator/worker/oracle.h"

#include <stdio.h>
#include <string.h>

enum trivial { TRIVIAL_ZEROS, TRIVIAL_CONSTANT, TRIVIAL_STALE, TRIVIAL_HALF, TRIVIAL_HALF_ROWS,
               TRIVIAL_COPY /* of tensor 0, 1, ... */, TRIVIALS = TRIVIAL_COPY + TASK_TENSORS_MAX };

enum { TRIAL_FIRST = 5000, TRIAL_STALE = 6000 };

/* One shape: which trivial candidates are still alive, and where their outputs lie. */
struct look {
    struct judge *judge;
    struct check *check;
    bool alive[TRIVIALS];
};

static bool is_copyable(const struct rig *rig, size_t input)
{
    const struct bound_buffer *buffers = rig->reference.buffers;
    bool any = false;
    for (size_t i = 0; i < rig->n_tensors; i++) {
        if (buffers[i].role == TENSOR_ROLE_OUTPUT && buffers[i].count > buffers[input].count) {
            return false;
        }
        any = any || buffers[i].role == TENSOR_ROLE_OUTPUT;
    }
    return any && buffers[input].role != TENSOR_ROLE_OUTPUT;
}

/* Of a single number the mean is the answer itself: there the answer to other inputs is the constant. */
static bool has_means(const struct rig *rig)
{
    bool any = false;
    for (size_t i = 0; i < rig->n_tensors; i++) {
        const struct bound_buffer *b = &rig->reference.buffers[i];
        any = any || (rig_is_output(b) && b->count > 1);
    }
    return any;
}

/* Is there anything to halve? */
static bool has_halves(const struct rig *rig, bool rows)
{
    for (size_t i = 0; i < rig->n_tensors; i++) {
        const struct bound_buffer *b = &rig->reference.buffers[i];
        bool input = b->role == TENSOR_ROLE_INPUT || b->role == TENSOR_ROLE_INOUT;
        if (input && (rows ? b->inner : b->count) > 1) {
            return true;
        }
    }
    return false;
}

/* The inputs as they are, then changed as this trivial candidate would have it. An oracle answers as it
 * is: its f32 errs far less than these candidates do, and double may take a hundred times as long. */
static int run_changed(struct look *l, enum trivial kind, uint64_t trial, enum gate_mode mode)
{
    struct judge *j = l->judge;
    struct rig *rig = l->check->rig;
    struct rig_buffers *set = &rig->reference;
    bool stale = kind == TRIVIAL_STALE;
    int r = check_fill(j, l->check, stale ? trial + TRIAL_STALE : trial, mode);
    for (size_t i = 0; r == 0 && !stale && i < rig->n_tensors; i++) {
        const struct bound_buffer *b = &set->buffers[i];
        if (b->role == TENSOR_ROLE_INPUT || b->role == TENSOR_ROLE_INOUT) {
            r = gate_halve(j->gate, set->at[i], b, kind == TRIVIAL_HALF ? b->count : b->inner,
                           &j->err);
        }
    }
    r = r < 0 ? r : gpu_finish(j->gpu, "changing inputs", &j->err);
    return r < 0          ? r
        : j->job->oracle ? oracle_run(j->job->oracle, set, rig->n_tensors, true, &j->err)
                         : check_expect(j, l->check);
}

static int take_outputs(struct look *l, const struct rig_buffers *to)
{
    struct judge *j = l->judge;
    const struct rig *rig = l->check->rig;
    int r = 0;
    for (size_t i = 0; r == 0 && i < rig->n_tensors; i++) {
        const struct bound_buffer *b = &rig->reference.buffers[i];
        if (rig_is_output(b)) {
            r = gpu_check(j->gpu, j->gpu->cu.cuMemcpyDtoDAsync(to->at[i], rig->reference.at[i],
                                                               rig_bytes(b), j->gpu->stream),
                          "copying an output", &j->err);
        }
    }
    return r < 0 ? r : gpu_finish(j->gpu, "copying outputs", &j->err);
}

/* Writes what needs no reference into set 0. */
static int make_simple(struct look *l, int kind, const struct expected *expected)
{
    struct judge *j = l->judge;
    const struct rig *rig = l->check->rig;
    const struct rig_buffers *to = &rig->sets[0], *from = &rig->reference;
    int r = 0;
    for (size_t i = 0; r == 0 && i < rig->n_tensors; i++) {
        const struct bound_buffer *b = &to->buffers[i];
        if (!rig_is_output(b)) {
            continue;
        }
        if (kind >= TRIVIAL_COPY && b->role == TENSOR_ROLE_OUTPUT) {
            size_t input = (size_t)(kind - TRIVIAL_COPY);
            r = gate_cast(j->gate, to->at[i], b, from->at[input], from->buffers[input].dtype,
                          &j->err);
        } else if (kind < TRIVIAL_COPY) {
            r = gate_constant(j->gate, to->at[i], b,
                              kind == TRIVIAL_ZEROS ? 0 : expected->mean[i], &j->err);
        }
    }
    return r < 0 ? r : gpu_finish(j->gpu, "making outputs", &j->err);
}

/* Would the outputs of this set be accepted? The verdict isn't touched. */
static int try_outputs(struct look *l, int kind, const struct rig_buffers *set,
                       const struct expected *expected, enum gate_mode mode)
{
    struct judge *j = l->judge;
    struct verdict kept = j->verdict;
    int told = j->told;
    int r = compare_outputs(j, l->check, set, expected, mode, "");
    j->verdict = kept;
    j->told = told;
    l->alive[kind] = r == 0;
    return r == JUDGE_DECIDED ? 0 : r;
}

static int try_all(struct look *l, const struct rig_buffers *const *sets, uint64_t trial,
                   enum gate_mode mode)
{
    struct judge *j = l->judge;
    struct expected expected;
    int r = 0;
    for (int k = TRIVIAL_STALE; r == 0 && k <= TRIVIAL_HALF_ROWS; k++) {
        if (l->alive[k]) {
            r = run_changed(l, (enum trivial)k, trial, mode);
            r = r < 0 ? r : take_outputs(l, sets[k]);
        }
    }
    r = r < 0 ? r : check_reference(j, l->check, trial, mode);
    r = r < 0 ? r : compare_measure(j, l->check, &expected);
    if (r < 0 || !compare_tells(l->check, &expected, mode)) {
        return r;
    }
    for (int k = TRIVIAL_STALE; r == 0 && k <= TRIVIAL_HALF_ROWS; k++) {
        r = l->alive[k] ? try_outputs(l, k, sets[k], &expected, mode) : 0;
    }
    for (int k = 0; r == 0 && k < TRIVIALS; k++) {
        bool simple = k < TRIVIAL_STALE || k >= TRIVIAL_COPY;
        if (simple && l->alive[k]) {
            r = make_simple(l, k, &expected);
            r = r < 0 ? r : try_outputs(l, k, &l->check->rig->sets[0], &expected, mode);
        }
    }
    return r;
}

static bool any_alive(const struct look *l)
{
    for (int k = 0; k < TRIVIALS; k++) {
        if (l->alive[k]) {
            return true;
        }
    }
    return false;
}

/* Trials go on while any passes, through every distribution. */
static int look_at(struct judge *j, struct rig *rig, struct program *reference,
                   bool ret_alive[TRIVIALS])
{
    double scale[TASK_TENSORS_MAX] = { 0 };
    struct check check = { rig, NULL, reference, scale, 0, 0 };
    struct look l = { .judge = j, .check = &check };
    /* The stale answer lies in set 0, which the simple ones use only when it was compared. */
    const struct rig_buffers *sets[] = { [TRIVIAL_STALE] = &rig->sets[0],
                                         [TRIVIAL_HALF] = &rig->kept,
                                         [TRIVIAL_HALF_ROWS] = &rig->sets[rig->n_sets - 1] };
    for (int k = 0; k < TRIVIALS; k++) {
        size_t input = (size_t)(k - TRIVIAL_COPY);
        l.alive[k] = k < TRIVIAL_COPY || (input < rig->n_tensors && is_copyable(rig, input));
    }
    l.alive[TRIVIAL_CONSTANT] = has_means(rig);
    l.alive[TRIVIAL_HALF] = has_halves(rig, false);
    l.alive[TRIVIAL_HALF_ROWS] = has_halves(rig, true) && rig->n_sets > 1; /* else no room */
    int r = rig_place(rig, false, &j->err);
    r = r < 0 ? r : rig_reveal(rig, true, &j->err);
    for (int mode = 0; r == 0 && mode < GATE_MODE_COUNT && any_alive(&l); mode++) {
        check.weights = TRIAL_FIRST + (uint64_t)mode;
        r = try_all(&l, sets, TRIAL_FIRST + (uint64_t)mode, (enum gate_mode)mode);
    }
    memcpy(ret_alive, l.alive, sizeof(l.alive));
    return r < 0 ? r : rig_reveal(rig, false, &j->err);
}

static int look_at_case(struct judge *j, const struct job_case *one, bool ret_alive[TRIVIALS])
{
    struct rig rig;
    struct program reference;
    judge_phase(j, "task", one, 0);
    int r = judge_load(j, one, &one->reference, "the reference", &reference);
    if (r < 0) {
        return r;
    }
    r = rig_open(&rig, j->slabs, j->gate, j->job, one, 2, j->arena, &j->err);
    if (r == 0) {
        j->rig = &rig;
        r = look_at(j, &rig, &reference, ret_alive);
        j->rig = NULL;
        rig_close(&rig);
    }
    program_unload(&reference);
    return r;
}

static const char *name_of(const struct job_case *one, int kind, char *ret, size_t size)
{
    static const char *const names[] = { "zeros", "a constant", "the answer to other inputs",
                                         "half of the input", "half of each row" };
    if (kind < TRIVIAL_COPY) {
        return names[kind];
    }
    snprintf(ret, size, "a copy of %.64s",
             one->reference.bound->buffers[kind - TRIVIAL_COPY].name);
    return ret;
}

/* What all shapes together say of one trivial candidate. */
static void tell(const struct judge *j, int kind, bool alive[][TRIVIALS], struct buf *verdict,
                 struct buf *detail)
{
    const struct job_case *timed = NULL;
    size_t checked = 0, passed = 0;
    char name[128];
    auto_buf struct buf where;
    buf_init(&where, 512);
    for (size_t i = 0; i < j->job->n_cases; i++) {
        const struct job_case *one = &j->job->cases[i];
        checked += one->check;
        if (one->check && alive[i][kind]) {
            passed++;
            buf_printf(&where, "%s%s", where.len ? ", " : "", one->shape);
            timed = str_eq(one->shape, "default") ? one : timed;
        }
    }
    if (passed == 0) {
        return;
    }
    const char *what = name_of(&j->job->cases[0], kind, name, sizeof(name));
    buf_printf(detail, "%s%s passes at %s", detail->len ? "; " : "", what,
               passed == checked ? "every shape" : where.at);
    if (passed == checked || timed) {
        buf_printf(verdict, "%s%s%s", verdict->len ? ", " : "", what,
                   passed == checked ? "" : " at shape default");
    }
}

static int look_at_all(struct judge *j, char *ret_text, size_t text_size, char *ret_detail,
                       size_t detail_size)
{
    bool(*alive)[TRIVIALS] = arena_alloc(j->arena, j->job->n_cases, sizeof(*alive));
    int r = 0;
    for (size_t i = 0; r == 0 && i < j->job->n_cases; i++) {
        if (j->job->cases[i].check) {
            r = look_at_case(j, &j->job->cases[i], alive[i]);
        }
    }
    auto_buf struct buf verdict, detail;
    buf_init(&verdict, text_size);
    buf_init(&detail, detail_size);
    for (int k = 0; r == 0 && k < TRIVIALS; k++) {
        tell(j, k, alive, &verdict, &detail);
    }
    if (r == 0) {
        snprintf(ret_text, text_size, "%s", verdict.len ? verdict.at : "");
        snprintf(ret_detail, detail_size, "%s", detail.len ? detail.at : "");
    }
    return r;
}

int degenerate_check(struct judge *j, char *ret_detail, size_t size)
{
    struct degenerate_cache *cache = j->degenerate;
    for (size_t i = 0; i < DEGENERATE_KNOWN && !ret_detail; i++) {
        if (cache->at[i].known && id_eq(&cache->at[i].id, &j->job->task_id)) {
            j->verdict.degenerate = arena_strdup(j->arena, cache->at[i].text);
            return 0;
        }
    }
    char text[sizeof(cache->at[0].text)], detail[1024];
    int r = look_at_all(j, text, sizeof(text), detail, sizeof(detail));
    if (r < 0) {
        return r;
    }
    size_t slot = cache->next++ % DEGENERATE_KNOWN;
    cache->at[slot].known = true;
    cache->at[slot].id = j->job->task_id;
    snprintf(cache->at[slot].text, sizeof(cache->at[slot].text), "%s", text);
    j->verdict.degenerate = arena_strdup(j->arena, text);
    if (ret_detail) {
        snprintf(ret_detail, size, "%s", detail);
    }
    return 0;
}
