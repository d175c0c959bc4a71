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
    .mma_f32 = run_mma_f32,
};
