/* SPDX-License-Identifier: MIT */
/* The bodies of the vector operations and their table, compiled once for each instruction set: the
 * including file defines OPS_TABLE, the table's name. */
#include "evaluator/sim/ops.h"
#include "evaluator/sim/ops_math.h"

#if defined(__clang__)
#define LANES _Pragma("clang loop vectorize(assume_safety)")
#else
#define LANES _Pragma("GCC ivdep")
#endif

#define OPN(name, n, td, ta, tb, tc, expr)                                                         \
    static void run_##name(void *vd, const void *va, const void *vb, const void *vc, u32 imm)      \
    {                                                                                              \
        td *d = vd;                                                                                \
        const ta *a = va;                                                                          \
        const tb *b = vb;                                                                          \
        const tc *c = vc;                                                                          \
        (void)imm;                                                                                 \
        LANES for (unsigned i = 0; i < n; i++)                                                     \
        {                                                                                          \
            ta x = a[i];                                                                           \
            tb y = b[i];                                                                           \
            tc z = c[i];                                                                           \
            (void)x, (void)y, (void)z;                                                             \
            d[i] = (td)(expr);                                                                     \
        }                                                                                          \
    }
#define OP(name, td, ta, tb, tc, expr) OPN(name, 32, td, ta, tb, tc, expr)
#define HALF(name, n, expr) OPN(name, n, u16, u16, u16, u16, expr)
#include "evaluator/sim/ops_list.h"
#undef OPN
#undef OP
#undef HALF

#define CMP(name, t, expr)                                                                         \
    static uint32_t cmp_##name(const void *va, const void *vb)                                     \
    {                                                                                              \
        const t *a = va, *b = vb;                                                                  \
        uint32_t r = 0;                                                                            \
        for (unsigned i = 0; i < 32; i++) {                                                        \
            t x = a[i], y = b[i];                                                                  \
            r |= (expr) ? 1u << i : 0;                                                             \
        }                                                                                          \
        return r;                                                                                  \
    }
#include "evaluator/sim/ops_cmp.h"
#undef CMP

/* Products of halves are exact in f32, so each step rounds once. */
static void run_mma_f32(float *c, const float *a, const float *b, unsigned m, unsigned n,
                        unsigned k)
{
    for (unsigned i = 0; i < m; i++)
        for (unsigned part = 0; part < n; part += 8) {
            float sum[8];
            memcpy(sum, c + i * n + part, sizeof(sum));
            for (unsigned t = 0; t < k; t++)
                for (unsigned j = 0; j < 8; j++)
                    sum[j] += a[i * k + t] * b[t * n + part + j];
            memcpy(c + i * n + part, sum, sizeof(sum));
        }
}

static void run_addresses(uint64_t *addr, const void *src, unsigned width, uint64_t offset,
                          uint32_t mask, unsigned bytes, struct ops_addresses *ret)
{
    const u64 *wide = src;
    const u32 *narrow = src;
    unsigned first = (unsigned)__builtin_ctz(mask);
    u64 fill = width == 8 ? wide[first] + offset : (u32)(narrow[first] + offset);
    u64 lo = fill, hi = fill, bits = 0, row = 0, spread = 0;
    unsigned shift = (unsigned)__builtin_ctz(bytes);
    if (width == 8)
        for (unsigned i = 0; i < 32; i++)
            addr[i] = mask >> i & 1 ? wide[i] + offset : fill;
    else
        for (unsigned i = 0; i < 32; i++)
            addr[i] = mask >> i & 1 ? (u32)(narrow[i] + offset) : fill;
    for (u64 i = 0; i < 32; i++) {
        row |= addr[i] ^ (addr[0] + (i << shift));
        spread |= addr[i] ^ fill;
    }
    bool in_a_row = mask == 0xffffffff && row == 0;
    if (in_a_row || !spread) { /* nearly all */
        *ret = (struct ops_addresses){addr[0], addr[31], addr[0], !spread, in_a_row};
        return;
    }
    for (unsigned i = 0; i < 32; i++) {
        u64 a = addr[i];
        lo = a < lo ? a : lo;
        hi = a > hi ? a : hi;
        bits |= a;
    }
    *ret = (struct ops_addresses){lo, hi, bits, false, false};
}

static bool run_any_equal(const uint32_t *words, uint32_t v, size_t n)
{
    uint32_t any = 0;
    for (size_t i = 0; i < n; i++)
        any |= words[i] == v ? 1 : 0;
    return any;
}

static void run_add_readers(uint32_t *epochs, uint32_t *readers, uint32_t *insns, uint32_t epoch,
                            uint32_t reader, uint32_t insn, size_t n)
{
    LANES for (size_t i = 0; i < n; i++)
    {
        readers[i] = (epochs[i] == epoch ? readers[i] : 0) | reader;
        epochs[i] = epoch;
        insns[i] = insn;
    }
}

#define SELECT(name, t)                                                                            \
    static void run_select_##name(void *vd, const void *va, const void *vb, uint32_t mask)         \
    {                                                                                              \
        t *d = vd;                                                                                 \
        const t *a = va, *b = vb;                                                                  \
        LANES for (unsigned i = 0; i < 32; i++)                                                    \
            d[i] = mask >> i & 1 ? a[i] : b[i];                                                    \
    }
SELECT(16, u16)
SELECT(32, u32)
SELECT(64, u64)

static void run_gather(uint32_t *d, const uint8_t *base, const uint64_t *offset)
{
    for (unsigned i = 0; i < 32; i++)
        memcpy(&d[i], base + offset[i], 4);
}

const struct ops_table OPS_TABLE = {
    .fn = {NULL,
#define OPN(name, n, td, ta, tb, tc, expr) run_##name,
#define OP(name, td, ta, tb, tc, expr) run_##name,
#define HALF(name, n, expr) run_##name,
#include "evaluator/sim/ops_list.h"
#undef OPN
#undef OP
#undef HALF
    },
    .cmp = {NULL,
#define CMP(name, t, expr) cmp_##name,
#include "evaluator/sim/ops_cmp.h"
#undef CMP
    },
    .addresses = run_addresses,
    .any_equal = run_any_equal,
    .add_readers = run_add_readers,
    .select = {run_select_16, run_select_32, run_select_64},
    .gather = run_gather,
    .mma_f32 = run_mma_f32,
};
