/* SPDX-License-Identifier: MIT */
/* Matrix instructions. Fragments are taken apart into plain row-major matrices, multiplied there
 * and put together again.
 *
 * mma fragments are laid out as PTX says: with g = lane / 4, t = lane % 4 and e elements in a
 * register, register r of a holds row g + 8 (r % 2), columns e t + 4 e (r / 2) and on; of b rows
 * e t + 4 e r and on, column g; of the accumulators row g + 8 (r / 2), column 2 t + r % 2. What a
 * wmma fragment looks like inside is nobody's business (PTX ISA, "wmma"): inputs go lane by lane in
 * row-major order, accumulators of 16x16 as two mma ones side by side, as in the hardware. */
#include "evaluator/sim/exec_parts.h"

enum { MAX_ELEMS = 512 };

struct tile { /* a matrix in the width that its arithmetic needs */
    union {
        float f[MAX_ELEMS];
        double d[MAX_ELEMS];
        int32_t i[MAX_ELEMS];
    };
};

struct place {
    uint16_t row, col;
};

static struct place place_a(unsigned m, unsigned e, unsigned r, unsigned lane, unsigned j)
{
    unsigned g = lane / 4, t = lane % 4;
    if (m == 8)
        return (struct place){(uint16_t)g, (uint16_t)(e * t + j + 4 * e * r)};
    return (struct place){(uint16_t)(g + 8 * (r & 1)), (uint16_t)(e * t + j + 4 * e * (r >> 1))};
}

static struct place place_b(unsigned e, unsigned r, unsigned lane, unsigned j)
{
    return (struct place){(uint16_t)(e * (lane % 4) + j + 4 * e * r), (uint16_t)(lane / 4)};
}

/* i counts accumulators, not registers. */
static struct place place_c(unsigned i, unsigned lane)
{
    return (struct place){(uint16_t)(lane / 4 + 8 * (i >> 1 & 1)),
                          (uint16_t)(2 * (lane % 4) + (i & 1) + 8 * (i >> 2))};
}

/* Element i of a lane's `n` in a wmma fragment of `cols` columns. */
static struct place place_w(unsigned cols, unsigned n, unsigned i, unsigned lane)
{
    unsigned at = lane * n + i;
    return (struct place){(uint16_t)(at / cols), (uint16_t)(at % cols)};
}

static struct place place_w_acc(unsigned m, unsigned n, unsigned i, unsigned lane)
{
    return m == 16 && n == 16 ? place_c(i, lane) : place_w(n, m * n / 32, i, lane);
}

static unsigned bits_of(unsigned kind)
{
    return kind == MMA_F64                       ? 64
           : kind == MMA_TF32                    ? 32
           : kind == MMA_F16 || kind == MMA_BF16 ? 16
                                                 : 8;
}

static float f8_value(unsigned kind, uint8_t v)
{
    uint16_t in[32] = {v};
    uint32_t out[32];
    (kind == MMA_E4M3 ? ops_f16x2_from_e4m3x2 : ops_f16x2_from_e5m2x2)(out, in, in, in, 0);
    return ops_h2f((uint16_t)out[0]);
}

/* The elements of one register of all lanes, as floats or integers, in [j][lane]. */
static void unpack(const struct exec_scratch *x, unsigned kind, const uint8_t *reg,
                   struct tile *out)
{
    const struct ops_table *ops = x->program->ops;
    uint16_t half[2][32];
    if (kind == MMA_F16 || kind == MMA_BF16) {
        for (unsigned lane = 0; lane < 32; lane++) {
            memcpy(&half[0][lane], reg + 4 * lane, 2);
            memcpy(&half[1][lane], reg + 4 * lane + 2, 2);
        }
        ops_fn *fn = ops->fn[kind == MMA_F16 ? OPS_F32_FROM_F16 : OPS_F32_FROM_BF16];
        for (unsigned j = 0; j < 2; j++)
            fn(out->f + 32 * j, half[j], half[j], half[j], 0);
        return;
    }
    for (unsigned lane = 0; lane < 32; lane++) {
        uint32_t u;
        memcpy(&u, reg + (kind == MMA_F64 ? 8 : 4) * lane, 4);
        if (kind == MMA_F64) {
            memcpy(&out->d[lane], reg + 8 * lane, 8);
        } else if (kind == MMA_TF32) { /* the low 13 bits aren't looked at */
            u &= ~0x1fffu;
            memcpy(&out->f[lane], &u, 4);
        } else {
            for (unsigned j = 0; j < 4; j++) {
                uint8_t b = (uint8_t)(u >> 8 * j);
                if (kind == MMA_S8 || kind == MMA_U8)
                    out->i[32 * j + lane] = kind == MMA_S8 ? (int8_t)b : b;
                else
                    out->f[32 * j + lane] = f8_value(kind, b);
            }
        }
    }
}

