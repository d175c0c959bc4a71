/* SPDX-License-Identifier: MIT */
/* The lane operations are compiled for several instruction sets: all that this processor can run
 * must agree bit by bit, so that results don't depend on the machine. And the helpers around them,
 * against plain loops. */
#include "evaluator/sim/ops.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { ROUNDS = 60, BYTES = 256 };

static uint64_t next(uint64_t *s)
{
    *s ^= *s << 13;
    *s ^= *s >> 7;
    *s ^= *s << 17;
    return *s;
}

/* Lanes of any width: random bits, small numbers, and values of every float format. */
static void fill(uint64_t *s, uint64_t *v)
{
    static const uint64_t special[] = {0,
                                       1,
                                       UINT64_MAX,
                                       0x8000000000000000,
                                       0x3c003c003f803f80,
                                       0x7f8000007f800000,
                                       0x3ff0000000000000,
                                       0x7ff0000000000000,
                                       0x4049000042c80000,
                                       0x8000000080000000,
                                       0x00000001c1200000};
    unsigned kind = (unsigned)(next(s) % 4);
    for (unsigned i = 0; i < BYTES / 8; i++) {
        uint64_t u = next(s);
        v[i] = kind == 0   ? u
               : kind == 1 ? (u & 0x3f0000003f)
               : kind == 2 ? special[u % 11]
                           : (u & 0x8fffffff8fffffff) | 0x3000000030000000;
    }
}

struct tables {
    const struct ops_table *at[3];
    unsigned n;
};

static struct tables runnable(void)
{
    struct tables t = {.at = {&ops_table_plain}, .n = 1};
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        t.at[t.n++] = &ops_table_avx2;
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
        t.at[t.n++] = &ops_table_avx512;
#endif
    return t;
}

static const char *const names[] = {
    "",
#define OP(name, td, ta, tb, tc, expr) #name,
#define OPN(name, n, td, ta, tb, tc, expr) #name,
#define HALF(name, n, expr) #name,
#include "evaluator/sim/ops_list.h"
#undef OP
#undef OPN
#undef HALF
};

/* Which NaN comes out of two is up to the processor, for f64. */
static bool same(const uint8_t *x, const uint8_t *y)
{
    for (unsigned i = 0; i < BYTES / 8; i++) {
        double a, b;
        memcpy(&a, x + 8 * i, 8);
        memcpy(&b, y + 8 * i, 8);
        if (memcmp(x + 8 * i, y + 8 * i, 8) && !(a != a && b != b))
            return false;
    }
    return true;
}

static void operations(void **state)
{
    struct tables t = runnable();
    uint64_t s = 42;
    _Alignas(64) static uint64_t in[3][BYTES / 8], out[3][BYTES / 8];
    (void)state;
    for (unsigned id = 1; id < OPS_COUNT; id++)
        for (unsigned round = 0; round < ROUNDS; round++) {
            /* conversions to integers have their width in imm, the others small numbers */
            uint32_t imm = strstr(names[id], "CLAMP") || strstr(names[id], "CVT_PACK") ||
                                   strstr(names[id], "64_FROM_F64")
                               ? (round % 2 ? 16 : 8) | (round % 3 ? 128 : 0)
                               : (uint32_t)next(&s) % 6;
            for (unsigned k = 0; k < 3; k++)
                fill(&s, in[k]);
            memset(out, 0, sizeof(out));
            for (unsigned k = 0; k < t.n; k++) {
                t.at[k]->fn[id](out[k], in[0], in[1], in[2], imm);
                if (!same((uint8_t *)out[k], (uint8_t *)out[0]))
                    fail_msg("%s differs between instruction sets", names[id]);
            }
        }
}

static void comparisons(void **state)
{
    struct tables t = runnable();
    uint64_t s = 43;
    _Alignas(64) static uint64_t in[2][BYTES / 8];
    (void)state;
    for (unsigned id = 1; id < OPS_CMP_COUNT; id++)
        for (unsigned round = 0; round < ROUNDS; round++) {
            fill(&s, in[0]);
            fill(&s, in[1]);
            if (round % 4 == 0)
                memcpy(in[1], in[0], BYTES / 2);
            uint32_t want = t.at[0]->cmp[id](in[0], in[1]);
            for (unsigned k = 1; k < t.n; k++)
                assert_int_equal(t.at[k]->cmp[id](in[0], in[1]), want);
        }
}

