/* SPDX-License-Identifier: MIT */
/* Memory that cuMemAlloc and cuMemHostAlloc give, copies and fills. */
#include <inttypes.h>
#include <stdlib.h>

#include "base/util.h"
#include "evaluator/sim/driver.h"

DRIVER_API CUresult cuMemAlloc(CUdeviceptr *ptr, size_t size)
{
    DRIVER_ENTER(d, DRIVER_NEEDS_CONTEXT);
    uint64_t addr;
    if (!ptr || size == 0)
        return CUDA_ERROR_INVALID_VALUE;
    CUresult r = driver_result(vmem_alloc(d->mem, size, &addr));
    if (r == CUDA_SUCCESS)
        *ptr = addr;
    return r;
}

DRIVER_API CUresult cuMemFree(CUdeviceptr ptr)
{
    DRIVER_ENTER(d, DRIVER_NEEDS_CONTEXT);
    return ptr ? driver_result(vmem_release(d->mem, ptr)) : CUDA_SUCCESS;
}

DRIVER_API CUresult cuMemGetInfo(size_t *free_bytes, size_t *total)
{
    DRIVER_ENTER(d, DRIVER_NEEDS_CONTEXT);
    if (!free_bytes || !total)
        return CUDA_ERROR_INVALID_VALUE;
    *total = vmem_capacity(d->mem);
    *free_bytes = *total - vmem_used(d->mem);
    return CUDA_SUCCESS;
}

static CUresult host_alloc(void **ret_ptr, size_t size)
{
    DRIVER_ENTER(d, DRIVER_NEEDS_CONTEXT);
    uint64_t addr;
    if (!ret_ptr || size == 0)
        return CUDA_ERROR_INVALID_VALUE;
    int err = vmem_alloc(d->mem, size, &addr);
    if (err)
        return driver_result(err);
    struct driver_host *h = xcalloc(1, sizeof(*h));
    h->addr = addr;
    h->host = vmem_host(vmem_find(d->mem, addr), addr);
    h->next = d->hosts;
    d->hosts = h;
    vmem_fill(d->mem, addr, 0, 1, size); /* the host writes it unseen: count all as written */
    *ret_ptr = h->host;
    return CUDA_SUCCESS;
}

DRIVER_API CUresult cuMemAllocHost(void **ptr, size_t size)
{
    return host_alloc(ptr, size);
}

DRIVER_API CUresult cuMemHostAlloc(void **ptr, size_t size, unsigned int flags)
{
    (void)flags;
    return host_alloc(ptr, size);
}

DRIVER_API CUresult cuMemFreeHost(void *ptr)
{
    DRIVER_ENTER(d, DRIVER_NEEDS_CONTEXT);
    for (struct driver_host **at = &d->hosts; *at; at = &(*at)->next) {
        struct driver_host *h = *at;
        if (h->host != ptr)
            continue;
        *at = h->next;
        vmem_release(d->mem, h->addr);
        free(h);
        return CUDA_SUCCESS;
    }
    return CUDA_ERROR_INVALID_VALUE;
}

DRIVER_API CUresult cuMemHostGetDevicePointer(CUdeviceptr *ret_ptr, void *host, unsigned int flags)
{
    DRIVER_ENTER(d, DRIVER_NEEDS_CONTEXT);
    if (!ret_ptr || flags)
        return CUDA_ERROR_INVALID_VALUE;
    for (const struct driver_host *h = d->hosts; h; h = h->next) {
        const struct vmem_span *s = vmem_find(d->mem, h->addr);
        if ((uint8_t *)host >= h->host && (uint64_t)((uint8_t *)host - h->host) < s->size) {
            *ret_ptr = h->addr + (uint64_t)((uint8_t *)host - h->host);
            return CUDA_SUCCESS;
        }
    }
    return CUDA_ERROR_INVALID_VALUE;
}

void driver_hosts_free(struct driver *d)
{
    while (d->hosts) {
        struct driver_host *h = d->hosts;
        d->hosts = h->next;
        free(h);
    }
}

static CUresult copy(uint64_t dst, bool dst_host, uint64_t src, bool src_host, uint64_t size,
                     CUstream stream)
{
    DRIVER_ENTER(d, DRIVER_NEEDS_CONTEXT);
    struct driver_op op = {.kind = DRIVER_OP_COPY};
    if (size == 0)
        return CUDA_SUCCESS;
    if (!dst || !src)
        return CUDA_ERROR_INVALID_VALUE;
    op.copy.dst = dst;
    op.copy.src = src;
    op.copy.size = size;
    op.copy.dst_host = dst_host;
    op.copy.src_host = src_host;
    return driver_submit(d, stream, &op);
}

DRIVER_API CUresult cuMemcpyHtoD(CUdeviceptr dst, const void *src, size_t size)
{
    return copy(dst, false, (uintptr_t)src, true, size, NULL);
}

DRIVER_API CUresult cuMemcpyDtoH(void *dst, CUdeviceptr src, size_t size)
{
    return copy((uintptr_t)dst, true, src, false, size, NULL);
}

DRIVER_API CUresult cuMemcpyDtoD(CUdeviceptr dst, CUdeviceptr src, size_t size)
{
    return copy(dst, false, src, false, size, NULL);
}

DRIVER_API CUresult cuMemcpyHtoDAsync(CUdeviceptr dst, const void *src, size_t size,
                                      CUstream stream)
{
    return copy(dst, false, (uintptr_t)src, true, size, stream);
}

DRIVER_API CUresult cuMemcpyDtoHAsync(void *dst, CUdeviceptr src, size_t size, CUstream stream)
{
    return copy((uintptr_t)dst, true, src, false, size, stream);
}

DRIVER_API CUresult cuMemcpyDtoDAsync(CUdeviceptr dst, CUdeviceptr src, size_t size,
                                      CUstream stream)
{
    return copy(dst, false, src, false, size, stream);
}

static CUresult fill(CUdeviceptr dst, uint32_t value, unsigned width, size_t n, CUstream stream)
{
    DRIVER_ENTER(d, DRIVER_NEEDS_CONTEXT);
    struct driver_op op = {.kind = DRIVER_OP_FILL};
    if (n == 0)
        return CUDA_SUCCESS;
    if (!dst || dst % width || n > UINT64_MAX / width)
        return CUDA_ERROR_INVALID_VALUE;
    op.fill.addr = dst;
    op.fill.value = value;
    op.fill.width = width;
    op.fill.size = (uint64_t)n * width;
    return driver_submit(d, stream, &op);
}

DRIVER_API CUresult cuMemsetD8(CUdeviceptr dst, unsigned char value, size_t n)
{
    return fill(dst, value, 1, n, NULL);
}

DRIVER_API CUresult cuMemsetD16(CUdeviceptr dst, unsigned short value, size_t n)
{
    return fill(dst, value, 2, n, NULL);
}

DRIVER_API CUresult cuMemsetD32(CUdeviceptr dst, unsigned int value, size_t n)
{
    return fill(dst, value, 4, n, NULL);
}

DRIVER_API CUresult cuMemsetD8Async(CUdeviceptr dst, unsigned char value, size_t n, CUstream stream)
{
    return fill(dst, value, 1, n, stream);
}

DRIVER_API CUresult cuMemsetD16Async(CUdeviceptr dst, unsigned short value, size_t n,
                                     CUstream stream)
{
    return fill(dst, value, 2, n, stream);
}

DRIVER_API CUresult cuMemsetD32Async(CUdeviceptr dst, unsigned int value, size_t n, CUstream stream)
{
    return fill(dst, value, 4, n, stream);
}
