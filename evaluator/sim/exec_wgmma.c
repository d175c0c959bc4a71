/* SPDX-License-Identifier: MIT */
/* wgmma: each warp of a warpgroup does its 16 of the 64 rows alone, when it is issued. Operands lie
 * in shared memory as descriptors say (PTX ISA, "Matrix Descriptor"), k contiguous, 32 bytes of it:
 * rows of two chunks of 16 bytes, in groups of eight rows that are `stride` apart. Without a swizzle
 * eight chunks lie together and the two columns of them are `leading` apart; with one, rows are 32,
 * 64 or 128 bytes apart, and the chunk's place is combined with the row's.
 *
 * What was read is kept until it is waited for, and must then still be there: who overwrites an
 * operand too early is told. An accumulator that is read before the wait holds the result already,
 * wgmma.fence and the fence between the proxies do nothing, and that the four warps arrive together
 * isn't checked: such faults aren't seen here. */
#include "evaluator/sim/exec_parts.h"

#include <stdlib.h>

enum { ROWS = 16, N_MAX = 256, K_MAX = 16, ROW_BYTES = 32 };

struct wgmma_operand {
    uint64_t desc;
    uint32_t group, first, rows, line;
    uint8_t bytes[N_MAX * ROW_BYTES];
};

static uint64_t chunk_at(uint64_t desc, uint32_t row, uint32_t chunk)
{
    static const uint32_t widths[] = {0, 128, 64, 32};
    uint64_t start = (desc & 0x3fff) << 4, leading = (desc >> 16 & 0x3fff) << 4,
             stride = (desc >> 32 & 0x3fff) << 4;
    uint32_t width = widths[desc >> 62];
    if (!width)
        return start + row / 8 * stride + chunk * leading + row % 8 * 16;
    uint64_t at = start + row / 8 * stride + row % 8 * width + chunk * 16;
    return at ^ (at >> 3 & (width - 16));
}

static struct wgmma_operand *keep(struct warp *w)
{
    if (w->n_wgmma == w->cap_wgmma) {
        w->cap_wgmma = w->cap_wgmma ? w->cap_wgmma * 2 : 16;
        w->wgmma_operands =
            realloc(w->wgmma_operands, w->cap_wgmma * sizeof(*w->wgmma_operands));
        if (!w->wgmma_operands)
            abort();
    }
    return &w->wgmma_operands[w->n_wgmma++];
}

void wgmma_free(struct warp *w)
{
    free(w->wgmma_operands);
}

/* Rows first .. first + rows - 1 of an operand, into `kept`. */
static int read_operand(struct exec_scratch *x, struct warp *w, const struct insn *in,
                        struct wgmma_operand *kept, bool unprofiled)
{
    for (uint32_t i = 0; i < kept->rows * 2; i += 32) {
        uint32_t n = kept->rows * 2 - i < 32 ? kept->rows * 2 - i : 32;
        struct access a = {.bytes = 16, .unprofiled = unprofiled};
        a.mask = n == 32 ? ALL_LANES : (1u << n) - 1;
        for (uint32_t k = 0; k < 32; k++)
            a.addr[k] = chunk_at(kept->desc, kept->first + (i + k) / 2, (i + k) % 2);
        if (access_check(x, w, in, &a))
            return RUN_FAULT;
        for (uint32_t k = 0; k < n; k++)
            memcpy(kept->bytes + 16 * (i + k), access_at(&a, k), 16);
    }
    return 0;
}

/* 32 bytes of k as floats; `sign` is 0 or the sign bit, which is turned round. */
static void row_values(const struct exec_scratch *x, unsigned kind, const uint8_t *bytes,
                       uint32_t sign, float *out)
{
    const struct ops_table *ops = x->program->ops;
    uint16_t half[32] = {0};
    uint32_t bits[32];
    unsigned n = kind == MMA_TF32 ? 8 : 16;
    if (kind == MMA_TF32) {
        memcpy(bits, bytes, ROW_BYTES);
        for (unsigned i = 0; i < n; i++) /* the low 13 bits aren't looked at */
            bits[i] &= ~0x1fffu;
    } else {
        memcpy(half, bytes, ROW_BYTES);
        ops->fn[kind == MMA_F16 ? OPS_F32_FROM_F16 : OPS_F32_FROM_BF16](bits, half, half, half, 0);
    }
    for (unsigned i = 0; i < n; i++)
        bits[i] ^= sign;
    memcpy(out, bits, n * sizeof(*out));
}

/* a in registers, as mma.sync has it: see exec_matrix.c. Back as rows of 32 bytes. */
static void rows_of_registers(const struct exec_scratch *x, const struct warp *w,
                              const uint32_t *refs, uint8_t *rows)
{
    for (unsigned r = 0; r < 4; r++)
        for (unsigned lane = 0; lane < 32; lane++) {
            unsigned row = lane / 4 + 8 * (r & 1), word = lane % 4 + 4 * (r >> 1);
            memcpy(rows + row * ROW_BYTES + 4 * word, src_at(x, w, refs[r]) + 4 * lane, 4);
        }
}

struct product {
    unsigned n, k;
    float a[ROWS * K_MAX], b[K_MAX * N_MAX], c[ROWS * N_MAX];
};

static int take_b(struct exec_scratch *x, struct warp *w, const struct insn *in, uint64_t desc,
                  struct product *p)
{
    struct wgmma_operand *b = keep(w);
    float row[K_MAX];
    b->desc = desc;
    b->group = w->wgmma_group;
    b->first = 0;
    b->rows = p->n;
    b->line = in->line;
    if (read_operand(x, w, in, b, w->index % 4)) /* the four read it once */
        return RUN_FAULT;
    for (unsigned j = 0; j < p->n; j++) {
        row_values(x, in->sub, b->bytes + j * ROW_BYTES,
                   in->mode & WGMMA_NEGATE_B ? 0x80000000u : 0, row);
        for (unsigned t = 0; t < p->k; t++)
            p->b[t * p->n + j] = row[t];
    }
    return 0;
}

