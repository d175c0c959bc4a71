/* SPDX-License-Identifier: MIT */
#include "evaluator/sim/vmem.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE 4096ull
#define LAZY_FILL                                                                                  \
    (16ull << 20) /* from this size on a fill maps a repeated pattern, copy-on-write */

static uint64_t round_up(uint64_t n, uint64_t to)
{
    return (n + to - 1) / to * to;
}

/* The span at addr, and how many of size bytes lie in it. */
static const struct vmem_span *piece(const struct vmem *vm, uint64_t addr, uint64_t size,
                                     uint64_t *ret_n)
{
    const struct vmem_span *s = vmem_find(vm, addr);
    if (s) {
        uint64_t left = s->size - (addr - s->addr);
        *ret_n = size < left ? size : left;
    }
    return s;
}

/* All of [addr, addr + size) is mapped: checked first, so that nothing is done by halves. */
static bool mapped(const struct vmem *vm, uint64_t addr, uint64_t size)
{
    for (uint64_t n; size; addr += n, size -= n)
        if (!piece(vm, addr, size, &n))
            return false;
    return true;
}

/* Repeats one page over [host, host + size), whole pages, by mapping a file of it again and again:
 * at most some 256 mappings, copied by the kernel where somebody writes. */
static int fill_lazily(uint8_t *host, uint64_t size, const uint8_t page[PAGE], bool zero)
{
    if (zero)
        return mmap(host, size, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) == MAP_FAILED
                   ? -errno
                   : 0;
    uint64_t chunk = round_up(size / 256, 2ull << 20);
    int fd = memfd_create("fill", MFD_CLOEXEC);
    if (fd < 0)
        return -errno;
    int err = ftruncate(fd, (off_t)chunk) ? -errno : 0;
    for (uint64_t at = 0; at < chunk && !err; at += PAGE)
        err = pwrite(fd, page, PAGE, (off_t)at) == (ssize_t)PAGE ? 0 : -EIO;
    for (uint64_t at = 0; at < size && !err; at += chunk) {
        uint64_t n = size - at < chunk ? size - at : chunk;
        if (mmap(host + at, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE | MAP_FIXED, fd,
                 0) == MAP_FAILED)
            err = -errno;
    }
    close(fd);
    return err;
}

static void fill_plainly(uint8_t *host, uint64_t size, const uint8_t page[PAGE])
{
    for (uint64_t at = 0; at < size; at += PAGE)
        memcpy(host + at, page, size - at < PAGE ? size - at : PAGE);
}

static void fill_host(uint8_t *host, uint64_t size, uint64_t value, unsigned width)
{
    uint8_t page[PAGE];
    bool zero = true;
    for (unsigned i = 0; i < PAGE; i++) {
        page[i] = (uint8_t)(value >> 8 * (i % width));
        zero = zero && page[i] == 0;
    }
    uint64_t head = (PAGE - (uintptr_t)host % PAGE) % PAGE;
    if (size >= LAZY_FILL && head % width == 0) {
        uint64_t middle = (size - head) / PAGE * PAGE;
        if (fill_lazily(host + head, middle, page, zero) == 0) {
            fill_plainly(host, head, page);
            fill_plainly(host + head + middle, size - head - middle, page);
            return;
        }
    }
    fill_plainly(host, size, page);
}

static void mark(const struct vmem_span *s, uint64_t addr, uint64_t size)
{
    if (s->shadow)
        fill_host(s->shadow + (addr - s->addr), size, 1, 1);
}

int vmem_read(const struct vmem *vm, uint64_t addr, void *dst, uint64_t size)
{
    if (!mapped(vm, addr, size))
        return -EINVAL;
    uint8_t *to = dst;
    for (uint64_t n = 0; size; addr += n, to += n, size -= n) {
        const struct vmem_span *s = piece(vm, addr, size, &n);
        memcpy(to, vmem_host(s, addr), n);
    }
    return 0;
}

int vmem_write(struct vmem *vm, uint64_t addr, const void *src, uint64_t size)
{
    if (!mapped(vm, addr, size))
        return -EINVAL;
    const uint8_t *from = src;
    for (uint64_t n = 0; size; addr += n, from += n, size -= n) {
        const struct vmem_span *s = piece(vm, addr, size, &n);
        memcpy(vmem_host(s, addr), from, n);
        mark(s, addr, n);
    }
    return 0;
}

int vmem_copy(struct vmem *vm, uint64_t dst, uint64_t src, uint64_t size)
{
    if (!mapped(vm, dst, size) || !mapped(vm, src, size))
        return -EINVAL;
    for (uint64_t n = 0; size; dst += n, src += n, size -= n) {
        const struct vmem_span *from = piece(vm, src, size, &n);
        const struct vmem_span *to = piece(vm, dst, n, &n);
        memmove(vmem_host(to, dst), vmem_host(from, src), n);
        if (to->shadow && from->shadow)
            memmove(to->shadow + (dst - to->addr), from->shadow + (src - from->addr), n);
        else
            mark(to, dst, n);
    }
    return 0;
}

int vmem_fill(struct vmem *vm, uint64_t addr, uint64_t value, unsigned width, uint64_t size)
{
    if ((width != 1 && width != 2 && width != 4) || addr % width || size % width)
        return -EINVAL;
    if (!mapped(vm, addr, size))
        return -EINVAL;
    for (uint64_t n = 0; size; addr += n, size -= n) {
        const struct vmem_span *s = piece(vm, addr, size, &n);
        fill_host(vmem_host(s, addr), n, value, width);
        mark(s, addr, n);
    }
    return 0;
}
