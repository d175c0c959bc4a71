/* SPDX-License-Identifier: MIT */
/* What the device says of itself. */
#include "evaluator/sim/driver.h"

#include <stdio.h>
#include <string.h>

#include "base/util.h"

/* Attributes that are the same for every machine; those that aren't here or below are 0. */
static const struct {
    CUdevice_attribute attribute;
    int value;
} fixed[] = {
    {CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK, 1024},
    {CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_X, 1024},
    {CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Y, 1024},
    {CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Z, 64},
    {CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_X, 2147483647},
    {CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Y, 65535},
    {CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Z, 65535},
    {CU_DEVICE_ATTRIBUTE_TOTAL_CONSTANT_MEMORY, 65536},
    {CU_DEVICE_ATTRIBUTE_WARP_SIZE, 32},
    {CU_DEVICE_ATTRIBUTE_MAX_PITCH, 2147483647},
    {CU_DEVICE_ATTRIBUTE_TEXTURE_ALIGNMENT, 512},
    {CU_DEVICE_ATTRIBUTE_TEXTURE_PITCH_ALIGNMENT, 32},
    {CU_DEVICE_ATTRIBUTE_SURFACE_ALIGNMENT, 512},
    {CU_DEVICE_ATTRIBUTE_GPU_OVERLAP, 1},
    {CU_DEVICE_ATTRIBUTE_CAN_MAP_HOST_MEMORY, 0},
    {CU_DEVICE_ATTRIBUTE_CONCURRENT_KERNELS, 1},
    {CU_DEVICE_ATTRIBUTE_ASYNC_ENGINE_COUNT, 3},
    {CU_DEVICE_ATTRIBUTE_UNIFIED_ADDRESSING, 1},
    {CU_DEVICE_ATTRIBUTE_STREAM_PRIORITIES_SUPPORTED, 1},
    {CU_DEVICE_ATTRIBUTE_GLOBAL_L1_CACHE_SUPPORTED, 1},
    {CU_DEVICE_ATTRIBUTE_LOCAL_L1_CACHE_SUPPORTED, 1},
    {CU_DEVICE_ATTRIBUTE_SINGLE_TO_DOUBLE_PRECISION_PERF_RATIO, 2},
    {CU_DEVICE_ATTRIBUTE_VIRTUAL_MEMORY_MANAGEMENT_SUPPORTED, 1},
    {CU_DEVICE_ATTRIBUTE_CAN_USE_64_BIT_STREAM_MEM_OPS, 0},
    {CU_DEVICE_ATTRIBUTE_COOPERATIVE_LAUNCH, 1},
};

static int by_machine(const struct machine *m, CUdevice_attribute attribute)
{
    switch ((int)attribute) {
    case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR:
        return (int)m->cc_major;
    case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR:
        return (int)m->cc_minor;
    case CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT:
        return (int)m->sms;
    case CU_DEVICE_ATTRIBUTE_CLOCK_RATE:
        return (int)(m->clock_hz / 1000);
    case CU_DEVICE_ATTRIBUTE_MEMORY_CLOCK_RATE:
        return (int)m->mem_clock_khz;
    case CU_DEVICE_ATTRIBUTE_GLOBAL_MEMORY_BUS_WIDTH:
        return (int)m->mem_bus_bits;
    case CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE:
        return (int)m->l2;
    case CU_DEVICE_ATTRIBUTE_MAX_PERSISTING_L2_CACHE_SIZE:
        return (int)(m->l2 / 8 * 5);
    case CU_DEVICE_ATTRIBUTE_MAX_ACCESS_POLICY_WINDOW_SIZE:
        return 128 << 20;
    case CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_MULTIPROCESSOR:
        return (int)m->sm_threads;
    case CU_DEVICE_ATTRIBUTE_MAX_BLOCKS_PER_MULTIPROCESSOR:
        return (int)m->sm_blocks;
    case CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_MULTIPROCESSOR:
        return (int)m->sm_regs;
    case CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_BLOCK:
        return (int)m->block_regs;
    case CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_MULTIPROCESSOR:
        return (int)m->sm_shared;
    case CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK:
        return (int)m->block_shared;
    case CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN:
        return (int)m->block_shared_optin;
    case CU_DEVICE_ATTRIBUTE_RESERVED_SHARED_MEMORY_PER_BLOCK:
        return (int)m->block_shared_reserved;
    default:
        return 0;
    }
}

