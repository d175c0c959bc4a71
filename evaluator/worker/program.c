/* SPDX-License-Identifier: MIT */
#include "evaluator/worker/program.h"
#include "base/buf.h"
#include "base/util.h"
#include "evaluator/worker/library.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SHARED_PLAIN = 48 << 10 }; /* dynamic shared memory that needs no asking for */

static bool fits(int64_t value, size_t size)
{
    if (size >= 8) {
        return true;
    }
    int64_t span = (int64_t)1 << (8 * size);
    return value >= -span / 2 && value < span; /* as signed or as unsigned */
}

/* One argument into its word; the parameter has `size` bytes. */
static int pack(const struct bound *bound, const struct job_case *one, const struct bound_arg *arg,
                size_t index, size_t size, uint64_t *ret, struct err *err)
{
    switch (arg->kind) {
    case BOUND_ARG_KIND_BUFFER:
        return size == 8 ? 0
                         : err_set(err, ERR_INVALID,
                                   "args[%zu]: \"%s\" is a pointer, the parameter has %zu bytes",
                                   index, bound->buffers[arg->value].name, size);
    case BOUND_ARG_KIND_SCALAR: {
        const struct scalar *scalar = &one->scalars[arg->value];
        if (size != dtype_size(scalar->dtype) || !dtype_bits(scalar->dtype, scalar->value, ret)) {
            return err_set(err, ERR_INVALID,
                           "args[%zu]: the scalar \"%s\" is %s, the parameter has %zu bytes", index,
                           scalar->name, dtype_name(scalar->dtype), size);
        }
        return 0;
    }
    case BOUND_ARG_KIND_INT:
        if (size > 8 || !fits(arg->value, size)) {
            return err_set(err, ERR_INVALID,
                           "args[%zu]: %lld doesn't fit the parameter's %zu bytes%s", index,
                           (long long)arg->value, size, size == 4 ? "; declare it long long" : "");
        }
        *ret = (uint64_t)arg->value;
        return 0;
    }
    return err_set(err, ERR_BUG, "args[%zu]: kind %d", index, (int)arg->kind);
}

static size_t param_count(const struct gpu *gpu, CUfunction function)
{
    size_t n = 0, offset, size;
    while (n < 4096
           && gpu->cu.cuFuncGetParamInfo(function, n, &offset, &size) == CUDA_SUCCESS) {
        n++;
    }
    return n;
}

static int pack_args(struct program *p, const struct job_case *one, struct step *step,
                     struct arena *arena, struct err *err)
{
    const struct bound_launch *launch = step->launch;
    size_t n = param_count(p->gpu, step->function);
    if (n != launch->n_args) {
        return err_set(err, ERR_INVALID, "the kernel takes %zu arguments, the plan gives %zu", n,
                       launch->n_args);
    }
    step->values = arena_alloc(arena, n + 1, sizeof(*step->values));
    step->params = arena_alloc(arena, n + 1, sizeof(*step->params));
    int r = 0;
    for (size_t i = 0; r == 0 && i < n; i++) {
        size_t offset, size;
        p->gpu->cu.cuFuncGetParamInfo(step->function, i, &offset, &size);
        step->params[i] = &step->values[i];
        r = pack(p->bound, one, &launch->args[i], i, size, &step->values[i], err);
    }
    return r;
}

/* "; kernels in the module: a, b" where the driver can tell. */
static void list_kernels(const struct program *p, struct buf *out)
{
    const struct cuda_api *cu = &p->gpu->cu;
    unsigned n = 0;
    if (!cu->cuModuleGetFunctionCount || !cu->cuModuleEnumerateFunctions || !cu->cuFuncGetName
        || cu->cuModuleGetFunctionCount(&n, p->module) != CUDA_SUCCESS || n == 0) {
        return;
    }
    n = MIN(n, 32u);
    CUfunction functions[32];
    if (cu->cuModuleEnumerateFunctions(functions, n, p->module) != CUDA_SUCCESS) {
        return;
    }
    for (unsigned i = 0; i < n; i++) {
        const char *name = NULL;
        if (cu->cuFuncGetName(&name, functions[i]) == CUDA_SUCCESS && name) {
            buf_printf(out, "%s%s", i ? ", " : "; kernels there: ", name);
        }
    }
}

static int find_kernel(struct program *p, struct step *step, struct err *err)
{
    CUresult result
        = p->gpu->cu.cuModuleGetFunction(&step->function, p->module, step->launch->kernel);
    if (result == CUDA_ERROR_NOT_FOUND) {
        auto_buf struct buf names;
        buf_init(&names, 1500);
        list_kernels(p, &names);
        return err_set(err, ERR_INVALID,
                       "no kernel of this name in the module%s (is it extern \"C\" __global__?)",
                       names.len ? names.at : "");
    }
    return gpu_check(p->gpu, result, "cuModuleGetFunction", err);
}

