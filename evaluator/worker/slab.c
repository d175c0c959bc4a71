/* SPDX-License-Identifier: MIT */
#include "evaluator/worker/slab.h"
#include "base/util.h"

#include <errno.h>
#include <stdlib.h>

#define RANGE_SIZE ((size_t)4 << 40)

static CUmemAllocationProp memory_kind(const struct gpu *gpu)
{
    return (CUmemAllocationProp) { .type = CU_MEM_ALLOCATION_TYPE_PINNED,
                                   .location = { .type = CU_MEM_LOCATION_TYPE_DEVICE,
                                                 .id = gpu->device } };
}

int slabs_init(struct slabs *slabs, struct gpu *gpu, bool plain, struct err *err)
{
    *slabs = (struct slabs) { .gpu = gpu, .granule = 2 << 20 };
    const struct cuda_api *cu = &gpu->cu;
    slabs->plain = plain || !cu->cuMemCreate || !cu->cuMemRelease || !cu->cuMemAddressReserve
        || !cu->cuMemAddressFree || !cu->cuMemMap || !cu->cuMemUnmap || !cu->cuMemSetAccess
        || !cu->cuMemGetAllocationGranularity;
    if (slabs->plain) {
        return 0;
    }
    CUmemAllocationProp kind = memory_kind(gpu);
    CUresult result = cu->cuMemGetAllocationGranularity(&slabs->granule, &kind,
                                                        CU_MEM_ALLOC_GRANULARITY_MINIMUM);
    if (result == CUDA_ERROR_NOT_SUPPORTED) {
        slabs->plain = true;
        return 0;
    }
    int r = gpu_check(gpu, result, "cuMemGetAllocationGranularity", err);
    if (r == 0 && gpu->modelled) {
        r = gpu_check(gpu, cu->cuMemAddressReserve(&slabs->range, RANGE_SIZE, 0, 0, 0),
                      "cuMemAddressReserve", err);
    }
    return r;
}

int slab_protect(struct slabs *slabs, struct slab *slab, bool writable, struct err *err)
{
    if (slabs->plain || slab->hidden || slab->writable == writable) {
        return 0;
    }
    CUmemAccessDesc access
        = { .location = { .type = CU_MEM_LOCATION_TYPE_DEVICE, .id = slabs->gpu->device },
            .flags = writable ? CU_MEM_ACCESS_FLAGS_PROT_READWRITE : CU_MEM_ACCESS_FLAGS_PROT_READ };
    int r = gpu_check(slabs->gpu,
                      slabs->gpu->cu.cuMemSetAccess(slab->base, slab->size, &access, 1),
                      "cuMemSetAccess", err);
    if (r == 0) {
        slab->writable = writable;
    }
    return r;
}

int slab_hide(struct slabs *slabs, struct slab *slab, bool hidden, struct err *err)
{
    struct gpu *gpu = slabs->gpu;
    if (slabs->plain || slab->hidden == hidden) {
        return 0;
    }
    int r = hidden
        ? gpu_check(gpu, gpu->cu.cuMemUnmap(slab->base, slab->size), "cuMemUnmap", err)
        : gpu_check(gpu, gpu->cu.cuMemMap(slab->base, slab->size, 0, slab->handle, 0), "cuMemMap",
                    err);
    if (r < 0) {
        return r;
    }
    slab->hidden = hidden;
    slab->writable = false;
    return hidden ? 0 : slab_protect(slabs, slab, true, err);
}

/* One granule more than is mapped is reserved: whoever runs past the end hits nothing. */
static int reserve(struct slabs *slabs, struct slab *slab, struct err *err)
{
    size_t reserved = slab->size + slabs->granule;
    if (!slabs->range) {
        return gpu_check(slabs->gpu,
                         slabs->gpu->cu.cuMemAddressReserve(&slab->base, reserved, 0, 0, 0),
                         "cuMemAddressReserve", err);
    }
    if (reserved > RANGE_SIZE - slabs->range_used) {
        return err_set(err, -ENOMEM, "no address left for %zu bytes", slab->size);
    }
    slab->base = slabs->range + slabs->range_used;
    slabs->range_used += reserved;
    return 0;
}

static void unreserve(struct slabs *slabs, const struct slab *slab)
{
    if (!slabs->range) {
        slabs->gpu->cu.cuMemAddressFree(slab->base, slab->size + slabs->granule);
    }
}

