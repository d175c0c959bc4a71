/* SPDX-License-Identifier: MIT */
#include "evaluator/worker/gate.h"
#include "base/id.h"
#include "base/util.h"

#include <string.h>

enum { THREADS = 256 };

/* As in gate.cu. */
struct stamps {
    uint64_t hold_cycles, hold_ns, late, longest_ns, multiprocessor, cycles, ns, after_cycles,
        after_ns;
};

const char *gate_mode_name(enum gate_mode mode)
{
    static const char *const names[]
        = { "the task's own inputs", "inputs with an offset", "inputs with outliers",
            "small integer inputs", "rows of different magnitude", "extremes at the edges",
            "few inputs that matter", "negative inputs", "positive inputs",
            "inputs far below zero", "inputs far above zero", "rows far from zero",
            "edges far from zero" };
    return names[mode];
}

static int find_kernels(struct gate *gate, struct err *err)
{
    const struct {
        const char *name;
        CUfunction *at;
    } kernels[] = {
        { "gate_fill", &gate->fill }, { "gate_normalise", &gate->normalise },
        { "gate_norm", &gate->norm }, { "gate_compare", &gate->compare },
        { "gate_same", &gate->same }, { "gate_zones", &gate->zones },
        { "gate_hold", &gate->hold }, { "gate_stamp", &gate->stamp },
        { "gate_shared", &gate->shared }, { "gate_constant", &gate->constant },
        { "gate_cast", &gate->cast }, { "gate_halve", &gate->halve },
    };
    for (size_t i = 0; i < ARRAY_LEN(kernels); i++) {
        int r = gpu_check(gate->gpu, gate->gpu->cu.cuModuleGetFunction(kernels[i].at, gate->module,
                                                                       kernels[i].name),
                          kernels[i].name, err);
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

static int make_memory(struct gate *gate, struct err *err)
{
    struct gpu *gpu = gate->gpu;
    const struct {
        CUdeviceptr *at;
        size_t bytes;
    } pieces[] = {
        { &gate->slots, GATE_SLOTS * sizeof(struct gate_comparison) },
        { &gate->zone_table, GATE_ZONES * sizeof(struct gate_zone) },
        { &gate->held, sizeof(struct stamps) },
    };
    for (size_t i = 0; i < ARRAY_LEN(pieces); i++) {
        int r = gpu_check(gpu, gpu->cu.cuMemAlloc(pieces[i].at, pieces[i].bytes), "cuMemAlloc",
                          err);
        if (r < 0) {
            return r;
        }
    }
    void *flag = NULL;
    int r = gpu_check(gpu, gpu->cu.cuMemHostAlloc(&flag, 64, CU_MEMHOSTALLOC_DEVICEMAP),
                      "cuMemHostAlloc", err);
    if (r == 0) {
        r = gpu_check(gpu, gpu->cu.cuMemHostGetDevicePointer(&gate->flag_device, flag, 0),
                      "cuMemHostGetDevicePointer", err);
    }
    if (r == 0) {
        gate->flag = flag;
        *gate->flag = 0;
    }
    return r;
}

int gate_load(struct gate *gate, struct gpu *gpu, const void *image, struct err *err)
{
    *gate = (struct gate) { .gpu = gpu };
    int r = gpu_check(gpu, gpu->cu.cuModuleLoadData(&gate->module, image), "the gate's module",
                      err);
    if (r == 0) {
        r = find_kernels(gate, err);
    }
    if (r == 0) {
        r = make_memory(gate, err);
    }
    if (r == 0 && !gpu->modelled) {
        r = gpu_check(gpu, gpu->cu.cuFuncSetAttribute(
                          gate->shared, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES,
                          gpu->max_shared), "gate_shared", err);
    }
    return r;
}

void gate_unload(struct gate *gate)
{
    if (!gate->gpu || gate->gpu->broken) {
        return;
    }
    const struct cuda_api *cu = &gate->gpu->cu;
    cu->cuMemFree(gate->slots);
    cu->cuMemFree(gate->zone_table);
    cu->cuMemFree(gate->held);
    if (gate->flag) {
        cu->cuMemFreeHost((void *)(uintptr_t)gate->flag);
    }
    if (gate->module) {
        cu->cuModuleUnload(gate->module);
    }
    gate->gpu = NULL;
}

void gate_key_make(const unsigned char salt[32], const char *shape, uint64_t trial, uint64_t tensor,
                   struct gate_key *ret)
{
    const struct id_part parts[] = { { salt, 32 }, { shape, strlen(shape) },
                                     { &trial, sizeof(trial) }, { &tensor, sizeof(tensor) } };
    struct id id;
    id_of_parts(parts, ARRAY_LEN(parts), &id);
    memcpy(ret->k, id.bytes, sizeof(ret->k));
}

/* Blocks for `items` of work a thread: enough to fill the GPU a few times, never more. */
static unsigned blocks_for(const struct gate *gate, uint64_t items)
{
    uint64_t blocks = (items + THREADS - 1) / THREADS;
    return (unsigned)MAX(1, MIN(blocks, (uint64_t)gate->gpu->sm_count * 16));
}

int gate_fill(struct gate *gate, CUdeviceptr at, const struct bound_buffer *buffer,
              enum gate_mode mode, const struct gate_key *key, struct err *err)
{
    uint64_t count = (uint64_t)buffer->count, inner = (uint64_t)MAX(buffer->inner, 1);
    uint64_t bound = (uint64_t)buffer->index_bound;
    int dtype = (int)buffer->dtype, domain = (int)buffer->domain, how = (int)mode;
    struct gate_key k = *key;
    void *args[] = { &at, &count, &inner, &bound, &dtype, &domain, &how, &k.k[0], &k.k[1], &k.k[2],
                     &k.k[3] };
    int r = gpu_launch(gate->gpu, gate->fill, blocks_for(gate, (count + 3) / 4), THREADS, 0, args,
                       err);
    if (r == 0 && buffer->domain == DOMAIN_KIND_PROBABILITY) {
        uint64_t rows = count / inner;
        void *more[] = { &at, &rows, &inner, &dtype };
        r = gpu_launch(gate->gpu, gate->normalise, blocks_for(gate, rows * THREADS), THREADS, 0,
                       more, err);
    }
    return r;
}

int gate_clear(struct gate *gate, struct err *err)
{
    /* `first` is a minimum: it starts from the largest number. */
    struct gate_comparison clear[GATE_SLOTS];
    memset(clear, 0, sizeof(clear));
    for (size_t i = 0; i < GATE_SLOTS; i++) {
        clear[i].first = UINT64_MAX;
    }
    return gpu_check(gate->gpu, gate->gpu->cu.cuMemcpyHtoD(gate->slots, clear, sizeof(clear)),
                     "cuMemcpyHtoD", err);
}

static CUdeviceptr slot_at(const struct gate *gate, int slot)
{
    require(slot >= 0 && slot < GATE_SLOTS);
    return gate->slots + (size_t)slot * sizeof(struct gate_comparison);
}

int gate_norm(struct gate *gate, CUdeviceptr expected, const struct bound_buffer *buffer,
              double atol, int slot, struct err *err)
{
    uint64_t count = (uint64_t)buffer->count;
    int dtype = (int)buffer->dtype;
    CUdeviceptr out = slot_at(gate, slot);
    void *args[] = { &expected, &count, &dtype, &atol, &out };
    return gpu_launch(gate->gpu, gate->norm, blocks_for(gate, count), THREADS, 0, args, err);
}

static int compare(struct gate *gate, CUdeviceptr expected, CUdeviceptr got,
                   const struct bound_buffer *buffer, double atol, double rtol, int close, int slot,
                   struct err *err)
{
    uint64_t count = (uint64_t)buffer->count;
    int dtype = (int)buffer->dtype;
    CUdeviceptr out = slot_at(gate, slot);
    void *args[] = { &expected, &got, &count, &dtype, &atol, &rtol, &close, &out };
    return gpu_launch(gate->gpu, gate->compare, blocks_for(gate, count), THREADS, 0, args, err);
}

int gate_compare(struct gate *gate, CUdeviceptr expected, CUdeviceptr got,
                 const struct bound_buffer *buffer, double atol, double rtol, int slot,
                 struct err *err)
{
    return compare(gate, expected, got, buffer, atol, rtol, 0, slot, err);
}

int gate_close(struct gate *gate, CUdeviceptr expected, CUdeviceptr got,
               const struct bound_buffer *buffer, double tolerance, int slot, struct err *err)
{
    return compare(gate, expected, got, buffer, tolerance, tolerance, 1, slot, err);
}

int gate_same(struct gate *gate, CUdeviceptr a, CUdeviceptr b, size_t bytes, int slot,
              struct err *err)
{
    uint64_t n = bytes;
    CUdeviceptr out = slot_at(gate, slot);
    void *args[] = { &a, &b, &n, &out };
    return gpu_launch(gate->gpu, gate->same, blocks_for(gate, n / 4), THREADS, 0, args, err);
}

int gate_zones_set(struct gate *gate, const struct gate_zone *zones, size_t n, struct err *err)
{
    require(n <= GATE_ZONES);
    return gpu_check(gate->gpu,
                     gate->gpu->cu.cuMemcpyHtoD(gate->zone_table, zones, n * sizeof(*zones)),
                     "cuMemcpyHtoD", err);
}

int gate_zones_check(struct gate *gate, size_t n, uint32_t pattern, int slot, struct err *err)
{
    CUdeviceptr out = slot_at(gate, slot);
    void *args[] = { &gate->zone_table, &pattern, &out };
    return n == 0 ? 0
                  : gpu_launch(gate->gpu, gate->zones, (unsigned)n, THREADS, 0, args, err);
}

int gate_read(struct gate *gate, size_t n, struct gate_comparison *ret, struct err *err)
{
    int r = gpu_finish(gate->gpu, "the gate", err);
    return r < 0 ? r
                 : gpu_check(gate->gpu, gate->gpu->cu.cuMemcpyDtoH(ret, gate->slots,
                                                                   n * sizeof(*ret)),
                             "cuMemcpyDtoH", err);
}

double gate_max_error(const struct gate_comparison *comparison)
{
    double value;
    memcpy(&value, &comparison->max_error_bits, sizeof(value));
    return value;
}

int gate_constant(struct gate *gate, CUdeviceptr at, const struct bound_buffer *buffer,
                  double value, struct err *err)
{
    uint64_t count = (uint64_t)buffer->count;
    int dtype = (int)buffer->dtype;
    void *args[] = { &at, &count, &dtype, &value };
    return gpu_launch(gate->gpu, gate->constant, blocks_for(gate, count), THREADS, 0, args, err);
}

int gate_cast(struct gate *gate, CUdeviceptr to, const struct bound_buffer *buffer,
              CUdeviceptr from, enum dtype from_dtype, struct err *err)
{
    uint64_t count = (uint64_t)buffer->count;
    int dtype = (int)buffer->dtype, other = (int)from_dtype;
    void *args[] = { &to, &dtype, &from, &other, &count };
    return gpu_launch(gate->gpu, gate->cast, blocks_for(gate, count), THREADS, 0, args, err);
}

int gate_halve(struct gate *gate, CUdeviceptr at, const struct bound_buffer *buffer, int64_t inner,
               struct err *err)
{
    uint64_t count = (uint64_t)buffer->count, piece = (uint64_t)inner;
    int size = (int)dtype_size(buffer->dtype);
    void *args[] = { &at, &count, &piece, &size };
    return gpu_launch(gate->gpu, gate->halve, blocks_for(gate, count), THREADS, 0, args, err);
}

int gate_poison_shared(struct gate *gate, uint32_t pattern, struct err *err)
{
    if (gate->gpu->modelled) {
        return 0; /* the simulator finds reads of unwritten shared memory by itself */
    }
    uint32_t words = (uint32_t)gate->gpu->max_shared / 4;
    void *args[] = { &pattern, &words };
    return gpu_launch(gate->gpu, gate->shared, (unsigned)gate->gpu->sm_count, 1024,
                      (unsigned)gate->gpu->max_shared, args, err);
}

int gate_hold(struct gate *gate, uint64_t timeout_ns, struct err *err)
{
    gate->turn++;
    void *args[] = { &gate->flag_device, &gate->turn, &timeout_ns, &gate->held };
    return gpu_launch(gate->gpu, gate->hold, 1, 1, 0, args, err);
}

void gate_release(struct gate *gate)
{
    __atomic_store_n((uint32_t *)(uintptr_t)gate->flag, gate->turn, __ATOMIC_RELEASE);
}

int gate_stamp(struct gate *gate, struct err *err)
{
    void *args[] = { &gate->held };
    return gpu_launch(gate->gpu, gate->stamp, (unsigned)gate->gpu->sm_count, 1, 0, args, err);
}

int gate_held(struct gate *gate, struct gate_held *ret, struct err *err)
{
    static const uint64_t enough_ns = 10000; /* the timer's steps are too coarse below */
    struct stamps s;
    int r = gpu_check(gate->gpu, gate->gpu->cu.cuMemcpyDtoH(&s, gate->held, sizeof(s)),
                      "cuMemcpyDtoH", err);
    if (r < 0) {
        return r;
    }
    uint64_t cycles = s.hold_cycles, ns = s.hold_ns;
    *ret = (struct gate_held) { .late = s.late != 0, .longest_us = (double)s.longest_ns * 1e-3 };
    if (s.after_ns > s.ns) {
        ret->window_us = (double)(s.after_ns - s.ns) * 1e-3;
    }
    if (s.after_ns > s.ns + enough_ns) {
        cycles = s.after_cycles - s.cycles;
        ns = s.after_ns - s.ns;
    }
    ret->mhz = ns >= enough_ns ? (double)cycles / (double)ns * 1e3 : 0;
    return 0;
}
