/* SPDX-License-Identifier: MIT */
/* cp.async.bulk. A copy is done when it is issued, by the thread that issues it: who reads without
 * having waited is told of a race, but what it reads is already there. That the source of a store
 * isn't changed before its group was waited for, and fences between the proxies, aren't checked. */
#include "evaluator/sim/exec_parts.h"

enum { PIECE = 32 * 16 };

static uint64_t address_of(const struct exec_scratch *x, const struct warp *w, uint32_t ref,
                           unsigned width, unsigned lane)
{
    uint64_t addr = 0;
    memcpy(&addr, src_at(x, w, ref) + lane * width, width);
    return addr;
}

/* Up to 32 times 16 bytes, seen as an access of as many lanes. */
static int resolve(struct exec_scratch *x, struct warp *w, const struct insn *in,
                   enum ptx_space space, bool write, uint64_t addr, uint32_t bytes,
                   struct access *ret)
{
    struct insn seen = *in;
    uint32_t lanes = bytes / 16;
    seen.space = (uint8_t)space;
    *ret = (struct access){.bytes = 16, .write = write};
    ret->mask = lanes == 32 ? ALL_LANES : (1u << lanes) - 1;
    for (unsigned i = 0; i < 32; i++)
        ret->addr[i] = addr + 16 * i;
    return access_check(x, w, &seen, ret);
}

static int copy(struct exec_scratch *x, struct warp *w, const struct insn *in, uint64_t from,
                uint64_t to, uint32_t bytes)
{
    bool load = in->kind == INSN_BULK_LOAD;
    for (uint32_t at = 0; at < bytes; at += PIECE) {
        uint32_t n = bytes - at < PIECE ? bytes - at : PIECE;
        struct access source, target;
        if (resolve(x, w, in, load ? PTX_GLOBAL : PTX_SHARED, false, from + at, n, &source) ||
            resolve(x, w, in, load ? PTX_SHARED : PTX_GLOBAL, true, to + at, n, &target))
            return RUN_FAULT;
        for (unsigned i = 0; i < n / 16; i++)
            memcpy(access_at(&target, i), access_at(&source, i), 16);
    }
    return 0;
}

int run_bulk(struct exec_scratch *x, struct warp *w, const struct insn *in, uint32_t mask)
{
    const uint32_t *ref = x->program->refs + in->refs;
    for (uint32_t m = mask; m; m &= m - 1) {
        unsigned lane = (unsigned)__builtin_ctz(m);
        uint64_t from = address_of(x, w, ref[0], in->addr_width, lane);
        uint64_t to = address_of(x, w, ref[1], in->mode, lane);
        uint32_t bytes = (uint32_t)address_of(x, w, ref[2], 4, lane);
        if (bytes % 16 || from % 16 || to % 16)
            return fault_at(x, w, in, lane, EXEC_FAULT_MISALIGNED, from,
                            "a bulk copy of %u bytes from 0x%llx to 0x%llx: all must be multiples "
                            "of 16",
                            bytes, (unsigned long long)from, (unsigned long long)to);
        if (copy(x, w, in, from, to, bytes))
            return RUN_FAULT;
        if (in->kind == INSN_BULK_LOAD &&
            mbarrier_complete(x, w, in, lane, address_of(x, w, ref[3], in->flags, lane), bytes))
            return RUN_FAULT;
    }
    return 0;
}
