/* SPDX-License-Identifier: MIT */
#include "evaluator/worker/rig.h"
#include "base/util.h"

#include <stdio.h>
#include <string.h>

bool rig_is_output(const struct bound_buffer *buffer)
{
    return buffer->role == TENSOR_ROLE_OUTPUT || buffer->role == TENSOR_ROLE_INOUT;
}

size_t rig_bytes(const struct bound_buffer *buffer)
{
    return (size_t)buffer->count * dtype_size(buffer->dtype);
}

static bool is_read_only(const struct bound_buffer *buffer)
{
    return buffer->role == TENSOR_ROLE_INPUT || buffer->role == TENSOR_ROLE_WEIGHT;
}

/* The tensor whose memory tensor i shares in the candidate's sets, or -1. */
static int alias_of(const struct rig *rig, size_t i)
{
    return i < rig->n_tensors ? rig->one->alias[i] : -1;
}

bool rig_is_aliased(const struct rig *rig, size_t i)
{
    for (size_t k = 0; k < rig->n_tensors; k++) {
        if (rig->one->alias[k] == (int)i) {
            return true;
        }
    }
    return false;
}

static size_t slab_need(const struct bound_buffer *buffer)
{
    return rig_bytes(buffer) + RIG_FRONT_ZONE + 2 * RIG_BACK_ZONE;
}

static void make_table(struct rig_buffers *to, const struct bound *bound, struct arena *arena)
{
    *to = (struct rig_buffers) { .n = bound->n_buffers, .buffers = bound->buffers };
    to->slabs = arena_alloc(arena, to->n + 1, sizeof(*to->slabs));
    to->at = arena_alloc(arena, to->n + 1, sizeof(*to->at));
}

static CUdeviceptr place(const struct slab *slab, size_t bytes, bool tight)
{
    CUdeviceptr end = slab->base + slab->size;
    return tight ? (end - bytes) & ~(CUdeviceptr)15
                 : (end - bytes - RIG_BACK_ZONE) & ~(CUdeviceptr)255;
}

/* Takes slabs for buffers [from, n) of those that `wanted` names. */
static int take(struct rig *rig, struct rig_buffers *to, size_t from,
                bool (*wanted)(const struct bound_buffer *), struct err *err)
{
    for (size_t i = from; i < to->n; i++) {
        if (wanted && !wanted(&to->buffers[i])) {
            continue;
        }
        int r = slab_take(rig->slabs, slab_need(&to->buffers[i]), &to->slabs[i], err);
        if (r < 0) {
            err_wrap(err, "buffer %s of %zu bytes", to->buffers[i].name,
                     rig_bytes(&to->buffers[i]));
            return r;
        }
        to->at[i] = place(to->slabs[i], rig_bytes(&to->buffers[i]), false);
    }
    return 0;
}

static int take_set(struct rig *rig, struct rig_buffers *to, struct err *err)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < to->n; i++) {
        if (alias_of(rig, i) < 0) {
            r = slab_take(rig->slabs, slab_need(&to->buffers[i]), &to->slabs[i], err);
        }
        if (r < 0) {
            err_wrap(err, "buffer %s of %zu bytes", to->buffers[i].name,
                     rig_bytes(&to->buffers[i]));
        }
    }
    return r;
}

static size_t set_bytes(const struct rig *rig, const struct bound *bound)
{
    size_t sum = 0;
    for (size_t i = 0; i < bound->n_buffers; i++) {
        sum += alias_of(rig, i) < 0 ? slab_need(&bound->buffers[i]) + (2 << 20) : 0;
    }
    return sum;
}

/* Values far from zero are fair where nothing multiplies them with each other. */
static bool is_unary(const struct bound *bound)
{
    size_t inputs = 0;
    bool vectors = true;
    for (size_t i = 0; i < bound->n_tensors; i++) {
        const struct bound_buffer *b = &bound->buffers[i];
        bool number = dtype_is_float(b->dtype);
        inputs += number && (b->role == TENSOR_ROLE_INPUT || b->role == TENSOR_ROLE_INOUT);
        vectors = vectors && (b->role != TENSOR_ROLE_WEIGHT || b->count == b->inner);
    }
    return inputs == 1 && vectors;
}

static int hide_all(struct rig *rig, const struct rig_buffers *from, bool hidden, struct err *err)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < from->n; i++) {
        if (from->slabs[i]) {
            r = slab_hide(rig->slabs, from->slabs[i], hidden, err);
        }
    }
    return r;
}

int rig_reveal(struct rig *rig, bool revealed, struct err *err)
{
    int r = 0;
    if (rig->slabs->plain && !revealed) {
        r = rig_poison_outputs(rig, &rig->reference, RIG_POISON_A, err);
        return r < 0 ? r : gpu_finish(rig->gpu, "wiping what was expected", err);
    }
    r = hide_all(rig, &rig->reference, !revealed, err);
    return r < 0 ? r : hide_all(rig, &rig->kept, !revealed, err);
}

