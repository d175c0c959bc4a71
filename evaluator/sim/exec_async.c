/* SPDX-License-Identifier: MIT */
/* cp.async: a copy is checked when it is issued and done when it is waited for, so that a kernel
 * that forgets to wait sees what it would see on a bad day. */
#include "evaluator/sim/exec_parts.h"
#include "base/util.h"

#include <stdlib.h>

static void push(struct warp *w, const struct pending_copy *c)
{
    if (w->n_copies == w->cap_copies) {
        w->cap_copies = w->cap_copies ? w->cap_copies * 2 : 256;
        w->copies = realloc(w->copies, w->cap_copies * sizeof(*c));
        if (!w->copies)
            abort();
    }
    w->copies[w->n_copies++] = *c;
}

/* A source of fewer bytes than the copy has, perhaps none: only those are read. */
static int partial_source(struct exec_scratch *x, struct warp *w, const struct insn *in,
                          unsigned lane, uint32_t ref, uint32_t bytes, const uint8_t **ret_src)
{
    uint64_t addr = 0;
    if (!bytes)
        return 0;
    memcpy(&addr, src_at(x, w, ref) + lane * in->addr_width, in->addr_width);
    addr += (uint64_t)in->imm;
    const struct vmem_span *s = vmem_find(x->launch->mem, addr);
    struct access a = {.mask = 1u << lane, .bytes = bytes};
    a.addr[lane] = addr;
    if (!s || !vmem_covers(s, addr, bytes) || !s->readable)
        return fault_access(x, w, in, &a, lane, PTX_GLOBAL);
    *ret_src = vmem_host(s, addr);
    return 0;
}

int run_copy(struct exec_scratch *x, struct warp *w, const struct insn *in, uint32_t mask)
{
    const uint32_t *ref = x->program->refs + in->refs;
    struct insn to_insn = *in; /* the same instruction seen as a store */
    struct access to = {.mask = mask, .bytes = in->elem, .write = true};
    struct access from = {.mask = 0, .bytes = in->elem};
    uint32_t filled[32];
    memcpy(filled, src_at(x, w, ref[2]), sizeof(filled));
    for (uint32_t m = mask; m; m &= m - 1) {
        unsigned lane = (unsigned)__builtin_ctz(m);
        if (filled[lane] > in->elem)
            return fault_at(x, w, in, lane, EXEC_FAULT_ILLEGAL, 0,
                            "cp.async of %u bytes with a source size of %u", in->elem,
                            filled[lane]);
        from.mask |= filled[lane] == in->elem ? 1u << lane : 0;
    }
    to_insn.space = PTX_SHARED;
    to_insn.addr_width = in->mode;
    to_insn.imm = 0;
    if (access_resolve(x, w, &to_insn, ref[1], &to) ||
        (from.mask && access_resolve(x, w, in, ref[0], &from)))
        return RUN_FAULT;
    for (uint32_t m = mask; m; m &= m - 1) {
        unsigned lane = (unsigned)__builtin_ctz(m);
        uint8_t *dst = access_at(&to, lane);
        const uint8_t *src = NULL;
        if (!(from.mask >> lane & 1)) {
            if (partial_source(x, w, in, lane, ref[0], filled[lane], &src))
                return RUN_FAULT;
        } else {
            src = access_at(&from, lane);
        }
        struct pending_copy c = {.to = (uint32_t)(dst - x->shared),
                                 .size = in->elem,
                                 .filled = (uint8_t)filled[lane],
                                 .group = w->copy_group,
                                 .from = src};
        push(w, &c);
    }
    return 0;
}

void copy_commit(struct warp *w)
{
    w->copy_group++;
}

/* Waits until at most `keep` of the latest committed groups are open. UINT32_MAX: for all copies,
 * committed or not. */
void copy_wait(struct exec_scratch *x, struct warp *w, uint32_t keep)
{
    uint32_t n = 0;
    uint32_t until = keep == UINT32_MAX     ? UINT32_MAX
                     : w->copy_group > keep ? w->copy_group - keep
                                            : 0;
    for (uint32_t i = 0; i < w->n_copies; i++) {
        struct pending_copy *c = &w->copies[i];
        if (c->group >= until) {
            w->copies[n++] = *c;
            continue;
        }
        memset(x->shared + c->to, 0, c->size);
        if (c->from)
            memcpy(x->shared + c->to, c->from, c->filled);
    }
    w->n_copies = n;
}
