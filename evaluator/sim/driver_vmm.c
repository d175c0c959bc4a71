/* SPDX-License-Identifier: MIT */
/* Virtual memory management: physical memory, address ranges and protection apart. */
#include "evaluator/sim/driver.h"

static bool ours(const CUmemAllocationProp *prop)
{
    return prop && prop->type == CU_MEM_ALLOCATION_TYPE_PINNED &&
           prop->location.type == CU_MEM_LOCATION_TYPE_DEVICE && prop->location.id == 0;
}

DRIVER_API CUresult cuMemGetAllocationGranularity(size_t *ret, const CUmemAllocationProp *prop,
                                                  CUmemAllocationGranularity_flags option)
{
    DRIVER_ENTER(d, DRIVER_NEEDS_INIT);
    (void)option;
    if (!ret || !ours(prop))
        return CUDA_ERROR_INVALID_VALUE;
    *ret = VMEM_GRANULE;
    return CUDA_SUCCESS;
}

DRIVER_API CUresult cuMemCreate(CUmemGenericAllocationHandle *ret, size_t size,
                                const CUmemAllocationProp *prop, unsigned long long flags)
{
    DRIVER_ENTER(d, DRIVER_NEEDS_CONTEXT);
    uint64_t handle;
    if (!ret || flags || !ours(prop))
        return CUDA_ERROR_INVALID_VALUE;
    CUresult r = driver_result(vmem_create(d->mem, size, &handle));
    if (r == CUDA_SUCCESS)
        *ret = handle;
    return r;
}

DRIVER_API CUresult cuMemRelease(CUmemGenericAllocationHandle handle)
{
    DRIVER_ENTER(d, DRIVER_NEEDS_CONTEXT);
    return handle ? driver_result(vmem_destroy(d->mem, handle)) : CUDA_ERROR_INVALID_VALUE;
}

DRIVER_API CUresult cuMemAddressReserve(CUdeviceptr *ret, size_t size, size_t alignment,
                                        CUdeviceptr addr, unsigned long long flags)
{
    DRIVER_ENTER(d, DRIVER_NEEDS_CONTEXT);
    uint64_t at;
    (void)addr; /* a wish, which the driver needn't grant */
    if (!ret || flags)
        return CUDA_ERROR_INVALID_VALUE;
    CUresult r = driver_result(vmem_reserve(d->mem, size, alignment, &at));
    if (r == CUDA_SUCCESS)
        *ret = at;
    return r;
}

DRIVER_API CUresult cuMemAddressFree(CUdeviceptr ptr, size_t size)
{
    DRIVER_ENTER(d, DRIVER_NEEDS_CONTEXT);
    return driver_result(vmem_unreserve(d->mem, ptr, size));
}

DRIVER_API CUresult cuMemMap(CUdeviceptr ptr, size_t size, size_t offset,
                             CUmemGenericAllocationHandle handle, unsigned long long flags)
{
    DRIVER_ENTER(d, DRIVER_NEEDS_CONTEXT);
    if (flags)
        return CUDA_ERROR_INVALID_VALUE;
    return driver_result(vmem_map(d->mem, ptr, size, offset, handle));
}

DRIVER_API CUresult cuMemUnmap(CUdeviceptr ptr, size_t size)
{
    DRIVER_ENTER(d, DRIVER_NEEDS_CONTEXT);
    return driver_result(vmem_unmap(d->mem, ptr, size));
}

DRIVER_API CUresult cuMemSetAccess(CUdeviceptr ptr, size_t size, const CUmemAccessDesc *desc,
                                   size_t count)
{
    DRIVER_ENTER(d, DRIVER_NEEDS_CONTEXT);
    if (!desc || count != 1 || desc->location.type != CU_MEM_LOCATION_TYPE_DEVICE ||
        desc->location.id != 0)
        return CUDA_ERROR_INVALID_VALUE;
    bool readable = desc->flags != CU_MEM_ACCESS_FLAGS_PROT_NONE;
    bool writable = desc->flags == CU_MEM_ACCESS_FLAGS_PROT_READWRITE;
    return driver_result(vmem_protect(d->mem, ptr, size, readable, writable));
}

/* Bulk tensor copies aren't simulated, so their maps aren't either. */
DRIVER_API CUresult cuTensorMapEncodeTiled(
    CUtensorMap *map, CUtensorMapDataType type, cuuint32_t rank, void *address,
    const cuuint64_t *dims, const cuuint64_t *strides, const cuuint32_t *box,
    const cuuint32_t *element_strides, CUtensorMapInterleave interleave, CUtensorMapSwizzle swizzle,
    CUtensorMapL2promotion promotion, CUtensorMapFloatOOBfill fill)
{
    DRIVER_ENTER(d, DRIVER_NEEDS_INIT);
    (void)map, (void)type, (void)rank, (void)address, (void)dims, (void)strides, (void)box;
    (void)element_strides, (void)interleave, (void)swizzle, (void)promotion, (void)fill;
    driver_diagnose(d, "unsupported: tensor maps (cuTensorMapEncodeTiled) aren't simulated");
    return CUDA_ERROR_NOT_SUPPORTED;
}
