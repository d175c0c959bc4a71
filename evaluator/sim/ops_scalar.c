/* SPDX-License-Identifier: MIT */
/* Rare arithmetic, one lane after the other: directed rounding by the processor's rounding mode
 * (this file is compiled with -frounding-math), conversions to narrow formats with their modifiers,
 * and the choice of the vector table. */
#include "evaluator/sim/ops.h"
#include "evaluator/sim/ops_math.h"

#include <fenv.h>
#include <math.h>
#include <stddef.h>

static int set_mode(uint32_t imm)
{
    static const int modes[] = {FE_TONEAREST, FE_TOWARDZERO, FE_DOWNWARD, FE_UPWARD};
    int before = fegetround();
    fesetround(modes[imm & 3]);
    return before;
}

#define DIRECTED(name, td, ts, expr)                                                               \
    void name(void *vd, const void *va, const void *vb, const void *vc, uint32_t imm)              \
    {                                                                                              \
        int before = set_mode(imm);                                                                \
        for (unsigned i = 0; i < 32; i++) {                                                        \
            volatile ts x = ((const ts *)va)[i], y = ((const ts *)vb)[i], z = ((const ts *)vc)[i]; \
            (void)y, (void)z;                                                                      \
            volatile td r = (td)(expr);                                                            \
            ((td *)vd)[i] = r;                                                                     \
        }                                                                                          \
        fesetround(before);                                                                        \
    }
DIRECTED(ops_add_f32_r, f32, f32, canon(x + y))
DIRECTED(ops_sub_f32_r, f32, f32, canon(x - y))
DIRECTED(ops_mul_f32_r, f32, f32, canon(x *y))
DIRECTED(ops_fma_f32_r, f32, f32, canon(fmaf(x, y, z)))
DIRECTED(ops_div_f32_r, f32, f32, canon(x / y))
DIRECTED(ops_rcp_f32_r, f32, f32, canon(1.0f / x))
DIRECTED(ops_sqrt_f32_r, f32, f32, canon(sqrtf(x)))
DIRECTED(ops_add_f64_r, f64, f64, x + y)
DIRECTED(ops_sub_f64_r, f64, f64, x - y)
DIRECTED(ops_mul_f64_r, f64, f64, x *y)
DIRECTED(ops_fma_f64_r, f64, f64, fma(x, y, z))
DIRECTED(ops_div_f64_r, f64, f64, x / y)
DIRECTED(ops_rcp_f64_r, f64, f64, 1.0 / x)
DIRECTED(ops_sqrt_f64_r, f64, f64, sqrt(x))
DIRECTED(ops_f32_from_f64_r, f32, f64, (f32)x)
DIRECTED(ops_f32_from_s64_r, f32, s64, (f32)x)
DIRECTED(ops_f32_from_u64_r, f32, u64, (f32)x)
DIRECTED(ops_f64_from_s64_r, f64, s64, (f64)x)
DIRECTED(ops_f64_from_u64_r, f64, u64, (f64)x)

/* A float format below f32: `exp_bits` and `man_bits`, with subnormals. `max` is the bit pattern of
 * the largest finite value, inf that of infinity (or 0 if it has none), nan that of NaN. */
struct format {
    unsigned exp_bits, man_bits;
    u32 max, inf, nan;
};
static const struct format formats[] = {
    {5, 10, 0x7bff, 0x7c00, 0x7fff},   /* f16 */
    {8, 7, 0x7f7f, 0x7f80, 0x7fff},    /* bf16 */
    {4, 3, 0x7e, 0, 0x7f},             /* e4m3 */
    {5, 2, 0x7b, 0x7c, 0x7f},          /* e5m2 */
    {8, 10, 0x3fbff, 0x3fc00, 0x3ffff} /* tf32, in the top 19 bits */
};
enum { F16, BF16, E4M3, E5M2, TF32 };

/* Rounds |d| to the format: to nearest even, or towards zero. */
static u32 round_to(f64 d, const struct format *f, uint32_t imm)
{
    u32 sign = signbit(d) ? 1u << (f->exp_bits + f->man_bits) : 0;
    if (d != d)
        return f->nan;
    d = fabs(d);
    unsigned mode = imm & 3;
    if (mode == OPS_RM || mode == OPS_RP) /* away from zero or towards it */
        mode = (mode == OPS_RM) == (sign != 0) ? OPS_RP : OPS_RZ;
    u32 top = imm & OPS_SATFINITE || mode == OPS_RZ ? f->max : f->inf ? f->inf : f->nan;
    if (isinf(d))
        return sign | (imm & OPS_SATFINITE ? f->max : f->inf ? f->inf : f->nan);
    int bias = (1 << (f->exp_bits - 1)) - 1, e;
    frexp(d, &e);
    e = d == 0 || e - 1 < 1 - bias ? 1 - bias : e - 1;
    f64 scaled = ldexp(d, (int)f->man_bits - e), whole = floor(scaled), rest = scaled - whole;
    u64 m = (u64)whole;
    if (mode == OPS_RP ? rest > 0 : mode == OPS_RN && (rest > 0.5 || (rest == 0.5 && m & 1)))
        m++;
    /* a carry out of the mantissa moves into the exponent by itself */
    u64 r = ((u64)(e + bias - 1) << f->man_bits) + m;
    return sign | (r > f->max ? top : (u32)r);
}