struct mma {
    unsigned m, n, k;
    bool wmma;
    struct tile a, b, c;
};

static void put(struct tile *t, unsigned kind, size_t at, const struct tile *from, unsigned i)
{
    if (kind == MMA_F64)
        t->d[at] = from->d[i];
    else
        t->i[at] = from->i[i]; /* floats are copied by their bits */
}

static void take_input(struct exec_scratch *x, struct warp *w, const uint32_t *refs, unsigned kind,
                       bool is_b, struct mma *mma, struct tile *t)
{
    unsigned e = kind == MMA_F64 ? 1 : 32 / bits_of(kind);
    unsigned rows = is_b ? mma->k : mma->m, cols = is_b ? mma->n : mma->k;
    unsigned regs = rows * cols / 32 / e;
    struct tile part;
    for (unsigned r = 0; r < regs; r++) {
        unpack(x, kind, src_at(x, w, refs[r]), &part);
        for (unsigned lane = 0; lane < 32; lane++)
            for (unsigned j = 0; j < e; j++) {
                struct place p = mma->wmma ? place_w(cols, regs * e, r * e + j, lane)
                                 : is_b    ? place_b(e, r, lane, j)
                                           : place_a(mma->m, e, r, lane, j);
                put(t, kind, (size_t)p.row * cols + p.col, &part, 32 * j + lane);
            }
    }
}

static struct place acc_place(const struct mma *mma, unsigned i, unsigned lane)
{
    return mma->wmma ? place_w_acc(mma->m, mma->n, i, lane) : place_c(i, lane);
}

static void take_acc(struct exec_scratch *x, struct warp *w, const uint32_t *refs, unsigned kind,
                     bool half, struct mma *mma)
{
    unsigned n = mma->m * mma->n / 32;
    for (unsigned i = 0; i < n; i++)
        for (unsigned lane = 0; lane < 32; lane++) {
            struct place p = acc_place(mma, i, lane);
            size_t at = (size_t)p.row * mma->n + p.col;
            uint16_t h;
            if (half) {
                memcpy(&h, src_at(x, w, refs[i / 2]) + 4 * lane + 2 * (i & 1), 2);
                mma->c.f[at] = ops_h2f(h);
            } else if (kind == MMA_F64) {
                memcpy(&mma->c.d[at], src_at(x, w, refs[i]) + 8 * lane, 8);
            } else {
                memcpy(&mma->c.i[at], src_at(x, w, refs[i]) + 4 * lane, 4);
            }
        }
}

static void give_acc(struct warp *w, const uint32_t *refs, unsigned kind, bool half,
                     const struct mma *mma)
{
    unsigned n = mma->m * mma->n / 32;
    for (unsigned i = 0; i < n; i++)
        for (unsigned lane = 0; lane < 32; lane++) {
            struct place p = acc_place(mma, i, lane);
            size_t at = (size_t)p.row * mma->n + p.col;
            if (half) {
                uint16_t h = ops_f2h(mma->c.f[at]);
                memcpy(w->regs + refs[i / 2] + 4 * lane + 2 * (i & 1), &h, 2);
            } else if (kind == MMA_F64) {
                memcpy(w->regs + refs[i] + 8 * lane, &mma->c.d[at], 8);
            } else {
                memcpy(w->regs + refs[i] + 4 * lane, &mma->c.i[at], 4);
            }
        }
}

