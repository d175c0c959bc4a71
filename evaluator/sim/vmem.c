/* SPDX-License-Identifier: MIT */
#include "evaluator/sim/vmem.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define PAGE 4096ull
#define LAZY_FILL                                                                                  \
    (16ull << 20) /* from this size on a fill maps a repeated pattern, copy-on-write */

/* Physical memory: referenced by its creator (until destroyed) and by each span that maps it. */
struct mem {
    uint64_t handle, size;
    uint8_t *host, *shadow;
    unsigned refs;
};

/* An occupied piece of the address space: an allocation's, or a reservation's. */
struct range {
    uint64_t addr, size;
    bool reserved; /* by vmem_reserve */
};

struct vmem {
    struct vmem_span *spans; /* sorted by addr; owner[i] is the memory behind spans[i] */
    struct mem **owner;
    size_t n_spans, cap_spans;
    struct range *ranges; /* sorted by addr */
    size_t n_ranges, cap_ranges;
    struct mem **mems;
    size_t n_mems, cap_mems;
    uint64_t next_addr, next_handle;
    uint64_t used, capacity;
};

static uint64_t round_up(uint64_t n, uint64_t to)
{
    return (n + to - 1) / to * to;
}

/* Room for one more element; small allocations that fail end the process, as everywhere. */
static void *grow(void *p, size_t n, size_t *cap, size_t width)
{
    if (n < *cap)
        return p;
    *cap = *cap ? *cap * 2 : 16;
    p = realloc(p, *cap * width);
    if (!p)
        abort();
    return p;
}

int vmem_new(uint64_t capacity, struct vmem **ret_vm)
{
    struct vmem *vm = calloc(1, sizeof(*vm));
    if (!vm)
        abort();
    vm->capacity = capacity;
    vm->next_addr = VMEM_BASE;
    vm->next_handle = 1;
    *ret_vm = vm;
    return 0;
}

static void mem_unmap_host(struct mem *m)
{
    munmap(m->host, round_up(m->size, PAGE));
    if (m->shadow)
        munmap(m->shadow, round_up(m->size, PAGE));
}

void vmem_free(struct vmem *vm)
{
    if (!vm)
        return;
    for (size_t i = 0; i < vm->n_mems; i++) {
        mem_unmap_host(vm->mems[i]);
        free(vm->mems[i]);
    }
    free(vm->mems);
    free(vm->spans);
    free(vm->owner);
    free(vm->ranges);
    free(vm);
}

/* Index of the first span whose end lies beyond addr. */
static size_t span_after(const struct vmem *vm, uint64_t addr)
{
    size_t lo = 0, hi = vm->n_spans;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (vm->spans[mid].addr + vm->spans[mid].size <= addr)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

const struct vmem_span *vmem_find(const struct vmem *vm, uint64_t addr)
{
    size_t i = span_after(vm, addr);
    return i < vm->n_spans && vm->spans[i].addr <= addr ? &vm->spans[i] : NULL;
}

void vmem_describe(const struct vmem *vm, uint64_t addr, uint64_t size, char *buf, size_t n)
{
    const uint64_t near = 64ull << 20; /* further away than this it isn't an overrun */
    size_t i = span_after(vm, addr);
    const struct vmem_span *at = i < vm->n_spans ? &vm->spans[i] : NULL;
    const struct vmem_span *before = i > 0 ? &vm->spans[i - 1] : NULL;

    if (at && vmem_covers(at, addr, size)) {
        snprintf(buf, n, "%s",
                 !at->readable   ? "it is mapped without access"
                 : !at->writable ? "it is mapped read-only"
                                 : "it is mapped readable and writable");
    } else if (at && at->addr <= addr) {
        snprintf(buf, n, "it reaches past the end of an allocation of %" PRIu64 " bytes", at->size);
    } else if (before && addr - (before->addr + before->size) < near) {
        snprintf(buf, n, "%" PRIu64 " bytes past the end of an allocation of %" PRIu64 " bytes",
                 addr - (before->addr + before->size), before->size);
    } else if (at && at->addr - addr < near) {
        snprintf(buf, n, "%" PRIu64 " bytes before the start of an allocation of %" PRIu64 " bytes",
                 at->addr - addr, at->size);
    } else {
        snprintf(buf, n, "nothing is mapped there");
    }
}

static struct mem *mem_find(const struct vmem *vm, uint64_t handle)
{
    for (size_t i = 0; i < vm->n_mems; i++)
        if (vm->mems[i]->handle == handle)
            return vm->mems[i];
    return NULL;
}

static void *map_zeroed(uint64_t size)
{
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                   -1, 0);
    return p == MAP_FAILED ? NULL : p;
}