static int take_all(struct rig *rig, bool bare, struct arena *arena, struct err *err)
{
    const struct job_case *one = rig->one;
    make_table(&rig->reference, one->reference.bound, arena);
    make_table(&rig->kept, one->reference.bound, arena);
    int r = take(rig, &rig->reference, 0, bare ? rig_is_output : NULL, err);
    r = r < 0 || bare ? r : take(rig, &rig->kept, 0, rig_is_output, err);
    size_t wanted = rig->n_sets;
    rig->n_sets = 0;
    for (size_t s = 0; r == 0 && s < wanted; s++) {
        if (s > 0 && slabs_room(rig->slabs) < 2 * set_bytes(rig, one->candidate.bound)) {
            break;
        }
        make_table(&rig->sets[s], one->candidate.bound, arena);
        rig->n_sets++;
        r = take_set(rig, &rig->sets[s], err);
    }
    if (r == 0 && one->baseline.bound) {
        make_table(&rig->baseline[0], one->baseline.bound, arena);
        r = take(rig, &rig->baseline[0], rig->n_tensors, NULL, err);
    }
    return r;
}

static int open_rig(struct rig *rig, struct slabs *slabs, struct gate *gate, const struct job *job,
                    const struct job_case *one, size_t sets, bool bare, struct arena *arena,
                    struct err *err)
{
    memset(rig, 0, sizeof(*rig));
    rig->gpu = slabs->gpu;
    rig->slabs = slabs;
    rig->gate = gate;
    rig->job = job;
    rig->one = one;
    rig->n_tensors = one->reference.bound->n_tensors;
    rig->n_sets = sets;
    rig->unary = !job->problem && is_unary(one->reference.bound);
    struct gate_key key;
    gate_key_make(job->salt, one->shape, UINT64_MAX, 0, &key);
    rig->pattern = key.k[0] | 0x01010101; /* no zero byte */
    int r = take_all(rig, bare, arena, err);
    for (size_t s = 1; r == 0 && one->baseline.bound && s < rig->n_sets; s++) {
        make_table(&rig->baseline[s], one->baseline.bound, arena);
    }
    r = r < 0 ? r : rig_reveal(rig, false, err);
    if (r < 0) {
        rig_close(rig);
    }
    return r;
}

int rig_open(struct rig *rig, struct slabs *slabs, struct gate *gate, const struct job *job,
             const struct job_case *one, size_t sets, struct arena *arena, struct err *err)
{
    return open_rig(rig, slabs, gate, job, one, sets, false, arena, err);
}

int rig_open_bare(struct rig *rig, struct slabs *slabs, struct gate *gate, const struct job *job,
                  const struct job_case *one, struct arena *arena, struct err *err)
{
    return open_rig(rig, slabs, gate, job, one, 1, true, arena, err);
}

static void give_all(struct rig_buffers *buffers)
{
    for (size_t i = 0; buffers->slabs && i < buffers->n; i++) {
        slab_give(buffers->slabs[i]);
        buffers->slabs[i] = NULL;
    }
}

void rig_close(struct rig *rig)
{
    for (size_t s = 0; s < RIG_SETS; s++) {
        give_all(&rig->sets[s]);
        give_all(&rig->baseline[s]);
    }
    give_all(&rig->reference);
    give_all(&rig->kept);
}

static int fill_zone(struct rig *rig, const struct rig_buffers *set, size_t i, uint64_t at,
                     uint64_t end, bool behind, struct err *err)
{
    if (at >= end || rig->n_zones >= GATE_ZONES) {
        return 0;
    }
    rig->zone_buffer[rig->n_zones] = &set->buffers[i];
    rig->zone_behind[rig->n_zones] = behind;
    rig->zones[rig->n_zones++] = (struct gate_zone) { at, end - at };
    /* Whole words; what this writes of the buffer is written again before it is used. */
    uint64_t start = at & ~(uint64_t)3;
    return gpu_check(rig->gpu, rig->gpu->cu.cuMemsetD32Async(start, rig->pattern,
                                                             (end - start + 3) / 4,
                                                             rig->gpu->stream),
                     "filling a zone", err);
}

static int place_one(struct rig *rig, struct rig_buffers *set, size_t i, struct err *err)
{
    const struct slab *slab = set->slabs[i];
    size_t bytes = rig_bytes(&set->buffers[i]);
    set->at[i] = place(slab, bytes, rig->tight);
    uint64_t end = slab->base + slab->size, behind = set->at[i] + bytes;
    int r = fill_zone(rig, set, i, set->at[i] - RIG_FRONT_ZONE, set->at[i], false, err);
    return r < 0 ? r : fill_zone(rig, set, i, behind, MIN(end, behind + 4096), true, err);
}

