#pragma once
/* SPDX-License-Identifier: MIT */
/* The simulated GPU's global memory. Device addresses are made up ([VMEM_BASE, VMEM_END), the same
 * on every run) and stand for host memory that is mapped lazily, so a tensor of 17 GB costs only
 * the pages that are touched.
 *
 * A `vmem_span` is one mapped range: what cuMemAlloc gave (its exact size; unmapped space follows,
 * so the first byte past the end is a fault), a module's global, or a cuMemMap mapping. The driver
 * changes spans only between launches, so the executor's threads may look them up and keep pointers
 * to them for the length of a launch without locks.
 *
 * A span's `shadow` holds one byte for each byte of memory, non-zero once it was written (whole
 * bytes, so that threads that write neighbouring bytes don't disturb each other); NULL means that
 * writes to this span aren't tracked, and then reads of it are never diagnosed as unwritten.
 * Whoever writes through `host` with tracking on must set the shadow.
 *
 * Functions return 0 or a negative errno; -EINVAL for an address or size that isn't what an earlier
 * call gave. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Everything outside is free for the executor's shared, local and constant windows of the generic
 * address space. */
#define VMEM_BASE 0x700000000000ull
#define VMEM_END 0x780000000000ull
#define VMEM_GRANULE                                                                               \
    (2ull << 20) /* cuMemGetAllocationGranularity, and the alignment of every span */

struct vmem;

struct vmem_span {
    uint64_t addr; /* first device address */
    uint64_t size; /* bytes */
    uint8_t *host; /* host memory of the first byte */
    uint8_t *shadow;
    bool readable, writable;
};

int vmem_new(uint64_t capacity, struct vmem **ret_vm);
void vmem_free(struct vmem *vm);

/* The span that contains addr, or NULL. O(log spans); keep the answer for the accesses that follow.
 */
const struct vmem_span *vmem_find(const struct vmem *vm, uint64_t addr);

static inline bool vmem_covers(const struct vmem_span *s, uint64_t addr, uint64_t size)
{
    return addr >= s->addr && addr - s->addr <= s->size && size <= s->size - (addr - s->addr);
}

static inline uint8_t *vmem_host(const struct vmem_span *s, uint64_t addr)
{
    return s->host + (addr - s->addr);
}

/* What lies at [addr, addr + size), in words for a fault's text: "nothing is mapped there", "8
 * bytes past the end of an allocation of 4096 bytes", "it is mapped read-only". Always terminates
 * buf. */
void vmem_describe(const struct vmem *vm, uint64_t addr, uint64_t size, char *buf, size_t n);

/* Plain allocations (cuMemAlloc, module globals). -ENOMEM when the capacity is used up. */
int vmem_alloc(struct vmem *vm, uint64_t size, uint64_t *ret_addr);
int vmem_release(struct vmem *vm, uint64_t addr);

/* Physical memory and address ranges apart (cuMemCreate, cuMemAddressReserve, cuMemMap); sizes in
 * whole granules. One handle may be mapped at several addresses. A fresh mapping can be neither
 * read nor written until vmem_protect. */
int vmem_create(struct vmem *vm, uint64_t size, uint64_t *ret_handle);
int vmem_destroy(struct vmem *vm, uint64_t handle);
int vmem_reserve(struct vmem *vm, uint64_t size, uint64_t align, uint64_t *ret_addr);
int vmem_unreserve(struct vmem *vm, uint64_t addr, uint64_t size);
int vmem_map(struct vmem *vm, uint64_t addr, uint64_t size, uint64_t offset, uint64_t handle);
int vmem_unmap(struct vmem *vm, uint64_t addr, uint64_t size);
int vmem_protect(struct vmem *vm, uint64_t addr, uint64_t size, bool readable, bool writable);

/* Host-side access to a range inside one or several adjoining spans, whatever its protection; marks
 * the shadow. vmem_fill repeats the `width` (1, 2, 4) bytes of value over `size` bytes, and costs
 * little memory for a large range. */
int vmem_read(const struct vmem *vm, uint64_t addr, void *dst, uint64_t size);
int vmem_write(struct vmem *vm, uint64_t addr, const void *src, uint64_t size);
int vmem_copy(struct vmem *vm, uint64_t dst, uint64_t src, uint64_t size);
int vmem_fill(struct vmem *vm, uint64_t addr, uint64_t value, unsigned width, uint64_t size);

/* After a launch whose stores weren't tracked nothing is known about any span: stop tracking those
 * that exist. */
void vmem_untrack(struct vmem *vm);

uint64_t vmem_used(const struct vmem *vm);
uint64_t vmem_capacity(const struct vmem *vm);