static int allow_shared(struct program *p, const struct step *step, struct err *err)
{
    int fixed = 0;
    p->gpu->cu.cuFuncGetAttribute(&fixed, CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES, step->function);
    int64_t wanted = step->launch->shared;
    p->shared = (int)MAX(p->shared, fixed + wanted);
    if (fixed + wanted > p->gpu->max_shared) {
        return err_set(err, ERR_INVALID,
                       "%lld bytes of dynamic and %d of static shared memory; a block may have %d "
                       "here", (long long)wanted, fixed, p->gpu->max_shared);
    }
    if (wanted == 0 || fixed + wanted <= SHARED_PLAIN) {
        return 0;
    }
    return gpu_check(p->gpu, p->gpu->cu.cuFuncSetAttribute(
                         step->function, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES,
                         (int)wanted), "shared memory", err);
}

static int check_threads(struct program *p, const struct step *step, struct err *err)
{
    const struct cuda_api *cu = &p->gpu->cu;
    int most = 0, registers = 0, blocks = 0;
    int threads = (int)(step->launch->block[0] * step->launch->block[1] * step->launch->block[2]);
    cu->cuFuncGetAttribute(&most, CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK, step->function);
    cu->cuFuncGetAttribute(&registers, CU_FUNC_ATTRIBUTE_NUM_REGS, step->function);
    p->registers = MAX(p->registers, registers);
    if (most > 0 && threads > most) {
        return err_set(err, ERR_INVALID,
                       "%d threads a block; with its %d registers a thread (or its "
                       "__launch_bounds__) the kernel can have %d", threads, registers, most);
    }
    if (p->gpu->max_threads_sm > 0
        && cu->cuOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, step->function, threads,
                                                           (size_t)step->launch->shared)
            == CUDA_SUCCESS) {
        int warps = (threads + 31) / 32;
        double share = 32.0 * blocks * warps / p->gpu->max_threads_sm;
        p->occupancy = p->occupancy == 0 ? MIN(share, 1) : MIN(p->occupancy, share);
    }
    return 0;
}

static int load_step(struct program *p, const struct job_case *one, struct step *step,
                     struct arena *arena, struct err *err)
{
    if (step->launch->library) {
        return p->gpu->libraries
            ? library_step_open(p->gpu->libraries, p->gpu, p->bound, step->launch, &step->library, err)
            : err_set(err, ERR_UNSUPPORTED, "this worker runs no libraries");
    }
    if (!step->launch->kernel) {
        const struct bound_buffer *b = &p->bound->buffers[step->launch->buffer];
        step->bytes = (size_t)b->count * dtype_size(b->dtype);
        return 0;
    }
    int r = find_kernel(p, step, err);
    r = r < 0 ? r : pack_args(p, one, step, arena, err);
    r = r < 0 ? r : allow_shared(p, step, err);
    return r < 0 ? r : check_threads(p, step, err);
}

static const char *name_of(const struct bound_launch *launch)
{
    return launch->kernel ? launch->kernel : launch->library ? launch->library->name : "memset";
}

static int load_steps(struct program *p, const struct job_case *one, const char *what,
                      const struct bound_launch *launches, size_t n, struct step **ret,
                      struct arena *arena, struct err *err)
{
    *ret = arena_alloc(arena, n + 1, sizeof(**ret));
    for (size_t i = 0; i < n; i++) {
        (*ret)[i].launch = &launches[i];
        int r = load_step(p, one, &(*ret)[i], arena, err);
        if (r < 0) {
            err_wrap(err, "%s[%zu] (%s)", what, i, name_of(&launches[i]));
            return r;
        }
    }
    return 0;
}

int program_load(struct program *p, struct gpu *gpu, const struct job_image *image,
                 const struct job_case *one, const struct bound *bound, struct arena *arena,
                 struct err *err)
{
    *p = (struct program) { .gpu = gpu, .bound = bound, .n_launches = bound->n_launches,
                            .n_prepare = bound->n_prepare };
    auto_free char *text = calloc(image->len + PROGRAM_IMAGE_PAD, 1);
    if (!text) {
        return err_set(err, -ENOMEM, "an image of %zu bytes", image->len);
    }
    memcpy(text, image->at, image->len);
    int r = gpu_check(gpu, gpu->cu.cuModuleLoadData(&p->module, text), "loading the module", err);
    r = r < 0 ? r : load_steps(p, one, "prepare", bound->prepare, p->n_prepare, &p->prepare, arena,
                               err);
    r = r < 0 ? r : load_steps(p, one, "launches", bound->launches, p->n_launches, &p->launches,
                               arena, err);
    if (r < 0) {
        program_unload(p);
    }
    return r;
}

static void close_steps(struct step *steps, size_t n)
{
    for (size_t i = 0; steps && i < n; i++) {
        library_step_close(steps[i].library);
        steps[i].library = NULL;
    }
}

void program_unload(struct program *p)
{
    close_steps(p->prepare, p->n_prepare);
    close_steps(p->launches, p->n_launches);
    if (p->module && !p->gpu->broken) {
        p->gpu->cu.cuModuleUnload(p->module);
    }
    p->module = NULL;
}

