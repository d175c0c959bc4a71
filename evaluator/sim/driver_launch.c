/* SPDX-License-Identifier: MIT */
/* Functions' attributes, occupancy, and launching. */
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "evaluator/sim/driver.h"

/* Warp instructions a block may execute before it counts as hung: minutes on a host's core. */
#define BLOCK_BUDGET 4000000000ull

struct driver_function *driver_function(CUfunction handle)
{
    struct driver_function *f = (struct driver_function *)handle;
    return f && f->magic == DRIVER_FUNCTION ? f : NULL;
}

/* What ptxas reported, else a guess: the values live at once, and a few for addresses. */
unsigned driver_function_regs(const struct driver_function *f)
{
    if (f->kernel->info_regs >= 0)
        return (unsigned)f->kernel->info_regs;
    unsigned guess = MAX(f->info.live_regs + 8, 16u);
    unsigned most = f->kernel->maxnreg ? f->kernel->maxnreg : 255;
    return MIN(guess, most);
}

unsigned driver_function_shared(const struct driver_function *f)
{
    return f->kernel->info_shared >= 0 ? (unsigned)f->kernel->info_shared : f->info.static_shared;
}

unsigned driver_function_max_threads(const struct driver *d, const struct driver_function *f)
{
    const uint32_t *max = f->kernel->reqntid[0] ? f->kernel->reqntid : f->kernel->maxntid;
    unsigned limit = 1024, unit = d->machine->reg_unit;
    if (max[0])
        limit = MIN(limit, max[0] * MAX(max[1], 1u) * MAX(max[2], 1u));
    unsigned warp = (driver_function_regs(f) * 32 + unit - 1) / unit * unit;
    unsigned warps = warp ? d->machine->block_regs / warp : 32;
    return MIN(limit, warps * 32);
}

DRIVER_API CUresult cuFuncGetAttribute(int *ret, CUfunction_attribute attribute, CUfunction func)
{
    DRIVER_ENTER(d, DRIVER_NEEDS_CONTEXT);
    struct driver_function *f = driver_function(func);
    if (!f)
        return CUDA_ERROR_INVALID_HANDLE;
    if (!ret || (unsigned)attribute >= CU_FUNC_ATTRIBUTE_MAX)
        return CUDA_ERROR_INVALID_VALUE;
    switch ((int)attribute) {
    case CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK:
        *ret = (int)driver_function_max_threads(d, f);
        break;
    case CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES:
        *ret = (int)driver_function_shared(f);
        break;
    case CU_FUNC_ATTRIBUTE_CONST_SIZE_BYTES:
        *ret = (int)f->info.const_bytes;
        break;
    case CU_FUNC_ATTRIBUTE_LOCAL_SIZE_BYTES:
        *ret = f->kernel->info_spill >= 0 ? f->kernel->info_spill : (int)f->info.local_bytes;
        break;
    case CU_FUNC_ATTRIBUTE_NUM_REGS:
        *ret = (int)driver_function_regs(f);
        break;
    case CU_FUNC_ATTRIBUTE_PTX_VERSION:
    case CU_FUNC_ATTRIBUTE_BINARY_VERSION:
        *ret = (int)(d->machine->cc_major * 10 + d->machine->cc_minor);
        break;
    case CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES:
        *ret = (int)(f->max_dynamic_shared
                         ? f->max_dynamic_shared
                         : d->machine->block_shared -
                               MIN(driver_function_shared(f), d->machine->block_shared));
        break;
    case CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT:
        *ret = -1;
        break;
    default:
        *ret = 0;
    }
    return CUDA_SUCCESS;
}

DRIVER_API CUresult cuFuncSetAttribute(CUfunction func, CUfunction_attribute attribute, int value)
{
    DRIVER_ENTER(d, DRIVER_NEEDS_CONTEXT);
    struct driver_function *f = driver_function(func);
    if (!f)
        return CUDA_ERROR_INVALID_HANDLE;
    switch ((int)attribute) {
    case CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES:
        if (value < 0 ||
            (unsigned)value + driver_function_shared(f) > d->machine->block_shared_optin)
            return CUDA_ERROR_INVALID_VALUE;
        f->max_dynamic_shared = (unsigned)value;
        return CUDA_SUCCESS;
    case CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT:
        return value >= -1 && value <= 100 ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
    case CU_FUNC_ATTRIBUTE_NON_PORTABLE_CLUSTER_SIZE_ALLOWED:
    case CU_FUNC_ATTRIBUTE_CLUSTER_SCHEDULING_POLICY_PREFERENCE:
        return CUDA_SUCCESS; /* clusters are refused at the launch */
    default:
        return CUDA_ERROR_INVALID_VALUE;
    }
}

