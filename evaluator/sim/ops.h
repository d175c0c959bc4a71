#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * Arithmetic on 32 lanes. An operation reads up to three vectors of 32 lanes and writes one, for
 * all lanes alike: the executor keeps the result only where lanes are active, so an operation must
 * be harmless on any operand (no division trap). `d` may be the same vector as a source, never a
 * part of one. Lanes are 2, 4 or 8 bytes wide; 8-bit integers live in wider lanes.
 *
 * A comparison gives a mask with one bit a lane.
 *
 * ops_vector.h holds the operations as one list; it is compiled for plain x86-64 (or whatever the
 * target is), for AVX2 and for AVX-512, and ops_choose picks by what the processor has. The rare
 * ones (directed rounding, eight-bit floats, half-precision oddities) are in ops_scalar.c.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef void ops_fn(void *d, const void *a, const void *b, const void *c, uint32_t imm);
typedef uint32_t ops_cmp_fn(const void *a, const void *b);

enum ops_id {
    OPS_NONE,
#define OP(name, td, ta, tb, tc, expr) OPS_##name,
#define OPN(name, n, td, ta, tb, tc, expr) OPS_##name,
#define HALF(name, n, expr) OPS_##name,
#include "evaluator/sim/ops_list.h"
#undef OP
#undef OPN
#undef HALF
    OPS_COUNT
};

enum ops_cmp_id {
    OPS_CMP_NONE,
#define CMP(name, t, expr) OPS_CMP_##name,
#include "evaluator/sim/ops_cmp.h"
#undef CMP
    OPS_CMP_COUNT
};

/* What the addresses of a warp's active lanes have in common. */
struct ops_addresses {
    uint64_t lo, hi;   /* least and greatest */
    uint64_t low_bits; /* or of all; of the first, if all are aligned like it */
    bool uniform;      /* all are the same */
    bool in_a_row;     /* lane i is at lane 0's + i * bytes (asked for all lanes) */
};

struct ops_table {
    ops_fn *fn[OPS_COUNT];
    ops_cmp_fn *cmp[OPS_CMP_COUNT];
    /* `bytes` is a power of two. addr[i] = src[i] + offset, in width (4, 8) bytes; inactive lanes
     * get the first active one's
     */
    void (*addresses)(uint64_t *addr, const void *src, unsigned width, uint64_t offset,
                      uint32_t mask, unsigned bytes, struct ops_addresses *ret);
    /* For the race check, over n words: whether one is v; and a reader that is noted: where epochs
     * differ from `epoch` it is the first. */
    bool (*any_equal)(const uint32_t *words, uint32_t v, size_t n);
    void (*add_readers)(uint32_t *epochs, uint32_t *readers, uint32_t *insns, uint32_t epoch,
                        uint32_t reader, uint32_t insn, size_t n);
    /* d = mask ? a : b, in lanes of 2, 4, 8 bytes */
    void (*select[3])(void *d, const void *a, const void *b, uint32_t mask);
    /* d[i] = the 4 bytes at base + offset[i] */
    void (*gather)(uint32_t *d, const uint8_t *base, const uint64_t *offset);
    /* c[m][n] += a[m][k] b[k][n], n a multiple of 8, in steps of k that round once each */
    void (*mma_f32)(float *c, const float *a, const float *b, unsigned m, unsigned n, unsigned k);
};

/* The table for this processor. */
const struct ops_table *ops_choose(void);

extern const struct ops_table ops_table_plain;
#if defined(__x86_64__)
extern const struct ops_table ops_table_avx2, ops_table_avx512;
#endif

/* Operations without a vector form; `imm` holds what each one says. */
enum { /* rounding modes, in imm of the directed operations */
       OPS_RN,
       OPS_RZ,
       OPS_RM,
       OPS_RP
};
ops_fn ops_add_f32_r, ops_sub_f32_r, ops_mul_f32_r, ops_fma_f32_r, ops_div_f32_r, ops_rcp_f32_r,
    ops_sqrt_f32_r;
ops_fn ops_add_f64_r, ops_sub_f64_r, ops_mul_f64_r, ops_fma_f64_r, ops_div_f64_r, ops_rcp_f64_r,
    ops_sqrt_f64_r;
/* imm: rounding. Conversions to narrower formats. */
ops_fn ops_f32_from_f64_r, ops_f32_from_s64_r, ops_f32_from_u64_r, ops_f64_from_s64_r,
    ops_f64_from_u64_r;
/* imm: rounding | OPS_RELU | OPS_SATFINITE. */
enum { OPS_RELU = 8, OPS_SATFINITE = 16 };
ops_fn ops_f16_from_f32_r, ops_bf16_from_f32_r, ops_tf32_from_f32_r, ops_f16_from_f64_r,
    ops_bf16_from_f64_r;
ops_fn ops_e4m3x2_from_f32, ops_e5m2x2_from_f32, ops_e4m3x2_from_f16x2, ops_e5m2x2_from_f16x2;
ops_fn ops_f16x2_from_e4m3x2, ops_f16x2_from_e5m2x2;

/* Single values, for memory atomics and matrix loads. */
float ops_h2f(uint16_t h);
uint16_t ops_f2h(float f);
float ops_bf2f(uint16_t b);
uint16_t ops_f2bf(float f);