static void multiply_int(struct mma *mma, bool saturate)
{
    for (unsigned i = 0; i < mma->m; i++)
        for (unsigned j = 0; j < mma->n; j++) {
            int64_t sum = mma->c.i[i * mma->n + j];
            for (unsigned t = 0; t < mma->k; t++)
                sum += (int64_t)mma->a.i[i * mma->k + t] * mma->b.i[t * mma->n + j];
            if (saturate)
                sum = sum > INT32_MAX ? INT32_MAX : sum < INT32_MIN ? INT32_MIN : sum;
            mma->c.i[i * mma->n + j] = (int32_t)(uint32_t)(uint64_t)sum;
        }
}

static void multiply_f64(struct mma *mma)
{
    for (unsigned i = 0; i < mma->m; i++)
        for (unsigned j = 0; j < mma->n; j++) {
            double sum = mma->c.d[i * mma->n + j];
            for (unsigned t = 0; t < mma->k; t++)
                sum = __builtin_fma(mma->a.d[i * mma->k + t], mma->b.d[t * mma->n + j], sum);
            mma->c.d[i * mma->n + j] = sum;
        }
}

static void run_mma(struct exec_scratch *x, struct warp *w, const struct insn *in)
{
    struct mma mma;
    const uint32_t *d = x->program->refs + in->refs, *a = d + in->n_dst;
    unsigned kind = in->sub, e = kind == MMA_F64 ? 1 : 32 / bits_of(kind);
    mma.m = in->target[0];
    mma.n = in->target[1] & 0xffff;
    mma.k = in->target[1] >> 16;
    mma.wmma = in->kind == INSN_WMMA_MMA;
    bool doubled = mma.wmma && kind == MMA_F16;
    const uint32_t *b = a + (doubled ? 8 : mma.m * mma.k / 32 / e);
    const uint32_t *c = b + (doubled ? 8 : mma.k * mma.n / 32 / e);
    take_input(x, w, a, kind, false, &mma, &mma.a);
    take_input(x, w, b, in->elem, true, &mma, &mma.b);
    take_acc(x, w, c, kind, in->mode & MMA_C_HALF, &mma);
    if (kind == MMA_S8 || kind == MMA_U8)
        multiply_int(&mma, in->mode & MMA_SATURATE);
    else if (kind == MMA_F64)
        multiply_f64(&mma);
    else
        x->program->ops->mma_f32(mma.c.f, mma.a.f, mma.b.f, mma.m, mma.n, mma.k);
    give_acc(w, d, kind, in->mode & MMA_D_HALF, &mma);
}

/* Rows of 16 bytes: those of matrix i at the addresses of lanes 8i to 8i + 7. */
static int run_ldst(struct exec_scratch *x, struct warp *w, const struct insn *in)
{
    bool load = in->kind == INSN_LDMATRIX;
    const uint32_t *ref = x->program->refs + in->refs;
    uint32_t mask = in->vec == 4 ? ALL_LANES : (1u << 8 * in->vec) - 1;
    struct access a = {.mask = mask, .bytes = 16, .write = !load};
    if (access_resolve(x, w, in, ref[load ? in->n_dst : 0], &a))
        return RUN_FAULT;
    for (unsigned i = 0; i < in->vec; i++) {
        uint8_t *reg = load ? w->regs + ref[i] : (uint8_t *)src_at(x, w, ref[1 + i]);
        for (unsigned lane = 0; lane < 32; lane++)
            for (unsigned j = 0; j < 2; j++) {
                unsigned row = lane / 4, col = 2 * (lane % 4) + j;
                uint8_t *at = in->mode ? access_at(&a, 8 * i + col) + 2 * row
                                       : access_at(&a, 8 * i + row) + 2 * col;
                uint8_t *half = reg + 4 * lane + 2 * j;
                memcpy(load ? half : at, load ? at : half, 2);
            }
    }
    return 0;
}

static void run_movmatrix(struct exec_scratch *x, struct warp *w, const struct insn *in)
{
    uint16_t src[64], dst[64];
    memcpy(src, src_at(x, w, in->r[1]), sizeof(src));
    for (unsigned row = 0; row < 8; row++)
        for (unsigned col = 0; col < 8; col++)
            dst[8 * row + col] = src[8 * col + row];
    memcpy(w->regs + in->r[0], dst, sizeof(dst));
}