static int map(struct slabs *slabs, struct slab *slab, struct err *err)
{
    struct gpu *gpu = slabs->gpu;
    CUmemAllocationProp kind = memory_kind(gpu);
    int r = gpu_check(gpu, gpu->cu.cuMemCreate(&slab->handle, slab->size, &kind, 0), "cuMemCreate",
                      err);
    if (r < 0) {
        return r;
    }
    r = reserve(slabs, slab, err);
    if (r == 0) {
        r = gpu_check(gpu, gpu->cu.cuMemMap(slab->base, slab->size, 0, slab->handle, 0),
                      "cuMemMap", err);
        if (r == 0) {
            r = slab_protect(slabs, slab, true, err);
            if (r < 0) {
                gpu->cu.cuMemUnmap(slab->base, slab->size);
            }
        }
        if (r < 0) {
            unreserve(slabs, slab);
        }
    }
    if (r < 0) {
        gpu->cu.cuMemRelease(slab->handle);
    }
    return r;
}

static void unmap(struct slabs *slabs, const struct slab *slab)
{
    const struct cuda_api *cu = &slabs->gpu->cu;
    if (slabs->gpu->broken) {
        return;
    }
    if (slabs->plain) {
        cu->cuMemFree(slab->base);
        return;
    }
    if (!slab->hidden) {
        cu->cuMemUnmap(slab->base, slab->size);
    }
    unreserve(slabs, slab);
    cu->cuMemRelease(slab->handle);
}

void slab_drop(struct slabs *slabs, struct slab *slab)
{
    for (struct slab **at = &slabs->first; *at; at = &(*at)->next) {
        if (*at == slab) {
            *at = slab->next;
            slabs->total -= slab->size;
            unmap(slabs, slab);
            free(slab);
            return;
        }
    }
}

bool slabs_drop_unused(struct slabs *slabs)
{
    bool any = false;
    for (struct slab *s = slabs->first, *next; s; s = next) {
        next = s->next;
        if (!s->used) {
            slab_drop(slabs, s);
            any = true;
        }
    }
    return any;
}

static int make(struct slabs *slabs, struct slab *slab, struct err *err)
{
    if (slabs->plain) {
        return gpu_check(slabs->gpu, slabs->gpu->cu.cuMemAlloc(&slab->base, slab->size),
                         "cuMemAlloc", err);
    }
    return map(slabs, slab, err);
}

int slab_take(struct slabs *slabs, size_t bytes, struct slab **ret, struct err *err)
{
    if (bytes > SIZE_MAX / 2) {
        return err_set(err, -ENOMEM, "a buffer of %zu bytes", bytes);
    }
    size_t size = (MAX(bytes, 1) + slabs->granule - 1) / slabs->granule * slabs->granule;
    struct slab *best = NULL;
    for (struct slab *s = slabs->first; s; s = s->next) {
        bool fits = !s->used && s->size >= size && s->size <= size + size / 4 + slabs->granule;
        best = fits && (!best || s->size < best->size) ? s : best;
    }
    if (best) {
        int r = slab_hide(slabs, best, false, err);
        r = r < 0 ? r : slab_protect(slabs, best, true, err);
        best->used = r == 0;
        *ret = best;
        return r;
    }
    struct slab *slab = xcalloc(1, sizeof(*slab));
    slab->size = size;
    slab->writable = slabs->plain;
    int r = make(slabs, slab, err);
    if (r == -ENOMEM && slabs_drop_unused(slabs)) {
        r = make(slabs, slab, err);
    }
    if (r < 0) {
        free(slab);
        return r;
    }
    slab->used = true;
    slab->next = slabs->first;
    slabs->first = slab;
    slabs->total += size;
    *ret = slab;
    return 0;
}

void slab_give(struct slab *slab)
{
    if (slab) {
        slab->used = false;
    }
}

size_t slabs_room(const struct slabs *slabs)
{
    size_t available = 0, whole = 0;
    if (slabs->gpu->cu.cuMemGetInfo(&available, &whole) != CUDA_SUCCESS) {
        return 0;
    }
    for (const struct slab *s = slabs->first; s; s = s->next) {
        available += s->used ? 0 : s->size;
    }
    return available;
}

void slabs_drop_all(struct slabs *slabs)
{
    while (slabs->first) {
        slab_drop(slabs, slabs->first);
    }
    slabs->range_used = 0;
}

void slabs_done(struct slabs *slabs)
{
    slabs_drop_all(slabs);
    if (slabs->range && !slabs->gpu->broken) {
        slabs->gpu->cu.cuMemAddressFree(slabs->range, RANGE_SIZE);
    }
    slabs->range = 0;
}
