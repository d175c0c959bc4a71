/* SPDX-License-Identifier: MIT */
/* The planter of faults: what it changes, what it leaves alone, and that it does the same again. */
#include "agent/bench_image.h"
#include "agent/mutate.h"
#include "base/file.h"
#include "base/util.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <elf.h>
#include <stdlib.h>
#include <string.h>

static const char plan[]
    = "{\"format\": 1, \"launches\": [{\"memset\": \"y\", \"value\": 0}, {\"kernel\": \"k\", "
      "\"grid\": [\"ceildiv(cols, 128)\", \"rows\"], \"block\": [128], "
      "\"args\": [\"x\", \"y\", \"rows\", \"cols\"]}]}";

static const char kernel[]
    = "/* rows < cols, a + b */\n"
      "#if ROWS < COLS\n"
      "#define FLOOR (-1.0e38f)\n"
      "#endif\n"
      "extern \"C\" __global__ void k(const float *x, float *y, int rows, int cols)\n"
      "{\n"
      "  __shared__ float cell[32];\n"
      "  float v[4];\n"
      "  float sum = 0.0f;\n"
      "  for (int c = threadIdx.x; c < cols; c += 128)\n"
      "    sum += x[c];\n"
      "#pragma unroll\n"
      "  for (int i = 0; i < CHUNKS; i++)\n"
      "    v[i] = FLOOR;\n"
      "  if (sum > 2.5f)\n"
      "    cell[threadIdx.y] = fmaxf(sum, v[1]);\n"
      "  __syncthreads();\n"
      "  asm volatile(\"cp.async.wait_all;\");\n"
      "  atomicAdd(&y[0], sum);\n"
      "  y[1] = blockIdx.x < 3 ? x[2] : 0.0f;\n"
      "}\n";

static bool has(const struct mutants *all, enum mutate_class kind, const char *what)
{
    for (size_t i = 0; i < all->n; i++) {
        if (all->at[i].kind == kind && strstr(all->at[i].what, what)) {
            return true;
        }
    }
    return false;
}

static void test_rules(void **state)
{
    (void)state;
    static const struct {
        enum mutate_class kind;
        const char *what;
    } wanted[] = {
        { MUTATE_CLASS_LOOP, "< -> <=" },
        { MUTATE_CLASS_LOOP, "threadIdx.x -> (threadIdx.x) + 1" },
        { MUTATE_CLASS_TAIL, "cols -> (cols) - 1" },
        { MUTATE_CLASS_STRIDE, "128 -> 2 * (128)" },
        { MUTATE_CLASS_INDEX, "c -> (c) + 1" },
        { MUTATE_CLASS_TERM, "+= -> =" },
        { MUTATE_CLASS_IDENTITY, "1.0e38f -> 0.0f" },
        { MUTATE_CLASS_IDENTITY, "0.0f -> 1.0f" },
        { MUTATE_CLASS_BOUNDARY, "sum > 2.5f -> false" },
        { MUTATE_CLASS_BOUNDARY, "blockIdx.x < 3 -> true" },
        { MUTATE_CLASS_PRECISION, "x[c] -> ws_tf32(x[c])" },
        { MUTATE_CLASS_PRECISION, "sum += x[c] -> sum = ws_bf16(sum + (x[c]))" },
        { MUTATE_CLASS_BARRIER, "__syncthreads(); -> ;" },
        { MUTATE_CLASS_BARRIER, "cp.async.wait_all" },
        { MUTATE_CLASS_CAST, "float -> int" },
        { MUTATE_CLASS_OPERATOR, "fmaxf -> fminf" },
        { MUTATE_CLASS_CONSTANT, "2.5f -> (2.5f * 1.01f)" },
        { MUTATE_CLASS_INIT, "= 0.0f -> " },
        { MUTATE_CLASS_INIT, "a memset less" },
        { MUTATE_CLASS_RACE, "atomicAdd" },
        { MUTATE_CLASS_SWAP, "y -> x" },
        { MUTATE_CLASS_SWAP, "rows, cols -> the other way round" },
        { MUTATE_CLASS_TAIL, "grid[1]: rows -> one less" },
    };
    auto_arena struct arena *arena = arena_new();
    struct mutants all;
    mutate_all(kernel, plan, "f32", arena, &all);
    for (size_t i = 0; i < ARRAY_LEN(wanted); i++) {
        if (!has(&all, wanted[i].kind, wanted[i].what)) {
            fail_msg("no mutant \"%s\" of class %s", wanted[i].what,
                     mutate_class_name(wanted[i].kind));
        }
    }
}

