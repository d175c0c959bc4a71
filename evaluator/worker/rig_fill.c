/* SPDX-License-Identifier: MIT */
/* What the rig's buffers hold: inputs, poison, and cheap stand-ins for modelled runs. */
#include "base/rng.h"
#include "base/util.h"
#include "evaluator/worker/oracle.h"
#include "evaluator/worker/rig.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { INDEX_BYTES_MAX = 256 << 20 }; /* of an index tensor that is drawn for a modelled run */

/* An input whose memory an output shares is gone after a run, like what is updated in place. */
static unsigned part_of(const struct rig *rig, size_t i)
{
    switch (rig->reference.buffers[i].role) {
    case TENSOR_ROLE_INPUT:
        return RIG_PART_INPUTS | (rig_is_aliased(rig, i) ? RIG_PART_INOUT : 0);
    case TENSOR_ROLE_WEIGHT: return RIG_PART_WEIGHTS;
    case TENSOR_ROLE_INOUT: return RIG_PART_INOUT;
    default: return 0;
    }
}

static enum gate_mode mode_for(const struct rig *rig, const struct bound_buffer *buffer,
                               enum gate_mode mode)
{
    switch (rig->unary && buffer->domain == DOMAIN_KIND_REAL ? mode : GATE_MODE_OWN) {
    case GATE_MODE_NEGATIVE: return GATE_MODE_FAR_BELOW;
    case GATE_MODE_POSITIVE: return GATE_MODE_FAR_ABOVE;
    case GATE_MODE_OFFSET: return GATE_MODE_FAR_OFFSET;
    case GATE_MODE_EDGES: return GATE_MODE_FAR_EDGES;
    default: return mode;
    }
}

/* The oracle makes a part at once, by a key for each. */
static int fill_by_oracle(struct rig *rig, struct rig_buffers *to, unsigned parts, uint64_t trial,
                          enum gate_mode mode, struct err *err)
{
    uint64_t seeds[3];
    for (uint64_t part = 0; part < ARRAY_LEN(seeds); part++) {
        struct gate_key key;
        bool weights = 1u << part == RIG_PART_WEIGHTS && rig->weights_trial;
        gate_key_make(rig->job->salt, rig->one->shape, weights ? rig->weights_trial : trial, part, &key);
        seeds[part] = (uint64_t)key.k[0] << 32 | key.k[1];
    }
    return oracle_make(rig->job->oracle, to, rig->n_tensors, parts, seeds, mode, err);
}

int rig_fill(struct rig *rig, struct rig_buffers *to, unsigned parts, uint64_t trial,
             enum gate_mode mode, struct err *err)
{
    if (rig->job->oracle) {
        return fill_by_oracle(rig, to, parts, trial, mode, err);
    }
    int r = 0;
    for (size_t i = 0; r == 0 && i < rig->n_tensors; i++) {
        const struct bound_buffer *buffer = &to->buffers[i];
        if (!(part_of(rig, i) & parts)) {
            continue;
        }
        struct gate_key key;
        bool weight = buffer->role == TENSOR_ROLE_WEIGHT;
        uint64_t of = weight && rig->weights_trial ? rig->weights_trial : trial;
        gate_key_make(rig->job->salt, rig->one->shape, of, i, &key);
        enum gate_mode how = weight ? GATE_MODE_OWN : mode_for(rig, buffer, mode);
        r = gate_fill(rig->gate, to->at[i], buffer, how, &key, err);
    }
    return r;
}

static int set_words(struct rig *rig, CUdeviceptr at, uint32_t word, size_t bytes, struct err *err)
{
    const struct cuda_api *cu = &rig->gpu->cu;
    CUresult result = CUDA_SUCCESS;
    if (bytes >= 4) {
        result = cu->cuMemsetD32Async(at, word, bytes / 4, rig->gpu->stream);
    }
    if (result == CUDA_SUCCESS && bytes % 4) {
        result = cu->cuMemsetD8Async(at + bytes / 4 * 4, (unsigned char)word, bytes % 4,
                                     rig->gpu->stream);
    }
    return gpu_check(rig->gpu, result, "filling a buffer", err);
}

/* NaN as f64, f32, f16 and bf16, and no small integer. */
uint32_t rig_poison_word(enum rig_poison which)
{
    return which == RIG_POISON_A ? 0xffffffffu : which == RIG_POISON_B ? 0x7ff87ff8u : 0x3f803f80u;
}