static int take_a(struct exec_scratch *x, struct warp *w, const struct insn *in,
                  const uint32_t *refs, struct product *p)
{
    uint8_t registers[ROWS * ROW_BYTES];
    const uint8_t *rows = registers;
    if (in->vec) {
        rows_of_registers(x, w, refs, registers);
    } else {
        struct wgmma_operand *a = keep(w);
        memcpy(&a->desc, src_at(x, w, refs[0]), 8);
        a->group = w->wgmma_group;
        a->first = w->index % 4 * ROWS;
        a->rows = ROWS;
        a->line = in->line;
        if (read_operand(x, w, in, a, false))
            return RUN_FAULT;
        rows = a->bytes;
    }
    for (unsigned i = 0; i < ROWS; i++)
        row_values(x, in->sub, rows + i * ROW_BYTES, in->mode & WGMMA_NEGATE_A ? 0x80000000u : 0,
                   p->a + i * p->k);
    return 0;
}

/* Accumulator i of a lane, as of mma.sync's side by side. */
static unsigned place_of(const struct product *p, unsigned i, unsigned lane)
{
    return (lane / 4 + 8 * (i >> 1 & 1)) * p->n + 2 * (lane % 4) + (i & 1) + 8 * (i >> 2);
}

static bool descriptor_ok(uint64_t desc)
{
    return !(desc >> 49 & 7);
}

static int multiply(struct exec_scratch *x, struct warp *w, const struct insn *in)
{
    const uint32_t *d = x->program->refs + in->refs, *b = d + in->n_dst, *a = b + 1;
    struct product p;
    uint64_t desc, desc_a = 0;
    uint32_t add = pred_at(w, in, 0);
    p.n = in->target[0];
    p.k = in->target[1];
    memcpy(&desc, src_at(x, w, *b), 8);
    if (!in->vec)
        memcpy(&desc_a, src_at(x, w, *a), 8);
    if (!descriptor_ok(desc) || !descriptor_ok(desc_a) || (add && ~add))
        return fault_at(x, w, in, 0, EXEC_FAULT_ILLEGAL, 0,
                        ~add && add ? "wgmma with a scale that isn't the same in all lanes"
                                    : "a descriptor with a base offset, which isn't simulated");
    if (take_b(x, w, in, desc, &p) || take_a(x, w, in, a, &p))
        return RUN_FAULT;
    if (!add)
        memset(p.c, 0, ROWS * p.n * sizeof(*p.c));
    for (unsigned i = 0; add && i < in->n_dst; i++)
        for (unsigned lane = 0; lane < 32; lane++)
            memcpy(&p.c[place_of(&p, i, lane)], w->regs + d[i] + 4 * lane, 4);
    x->program->ops->mma_f32(p.c, p.a, p.b, ROWS, p.n, p.k);
    for (unsigned i = 0; i < in->n_dst; i++)
        for (unsigned lane = 0; lane < 32; lane++)
            memcpy(w->regs + d[i] + 4 * lane, &p.c[place_of(&p, i, lane)], 4);
    return 0;
}

/* The operands of what is waited for are still what was read. */
static int still_there(struct exec_scratch *x, struct warp *w, const struct insn *in,
                       const struct wgmma_operand *kept)
{
    for (uint32_t i = 0; i < kept->rows * 2; i++) {
        uint64_t at = chunk_at(kept->desc, kept->first + i / 2, i % 2);
        if (memcmp(x->shared + at, kept->bytes + 16 * i, 16))
            return fault_at(x, w, in, 0, EXEC_FAULT_RACE, at,
                            "shared memory at 0x%x was overwritten before the wgmma of PTX line %u "
                            "that reads it was waited for",
                            (unsigned)at, kept->line);
    }
    return 0;
}

static int wait(struct exec_scratch *x, struct warp *w, const struct insn *in)
{
    uint32_t left = 0, open = (uint32_t)in->imm;
    uint32_t until = w->wgmma_group > open ? w->wgmma_group - open : 0;
    for (uint32_t i = 0; i < w->n_wgmma; i++) {
        struct wgmma_operand *kept = &w->wgmma_operands[i];
        if (kept->group >= until) {
            if (left != i)
                w->wgmma_operands[left] = *kept;
            left++;
        } else if (x->launch->checks & EXEC_CHECK_RACES && still_there(x, w, in, kept)) {
            return RUN_FAULT;
        }
    }
    w->n_wgmma = left;
    return 0;
}

int run_wgmma(struct exec_scratch *x, struct warp *w, const struct insn *in, uint32_t mask)
{
    int rc = group_sync(x, w, in, w->exists);
    if (rc)
        return rc;
    if (w->mask != ALL_LANES || (mask & w->mask) != mask || (w->index | 3) >= x->n_warps)
        return fault_at(x, w, in, (unsigned)__builtin_ctz(mask), EXEC_FAULT_ILLEGAL, 0,
                        "wgmma by lanes 0x%08x of warp %u of %u, not by whole warps of a whole "
                        "warpgroup",
                        w->mask, w->index, x->n_warps);
    switch (in->kind) {
    case INSN_WGMMA_COMMIT:
        w->wgmma_group++;
        return 0;
    case INSN_WGMMA_WAIT:
        return wait(x, w, in);
    default:
        return multiply(x, w, in);
    }
}