DRIVER_API CUresult cuFuncGetParamInfo(CUfunction func, size_t index, size_t *offset, size_t *size)
{
    DRIVER_ENTER(d, DRIVER_NEEDS_CONTEXT);
    struct driver_function *f = driver_function(func);
    if (!f)
        return CUDA_ERROR_INVALID_HANDLE;
    if (!offset || index >= f->kernel->n_params)
        return CUDA_ERROR_INVALID_VALUE;
    *offset = f->kernel->params[index].offset;
    if (size)
        *size = f->kernel->params[index].size;
    return CUDA_SUCCESS;
}

DRIVER_API CUresult cuFuncGetName(const char **ret, CUfunction func)
{
    DRIVER_ENTER(d, DRIVER_NEEDS_CONTEXT);
    struct driver_function *f = driver_function(func);
    if (!f || !ret)
        return f ? CUDA_ERROR_INVALID_VALUE : CUDA_ERROR_INVALID_HANDLE;
    *ret = f->kernel->name;
    return CUDA_SUCCESS;
}

static unsigned shared_of(const struct driver_function *f, unsigned dynamic)
{
    return driver_function_shared(f) + dynamic;
}

DRIVER_API CUresult cuOccupancyMaxActiveBlocksPerMultiprocessor(int *ret, CUfunction func,
                                                                int threads, size_t dynamic)
{
    DRIVER_ENTER(d, DRIVER_NEEDS_CONTEXT);
    struct driver_function *f = driver_function(func);
    if (!f)
        return CUDA_ERROR_INVALID_HANDLE;
    if (!ret || threads < 1 || threads > 1024)
        return CUDA_ERROR_INVALID_VALUE;
    *ret = dynamic > d->machine->block_shared_optin
               ? 0
               : (int)model_blocks_per_sm(d->machine, (unsigned)threads, driver_function_regs(f),
                                          shared_of(f, (unsigned)dynamic));
    return CUDA_SUCCESS;
}

static CUresult check_shape(struct driver *d, const struct driver_op *op)
{
    const struct driver_function *f = op->launch.function;
    const uint32_t *g = op->launch.grid, *b = op->launch.block, *req = f->kernel->reqntid;
    unsigned fixed = driver_function_shared(f), dynamic = op->launch.shared;
    uint64_t threads = (uint64_t)b[0] * b[1] * b[2];

    if (!g[0] || !g[1] || !g[2] || g[0] > INT32_MAX || g[1] > 65535 || g[2] > 65535)
        return CUDA_ERROR_INVALID_VALUE;
    if (!threads || b[0] > 1024 || b[1] > 1024 || b[2] > 64 || threads > 1024)
        return CUDA_ERROR_INVALID_VALUE;
    if (req[0] && (b[0] != req[0] || b[1] != MAX(req[1], 1u) || b[2] != MAX(req[2], 1u)))
        return CUDA_ERROR_INVALID_VALUE;
    if (dynamic > d->machine->block_shared_optin ||
        (fixed + dynamic > d->machine->block_shared && dynamic > f->max_dynamic_shared))
        return CUDA_ERROR_INVALID_VALUE;
    if (threads > driver_function_max_threads(d, f))
        return CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES;
    return CUDA_SUCCESS;
}

static CUresult fault_result(enum exec_fault_kind kind)
{
    switch (kind) {
    case EXEC_FAULT_ADDRESS:
        return CUDA_ERROR_ILLEGAL_ADDRESS;
    case EXEC_FAULT_MISALIGNED:
        return CUDA_ERROR_MISALIGNED_ADDRESS;
    case EXEC_FAULT_ASSERT:
        return CUDA_ERROR_ASSERT;
    case EXEC_FAULT_TIMEOUT:
        return CUDA_ERROR_LAUNCH_TIMEOUT;
    case EXEC_FAULT_ILLEGAL:
        return CUDA_ERROR_ILLEGAL_INSTRUCTION;
    default: /* a trap, and what a GPU wouldn't notice: unwritten memory, races, broken barriers */
        return CUDA_ERROR_LAUNCH_FAILED;
    }
}

