#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * The scalar expressions behind the vector operations: branch-free, so that compilers turn a loop
 * over 32 lanes into vector code. NaN results are the canonical ones the hardware gives
 * (0x7fffffff, 0x7fff). The approximate functions are polynomials of about single precision; the
 * hardware's own are a little less exact.
 *
 * Included by ops_vector.h and ops_scalar.c only.
 */
#include "evaluator/sim/ops_bits.h"

PURE u32 as_u32(f32 f)
{
    u32 u;
    memcpy(&u, &f, 4);
    return u;
}

PURE f32 as_f32(u32 u)
{
    f32 f;
    memcpy(&f, &u, 4);
    return f;
}

PURE u64 as_u64(f64 f)
{
    u64 u;
    memcpy(&u, &f, 8);
    return u;
}

PURE f64 as_f64(u64 u)
{
    f64 f;
    memcpy(&f, &u, 8);
    return f;
}

PURE f32 canon(f32 x)
{
    return x == x ? x : as_f32(0x7fffffff);
}

PURE f32 ftz(f32 x)
{
    u32 u = as_u32(x);
    return as_f32(u & 0x7f800000 ? u : u & 0x80000000);
}

/* div.approx multiplies by an inverse that is flushed to zero beyond 2^126. */
PURE f32 div_approx(f32 x, f32 y)
{
    int far = (as_u32(y) & 0x7fffffff) > 0x7e800000;
    f32 zero = as_f32(as_u32(y) & 0x80000000);
    return canon(far ? x * zero : x / y);
}

PURE f32 sat(f32 x)
{
    return x > 0.0f ? (x < 1.0f ? x : 1.0f) : 0.0f;
}

PURE int is_finite(f32 x)
{
    return (as_u32(x) & 0x7f800000) != 0x7f800000;
}

PURE int is_normal(f32 x)
{
    u32 e = as_u32(x) & 0x7f800000;
    return e != 0 && e != 0x7f800000;
}

/* min and max: a number wins over NaN, -0 is less than +0. */
PURE f32 fmin_num(f32 x, f32 y)
{
    f32 r = x < y ? x : y < x ? y : as_f32(as_u32(x) | as_u32(y));
    r = x != x ? y : r;
    r = y != y ? x : r;
    return canon(r);
}

PURE f32 fmax_num(f32 x, f32 y)
{
    f32 r = x > y ? x : y > x ? y : as_f32(as_u32(x) & as_u32(y));
    r = x != x ? y : r;
    r = y != y ? x : r;
    return canon(r);
}

PURE f32 fmin_nan(f32 x, f32 y)
{
    return x == x && y == y ? fmin_num(x, y) : as_f32(0x7fffffff);
}

PURE f32 fmax_nan(f32 x, f32 y)
{
    return x == x && y == y ? fmax_num(x, y) : as_f32(0x7fffffff);
}

PURE f64 dmin_num(f64 x, f64 y)
{
    f64 r = x < y ? x : y < x ? y : as_f64(as_u64(x) | as_u64(y));
    r = x != x ? y : r;
    return y != y ? x : r;
}

PURE f64 dmax_num(f64 x, f64 y)
{
    f64 r = x > y ? x : y > x ? y : as_f64(as_u64(x) & as_u64(y));
    r = x != x ? y : r;
    return y != y ? x : r;
}

/* Half formats. */
PURE f32 h2f(u16 h)
{
    u32 u = as_u32(as_f32((u32)(h & 0x7fff) << 13) * 0x1p112f);
    u |= (h & 0x7c00) == 0x7c00 ? 0x7f800000 : 0;
    return as_f32(u | (u32)(h & 0x8000) << 16);
}

/* Round to nearest even: subnormals by adding a number whose last bit is theirs. */
PURE u16 f2h(f32 f)
{
    u32 u = as_u32(f), sign = u & 0x80000000;
    u ^= sign;
    u32 normal = (u + 0xc8000fff + ((u >> 13) & 1)) >> 13;
    u32 tiny = as_u32(as_f32(u) + 0.5f) - 0x3f000000;
    u32 r = u < 0x38800000 ? tiny : normal;
    r = u >= 0x47800000 ? 0x7c00 : r;
    r |= sign >> 16;
    return (u16)(u > 0x7f800000 ? 0x7fff : r);
}

PURE f32 bf2f(u16 b)
{
    return as_f32((u32)b << 16);
}

PURE u16 f2bf(f32 f)
{
    u32 u = as_u32(f);
    u32 r = (u + 0x7fff + ((u >> 16) & 1)) >> 16;
    return (u16)((u & 0x7fffffff) > 0x7f800000 ? 0x7fff : r);
}

/* x*y+z rounded to odd, where x*y is exact: rounding that again, to a format with two bits less or
 * fewer, gives what rounding once would (Boldo and Melquiond 2008). */
PURE f32 fma_odd(f32 x, f32 y, f32 z)
{
    f32 p = x * y, s = p + z;
    f32 back = s - p;
    f32 err = (p - (s - back)) + (z - back);
    u32 u = as_u32(s);
    u32 odd = (err > 0.0f) == (s > 0.0f) ? u + 1 : u - 1;
    u32 r = (u & 1) || err == 0.0f ? u : odd;
    return as_f32(is_finite(s) ? r : u);
}