static int mem_new(struct vmem *vm, uint64_t size, struct mem **ret_mem)
{
    if (size == 0 || size > vm->capacity)
        return size ? -ENOMEM : -EINVAL;
    if (vm->used + size > vm->capacity)
        return -ENOMEM;
    uint8_t *host = map_zeroed(round_up(size, PAGE));
    uint8_t *shadow = map_zeroed(round_up(size, PAGE));
    struct mem *m = calloc(1, sizeof(*m));
    if (!m)
        abort();
    if (!host || !shadow) {
        if (host)
            munmap(host, round_up(size, PAGE));
        if (shadow)
            munmap(shadow, round_up(size, PAGE));
        free(m);
        return -ENOMEM;
    }
    *m = (struct mem){
        .handle = vm->next_handle++, .size = size, .host = host, .shadow = shadow, .refs = 1};
    vm->mems = grow(vm->mems, vm->n_mems, &vm->cap_mems, sizeof(*vm->mems));
    vm->mems[vm->n_mems++] = m;
    vm->used += size;
    *ret_mem = m;
    return 0;
}

static void mem_unref(struct vmem *vm, struct mem *m)
{
    if (--m->refs)
        return;
    for (size_t i = 0; i < vm->n_mems; i++) {
        if (vm->mems[i] == m) {
            vm->mems[i] = vm->mems[--vm->n_mems];
            break;
        }
    }
    vm->used -= m->size;
    mem_unmap_host(m);
    free(m);
}

static void range_insert(struct vmem *vm, struct range r)
{
    size_t i = vm->n_ranges;
    vm->ranges = grow(vm->ranges, vm->n_ranges, &vm->cap_ranges, sizeof(*vm->ranges));
    for (; i > 0 && vm->ranges[i - 1].addr > r.addr; i--)
        vm->ranges[i] = vm->ranges[i - 1];
    vm->ranges[i] = r;
    vm->n_ranges++;
}

/* A free piece of [from, to) for size bytes and a granule of nothing behind it, or 0. */
static uint64_t range_gap(const struct vmem *vm, uint64_t from, uint64_t to, uint64_t size,
                          uint64_t align)
{
    uint64_t at = round_up(from, align);
    for (size_t i = 0; i < vm->n_ranges; i++) {
        const struct range *r = &vm->ranges[i];
        if (r->addr + r->size + VMEM_GRANULE <= at)
            continue;
        if (at + size + VMEM_GRANULE <= r->addr)
            break;
        at = round_up(r->addr + r->size + VMEM_GRANULE, align);
    }
    return at < to && size + VMEM_GRANULE <= to - at ? at : 0;
}

/* Next fit, so that an address is reused as late as possible and a stale pointer faults. */
static int range_take(struct vmem *vm, uint64_t size, uint64_t align, bool reserved,
                      uint64_t *ret_addr)
{
    uint64_t span = round_up(size, VMEM_GRANULE);
    if (span < size || span > VMEM_END - VMEM_BASE)
        return -ENOMEM;
    uint64_t addr = range_gap(vm, vm->next_addr, VMEM_END, span, align);
    if (!addr)
        addr = range_gap(vm, VMEM_BASE, VMEM_END, span, align);
    if (!addr)
        return -ENOMEM;
    range_insert(vm, (struct range){addr, span, reserved});
    vm->next_addr = addr + span;
    *ret_addr = addr;
    return 0;
}

static int range_drop(struct vmem *vm, uint64_t addr, bool reserved)
{
    for (size_t i = 0; i < vm->n_ranges; i++) {
        if (vm->ranges[i].addr != addr || vm->ranges[i].reserved != reserved)
            continue;
        vm->n_ranges--;
        memmove(&vm->ranges[i], &vm->ranges[i + 1], (vm->n_ranges - i) * sizeof(*vm->ranges));
        return 0;
    }
    return -EINVAL;
}

static void span_insert(struct vmem *vm, struct mem *m, struct vmem_span s)
{
    size_t i = vm->n_spans, cap = vm->cap_spans;
    vm->spans = grow(vm->spans, i, &vm->cap_spans, sizeof(*vm->spans));
    vm->owner = grow(vm->owner, i, &cap, sizeof(*vm->owner));
    for (; i > 0 && vm->spans[i - 1].addr > s.addr; i--) {
        vm->spans[i] = vm->spans[i - 1];
        vm->owner[i] = vm->owner[i - 1];
    }
    vm->spans[i] = s;
    vm->owner[i] = m;
    vm->n_spans++;
    m->refs++;
}

static void span_remove(struct vmem *vm, size_t i)
{
    struct mem *m = vm->owner[i];
    vm->n_spans--;
    memmove(&vm->spans[i], &vm->spans[i + 1], (vm->n_spans - i) * sizeof(*vm->spans));
    memmove(&vm->owner[i], &vm->owner[i + 1], (vm->n_spans - i) * sizeof(*vm->owner));
    mem_unref(vm, m);
}

int vmem_alloc(struct vmem *vm, uint64_t size, uint64_t *ret_addr)
{
    struct mem *m;
    uint64_t addr;
    int err = mem_new(vm, size, &m);
    if (err)
        return err;
    err = range_take(vm, size, VMEM_GRANULE, false, &addr);
    if (err == 0) {
        span_insert(vm, m, (struct vmem_span){addr, size, m->host, m->shadow, true, true});
        *ret_addr = addr;
    }
    mem_unref(vm, m);
    return err;
}

