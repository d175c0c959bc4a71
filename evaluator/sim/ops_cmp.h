/* SPDX-License-Identifier: MIT */
/* The list of comparisons: CMP(name, type, expression over x and y). No include guard, as
 * ops_list.h. Unordered forms (EQU, ...) are true when an operand is NaN. */
#define INT_CMPS(u, s, w)                                                                          \
    CMP(EQ_##w, u, x == y)                                                                         \
    CMP(NE_##w, u, x != y)                                                                         \
    CMP(LT_U##w, u, x < y)                                                                         \
    CMP(LE_U##w, u, x <= y)                                                                        \
    CMP(GT_U##w, u, x > y)                                                                         \
    CMP(GE_U##w, u, x >= y)                                                                        \
    CMP(LT_S##w, s, x < y)                                                                         \
    CMP(LE_S##w, s, x <= y)                                                                        \
    CMP(GT_S##w, s, x > y)                                                                         \
    CMP(GE_S##w, s, x >= y)
INT_CMPS(u16, s16, 16)
INT_CMPS(u32, s32, 32)
INT_CMPS(u64, s64, 64)
#undef INT_CMPS
#define FLOAT_CMPS(name, t, get)                                                                   \
    CMP(EQ_##name, t, get(x) == get(y))                                                            \
    CMP(NE_##name, t, get(x) < get(y) || get(x) > get(y))                                          \
    CMP(LT_##name, t, get(x) < get(y))                                                             \
    CMP(LE_##name, t, get(x) <= get(y))                                                            \
    CMP(GT_##name, t, get(x) > get(y))                                                             \
    CMP(GE_##name, t, get(x) >= get(y))                                                            \
    CMP(EQU_##name, t, !(get(x) < get(y) || get(x) > get(y)))                                      \
    CMP(NEU_##name, t, get(x) != get(y))                                                           \
    CMP(LTU_##name, t, !(get(x) >= get(y)))                                                        \
    CMP(LEU_##name, t, !(get(x) > get(y)))                                                         \
    CMP(GTU_##name, t, !(get(x) <= get(y)))                                                        \
    CMP(GEU_##name, t, !(get(x) < get(y)))                                                         \
    CMP(NUM_##name, t, get(x) == get(x) && get(y) == get(y))                                       \
    CMP(NAN_##name, t, get(x) != get(x) || get(y) != get(y))
FLOAT_CMPS(F32, f32, )
FLOAT_CMPS(F32_FTZ, f32, ftz)
FLOAT_CMPS(F64, f64, )
FLOAT_CMPS(F16, u16, h2f)
FLOAT_CMPS(BF16, u16, bf2f)
#undef FLOAT_CMPS
/* testp: zero counts as normal. */
CMP(FINITE_F32, f32, is_finite(x) && y == y)
CMP(INFINITE_F32, f32, (x == __builtin_inff() || x == -__builtin_inff()) && y == y)
CMP(NORMAL_F32, f32, (is_normal(x) || x == 0.0f) && y == y)
CMP(SUBNORMAL_F32, f32, x != 0.0f && ftz(x) == 0.0f && y == y)
CMP(FINITE_F64, f64, x - x == 0.0 && y == y)
CMP(INFINITE_F64, f64, (x == __builtin_inf() || x == -__builtin_inf()) && y == y)
CMP(NORMAL_F64, f64, x - x == 0.0 && (x >= 0x1p-1022 || x <= -0x1p-1022 || x == 0.0) && y == y)
CMP(SUBNORMAL_F64, f64, x != 0.0 && x < 0x1p-1022 && x > -0x1p-1022 && y == y)