/* The same for bf16, whose products leave the range of f32. */
PURE f32 fma_odd_wide(f32 x, f32 y, f32 z)
{
    f64 p = (f64)x * y, s = p + z;
    f64 back = s - p;
    f64 err = (p - (s - back)) + (z - back);
    u64 u = as_u64(s);
    u64 odd = (err > 0.0) == (s > 0.0) ? u + 1 : u - 1;
    f64 w = s - s == 0.0 ? as_f64((u & 1) || err == 0.0 ? u : odd) : s;
    f32 f = (f32)w;
    u32 v = as_u32(f);
    f64 rest = w - (f64)f;
    u32 odd32 = (rest > 0.0) == (w > 0.0) ? v + 1 : v - 1;
    u32 r = (v & 1) || rest == 0.0 ? v : odd32;
    return as_f32(is_finite(f) ? r : v);
}

/* 2^x: x = n + f with |f| <= 1/2, 2^f by its Taylor polynomial, 2^n in two steps so that results
 * below the normal range round once. */
PURE f32 ex2(f32 x)
{
    f32 c = x > 129.0f ? 129.0f : x;
    c = c < -152.0f ? -152.0f : c;
    f32 n = (c + 12582912.0f) - 12582912.0f;
    f32 t = (c - n) * 0.693147180559945f;
    f32 e = 1.0f / 5040;
    e = e * t + 1.0f / 720;
    e = e * t + 1.0f / 120;
    e = e * t + 1.0f / 24;
    e = e * t + 1.0f / 6;
    e = e * t + 0.5f;
    e = e * t + 1.0f;
    e = e * t + 1.0f;
    s32 i = (s32)n, half = i >> 1;
    e *= as_f32((u32)(half + 127) << 23);
    e *= as_f32((u32)(i - half + 127) << 23);
    return x == x ? e : as_f32(0x7fffffff);
}

/* log2 through the series of atanh: m in [sqrt(1/2), sqrt(2)), s = (m-1)/(m+1). */
PURE f32 lg2(f32 x)
{
    f32 big = x < 0x1p-126f ? x * 0x1p24f : x;
    f32 shift = x < 0x1p-126f ? -24.0f : 0.0f;
    u32 u = as_u32(big) - 0x3f3504f3;
    f32 n = (f32)((s32)u >> 23) + shift;
    f32 m = as_f32((u & 0x007fffff) + 0x3f3504f3);
    f32 s = (m - 1.0f) / (m + 1.0f), q = s * s;
    f32 p = 1.0f / 11;
    p = p * q + 1.0f / 9;
    p = p * q + 1.0f / 7;
    p = p * q + 1.0f / 5;
    p = p * q + 1.0f / 3;
    f32 r = n + 2.885390082f * (s + s * q * p);
    r = x == 0.0f ? -__builtin_inff() : r;
    r = x == __builtin_inff() ? x : r;
    return x >= 0.0f ? r : as_f32(0x7fffffff);
}

PURE f32 trig(f32 x, int quarter)
{
    f64 d = x;
    f64 n = (d * 0.63661977236758134308 + 6755399441055744.0) - 6755399441055744.0;
    f64 r = (d - n * 1.57079632679489655800) - n * 6.12323399573676603587e-17;
    r = r > 0.8 || r < -0.8 ? 0.0 : r;
    f64 q = r * r;
    f64 s = r + r * q * (-1.0 / 6 + q * (1.0 / 120 + q * (-1.0 / 5040 + q * (1.0 / 362880))));
    f64 c = 1.0 + q * (-0.5 + q * (1.0 / 24 + q * (-1.0 / 720 + q * (1.0 / 40320))));
    u64 k = as_u64(n + 6755399441055744.0) + (u64)quarter;
    f64 v = k & 1 ? c : s;
    v = k & 2 ? -v : v;
    return is_finite(x) ? (f32)v : as_f32(0x7fffffff);
}

PURE f32 tanh_approx(f32 x)
{
    f32 q = x * x;
    f32 small = x + x * q * (-0.333333333f + q * (0.133333333f + q * -0.053968254f));
    f32 c = x > 12.0f ? 12.0f : x < -12.0f ? -12.0f : x;
    f32 big = 1.0f - 2.0f / (ex2(c * 2.885390082f) + 1.0f);
    f32 r = q < 0.06f ? small : big;
    return x == x ? r : as_f32(0x7fffffff);
}

/* Conversions saturate; NaN gives 0. */
PURE s32 f32_to_s32(f32 x)
{
    s32 r = (s32)(x > -2147483648.0f && x < 2147483648.0f ? x : 0.0f);
    r = x >= 2147483648.0f ? INT32_MAX : r;
    return x <= -2147483648.0f ? INT32_MIN : r;
}

PURE u32 f32_to_u32(f32 x)
{
    u32 r = (u32)(s64)(x > 0.0f && x < 4294967296.0f ? x : 0.0f);
    return x >= 4294967296.0f ? UINT32_MAX : r;
}

/* imm as in clamp_to, plus 256 where the hardware makes NaN the top bit alone (from f64, and to 64
 * bits) rather than 0. */
PURE s64 f64_to_s64(f64 x, u32 imm)
{
    s64 r = (s64)(x >= -0x1p63 && x < 0x1p63 ? x : 0.0);
    r = x >= 0x1p63 ? INT64_MAX : r;
    r = x < -0x1p63 ? INT64_MIN : r;
    r = clamp_to(r, imm & 255);
    s64 top = (s64)(UINT64_MAX << ((imm & 127) - 1));
    return x != x && imm & 256 ? top : r;
}

PURE u64 f64_to_u64(f64 x, u32 imm)
{
    f64 y = x >= 0.0 && x < 0x1p64 ? x : 0.0;
    u64 r = y >= 0x1p63 ? (u64)(s64)(y - 0x1p63) + ((u64)1 << 63) : (u64)(s64)y;
    r = x >= 0x1p64 ? UINT64_MAX : r;
    r = clamp_to_u(r, imm & 255);
    return x != x && imm & 256 ? (u64)1 << ((imm & 127) - 1) : r;
}