/* One change each, of what stands where it says, and never in a comment, a string or a directive. */
static void test_left_alone(void **state)
{
    (void)state;
    auto_arena struct arena *arena = arena_new();
    struct mutants all;
    mutate_all(kernel, plan, "f32", arena, &all);
    size_t body = (size_t)(strstr(kernel, "#define") - kernel);
    for (size_t i = 0; i < all.n; i++) {
        const struct mutant *m = &all.at[i];
        char *source = mutate_source(kernel, m, arena);
        assert_true(m->with ? !str_eq(source, kernel) : !str_eq(m->plan, plan));
        assert_true(!m->with || m->at > body);
        assert_null(strstr(m->what, "pragma"));
    }
    /* A step more in a loop over registers, or a declared extent, would be the same program. */
    assert_false(has(&all, MUTATE_CLASS_INDEX, "32 -> (32) + 1"));
    assert_false(has(&all, MUTATE_CLASS_INDEX, "4 -> (4) + 1"));
    size_t unrolled = 0;
    for (size_t i = 0; i < all.n; i++) {
        unrolled += all.at[i].kind == MUTATE_CLASS_LOOP && str_eq(all.at[i].what, "< -> <=")
            && all.at[i].line == 13;
    }
    assert_int_equal(unrolled, 0);
    /* A shorter grid under a stride over the grid is right. */
    auto_free char *strided = xprintf("%s// gridDim.x gridDim.y\n", kernel);
    mutate_all(strided, plan, "f32", arena, &all);
    assert_false(has(&all, MUTATE_CLASS_TAIL, "one less"));
}

/* Rounding to what the task allows is no fault; a sum is f32 in every task. */
static void test_precision(void **state)
{
    (void)state;
    auto_arena struct arena *arena = arena_new();
    struct mutants all;
    mutate_all(kernel, plan, "bf16", arena, &all);
    assert_false(has(&all, MUTATE_CLASS_PRECISION, "-> ws_tf32(x[c])"));
    assert_false(has(&all, MUTATE_CLASS_PRECISION, "-> ws_bf16(x[c])"));
    assert_true(has(&all, MUTATE_CLASS_PRECISION, "-> ws_e4m3(x[c])"));
    assert_true(has(&all, MUTATE_CLASS_PRECISION, "sum = ws_bf16("));
    for (size_t i = 0; i < all.n; i++) {
        const struct mutant *m = &all.at[i];
        const char *source = mutate_source(kernel, m, arena);
        assert_true((m->kind == MUTATE_CLASS_PRECISION) == (strstr(source, "float ws_") != NULL));
    }
}

static void test_pick(void **state)
{
    (void)state;
    auto_arena struct arena *arena = arena_new();
    struct mutants all, again;
    auto_free char *source = NULL;
    assert_int_equal(file_read(WS_SOURCE_DIR "/kernels/matmul/05_pipeline/kernel.cu", 1 << 20,
                               &source, NULL, NULL), 0);
    mutate_all(source, plan, "bf16", arena, &all);
    mutate_all(source, plan, "bf16", arena, &again);
    assert_true(all.n > 100 && all.n == again.n);
    for (size_t i = 0; i < all.n; i++) {
        assert_string_equal(all.at[i].what, again.at[i].what);
    }
    size_t one[64], two[64], other[64], classes = 0, differ = 0;
    assert_int_equal(mutate_pick(&all, 1, 64, one), 64);
    assert_int_equal(mutate_pick(&all, 1, 64, two), 64);
    assert_int_equal(mutate_pick(&all, 2, 64, other), 64);
    assert_memory_equal(one, two, sizeof(one));
    bool seen[MUTATE_CLASSES] = { false };
    for (size_t i = 0; i < 64; i++) {
        for (size_t k = 0; k < i; k++) {
            assert_int_not_equal(one[i], one[k]);
        }
        classes += !seen[all.at[one[i]].kind];
        seen[all.at[one[i]].kind] = true;
        differ += one[i] != other[i];
    }
    assert_true(classes >= 10 && differ > 10);
    auto_free size_t *every = xcalloc(all.n + 10, sizeof(*every));
    assert_int_equal(mutate_pick(&all, 1, all.n + 10, every), all.n);
}