static void selections(void **state)
{
    struct tables t = runnable();
    uint64_t s = 44;
    _Alignas(64) uint8_t a[BYTES], b[BYTES], d[BYTES];
    (void)state;
    for (unsigned round = 0; round < ROUNDS; round++) {
        uint32_t mask = (uint32_t)next(&s);
        fill(&s, (uint64_t *)a);
        fill(&s, (uint64_t *)b);
        for (unsigned k = 0; k < t.n; k++)
            for (unsigned w = 0; w < 3; w++) {
                unsigned width = 2u << w;
                memcpy(d, b, BYTES);
                t.at[k]->select[w](d, a, d, mask);
                for (unsigned i = 0; i < 32; i++)
                    assert_memory_equal(d + i * width, (mask >> i & 1 ? a : b) + i * width, width);
            }
    }
}

static void addresses(void **state)
{
    struct tables t = runnable();
    uint64_t s = 45;
    (void)state;
    for (unsigned round = 0; round < 400; round++) {
        uint64_t src[32], addr[32], base = next(&s) >> (round % 40);
        uint32_t narrow[32], mask = round % 3 ? UINT32_MAX : (uint32_t)next(&s) | 1u << round % 32;
        unsigned bytes = 1u << round % 5, kind = round % 4;
        for (unsigned i = 0; i < 32; i++) {
            src[i] = kind == 0   ? base
                     : kind == 1 ? base + i * bytes
                     : kind == 2 ? next(&s)
                                 : base + i * 8 * bytes;
            narrow[i] = (uint32_t)src[i];
        }
        for (unsigned k = 0; k < 2 * t.n; k++) {
            bool wide = k % 2;
            struct ops_addresses r;
            uint64_t lo = UINT64_MAX, hi = 0, bits = 0;
            bool row = mask == UINT32_MAX;
            t.at[k / 2]->addresses(addr, wide ? (void *)src : (void *)narrow, wide ? 8 : 4, 12,
                                   mask, bytes, &r);
            for (unsigned i = 0; i < 32; i++) {
                uint64_t want = wide ? src[i] + 12 : (uint32_t)(narrow[i] + 12);
                if (!(mask >> i & 1))
                    want = addr[__builtin_ctz(mask)];
                assert_true(addr[i] == want);
                lo = want < lo ? want : lo;
                hi = want > hi ? want : hi;
                bits |= want;
                row &= want == addr[0] + i * bytes;
            }
            assert_true(r.lo == lo && r.hi == hi);
            assert_true(((r.low_bits ^ bits) & (bytes - 1)) == 0 || !(r.uniform || r.in_a_row));
            assert_true(r.uniform == (lo == hi) && r.in_a_row == row);
        }
    }
}

static void products(void **state)
{
    struct tables t = runnable();
    uint64_t s = 46;
    static float a[256], b[256], c[3][256], want[256];
    (void)state;
    for (unsigned i = 0; i < 256; i++) {
        a[i] = (float)(int)(next(&s) % 64) - 32;
        b[i] = (float)(int)(next(&s) % 64) - 32;
        want[i] = (float)i;
    }
    for (unsigned k = 0; k < t.n; k++) {
        memcpy(c[k], want, sizeof(want));
        t.at[k]->mma_f32(c[k], a, b, 16, 16, 16);
    }
    for (unsigned i = 0; i < 16; i++)
        for (unsigned j = 0; j < 16; j++)
            for (unsigned n = 0; n < 16; n++)
                want[16 * i + j] += a[16 * i + n] * b[16 * n + j];
    for (unsigned k = 0; k < t.n; k++)
        assert_memory_equal(c[k], want, sizeof(want));
}

/* Every half and every bfloat through f32 and back; rounding at the ties. */
static void halves(void **state)
{
    (void)state;
    for (uint32_t h = 0; h < 65536; h++) {
        bool nan = (h & 0x7fff) > 0x7c00, bnan = (h & 0x7fff) > 0x7f80;
        assert_int_equal(ops_f2h(ops_h2f((uint16_t)h)), nan ? 0x7fff : h);
        assert_int_equal(ops_f2bf(ops_bf2f((uint16_t)h)), bnan ? 0x7fff : h);
        if ((h & 0x7fff) >= 0x7bff || h & 0x8000)
            continue;
        float x = ops_h2f((uint16_t)h), y = ops_h2f((uint16_t)(h + 1)), mid = (x + y) / 2;
        assert_int_equal(ops_f2h(mid), h & 1 ? h + 1 : h);
    }
    assert_int_equal(ops_f2h(65519.99f), 0x7bff);
    assert_int_equal(ops_f2h(65520.0f), 0x7c00);
    assert_int_equal(ops_f2h(-1e-30f), 0x8000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(operations), cmocka_unit_test(comparisons), cmocka_unit_test(selections),
        cmocka_unit_test(addresses),  cmocka_unit_test(products),    cmocka_unit_test(halves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
