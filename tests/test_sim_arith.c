/* SPDX-License-Identifier: MIT */
/* Arithmetic, bit by bit as an H200 does it: tests/cases/sim/arith_h200.txt has a line for each
 * instruction with a hash of the GPU's results, over operands that are rich in corner cases. */
#include "tests/sim_kit.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { N = 4096 };

static uint64_t next(uint64_t *s)
{
    *s ^= *s << 13;
    *s ^= *s >> 7;
    *s ^= *s << 17;
    return *s;
}

static float from_bits(uint32_t u)
{
    float f;
    memcpy(&f, &u, 4);
    return f;
}

/* Exact in every step, so the same everywhere. */
static float some_float(uint64_t *s)
{
    static const float special[] = {0,
                                    -0.f,
                                    1,
                                    -1,
                                    0.5f,
                                    1e-45f,
                                    -1e-45f,
                                    1.17549435e-38f,
                                    1.1754942e-38f,
                                    3.4028235e38f,
                                    -3.4028235e38f,
                                    65504,
                                    65520,
                                    65519.9f,
                                    65536,
                                    5.9604645e-8f,
                                    2.9802322e-8f,
                                    2.98023224e-8f,
                                    6.1035156e-5f,
                                    448,
                                    464,
                                    480,
                                    57344,
                                    61440,
                                    2147483648.f,
                                    -2147483648.f,
                                    4294967296.f,
                                    9.2233720e18f,
                                    1.8446744e19f,
                                    32768,
                                    -32769,
                                    127.5f,
                                    128.5f,
                                    255.5f,
                                    256,
                                    2.5f,
                                    3.5f,
                                    -2.5f,
                                    1e10f};
    unsigned kind = (unsigned)(next(s) % 8);
    float f;
    int e;
    switch (kind) {
    case 0:
        return special[next(s) % (sizeof(special) / 4)];
    case 1:
        return from_bits(0x7f800000 | (uint32_t)(next(s) & 1) << 31);
    case 2:
        return from_bits((uint32_t)next(s));
    case 3:
        return from_bits((uint32_t)next(s) & 0x807fffff);
    case 4:
        return (float)((long)(next(s) % 200001) - 100000) / 64.f;
    case 5:
        e = (int)(next(s) % 40) - 20;
        f = ldexpf((float)(next(s) & 0xffff) / 65536.f, e);
        return f * (next(s) & 1 ? 1 : -1);
    default:
        f = (float)((double)(next(s) >> 11) / 9007199254740992.0 * 2 - 1);
        return f * (next(s) & 1 ? 1 : 20);
    }
}

static uint64_t some_value(uint64_t *s, char type, const char *text)
{
    static const uint64_t special[] = {0,
                                       1,
                                       2,
                                       31,
                                       32,
                                       33,
                                       63,
                                       64,
                                       65,
                                       0x7fffffff,
                                       0x80000000,
                                       0xffffffff,
                                       0x7fffffffffffffff,
                                       0x8000000000000000,
                                       UINT64_MAX,
                                       8,
                                       16,
                                       255,
                                       128,
                                       127,
                                       0x7fff,
                                       0x8000};
    bool is_float = strstr(text, "f32") || strstr(text, "f16") || strstr(text, "f64") ||
                    strstr(text, "e4m3") || strstr(text, "e5m2");
    uint64_t u = next(s);
    if (type == 'f') {
        float f = some_float(s);
        uint32_t w;
        memcpy(&w, &f, 4);
        return w;
    }
    if (type == 'd') {
        if (u % 4 == 0)
            return u;
        double d = some_float(s);
        if (u % 4 == 2)
            d *= 1.0 + ldexp((double)(next(s) >> 40), -44);
        memcpy(&u, &d, 8);
        return u;
    }
    if (is_float && type == 'r' && strstr(text, "x2"))
        return next(s);
    if (is_float && type == 'h')
        return next(s) & 0xffff;
    if (u % 3 == 0)
        return special[next(s) % 22];
    return u % 3 == 1 ? u >> next(s) % 64 : u;
}

struct line {
    unsigned seed;
    char type, ins[8], canon;
    uint64_t hash;
    char text[400];
};

static const char *reg_type(char type)
{
    return type == 'h'   ? "b16"
           : type == 'r' ? "b32"
           : type == 'l' ? "b64"
           : type == 'f' ? "f32"
                         : "f64";
}