struct wmma {
    unsigned rows, cols, n; /* n: elements of a lane */
    bool acc;
    uint32_t stride;
    uint64_t base;
};

static void wmma_of(const struct exec_scratch *x, const struct warp *w, const struct insn *in,
                    uint32_t addr_ref, uint32_t stride_ref, struct wmma *f)
{
    unsigned m = in->target[0], n = in->target[1] & 0xffff, k = in->target[1] >> 16;
    f->acc = in->sub == WMMA_C;
    f->rows = in->sub == WMMA_B ? k : m;
    f->cols = in->sub == WMMA_A ? k : n;
    f->n = f->rows * f->cols / 32;
    f->base = 0;
    memcpy(&f->base, src_at(x, w, addr_ref), in->addr_width);
    f->base += (uint64_t)in->imm;
    memcpy(&f->stride, src_at(x, w, stride_ref), 4);
}

/* Elements i .. i + count - 1 of all lanes lie side by side in memory: one access. */
static int wmma_access(struct exec_scratch *x, struct warp *w, const struct insn *in,
                       const struct wmma *f, unsigned i, unsigned count, struct access *a)
{
    a->mask = ALL_LANES;
    a->bytes = in->elem * count;
    a->write = in->kind == INSN_WMMA_ST;
    for (unsigned lane = 0; lane < 32; lane++) {
        struct place p =
            f->acc ? place_w_acc(f->rows, f->cols, i, lane) : place_w(f->cols, f->n, i, lane);
        uint64_t at =
            in->flags ? (uint64_t)p.col * f->stride + p.row : (uint64_t)p.row * f->stride + p.col;
        a->addr[lane] = f->base + at * in->elem;
    }
    return access_check(x, w, in, a);
}

static int run_wmma_ldst(struct exec_scratch *x, struct warp *w, const struct insn *in)
{
    bool load = in->kind == INSN_WMMA_LD;
    const uint32_t *ref = x->program->refs + in->refs, *addr = ref + in->n_dst;
    const uint32_t *regs = load ? ref : ref + 2;
    unsigned per_reg = in->width / in->elem;
    struct wmma f;
    wmma_of(x, w, in, addr[0], addr[1], &f);
    unsigned count = in->flags ? 1 : f.acc ? 2 : 16 / in->elem < f.n ? 16 / in->elem : f.n;
    for (unsigned i = 0; i < f.n; i += count) {
        struct access a = {0};
        if (wmma_access(x, w, in, &f, i, count, &a))
            return RUN_FAULT;
        for (unsigned lane = 0; lane < 32; lane++)
            for (unsigned k = 0; k < count; k++) {
                unsigned e = i + k;
                uint8_t *reg =
                    load ? w->regs + regs[e / per_reg] : (uint8_t *)src_at(x, w, regs[e / per_reg]);
                uint8_t *value = reg + lane * in->width + e % per_reg * in->elem;
                uint8_t *at = access_at(&a, lane) + k * in->elem;
                memcpy(load ? value : at, load ? at : value, in->elem);
            }
    }
    return 0;
}

int run_matrix(struct exec_scratch *x, struct warp *w, const struct insn *in, uint32_t mask)
{
    int rc = group_sync(x, w, in, w->exists);
    if (rc)
        return rc;
    if (w->mask != ALL_LANES)
        return fault_at(x, w, in, (unsigned)__builtin_ctz(mask), EXEC_FAULT_ILLEGAL, 0,
                        "a matrix instruction by lanes 0x%08x, not by a whole warp", w->mask);
    switch (in->kind) {
    case INSN_LDMATRIX:
    case INSN_STMATRIX:
        return run_ldst(x, w, in);
    case INSN_MOVMATRIX:
        run_movmatrix(x, w, in);
        return 0;
    case INSN_WMMA_LD:
    case INSN_WMMA_ST:
        return run_wmma_ldst(x, w, in);
    default:
        run_mma(x, w, in);
        return 0;
    }
}