static unsigned checks_of(const struct driver *d)
{
    unsigned on = d->checks, checks = 0;
    if (d->sample_blocks) /* blocks that didn't run leave memory unwritten */
        on &= WARPSIM_CHECK_DIVERGENCE;
    checks |= on & WARPSIM_CHECK_UNWRITTEN ? EXEC_CHECK_UNWRITTEN : 0;
    checks |= on & WARPSIM_CHECK_RACES ? EXEC_CHECK_RACES : 0;
    checks |= on & WARPSIM_CHECK_DIVERGENCE ? EXEC_CHECK_DIVERGENCE : 0;
    return checks;
}

static CUresult plan_turns(struct driver *d, const struct driver_op *op, unsigned resident,
                           bool *ret_in_turns)
{
    const uint32_t *g = op->launch.grid;
    uint64_t blocks = (uint64_t)g[0] * g[1] * g[2], room = (uint64_t)resident * d->machine->sms;
    if (op->launch.cooperative && blocks > room)
        return CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE;
    *ret_in_turns = blocks > 1 && blocks <= room &&
                    (op->launch.cooperative || op->launch.function->info.uses_grid_sync);
    return CUDA_SUCCESS;
}

/* What a cooperative grid synchronises on: zero at its start. */
static int grid_workspace(struct driver *d, uint64_t *ret_addr)
{
    enum { WORKSPACE_BYTES = 8 };
    int err = d->grid_workspace ? 0 : vmem_alloc(d->mem, WORKSPACE_BYTES, &d->grid_workspace);
    if (!err)
        err = vmem_fill(d->mem, d->grid_workspace, 0, 1, WORKSPACE_BYTES);
    *ret_addr = d->grid_workspace;
    return err;
}

CUresult driver_perform_launch(struct driver *d, const struct driver_op *op, bool in_graph)
{
    struct driver_function *f = op->launch.function;
    const uint32_t *g = op->launch.grid, *b = op->launch.block;
    unsigned threads = b[0] * b[1] * b[2], shared = shared_of(f, op->launch.shared);
    unsigned resident = model_blocks_per_sm(d->machine, threads, driver_function_regs(f), shared);
    struct launch_request request = {
        .exec = {.program = f->program,
                 .mem = d->mem,
                 .grid = {g[0], g[1], g[2]},
                 .block = {b[0], b[1], b[2]},
                 .params = op->launch.params,
                 .dynamic_shared = op->launch.shared,
                 .checks = checks_of(d),
                 .budget = BLOCK_BUDGET,
                 .stop = driver_stop_flag(),
                 .sm_count = d->machine->sms,
                 .latency = &d->machine->latency,
                 .l1_bytes = (uint32_t)model_l1_share(d->machine, resident, shared)},
        .max_blocks = d->sample_blocks,
    };
    struct launch_profile profile;
    struct exec_fault fault = {0};

    if (resident == 0)
        return CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES;
    if (op->launch.cooperative && grid_workspace(d, &request.exec.grid_workspace))
        return CUDA_ERROR_OUT_OF_MEMORY;
    CUresult r = plan_turns(d, op, resident, &request.in_turns);
    if (r != CUDA_SUCCESS)
        return r;
    if (!(request.exec.checks & EXEC_CHECK_UNWRITTEN))
        vmem_untrack(d->mem);
    int err = launch_run(d->launcher, &request, &profile, &fault);
    if (err == ERR_DEVICE) { /* as on a GPU: whoever asks next is told */
        driver_diagnose(d, "%s", fault.text);
        d->sticky = fault_result(fault.kind);
        return CUDA_SUCCESS;
    }
    if (err)
        return driver_result(err);
    struct model_launch model = {
        .machine = d->machine,
        .profile = &profile,
        .grid = {g[0], g[1], g[2]},
        .block = {b[0], b[1], b[2]},
        .regs = driver_function_regs(f),
        .shared = shared,
        .spill = f->kernel->info_spill > 0 ? (unsigned)f->kernel->info_spill : 0,
        .insns = f->info.insns,
        .hidden_launch = in_graph || op->launch.programmatic};
    model_launch_time(&model, &d->cache, &d->counters);
    d->has_counters = true;
    d->now += d->counters.time_ns;
    launch_profile_done(&profile);
    return CUDA_SUCCESS;
}