/* A kernel of one thread an operand: loads, the instruction, a store. */
static void write_ptx(const struct line *l, char *ptx, size_t n)
{
    size_t at = (size_t)snprintf(
        ptx, n,
        ".version 9.0\n.target sm_90a\n.address_size 64\n.visible .entry k(.param .u64 a, .param "
        ".u64 "
        "b) {\n.reg .b32 %%i<4>; .reg .b64 %%a<8>; .reg .b64 %%o; .reg .%s %%r0;\n"
        "mov.u32 %%i0, %%ctaid.x; mov.u32 %%i1, %%ntid.x; mov.u32 %%i2, %%tid.x;\n"
        "mad.lo.u32 %%i0, %%i0, %%i1, %%i2; ld.param.u64 %%a0, [a]; ld.param.u64 %%a1, [b];\n"
        "mad.wide.u32 %%a2, %%i0, 8, %%a0; mad.wide.u32 %%a3, %%i0, 8, %%a1;\n",
        reg_type(l->type));
    for (size_t k = 0; l->ins[k]; k++)
        at += (size_t)snprintf(ptx + at, n - at,
                               ".reg .%s %%r%zu; ld.global.%s %%r%zu, [%%a2+%zu];\n",
                               reg_type(l->ins[k]), k + 1, reg_type(l->ins[k]), k + 1, k * N * 8);
    for (const char *c = l->text; *c && at + 4 < n; c++)
        at += (size_t)snprintf(ptx + at, n - at, *c == '$' ? "%%r" : "%c", *c);
    snprintf(ptx + at, n - at,
             "\nmov.u64 %%o, 0; st.global.u64 [%%a3], %%o; st.global.%s [%%a3], "
             "%%r0; ret; }\n",
             reg_type(l->type));
}

static uint64_t canonical(char kind, uint64_t u)
{
    if (kind == 'f' && (u & 0x7fffffff) > 0x7f800000)
        return 0x7fffffff;
    if (kind == 'd' && (u & INT64_MAX) > 0x7ff0000000000000)
        return 0x7ff8000000000000;
    if (kind == 'h' && (u & 0x7fff) > 0x7c00)
        return 0x7fff;
    return kind == 'b' && (u & 0x7fff) > 0x7f80 ? 0x7fff : u;
}

static bool check_line(const struct line *l)
{
    static uint64_t in[4][N], out[N];
    static char ptx[8192];
    uint64_t s = 88172645463325252ull ^ (uint64_t)l->seed * 7919, hash = 0xcbf29ce484222325ull;
    struct sim_kit kit;
    for (unsigned k = 0; k < 4; k++)
        for (unsigned i = 0; i < N; i++)
            in[k][i] = some_value(&s, k < strlen(l->ins) ? l->ins[k] : 'r', l->text);
    write_ptx(l, ptx, sizeof(ptx));
    kit_init(&kit);
    uint64_t a = kit_buffer(&kit, in, sizeof(in)), b = kit_buffer(&kit, NULL, sizeof(out));
    bool ran = !kit_load(&kit, ptx) && !kit_run1(&kit, "k", N / 256, 256, (uint64_t[]){a, b});
    if (ran)
        kit_read(&kit, b, out, sizeof(out));
    else
        printf("%s\n%s%s\n", l->text, kit.err.text, kit.fault.text);
    kit_done(&kit);
    for (unsigned i = 0; i < N; i++) {
        uint64_t u = canonical(l->canon, out[i]);
        for (unsigned k = 0; k < 64; k += 8)
            hash = (hash ^ (u >> k & 0xff)) * 0x100000001b3ull;
    }
    if (ran && hash != l->hash)
        printf("%s: differs\n", l->text);
    return ran && hash == l->hash;
}

static void as_an_h200(void **state)
{
    FILE *f = fopen(WS_SOURCE_DIR "/tests/cases/sim/arith_h200.txt", "r");
    char text[600];
    unsigned lines = 0, wrong = 0;
    (void)state;
    assert_non_null(f);
    while (fgets(text, sizeof(text), f)) {
        struct line l;
        if (text[0] == '#')
            continue;
        text[strcspn(text, "\n")] = 0;
        assert_int_equal(sscanf(text, "%u %c %7s %c %16lx %399[^\n]", &l.seed, &l.type, l.ins,
                                &l.canon, &l.hash, l.text),
                         6);
        lines++;
        wrong += !check_line(&l);
    }
    fclose(f);
    assert_true(lines > 700);
    assert_int_equal(wrong, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_an_h200),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