static void point_steps(struct step *steps, size_t n, const CUdeviceptr *buffers)
{
    for (size_t i = 0; i < n; i++) {
        const struct bound_launch *launch = steps[i].launch;
        for (size_t k = 0; launch->kernel && k < launch->n_args; k++) {
            if (launch->args[k].kind == BOUND_ARG_KIND_BUFFER) {
                steps[i].values[k] = buffers[launch->args[k].value];
            }
        }
    }
}

void program_point(struct program *p, const CUdeviceptr *buffers)
{
    p->buffers = buffers;
    point_steps(p->launches, p->n_launches, buffers);
    point_steps(p->prepare, p->n_prepare, buffers);
}

static CUresult launch_with_attributes(const struct program *p, const struct step *step, bool first)
{
    const struct bound_launch *l = step->launch;
    CUlaunchAttribute attributes[3];
    unsigned n = 0;
    if (l->cluster[0] * l->cluster[1] * l->cluster[2] > 1) {
        attributes[n++] = (CUlaunchAttribute) {
            .id = CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION,
            .value.clusterDim = { (unsigned)l->cluster[0], (unsigned)l->cluster[1],
                                  (unsigned)l->cluster[2] },
        };
    }
    if (l->cooperative) {
        attributes[n++] = (CUlaunchAttribute) { .id = CU_LAUNCH_ATTRIBUTE_COOPERATIVE,
                                                .value.cooperative = 1 };
    }
    /* The first launch follows our own work, which it may not overtake. */
    if (l->programmatic && !first) {
        attributes[n++] = (CUlaunchAttribute) {
            .id = CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION,
            .value.programmaticStreamSerializationAllowed = 1,
        };
    }
    CUlaunchConfig config = {
        .gridDimX = (unsigned)l->grid[0], .gridDimY = (unsigned)l->grid[1],
        .gridDimZ = (unsigned)l->grid[2], .blockDimX = (unsigned)l->block[0],
        .blockDimY = (unsigned)l->block[1], .blockDimZ = (unsigned)l->block[2],
        .sharedMemBytes = (unsigned)l->shared, .hStream = p->gpu->stream,
        .attrs = attributes, .numAttrs = n,
    };
    return p->gpu->cu.cuLaunchKernelEx(&config, step->function, step->params, NULL);
}

static CUresult run_step(const struct program *p, const struct step *step, bool first)
{
    const struct bound_launch *l = step->launch;
    const struct cuda_api *cu = &p->gpu->cu;
    if (!l->kernel) {
        return cu->cuMemsetD8Async(p->buffers[l->buffer], (unsigned char)l->value, step->bytes,
                                   p->gpu->stream);
    }
    bool plain = !l->cooperative && !l->programmatic
        && l->cluster[0] * l->cluster[1] * l->cluster[2] == 1;
    return plain ? cu->cuLaunchKernel(step->function, (unsigned)l->grid[0], (unsigned)l->grid[1],
                                      (unsigned)l->grid[2], (unsigned)l->block[0],
                                      (unsigned)l->block[1], (unsigned)l->block[2],
                                      (unsigned)l->shared, p->gpu->stream, step->params, NULL)
                 : launch_with_attributes(p, step, first);
}

static int run_steps(struct program *p, const char *what, const struct step *steps, size_t n,
                     struct err *err)
{
    for (size_t i = 0; i < n; i++) {
        if (steps[i].library) {
            int r = library_step_run(steps[i].library, p->buffers, err);
            if (r < 0) {
                err_wrap(err, "%s[%zu] (%s)", what, i, name_of(steps[i].launch));
                return r;
            }
            continue;
        }
        CUresult result = run_step(p, &steps[i], i == 0);
        if (result != CUDA_SUCCESS) {
            char place[256];
            snprintf(place, sizeof(place), "%s[%zu] (%.150s)", what, i, name_of(steps[i].launch));
            return gpu_check(p->gpu, result, place, err);
        }
    }
    return 0;
}

int program_run(struct program *p, struct err *err)
{
    return run_steps(p, "launches", p->launches, p->n_launches, err);
}

int program_prepare(struct program *p, struct err *err)
{
    return run_steps(p, "prepare", p->prepare, p->n_prepare, err);
}

int program_record(struct program *p, CUgraphExec *ret, struct err *err)
{
    const struct cuda_api *cu = &p->gpu->cu;
    CUgraph graph = NULL;
    int r = gpu_check(p->gpu, cu->cuStreamBeginCapture(p->gpu->stream,
                                                       CU_STREAM_CAPTURE_MODE_THREAD_LOCAL),
                      "recording a graph", err);
    if (r < 0) {
        return r;
    }
    r = program_run(p, err);
    int ended = gpu_check(p->gpu, cu->cuStreamEndCapture(p->gpu->stream, &graph),
                          "recording a graph", r < 0 ? NULL : err);
    r = r < 0 ? r : ended;
    if (r == 0) {
        r = gpu_check(p->gpu, cu->cuGraphInstantiateWithFlags(ret, graph, 0), "the graph", err);
    }
    if (graph) {
        cu->cuGraphDestroy(graph);
    }
    return r;
}