/* The parameters' bytes from either form that the API takes; NULL when it's neither. */
static uint8_t *gather_params(const struct ptx_kernel *k, void **params, void **extra)
{
    uint8_t *bytes = xcalloc(1, k->param_size + 1);
    size_t size = 0;
    const void *buffer = NULL;

    if (params) {
        for (size_t i = 0; i < k->n_params; i++) {
            if (!params[i])
                goto fail;
            memcpy(bytes + k->params[i].offset, params[i], k->params[i].size);
        }
        return bytes;
    }
    for (; extra && *extra != CU_LAUNCH_PARAM_END; extra += 2) {
        if (extra[0] == CU_LAUNCH_PARAM_BUFFER_POINTER)
            buffer = extra[1];
        else if (extra[0] == CU_LAUNCH_PARAM_BUFFER_SIZE)
            size = *(const size_t *)extra[1];
        else
            goto fail;
    }
    if (k->n_params == 0 || (buffer && size >= k->param_size)) {
        if (k->n_params)
            memcpy(bytes, buffer, k->param_size);
        return bytes;
    }
fail:
    free(bytes);
    return NULL;
}

static CUresult launch(struct driver *d, CUfunction func, struct driver_op *op, void **params,
                       void **extra, CUstream stream)
{
    struct driver_function *f = driver_function(func);
    if (!f)
        return CUDA_ERROR_INVALID_HANDLE;
    CUresult r = driver_function_load(d, f);
    op->kind = DRIVER_OP_LAUNCH;
    op->launch.function = f;
    if (r == CUDA_SUCCESS)
        r = check_shape(d, op);
    if (r != CUDA_SUCCESS)
        return r;
    op->launch.params = gather_params(f->kernel, params, extra);
    return op->launch.params ? driver_submit(d, stream, op) : CUDA_ERROR_INVALID_VALUE;
}

DRIVER_API CUresult cuLaunchKernel(CUfunction f, unsigned int gx, unsigned int gy, unsigned int gz,
                                   unsigned int bx, unsigned int by, unsigned int bz,
                                   unsigned int shared, CUstream stream, void **params,
                                   void **extra)
{
    DRIVER_ENTER(d, DRIVER_NEEDS_CONTEXT);
    struct driver_op op = {
        .launch = {.grid = {gx, gy, gz}, .block = {bx, by, bz}, .shared = shared}};
    return launch(d, f, &op, params, extra, stream);
}

DRIVER_API CUresult cuLaunchCooperativeKernel(CUfunction f, unsigned int gx, unsigned int gy,
                                              unsigned int gz, unsigned int bx, unsigned int by,
                                              unsigned int bz, unsigned int shared, CUstream stream,
                                              void **params)
{
    DRIVER_ENTER(d, DRIVER_NEEDS_CONTEXT);
    struct driver_op op = {
        .launch = {
            .grid = {gx, gy, gz}, .block = {bx, by, bz}, .shared = shared, .cooperative = true}};
    return launch(d, f, &op, params, NULL, stream);
}

static CUresult take_attribute(struct driver *d, const CUlaunchAttribute *a, struct driver_op *op)
{
    switch ((int)a->id) {
    case CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION:
        if (a->value.clusterDim.x * a->value.clusterDim.y * a->value.clusterDim.z <= 1)
            return CUDA_SUCCESS;
        driver_diagnose(d, "unsupported: clusters of blocks aren't simulated (kernel %s)",
                        op->launch.function->kernel->name);
        return CUDA_ERROR_NOT_SUPPORTED;
    case CU_LAUNCH_ATTRIBUTE_COOPERATIVE:
        op->launch.cooperative = a->value.cooperative != 0;
        return CUDA_SUCCESS;
    case CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION:
        op->launch.programmatic = a->value.programmaticStreamSerializationAllowed != 0;
        return CUDA_SUCCESS;
    default: /* priorities, access policies and the like change no result */
        return CUDA_SUCCESS;
    }
}

DRIVER_API CUresult cuLaunchKernelEx(const CUlaunchConfig *config, CUfunction func, void **params,
                                     void **extra)
{
    DRIVER_ENTER(d, DRIVER_NEEDS_CONTEXT);
    CUresult r = CUDA_SUCCESS;
    if (!driver_function(func))
        return CUDA_ERROR_INVALID_HANDLE;
    if (!config || (config->numAttrs && !config->attrs))
        return CUDA_ERROR_INVALID_VALUE;
    struct driver_op op = {
        .launch = {.function = driver_function(func),
                   .grid = {config->gridDimX, config->gridDimY, config->gridDimZ},
                   .block = {config->blockDimX, config->blockDimY, config->blockDimZ},
                   .shared = config->sharedMemBytes}};
    for (unsigned i = 0; i < config->numAttrs && r == CUDA_SUCCESS; i++)
        r = take_attribute(d, &config->attrs[i], &op);
    return r == CUDA_SUCCESS ? launch(d, func, &op, params, extra, config->hStream) : r;
}