static int place_set(struct rig *rig, struct rig_buffers *set, struct err *err)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < set->n; i++) {
        if (set->slabs[i]) {
            r = slab_protect(rig->slabs, set->slabs[i], true, err);
            r = r < 0 ? r : place_one(rig, set, i, err);
        }
    }
    for (size_t i = 0; r == 0 && i < rig->n_tensors; i++) {
        if (alias_of(rig, i) >= 0) {
            set->at[i] = set->at[alias_of(rig, i)];
        }
    }
    return r;
}

/* The baseline's tensors are the set's; its scratch is shared by both sets. */
static void point_baseline(struct rig *rig, size_t s)
{
    struct rig_buffers *b = &rig->baseline[s];
    for (size_t i = 0; i < b->n; i++) {
        b->at[i] = i < rig->n_tensors ? rig->sets[s].at[i] : rig->baseline[0].at[i];
    }
}

int rig_place(struct rig *rig, bool tight, struct err *err)
{
    rig->tight = tight;
    rig->n_zones = 0;
    int r = 0;
    for (size_t s = 0; r == 0 && s < rig->n_sets; s++) {
        r = place_set(rig, &rig->sets[s], err);
        if (r == 0 && rig->one->baseline.bound) {
            point_baseline(rig, s);
        }
    }
    return r;
}

int rig_check_zones(struct rig *rig, int slot, struct err *err)
{
    /* The table anew, so that nobody has changed it. */
    int r = gate_zones_set(rig->gate, rig->zones, rig->n_zones, err);
    return r < 0 ? r : gate_zones_check(rig->gate, rig->n_zones, rig->pattern, slot, err);
}

void rig_describe(const struct rig *rig, uint64_t address, char *ret, size_t size)
{
    for (size_t i = 0; i < rig->n_zones; i++) {
        const struct gate_zone *z = &rig->zones[i];
        if (address < z->at || address - z->at >= z->bytes) {
            continue;
        }
        const char *name = rig->zone_buffer[i]->name;
        if (rig->zone_behind[i]) {
            snprintf(ret, size, "%llu bytes past the end of %s (%zu bytes)",
                     (unsigned long long)(address - z->at), name, rig_bytes(rig->zone_buffer[i]));
        } else {
            snprintf(ret, size, "%llu bytes before the start of %s",
                     (unsigned long long)(z->at + z->bytes - address), name);
        }
        return;
    }
    snprintf(ret, size, "address 0x%llx", (unsigned long long)address);
}

static bool locate_in(const struct rig *rig, const struct rig_buffers *in, uint64_t address,
                      char *ret, size_t size)
{
    for (size_t i = 0; i < in->n; i++) {
        const struct slab *slab = in->slabs ? in->slabs[i] : NULL;
        if (!slab || address < slab->base
            || address - slab->base >= slab->size + rig->slabs->granule) {
            continue;
        }
        uint64_t start = in->at[i], bytes = rig_bytes(&in->buffers[i]);
        const char *name = in->buffers[i].name;
        if (address < start) {
            snprintf(ret, size, "%llu bytes before the start of %s",
                     (unsigned long long)(start - address), name);
        } else if (address < start + bytes) {
            snprintf(ret, size, "byte %llu of %s, which has %llu",
                     (unsigned long long)(address - start), name, (unsigned long long)bytes);
        } else {
            snprintf(ret, size, "%llu bytes past the end of %s, which has %llu",
                     (unsigned long long)(address - start - bytes), name,
                     (unsigned long long)bytes);
        }
        return true;
    }
    return false;
}

bool rig_locate(const struct rig *rig, uint64_t address, char *ret, size_t size)
{
    bool found = false;
    for (size_t s = 0; s < rig->n_sets && !found; s++) {
        found = locate_in(rig, &rig->sets[s], address, ret, size);
    }
    return found || locate_in(rig, &rig->baseline[0], address, ret, size)
        || locate_in(rig, &rig->reference, address, ret, size);
}

int rig_protect(struct rig *rig, struct rig_buffers *set, bool writable, struct err *err)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < rig->n_tensors; i++) {
        if (set->slabs[i] && is_read_only(&set->buffers[i]) && !rig_is_aliased(rig, i)) {
            r = slab_protect(rig->slabs, set->slabs[i], writable, err);
        }
    }
    return r;
}

int rig_keep(struct rig *rig, const struct rig_buffers *from, struct err *err)
{
    int r = rig_reveal(rig, true, err);
    for (size_t i = 0; r == 0 && i < rig->n_tensors; i++) {
        if (rig_is_output(&from->buffers[i])) {
            r = gpu_check(rig->gpu,
                          rig->gpu->cu.cuMemcpyDtoDAsync(rig->kept.at[i], from->at[i],
                                                         rig_bytes(&from->buffers[i]),
                                                         rig->gpu->stream),
                          "copying an output", err);
        }
    }
    r = r < 0 ? r : gpu_finish(rig->gpu, "copying outputs", err);
    return r < 0 ? r : rig_reveal(rig, false, err);
}