int vmem_release(struct vmem *vm, uint64_t addr)
{
    size_t i = span_after(vm, addr);
    if (i == vm->n_spans || vm->spans[i].addr != addr || range_drop(vm, addr, false))
        return -EINVAL;
    span_remove(vm, i);
    return 0;
}

int vmem_create(struct vmem *vm, uint64_t size, uint64_t *ret_handle)
{
    struct mem *m;
    if (size == 0 || size % VMEM_GRANULE)
        return -EINVAL;
    int err = mem_new(vm, size, &m);
    if (err == 0)
        *ret_handle = m->handle;
    return err;
}

int vmem_destroy(struct vmem *vm, uint64_t handle)
{
    struct mem *m = mem_find(vm, handle);
    if (!m)
        return -EINVAL;
    m->handle = 0; /* gone by name; mappings keep the memory */
    mem_unref(vm, m);
    return 0;
}

int vmem_reserve(struct vmem *vm, uint64_t size, uint64_t align, uint64_t *ret_addr)
{
    if (size == 0 || size % VMEM_GRANULE || (align & (align - 1)))
        return -EINVAL;
    return range_take(vm, size, align > VMEM_GRANULE ? align : VMEM_GRANULE, true, ret_addr);
}

int vmem_unreserve(struct vmem *vm, uint64_t addr, uint64_t size)
{
    size_t i = span_after(vm, addr);
    if (i < vm->n_spans && vm->spans[i].addr < addr + size)
        return -EINVAL; /* still mapped */
    for (size_t r = 0; r < vm->n_ranges; r++)
        if (vm->ranges[r].addr == addr && vm->ranges[r].reserved && vm->ranges[r].size == size)
            return range_drop(vm, addr, true);
    return -EINVAL;
}

int vmem_map(struct vmem *vm, uint64_t addr, uint64_t size, uint64_t offset, uint64_t handle)
{
    struct mem *m = handle ? mem_find(vm, handle) : NULL;
    bool inside = false;
    if (!m || size == 0 || (addr | size | offset) % VMEM_GRANULE)
        return -EINVAL;
    if (offset > m->size || size > m->size - offset)
        return -EINVAL;
    for (size_t r = 0; r < vm->n_ranges && !inside; r++) {
        const struct range *g = &vm->ranges[r];
        inside = g->reserved && addr >= g->addr && addr - g->addr <= g->size &&
                 size <= g->size - (addr - g->addr);
    }
    size_t i = span_after(vm, addr);
    if (!inside || (i < vm->n_spans && vm->spans[i].addr < addr + size))
        return -EINVAL;
    uint8_t *shadow = m->shadow ? m->shadow + offset : NULL;
    span_insert(vm, m, (struct vmem_span){addr, size, m->host + offset, shadow, false, false});
    return 0;
}

/* [addr, addr + size) must be covered by whole spans that were mapped: their first and count. */
static int whole_spans(const struct vmem *vm, uint64_t addr, uint64_t size, size_t *ret_first,
                       size_t *ret_n)
{
    size_t first = span_after(vm, addr), i = first;
    uint64_t at = addr;
    while (i < vm->n_spans && at < addr + size && vm->spans[i].addr == at)
        at += vm->spans[i++].size;
    if (size == 0 || at != addr + size)
        return -EINVAL;
    *ret_first = first;
    *ret_n = i - first;
    return 0;
}

int vmem_unmap(struct vmem *vm, uint64_t addr, uint64_t size)
{
    size_t first, n;
    if (whole_spans(vm, addr, size, &first, &n))
        return -EINVAL;
    for (size_t r = 0; r < vm->n_ranges; r++)
        if (vm->ranges[r].addr == addr && !vm->ranges[r].reserved)
            return -EINVAL; /* cuMemAlloc's: freed, not unmapped */
    while (n--)
        span_remove(vm, first);
    return 0;
}

int vmem_protect(struct vmem *vm, uint64_t addr, uint64_t size, bool readable, bool writable)
{
    size_t first, n;
    if (whole_spans(vm, addr, size, &first, &n))
        return -EINVAL;
    for (size_t i = first; i < first + n; i++) {
        vm->spans[i].readable = readable;
        vm->spans[i].writable = writable;
    }
    return 0;
}

void vmem_untrack(struct vmem *vm)
{
    for (size_t i = 0; i < vm->n_spans; i++)
        vm->spans[i].shadow = NULL;
    for (size_t i = 0; i < vm->n_mems; i++) {
        if (vm->mems[i]->shadow)
            munmap(vm->mems[i]->shadow, round_up(vm->mems[i]->size, PAGE));
        vm->mems[i]->shadow = NULL;
    }
}

uint64_t vmem_used(const struct vmem *vm)
{
    return vm->used;
}

uint64_t vmem_capacity(const struct vmem *vm)
{
    return vm->capacity;
}