static u32 convert(f64 d, unsigned format, uint32_t imm)
{
    if (imm & OPS_RELU && d == d && signbit(d))
        d = 0.0;
    return round_to(d, &formats[format], imm);
}

#define NARROW(name, td, ts, expr)                                                                 \
    void name(void *vd, const void *va, const void *vb, const void *vc, uint32_t imm)              \
    {                                                                                              \
        td out[32];                                                                                \
        (void)vc, (void)imm;                                                                       \
        for (unsigned i = 0; i < 32; i++) {                                                        \
            ts x = ((const ts *)va)[i], y = ((const ts *)vb)[i];                                   \
            (void)y;                                                                               \
            out[i] = (td)(expr);                                                                   \
        }                                                                                          \
        memcpy(vd, out, sizeof(out));                                                              \
    }
NARROW(ops_f16_from_f32_r, u16, f32, convert(x, F16, imm))
NARROW(ops_bf16_from_f32_r, u16, f32, convert(x, BF16, imm))
NARROW(ops_f16_from_f64_r, u16, f64, convert(x, F16, imm))
NARROW(ops_bf16_from_f64_r, u16, f64, convert(x, BF16, imm))
NARROW(ops_e4m3x2_from_f32, u16, f32, convert(x, E4M3, imm) << 8 | convert(y, E4M3, imm))
NARROW(ops_e5m2x2_from_f32, u16, f32, convert(x, E5M2, imm) << 8 | convert(y, E5M2, imm))
NARROW(ops_e4m3x2_from_f16x2, u16, u32,
       convert(h2f((u16)(x >> 16)), E4M3, imm) << 8 | convert(h2f((u16)x), E4M3, imm))
NARROW(ops_e5m2x2_from_f16x2, u16, u32,
       convert(h2f((u16)(x >> 16)), E5M2, imm) << 8 | convert(h2f((u16)x), E5M2, imm))

/* cvt.rna.tf32: to nearest, ties away from zero, in the upper bits of an f32. */
static u32 to_tf32(f32 x, uint32_t imm)
{
    u32 u = as_u32(x);
    if (x != x)
        return 0x7fffffff;
    if (imm & OPS_RELU && u >> 31)
        return 0;
    if ((u & 0x7f800000) == 0x7f800000)
        return imm & OPS_SATFINITE ? (u & 0x80000000) | 0x7f7fe000 : u;
    if ((imm & 7) == OPS_RZ)
        return u & ~0x1fffu;
    if ((imm & 7) == OPS_RN)
        u += 0xfff + ((u >> 13) & 1);
    else
        u += 0x1000;
    if (imm & OPS_SATFINITE && (u & 0x7f800000) == 0x7f800000)
        u = (u & 0x80000000) | 0x7f7fe000;
    return u & ~0x1fffu;
}
NARROW(ops_tf32_from_f32_r, u32, f32, to_tf32(x, imm))

static u16 e4m3_to_h(u32 v)
{
    u32 e = v >> 3 & 15, m = v & 7;
    f32 f = (v & 127) == 127 ? NAN : e ? ldexpf((f32)(8 + m), (int)e - 10) : ldexpf((f32)m, -9);
    return f2h(v & 128 ? -f : f);
}
NARROW(ops_f16x2_from_e4m3x2, u32, u16, (u32)e4m3_to_h(x >> 8) << 16 | e4m3_to_h(x & 255))

/* e5m2 is the upper half of f16. */
static u32 e5m2_to_h(u32 v)
{
    return (v & 127) > 0x7c ? 0x7fff : v << 8;
}
NARROW(ops_f16x2_from_e5m2x2, u32, u16, e5m2_to_h(x >> 8) << 16 | e5m2_to_h(x & 255))

float ops_h2f(uint16_t h)
{
    return h2f(h);
}

uint16_t ops_f2h(float f)
{
    return f2h(f);
}

float ops_bf2f(uint16_t b)
{
    return bf2f(b);
}

uint16_t ops_f2bf(float f)
{
    return f2bf(f);
}

const struct ops_table *ops_choose(void)
{
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
        return &ops_table_avx512;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return &ops_table_avx2;
#endif
    return &ops_table_plain;
}
