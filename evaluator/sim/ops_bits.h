#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * The integer half of ops_math.h: bits, fields, permutations, packed and saturated arithmetic, as
 * branch-free expressions.
 */
#include <stdint.h>
#include <string.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int8_t s8;
typedef int16_t s16;
typedef int32_t s32;
typedef int64_t s64;
typedef float f32;
typedef double f64;

#define PURE static inline __attribute__((always_inline, unused))

PURE s32 clamp_s32(s64 v)
{
    return v < INT32_MIN ? INT32_MIN : v > INT32_MAX ? INT32_MAX : (s32)v;
}

/* imm: bits of the target, plus 128 if it is unsigned. */
PURE s64 clamp_to(s64 v, u32 imm)
{
    u32 bits = imm & 127;
    s64 hi = imm & 128 ? (bits == 64 ? INT64_MAX : (s64)(((u64)1 << (bits & 63)) - 1))
                       : (s64)(((u64)1 << (bits - 1)) - 1);
    s64 lo = imm & 128 ? 0 : -hi - 1;
    return v < lo ? lo : v > hi ? hi : v;
}

PURE u64 clamp_to_u(u64 v, u32 imm)
{
    u32 bits = imm & 127;
    u64 hi = imm & 128 ? (bits == 64 ? UINT64_MAX : ((u64)1 << (bits & 63)) - 1)
                       : ((u64)1 << (bits - 1)) - 1;
    return v > hi ? hi : v;
}

PURE s32 sext24(u32 v)
{
    return (s32)(v << 8) >> 8;
}

PURE u32 popc32(u32 v)
{
    v = v - ((v >> 1) & 0x55555555);
    v = (v & 0x33333333) + ((v >> 2) & 0x33333333);
    return (((v + (v >> 4)) & 0x0f0f0f0f) * 0x01010101) >> 24;
}

PURE u32 brev32(u32 v)
{
    v = (v >> 1 & 0x55555555) | (v & 0x55555555) << 1;
    v = (v >> 2 & 0x33333333) | (v & 0x33333333) << 2;
    v = (v >> 4 & 0x0f0f0f0f) | (v & 0x0f0f0f0f) << 4;
    return __builtin_bswap32(v);
}

PURE u32 bfind(u64 v, u32 top, u32 shift_amount)
{
    u32 at = v ? 63 - (u32)__builtin_clzll(v) : 0xffffffff;
    return shift_amount && v ? top - at : at;
}

PURE u64 bfe(u64 v, u32 pos, u32 len, u32 bits, int is_signed)
{
    u64 all = bits == 64 ? UINT64_MAX : 0xffffffff;
    pos = bits == 32 ? pos & 0xff : pos < 64 ? pos : 64;
    len = bits == 32 ? len & 0xff : len < 64 ? len : 64;
    u64 field = pos < bits ? (v & all) >> (pos & 63) : 0;
    u64 mask = len < 64 ? ((u64)1 << (len & 63)) - 1 : UINT64_MAX;
    u32 top = pos + len - 1 < bits - 1 ? pos + len - 1 : bits - 1;
    u64 sign = is_signed && len ? (v >> (top & 63)) & 1 : 0;
    u64 r = (field & mask) | (sign ? ~mask : 0);
    /* bits that lie beyond the top of v are sign bits too */
    if (sign && pos + len > bits)
        r |= pos < bits ? ~(all >> (pos & 63)) : UINT64_MAX;
    return len ? r & all : 0;
}

/* The bits [pos, pos + len) of a word of 32 or 64. Only the 32-bit instructions cut pos and len to
 * 8 bits, whatever the manual says of both (seen on an H200). */
PURE u64 bfmask(u32 pos, u32 len, u32 bits)
{
    pos = bits == 32 ? pos & 0xff : pos;
    len = bits == 32 ? len & 0xff : len;
    u64 ones = len < 64 ? ((u64)1 << (len & 63)) - 1 : UINT64_MAX;
    return pos < bits ? ones << (pos & 63) : 0;
}

PURE u32 lop3(u32 x, u32 y, u32 z, u32 lut)
{
    u32 r = 0;
    r |= (0 - (lut >> 0 & 1)) & ~x & ~y & ~z;
    r |= (0 - (lut >> 1 & 1)) & ~x & ~y & z;
    r |= (0 - (lut >> 2 & 1)) & ~x & y & ~z;
    r |= (0 - (lut >> 3 & 1)) & ~x & y & z;
    r |= (0 - (lut >> 4 & 1)) & x & ~y & ~z;
    r |= (0 - (lut >> 5 & 1)) & x & ~y & z;
    r |= (0 - (lut >> 6 & 1)) & x & y & ~z;
    r |= (0 - (lut >> 7 & 1)) & x & y & z;
    return r;
}