static int poison(struct rig *rig, CUdeviceptr at, const struct bound_buffer *buffer, size_t index,
                  enum rig_poison which, struct err *err)
{
    if (which != RIG_POISON_NUMBERS) {
        return set_words(rig, at, rig_poison_word(which), rig_bytes(buffer), err);
    }
    struct bound_buffer number = *buffer;
    struct gate_key key;
    number.domain = dtype_is_float(buffer->dtype) ? DOMAIN_KIND_REAL : DOMAIN_KIND_EXACT;
    gate_key_make(rig->job->salt, rig->one->shape, UINT64_MAX - 1, index, &key);
    return gate_fill(rig->gate, at, &number, GATE_MODE_OWN, &key, err);
}

int rig_poison_inputs(struct rig *rig, struct rig_buffers *to, struct err *err)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < rig->n_tensors; i++) {
        if (part_of(rig, i) & (RIG_PART_INPUTS | RIG_PART_INOUT)) {
            r = poison(rig, to->at[i], &to->buffers[i], i, RIG_POISON_B, err);
        }
    }
    return r;
}

int rig_poison_outputs(struct rig *rig, struct rig_buffers *to, enum rig_poison which,
                       struct err *err)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < rig->n_tensors; i++) {
        bool shares = to == &rig->reference ? false : rig->one->alias[i] >= 0;
        if (to->buffers[i].role == TENSOR_ROLE_OUTPUT && !shares) {
            r = poison(rig, to->at[i], &to->buffers[i], i, which, err);
        }
    }
    return r;
}

int rig_poison_scratch(struct rig *rig, struct rig_buffers *to, enum rig_poison which,
                       struct err *err)
{
    int r = 0;
    for (size_t i = rig->n_tensors; r == 0 && i < to->n; i++) {
        r = poison(rig, to->at[i], &to->buffers[i], i, which, err);
    }
    return r;
}

int rig_renew_scratch(struct rig *rig, struct rig_buffers *to, struct err *err)
{
    if (to->n <= rig->n_tensors) {
        return 0;
    }
    for (size_t i = rig->n_tensors; i < to->n; i++) {
        slab_drop(rig->slabs, to->slabs[i]);
        to->slabs[i] = NULL;
    }
    slabs_drop_unused(rig->slabs); /* one of another case could be taken, which was written */
    int r = 0;
    for (size_t i = rig->n_tensors; r == 0 && i < to->n; i++) {
        size_t need = rig_bytes(&to->buffers[i]) + RIG_FRONT_ZONE + 2 * RIG_BACK_ZONE;
        r = slab_take(rig->slabs, need, &to->slabs[i], err);
    }
    return r < 0 ? r : rig_place(rig, rig->tight, err);
}

/* One, or a number near it, in every element. */
static uint32_t ones(enum dtype dtype)
{
    switch (dtype) {
    case DTYPE_F64: /* 0.0078: its upper half is the word, too */
    case DTYPE_F32: return 0x3f800000;
    case DTYPE_F16: return 0x3c003c00;
    case DTYPE_BF16: return 0x3f803f80;
    case DTYPE_F8E4M3: return 0x38383838;
    case DTYPE_F8E5M2: return 0x3c3c3c3c;
    case DTYPE_I64: return 0;
    case DTYPE_I32: return 1;
    case DTYPE_I16: return 0x00010001;
    default: return 0x01010101;
    }
}

static int draw_indices(struct rig *rig, CUdeviceptr at, const struct bound_buffer *buffer,
                        struct err *err)
{
    size_t bytes = rig_bytes(buffer), width = dtype_size(buffer->dtype);
    if (bytes > INDEX_BYTES_MAX || dtype_is_float(buffer->dtype)) {
        return set_words(rig, at, 0, bytes, err);
    }
    auto_free char *values = malloc(bytes);
    if (!values) {
        return err_set(err, -ENOMEM, "%zu bytes of indices", bytes);
    }
    struct rng rng;
    rng_init(&rng, 1, rng_key(buffer->name), (uint64_t)buffer->count);
    for (size_t i = 0; i < bytes / width; i++) {
        uint64_t value = rng_below(&rng, (uint64_t)buffer->index_bound);
        memcpy(values + i * width, &value, width); /* little-endian */
    }
    return gpu_check(rig->gpu, rig->gpu->cu.cuMemcpyHtoD(at, values, bytes), "cuMemcpyHtoD", err);
}

int rig_fill_cheaply(struct rig *rig, struct rig_buffers *to, struct err *err)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < rig->n_tensors; i++) {
        const struct bound_buffer *buffer = &to->buffers[i];
        if (part_of(rig, i) == 0) {
            continue;
        }
        r = buffer->domain == DOMAIN_KIND_INDEX
            ? draw_indices(rig, to->at[i], buffer, err)
            : set_words(rig, to->at[i], ones(buffer->dtype), rig_bytes(buffer), err);
    }
    return r;
}