/* Text that isn't CUDA must not do harm. */
static void test_garbage(void **state)
{
    (void)state;
    static const char *const texts[] = { "", "(", ")", "for (", "if (a <", "x[", "\"", "/*", "#", "a ? ",
                                         "fmaf(a", "fmaf(a, b", "float v =", "sum += ", "[][", "}{",
                                         "for (;;)", "atomicAdd(", "#define A (", "a[b][", "\\" };
    auto_arena struct arena *arena = arena_new();
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        for (size_t k = 0; k < ARRAY_LEN(texts); k++) {
            auto_free char *text = xprintf("%s %s", texts[i], texts[k]);
            struct mutants all;
            mutate_all(text, texts[k], "f32", arena, &all);
            for (size_t m = 0; m < all.n; m++) {
                assert_non_null(mutate_source(text, &all.at[m], arena));
            }
        }
    }
}

static bool same_text(const char *a, const char *b)
{
    return bench_image_same(a, strlen(a), b, strlen(b));
}

/* A cubin of one kernel with debug lines: header, code, lines, names, three sections. */
struct cubin {
    Elf64_Ehdr head;
    char code[8], lines[8], names[40];
    Elf64_Shdr sections[3];
};

static struct cubin cubin(const char *code, const char *lines)
{
    struct cubin c = { .head = { .e_ident = ELFMAG, .e_shoff = offsetof(struct cubin, sections),
                                 .e_shentsize = sizeof(Elf64_Shdr), .e_shnum = 3, .e_shstrndx = 2 } };
    c.head.e_ident[EI_CLASS] = ELFCLASS64;
    memcpy(c.code, code, 8);
    memcpy(c.lines, lines, 8);
    memcpy(c.names, ".text.k\0.debug_line\0.shstrtab", 30);
    c.sections[0] = (Elf64_Shdr) { .sh_type = SHT_PROGBITS, .sh_size = 8,
                                   .sh_offset = offsetof(struct cubin, code) };
    c.sections[1] = (Elf64_Shdr) { .sh_name = 8, .sh_type = SHT_PROGBITS, .sh_size = 8,
                                   .sh_offset = offsetof(struct cubin, lines) };
    c.sections[2] = (Elf64_Shdr) { .sh_name = 20, .sh_type = SHT_STRTAB, .sh_size = 30,
                                   .sh_offset = offsetof(struct cubin, names) };
    return c;
}

/* The same program from other lines, and another program from the same. */
static void test_same_image(void **state)
{
    (void)state;
    assert_true(same_text(".loc 1 2 3\n\tadd.f32 a;\nret;\n\t.section .debug_str\nx",
                          "\tadd.f32 a;\n\t.loc\t1 9 9, inlined_at 1 2 3\nret;\n.section .debug_str\ny"));
    assert_false(same_text("add.f32 a;\nret;\n", "sub.f32 a;\nret;\n"));
    assert_false(same_text("add.f32 a;\nret;\n", "add.f32 a;\n"));
    struct cubin a = cubin("code.one", "line one"), b = cubin("code.one", "line two");
    struct cubin c = cubin("code.two", "line one");
    assert_true(bench_image_same((char *)&a, sizeof(a), (char *)&b, sizeof(b)));
    assert_false(bench_image_same((char *)&a, sizeof(a), (char *)&c, sizeof(c)));
    b.sections[0].sh_offset = ~0ull; /* lies: nothing is read outside */
    assert_false(bench_image_same((char *)&a, sizeof(a), (char *)&b, sizeof(b)));
    b.head.e_shoff = ~0ull;
    assert_false(bench_image_same((char *)&a, sizeof(a), (char *)&b, sizeof(b)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rules),     cmocka_unit_test(test_left_alone),
        cmocka_unit_test(test_precision), cmocka_unit_test(test_pick),
        cmocka_unit_test(test_garbage),   cmocka_unit_test(test_same_image),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