/* Selectors of prmt's special modes (1 f4e, 2 b4e, 3 rc8, 4 ecl, 5 ecr, 6 rc16), by z & 3. */
PURE u32 prmt_selector(u32 z, u32 mode)
{
    u32 i = z & 3, s = 0;
    for (u32 k = 0; k < 4; k++) {
        u32 f4e = k + i, b4e = (i + 8 - k) & 7, ecl = k > i ? k : i, ecr = k < i ? k : i;
        u32 rc16 = (i & 1) * 2 + (k & 1);
        u32 pick = mode == 1   ? f4e
                   : mode == 2 ? b4e
                   : mode == 3 ? i
                   : mode == 4 ? ecl
                   : mode == 5 ? ecr
                               : rc16;
        s |= pick << (4 * k);
    }
    return s;
}

PURE u32 prmt(u32 x, u32 y, u32 z, u32 mode)
{
    u64 both = (u64)y << 32 | x;
    u32 selector = mode ? prmt_selector(z, mode) : z, r = 0;
    for (u32 k = 0; k < 4; k++) {
        u32 pick = selector >> (4 * k);
        u32 byte = (u32)(both >> ((pick & 7) * 8)) & 0xff;
        u32 sign = (0 - (byte >> 7)) & 0xff;
        r |= (pick & 8 ? sign : byte) << (8 * k);
    }
    return r;
}

PURE u32 shf_l(u32 lo, u32 hi, u32 n)
{
    return (u32)((((u64)hi << 32 | lo) << n) >> 32);
}

PURE u32 shf_r(u32 lo, u32 hi, u32 n)
{
    return (u32)(((u64)hi << 32 | lo) >> n);
}

/* imm: 1 to wrap (take the low five bits) rather than clamp. */
PURE u32 bmsk(u32 pos, u32 len, u32 imm)
{
    pos = imm & 1 ? pos & 31 : pos;
    len = imm & 1 ? len & 31 : len;
    u32 ones = len < 32 ? (1u << (len & 31)) - 1 : 0xffffffff;
    return pos < 32 ? ones << (pos & 31) : 0;
}

/* imm: as bmsk, plus 2 to extend by the sign. */
PURE u32 szext(u32 v, u32 len, u32 imm)
{
    len = imm & 1 ? len & 31 : len < 32 ? len : 32;
    u32 up = (32 - len) & 31;
    u32 r = imm & 2 ? (u32)((s32)(v << up) >> up) : v << up >> up;
    return len ? r : 0;
}

/* The place of the n-th set bit from `base` on, upwards or downwards. */
PURE u32 fns(u32 mask, u32 base, s32 n)
{
    if (n == 0)
        return base < 32 && mask >> base & 1 ? base : 0xffffffff;
    s64 left = n < 0 ? -(s64)n : n;
    for (s64 at = base; at >= 0 && at < 32; at += n < 0 ? -1 : 1)
        if (mask >> at & 1 && --left == 0)
            return (u32)at;
    return 0xffffffff;
}

/* Two values clamped to imm (as clamp_to) and packed; 8-bit ones below c's lower half. */
PURE u32 pack_sat(s32 a, s32 b, u32 c, u32 imm)
{
    u32 bits = imm & 127, mask = (1u << bits) - 1;
    u32 both = ((u32)clamp_to(a, imm) & mask) << bits | ((u32)clamp_to(b, imm) & mask);
    return bits == 8 ? c << 16 | both : both;
}

/* Packed differences. imm: 1 if both are signed, 2 to add them all to z. */
PURE u32 vabsdiff(u32 x, u32 y, u32 z, u32 bits, u32 imm)
{
    u32 r = 0, mask = bits == 8 ? 0xff : 0xffff, sum = z;
    for (u32 k = 0; k < 32; k += bits) {
        s32 p = (s32)(x >> k & mask), q = (s32)(y >> k & mask);
        p = imm & 1 ? (s32)((u32)p << (32 - bits)) >> (32 - bits) : p;
        q = imm & 1 ? (s32)((u32)q << (32 - bits)) >> (32 - bits) : q;
        u32 diff = (u32)(p < q ? q - p : p - q);
        r |= diff << k;
        sum += diff;
    }
    return imm & 2 ? sum : r;
}

/* imm: 1 if a's bytes are signed, 2 if b's are, 4 for dp2a's high bytes. */
PURE u32 dp4a(u32 x, u32 y, u32 z, u32 imm)
{
    for (u32 k = 0; k < 32; k += 8) {
        s32 p = imm & 1 ? (s8)(x >> k) : (u8)(x >> k);
        s32 q = imm & 2 ? (s8)(y >> k) : (u8)(y >> k);
        z += (u32)(p * q);
    }
    return z;
}

PURE u32 dp2a(u32 x, u32 y, u32 z, u32 imm)
{
    y = imm & 4 ? y >> 16 : y;
    for (u32 k = 0; k < 2; k++) {
        s32 p = imm & 1 ? (s16)(x >> 16 * k) : (u16)(x >> 16 * k);
        s32 q = imm & 2 ? (s8)(y >> 8 * k) : (u8)(y >> 8 * k);
        z += (u32)p * (u32)q;
    }
    return z;
}
