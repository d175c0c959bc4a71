/* SPDX-License-Identifier: MIT */
/* The list of vector operations, included wherever each needs a name, a body or a table entry (so
 * without an include guard). OP(name, type of d, of a, of b, of c, expression over x, y, z, imm);
 * OPN says the number of lanes (64: two packed in each), HALF those whose expression is over floats
 * and whose operands are halves of the kind the name says. Helpers are in ops_vector.h. */

/* Moves and packing. */
OP(MOV_16, u16, u16, u16, u16, x)
OP(MOV_32, u32, u32, u32, u32, x)
OP(MOV_64, u64, u64, u64, u64, x)
OP(PACK_64, u64, u32, u32, u32, (u64)x | (u64)y << 32)
OP(PACK_32, u32, u16, u16, u16, (u32)x | (u32)y << 16)
OP(EXTRACT_32_64, u32, u64, u64, u64, (u32)(x >> imm))
OP(EXTRACT_16_32, u16, u32, u32, u32, (u16)(x >> imm))
OP(EXTRACT_16_64, u16, u64, u64, u64, (u16)(x >> imm))

/* Wrapping integers. */
#define INTS(w, u, s)                                                                              \
    OP(ADD_##w, u, u, u, u, (u)(x + y))                                                            \
    OP(SUB_##w, u, u, u, u, (u)(x - y))                                                            \
    OP(AND_##w, u, u, u, u, (u)(x & y))                                                            \
    OP(OR_##w, u, u, u, u, (u)(x | y))                                                             \
    OP(XOR_##w, u, u, u, u, (u)(x ^ y))                                                            \
    OP(NOT_##w, u, u, u, u, (u)~x)                                                                 \
    OP(CNOT_##w, u, u, u, u, (u)(x == 0))                                                          \
    OP(NEG_##w, u, u, u, u, (u)(0 - x))                                                            \
    OP(ABS_##w, u, s, s, s, (u)(x < 0 ? 0 - (u)x : (u)x))                                          \
    OP(MIN_S##w, s, s, s, s, x < y ? x : y)                                                        \
    OP(MAX_S##w, s, s, s, s, x > y ? x : y)                                                        \
    OP(MIN_U##w, u, u, u, u, x < y ? x : y)                                                        \
    OP(MAX_U##w, u, u, u, u, x > y ? x : y)                                                        \
    OP(DIV_S##w, s, s, s, s, y == 0 ? (s)-1 : y == -1 ? (s)(0 - (u)x) : (s)(x / y))                \
    OP(REM_S##w, s, s, s, s, y == 0 ? (s)-1 : y == -1 ? (s)0 : (s)(x % y))                             \
    OP(DIV_U##w, u, u, u, u, y == 0 ? (u)~(u)0 : (u)(x / y))                                       \
    OP(REM_U##w, u, u, u, u, y == 0 ? (u)~(u)0 : (u)(x % y))                                              \
    OP(SHL_##w, u, u, u32, u32, (u)(y < w ? (u)(x << (y & (w - 1))) : 0))                          \
    OP(SHR_U##w, u, u, u32, u32, (u)(y < w ? (u)(x >> (y & (w - 1))) : 0))                         \
    OP(SHR_S##w, s, s, u32, u32, (s)(x >> (y < w ? y : w - 1)))                                    \
    OP(SELF_SLCT_##w, u, u, u, s32, z >= 0 ? x : y)                                                \
    OP(SLCT_F_##w, u, u, u, f32, z >= 0.0f ? x : y)
INTS(16, u16, s16)
INTS(32, u32, s32)
INTS(64, u64, s64)
#undef INTS
OP(MUL_16, u16, u16, u16, u16, (u16)((u32)x * y))
OP(MUL_32, u32, u32, u32, u32, x * y)
OP(MUL_64, u64, u64, u64, u64, x * y)
OP(MAD_16, u16, u16, u16, u16, (u16)((u32)x * y + z))
OP(MAD_32, u32, u32, u32, u32, x * y + z)
OP(MAD_64, u64, u64, u64, u64, x * y + z)
OP(MULHI_U16, u16, u16, u16, u16, (u16)((u32)x * y >> 16))
OP(MULHI_S16, s16, s16, s16, s16, (s16)((s32)x * y >> 16))
OP(MULHI_U32, u32, u32, u32, u32, (u32)((u64)x * y >> 32))
OP(MULHI_S32, s32, s32, s32, s32, (s32)((s64)x * y >> 32))
OP(MULHI_U64, u64, u64, u64, u64, (u64)((unsigned __int128)x * y >> 64))
OP(MULHI_S64, s64, s64, s64, s64, (s64)((__int128)x * y >> 64))
OP(MULWIDE_U16, u32, u16, u16, u16, (u32)x * y)
OP(MULWIDE_S16, s32, s16, s16, s16, (s32)x * y)
OP(MULWIDE_U32, u64, u32, u32, u32, (u64)x * y)
OP(MULWIDE_S32, s64, s32, s32, s32, (s64)x * y)
OP(MADWIDE_U16, u32, u16, u16, u32, (u32)x * y + z)
OP(MADWIDE_S16, u32, s16, s16, u32, (u32)((s32)x * y) + z)
OP(MADWIDE_U32, u64, u32, u32, u64, (u64)x * y + z)
OP(MADWIDE_S32, u64, s32, s32, u64, (u64)((s64)x * y) + z)
OP(ADDSAT_S32, s32, s32, s32, s32, clamp_s32((s64)x + y))
OP(SUBSAT_S32, s32, s32, s32, s32, clamp_s32((s64)x - y))
OP(MADHISAT_S32, s32, s32, s32, s32, clamp_s32(((s64)x * y >> 32) + z))
OP(MUL24LO_U32, u32, u32, u32, u32, (x & 0xffffff) * (y & 0xffffff))
OP(MUL24LO_S32, u32, u32, u32, u32, (u32)sext24(x) * (u32)sext24(y))
OP(SAD_U32, u32, u32, u32, u32, z + (x < y ? y - x : x - y))
OP(SAD_S32, u32, s32, s32, u32, z + (x < y ? (u32)y - (u32)x : (u32)x - (u32)y))

/* Bits. */
OP(POPC_32, u32, u32, u32, u32, popc32(x))
OP(POPC_64, u32, u64, u64, u64, (u32)__builtin_popcountll(x))
OP(CLZ_32, u32, u32, u32, u32, x ? (u32)__builtin_clz(x) : 32)
OP(CLZ_64, u32, u64, u64, u64, x ? (u32)__builtin_clzll(x) : 64)
OP(BREV_32, u32, u32, u32, u32, brev32(x))
OP(BREV_64, u64, u64, u64, u64, (u64)brev32((u32)x) << 32 | brev32((u32)(x >> 32)))
OP(BFIND_U32, u32, u32, u32, u32, bfind(x, 31, imm))
OP(BFIND_S32, u32, s32, s32, s32, bfind((u32)(x < 0 ? ~x : x), 31, imm))
OP(BFIND_U64, u32, u64, u64, u64, bfind(x, 63, imm))
OP(BFIND_S64, u32, s64, s64, s64, bfind((u64)(x < 0 ? ~x : x), 63, imm))
OP(BFE_U32, u32, u32, u32, u32, (u32)bfe(x, y, z, 32, 0))
OP(BFE_S32, u32, u32, u32, u32, (u32)bfe(x, y, z, 32, 1))
OP(BFE_U64, u64, u64, u32, u32, bfe(x, y, z, 64, 0))
OP(BFE_S64, u64, u64, u32, u32, bfe(x, y, z, 64, 1))
OP(BFMASK_32, u32, u32, u32, u32, bfmask(x, y, 32))
OP(BFMASK_64, u64, u32, u32, u32, bfmask(x, y, 64))
OP(BFSHL_32, u32, u32, u32, u32, (y & 255) < 32 ? x << (y & 31) : 0)
OP(BFSHL_64, u64, u64, u32, u32, y < 64 ? x << (y & 63) : 0)
OP(CHOOSE_32, u32, u32, u32, u32, (x & z) | (y & ~z))
OP(CHOOSE_64, u64, u64, u64, u64, (x & z) | (y & ~z))
OP(LOP3, u32, u32, u32, u32, lop3(x, y, z, imm))
OP(PRMT, u32, u32, u32, u32, prmt(x, y, z, imm))
OP(SHF_L_CLAMP, u32, u32, u32, u32, shf_l(x, y, z < 32 ? z : 32))
OP(SHF_L_WRAP, u32, u32, u32, u32, shf_l(x, y, z & 31))
OP(SHF_R_CLAMP, u32, u32, u32, u32, shf_r(x, y, z < 32 ? z : 32))
OP(SHF_R_WRAP, u32, u32, u32, u32, shf_r(x, y, z & 31))
OP(BMSK, u32, u32, u32, u32, bmsk(x, y, imm))
OP(SZEXT, u32, u32, u32, u32, szext(x, y, imm))
OP(FNS, u32, u32, u32, u32, fns(x, y, (s32)z))
OP(CVT_PACK_16, u32, s32, s32, s32, pack_sat(x, y, 0, imm))
OP(CVT_PACK_8, u32, s32, s32, u32, pack_sat(x, y, z, imm))
OP(VABSDIFF4, u32, u32, u32, u32, vabsdiff(x, y, z, 8, imm))
OP(VABSDIFF2, u32, u32, u32, u32, vabsdiff(x, y, z, 16, imm))
OP(DP4A, u32, u32, u32, u32, dp4a(x, y, z, imm))
OP(DP2A, u32, u32, u32, u32, dp2a(x, y, z, imm))
OPN(ADD_16X2, 64, u16, u16, u16, u16, (u16)(x + y))
OPN(SUB_16X2, 64, u16, u16, u16, u16, (u16)(x - y))
OPN(MIN_U16X2, 64, u16, u16, u16, u16, x < y ? x : y)
OPN(MAX_U16X2, 64, u16, u16, u16, u16, x > y ? x : y)
OPN(MIN_S16X2, 64, s16, s16, s16, s16, x < y ? x : y)
OPN(MAX_S16X2, 64, s16, s16, s16, s16, x > y ? x : y)
OPN(RELU_S16X2, 64, s16, s16, s16, s16, x > 0 ? x : (s16)0)
OP(RELU_S32, s32, s32, s32, s32, x > 0 ? x : 0)

/* Single precision. The FTZ forms flush subnormal operands and results to zero. */
OP(ADD_F32, f32, f32, f32, f32, canon(x + y))
OP(SUB_F32, f32, f32, f32, f32, canon(x - y))
OP(MUL_F32, f32, f32, f32, f32, canon(x * y))
OP(FMA_F32, f32, f32, f32, f32, canon(__builtin_fmaf(x, y, z)))
OP(DIV_F32, f32, f32, f32, f32, canon(x / y))
OP(DIV_APPROX_F32, f32, f32, f32, f32, div_approx(x, y))
OP(RCP_F32, f32, f32, f32, f32, canon(1.0f / x))
OP(SQRT_F32, f32, f32, f32, f32, canon(__builtin_sqrtf(x)))
OP(RSQRT_F32, f32, f32, f32, f32, canon(1.0f / __builtin_sqrtf(x)))
OP(ADD_F32_FTZ, f32, f32, f32, f32, ftz(canon(ftz(x) + ftz(y))))
OP(SUB_F32_FTZ, f32, f32, f32, f32, ftz(canon(ftz(x) - ftz(y))))
OP(MUL_F32_FTZ, f32, f32, f32, f32, ftz(canon(ftz(x) * ftz(y))))
OP(FMA_F32_FTZ, f32, f32, f32, f32, ftz(canon(__builtin_fmaf(ftz(x), ftz(y), ftz(z)))))
OP(DIV_F32_FTZ, f32, f32, f32, f32, ftz(canon(ftz(x) / ftz(y))))
OP(RCP_F32_FTZ, f32, f32, f32, f32, ftz(canon(1.0f / ftz(x))))
OP(SQRT_F32_FTZ, f32, f32, f32, f32, canon(__builtin_sqrtf(ftz(x))))
OP(RSQRT_F32_FTZ, f32, f32, f32, f32, ftz(canon(1.0f / __builtin_sqrtf(ftz(x)))))
OP(EX2_F32, f32, f32, f32, f32, ex2(x))
OP(LG2_F32, f32, f32, f32, f32, lg2(x))
OP(SIN_F32, f32, f32, f32, f32, trig(x, 0))
OP(COS_F32, f32, f32, f32, f32, trig(x, 1))
OP(TANH_F32, f32, f32, f32, f32, tanh_approx(x))
OP(MIN_F32, f32, f32, f32, f32, fmin_num(x, y))
OP(MAX_F32, f32, f32, f32, f32, fmax_num(x, y))
OP(MIN_F32_NAN, f32, f32, f32, f32, fmin_nan(x, y))
OP(MAX_F32_NAN, f32, f32, f32, f32, fmax_nan(x, y))
OP(XORSIGN_F32, u32, u32, u32, u32, x == 0x7fffffff ? x : (x & 0x7fffffff) | ((y ^ z) & 0x80000000))
OP(ABS_F32, u32, u32, u32, u32, x & 0x7fffffff)
OP(NEG_F32, f32, f32, f32, f32, canon(-x))
OP(FTZ_F32, f32, f32, f32, f32, ftz(x))
OP(SAT_F32, f32, f32, f32, f32, x > 0.0f ? (x < 1.0f ? x : 1.0f) : 0.0f)
OP(COPYSIGN_F32, u32, u32, u32, u32, (y & 0x7fffffff) | (x & 0x80000000))
OP(RINT_F32, f32, f32, f32, f32, canon(__builtin_rintf(x)))
OP(TRUNC_F32, f32, f32, f32, f32, canon(__builtin_truncf(x)))
OP(FLOOR_F32, f32, f32, f32, f32, canon(__builtin_floorf(x)))
OP(CEIL_F32, f32, f32, f32, f32, canon(__builtin_ceilf(x)))
OPN(ADD_F32X2, 64, f32, f32, f32, f32, canon(x + y))
OPN(SUB_F32X2, 64, f32, f32, f32, f32, canon(x - y))
OPN(MUL_F32X2, 64, f32, f32, f32, f32, canon(x * y))
OPN(FMA_F32X2, 64, f32, f32, f32, f32, canon(__builtin_fmaf(x, y, z)))
OPN(FTZ_F32X2, 64, f32, f32, f32, f32, ftz(x))

/* Double precision. */
OP(ADD_F64, f64, f64, f64, f64, x + y)
OP(SUB_F64, f64, f64, f64, f64, x - y)
OP(MUL_F64, f64, f64, f64, f64, x * y)
OP(FMA_F64, f64, f64, f64, f64, __builtin_fma(x, y, z))
OP(DIV_F64, f64, f64, f64, f64, x / y)
OP(RCP_F64, f64, f64, f64, f64, 1.0 / x)
OP(SQRT_F64, f64, f64, f64, f64, __builtin_sqrt(x))
OP(RSQRT_F64, f64, f64, f64, f64, 1.0 / __builtin_sqrt(x))
OP(HIGHWORD_F64, u64, u64, u64, u64, x & 0xffffffff00000000ull)
OP(FTZ_F64, u64, u64, u64, u64, x & 0x7ff0000000000000ull ? x : x & 0x8000000000000000ull)
OP(MIN_F64, f64, f64, f64, f64, dmin_num(x, y))
OP(MAX_F64, f64, f64, f64, f64, dmax_num(x, y))
OP(ABS_F64, u64, u64, u64, u64, x & 0x7fffffffffffffffull)
OP(NEG_F64, u64, u64, u64, u64, x ^ 0x8000000000000000ull)
OP(SAT_F64, f64, f64, f64, f64, x > 0.0 ? (x < 1.0 ? x : 1.0) : 0.0)
OP(COPYSIGN_F64, u64, u64, u64, u64, (y & 0x7fffffffffffffffull) | (x & 0x8000000000000000ull))
OP(RINT_F64, f64, f64, f64, f64, __builtin_rint(x))
OP(TRUNC_F64, f64, f64, f64, f64, __builtin_trunc(x))
OP(FLOOR_F64, f64, f64, f64, f64, __builtin_floor(x))
OP(CEIL_F64, f64, f64, f64, f64, __builtin_ceil(x))

/* Integer conversions. 8-bit values are extended within the lane first. */
OP(SEXT8_16, s16, u16, u16, u16, (s8)x)
OP(ZEXT8_16, u16, u16, u16, u16, (u8)x)
OP(SEXT8_32, s32, u32, u32, u32, (s8)x)
OP(ZEXT8_32, u32, u32, u32, u32, (u8)x)
OP(SEXT8_64, s64, u64, u64, u64, (s8)x)
OP(ZEXT8_64, u64, u64, u64, u64, (u8)x)
OP(SEXT16_32, s32, u32, u32, u32, (s16)x)
OP(ZEXT16_32, u32, u32, u32, u32, (u16)x)
OP(SEXT16_64, s64, u64, u64, u64, (s16)x)
OP(ZEXT16_64, u64, u64, u64, u64, (u16)x)
OP(SEXT32_64, s64, u64, u64, u64, (s32)x)
OP(ZEXT32_64, u64, u64, u64, u64, (u32)x)
OP(S16_TO_32, s32, s16, s16, s16, x)
OP(U16_TO_32, u32, u16, u16, u16, x)
OP(S16_TO_64, s64, s16, s16, s16, x)
OP(U16_TO_64, u64, u16, u16, u16, x)
OP(S32_TO_64, s64, s32, s32, s32, x)
OP(U32_TO_64, u64, u32, u32, u32, x)
OP(NARROW_64_32, u32, u64, u64, u64, (u32)x)
OP(NARROW_64_16, u16, u64, u64, u64, (u16)x)
OP(NARROW_32_16, u16, u32, u32, u32, (u16)x)
OP(CLAMP_S64, s64, s64, s64, s64, clamp_to(x, imm))
OP(CLAMP_U64, u64, u64, u64, u64, clamp_to_u(x, imm))

/* Conversions with floats: 64-bit integers are the general way, imm their range. */
OP(F32_FROM_S32, f32, s32, s32, s32, (f32)x)
OP(F32_FROM_U32, f32, u32, u32, u32, (f32)x)
OP(F64_FROM_S32, f64, s32, s32, s32, (f64)x)
OP(F64_FROM_U32, f64, u32, u32, u32, (f64)x)
OP(F64_FROM_F32, f64, f32, f32, f32, (f64)x)
OP(F32_FROM_F64, f32, f64, f64, f64, (f32)x)
OP(S32_FROM_F32, s32, f32, f32, f32, f32_to_s32(x))
OP(U32_FROM_F32, u32, f32, f32, f32, f32_to_u32(x))
OP(S64_FROM_F64, s64, f64, f64, f64, f64_to_s64(x, imm))
OP(U64_FROM_F64, u64, f64, f64, f64, f64_to_u64(x, imm))
OP(F32_FROM_F16, f32, u16, u16, u16, canon(h2f(x)))
OP(F32_FROM_BF16, f32, u16, u16, u16, bf2f(x))
OP(F16_FROM_F32, u16, f32, f32, f32, f2h(x))
OP(BF16_FROM_F32, u16, f32, f32, f32, f2bf(x))
OP(F16X2_FROM_F32, u32, f32, f32, f32, (u32)f2h(x) << 16 | f2h(y))
OP(BF16X2_FROM_F32, u32, f32, f32, f32, (u32)f2bf(x) << 16 | f2bf(y))

/* Halves: operands widened to f32, the result rounded once more (for the fused forms from a sum
 * rounded to odd, so that it comes out as if rounded once). */
#define HALVES(s, n)                                                                               \
    HALF(ADD_F16##s, n, f2h(h2f(x) + h2f(y)))                                                      \
    HALF(SUB_F16##s, n, f2h(h2f(x) - h2f(y)))                                                      \
    HALF(MUL_F16##s, n, f2h(h2f(x) * h2f(y)))                                                      \
    HALF(FMA_F16##s, n, f2h(fma_odd(h2f(x), h2f(y), h2f(z))))                                      \
    HALF(MIN_F16##s, n, f2h(fmin_num(h2f(x), h2f(y))))                                             \
    HALF(MAX_F16##s, n, f2h(fmax_num(h2f(x), h2f(y))))                                             \
    HALF(MIN_F16##s##_NAN, n, f2h(fmin_nan(h2f(x), h2f(y))))                                       \
    HALF(MAX_F16##s##_NAN, n, f2h(fmax_nan(h2f(x), h2f(y))))                                       \
    HALF(EX2_F16##s, n, f2h(ex2(h2f(x))))                                                          \
    HALF(TANH_F16##s, n, f2h(tanh_approx(h2f(x))))                                                 \
    HALF(SAT_F16##s, n, f2h(sat(h2f(x))))                                                          \
    HALF(RELU_F16##s, n, (u16)((x & 0x7fff) > 0x7c00 ? 0x7fff : x & 0x8000 ? 0 : x))               \
    HALF(FTZ_F16##s, n, (u16)(x & 0x7c00 ? x : x & 0x8000))                                        \
    HALF(ADD_BF16##s, n, f2bf(bf2f(x) + bf2f(y)))                                                  \
    HALF(SUB_BF16##s, n, f2bf(bf2f(x) - bf2f(y)))                                                  \
    HALF(MUL_BF16##s, n, f2bf(bf2f(x) * bf2f(y)))                                                  \
    HALF(FMA_BF16##s, n, f2bf(fma_odd_wide(bf2f(x), bf2f(y), bf2f(z))))                            \
    HALF(MIN_BF16##s, n, f2bf(fmin_num(bf2f(x), bf2f(y))))                                         \
    HALF(MAX_BF16##s, n, f2bf(fmax_num(bf2f(x), bf2f(y))))                                         \
    HALF(MIN_BF16##s##_NAN, n, f2bf(fmin_nan(bf2f(x), bf2f(y))))                                   \
    HALF(MAX_BF16##s##_NAN, n, f2bf(fmax_nan(bf2f(x), bf2f(y))))                                   \
    HALF(EX2_BF16##s, n, f2bf(ex2(bf2f(x))))                                                       \
    HALF(TANH_BF16##s, n, f2bf(tanh_approx(bf2f(x))))                                              \
    HALF(SAT_BF16##s, n, f2bf(sat(bf2f(x))))                                                       \
    HALF(RELU_BF16##s, n, (u16)((x & 0x7fff) > 0x7f80 ? 0x7fff : x & 0x8000 ? 0 : x))              \
    HALF(FTZ_BF16##s, n, (u16)(x & 0x7f80 ? x : x & 0x8000))                                       \
    HALF(ABS_F16##s, n, (u16)((x & 0x7fff) > 0x7c00 ? 0x7fff : x & 0x7fff))                         \
    HALF(NEG_F16##s, n, (u16)((x & 0x7fff) > 0x7c00 ? 0x7fff : x ^ 0x8000))                         \
    HALF(ABS_BF16##s, n, (u16)((x & 0x7fff) > 0x7f80 ? 0x7fff : x & 0x7fff))                        \
    HALF(NEG_BF16##s, n, (u16)((x & 0x7fff) > 0x7f80 ? 0x7fff : x ^ 0x8000))
HALVES(, 32)
HALVES(X2, 64)
#undef HALVES