DRIVER_API CUresult cuDeviceGetAttribute(int *value, CUdevice_attribute attribute, CUdevice dev)
{
    DRIVER_ENTER(d, DRIVER_NEEDS_INIT);
    if (dev != 0)
        return CUDA_ERROR_INVALID_DEVICE;
    if (!value || attribute < 1 || attribute >= CU_DEVICE_ATTRIBUTE_MAX)
        return CUDA_ERROR_INVALID_VALUE;
    for (size_t i = 0; i < ARRAY_LEN(fixed); i++) {
        if (fixed[i].attribute == attribute) {
            *value = fixed[i].value;
            return CUDA_SUCCESS;
        }
    }
    *value = by_machine(d->machine, attribute);
    return CUDA_SUCCESS;
}

DRIVER_API CUresult cuDeviceGetCount(int *count)
{
    DRIVER_ENTER(d, DRIVER_NEEDS_INIT);
    if (!count)
        return CUDA_ERROR_INVALID_VALUE;
    *count = 1;
    return CUDA_SUCCESS;
}

DRIVER_API CUresult cuDeviceGet(CUdevice *dev, int ordinal)
{
    DRIVER_ENTER(d, DRIVER_NEEDS_INIT);
    if (!dev)
        return CUDA_ERROR_INVALID_VALUE;
    if (ordinal != 0)
        return CUDA_ERROR_INVALID_DEVICE;
    *dev = 0;
    return CUDA_SUCCESS;
}

DRIVER_API CUresult cuDeviceGetName(char *name, int n, CUdevice dev)
{
    DRIVER_ENTER(d, DRIVER_NEEDS_INIT);
    if (dev != 0)
        return CUDA_ERROR_INVALID_DEVICE;
    if (!name || n < 1)
        return CUDA_ERROR_INVALID_VALUE;
    snprintf(name, (size_t)n, "%s", d->machine->name);
    return CUDA_SUCCESS;
}

DRIVER_API CUresult cuDeviceGetUuid(CUuuid *uuid, CUdevice dev)
{
    DRIVER_ENTER(d, DRIVER_NEEDS_INIT);
    if (dev != 0)
        return CUDA_ERROR_INVALID_DEVICE;
    if (!uuid)
        return CUDA_ERROR_INVALID_VALUE;
    memset(uuid->bytes, 0, sizeof(uuid->bytes));
    snprintf(uuid->bytes, sizeof(uuid->bytes), "warpsim-%s", d->machine->key);
    return CUDA_SUCCESS;
}

DRIVER_API CUresult cuDeviceGetPCIBusId(char *id, int n, CUdevice dev)
{
    DRIVER_ENTER(d, DRIVER_NEEDS_INIT);
    if (dev != 0)
        return CUDA_ERROR_INVALID_DEVICE;
    if (!id || n < 13)
        return CUDA_ERROR_INVALID_VALUE;
    snprintf(id, (size_t)n, "0000:00:00.0");
    return CUDA_SUCCESS;
}

DRIVER_API CUresult cuDeviceTotalMem(size_t *bytes, CUdevice dev)
{
    DRIVER_ENTER(d, DRIVER_NEEDS_INIT);
    if (dev != 0)
        return CUDA_ERROR_INVALID_DEVICE;
    if (!bytes)
        return CUDA_ERROR_INVALID_VALUE;
    *bytes = d->machine->memory;
    return CUDA_SUCCESS;
}
