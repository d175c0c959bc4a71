/* SPDX-License-Identifier: MIT */
#include "base/expr.h"
#include "base/util.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

static const struct symbol outer_symbols[] = { { "rows", 64 }, { "cols", 1000 }, { "zero", 0 } };
static const struct symbol inner_symbols[] = { { "BLOCK", 256 }, { "rows", 7 } };
static const struct symbols outer = { outer_symbols, ARRAY_LEN(outer_symbols), NULL };
static const struct symbols scope = { inner_symbols, ARRAY_LEN(inner_symbols), &outer };

static int evaluate(const char *text, int64_t *ret, struct err *err)
{
    auto_arena struct arena *arena = arena_new();
    struct expr *expr = NULL;
    int r = expr_parse(arena, text, &expr, err);
    return r < 0 ? r : expr_eval(expr, &scope, ret, err);
}

static void test_values(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t value;
    } cases[] = {
        { "0", 0 },
        { "9223372036854775807", INT64_MAX },
        { "-9223372036854775807 - 1", INT64_MIN },
        { "1 + 2*3", 7 },
        { "(1 + 2)*3", 9 },
        { "10 - 3 - 2", 5 },
        { "100/7/2", 7 },
        { "-7/2", -3 },
        { "-7 % 3", -1 },
        { "2*-3", -6 },
        { "--5", 5 },
        { "!0 + !5", 1 },
        { "!!7", 1 },
        { "rows", 7 },
        { "cols*rows", 7000 },
        { "BLOCK*4 <= cols", 0 },
        { "BLOCK*3 <= cols", 1 },
        { "1 < 2 == 1", 1 },
        { "2 < 2", 0 },
        { "2 > 2", 0 },
        { "2 <= 2", 1 },
        { "3 <= 2", 0 },
        { "2 >= 3", 0 },
        { "3 != 3", 0 },
        { "3 >= 3 && 2 > 1", 1 },
        { "5 && 0 || 2", 1 },
        { "0 || 0", 0 },
        { "min(3, -4)", -4 },
        { "max(min(9, 5), 2 + 2)", 5 },
        { "ceildiv(1000, 256)", 4 },
        { "ceildiv(0, 5)", 0 },
        { "ceildiv(1024, 256)", 4 },
        { "pow2ceil(0)", 1 },
        { "pow2ceil(1)", 1 },
        { "pow2ceil(1000)", 1024 },
        { "pow2ceil(1024)", 1024 },
        { "pow2ceil(4611686018427387904)", (int64_t)1 << 62 },
        { " \t cols ", 1000 },
        { "zero != 0 && 5/zero", 0 },
        { "zero == 0 || 5/zero", 1 },
        { "min (1,2)", 1 },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int64_t value = 12345;
        struct err err = { 0 };
        if (evaluate(cases[i].text, &value, &err) < 0 || value != cases[i].value) {
            fail_msg("\"%s\" is %lld, expected %lld %s", cases[i].text, (long long)value,
                     (long long)cases[i].value, err.text);
        }
    }
}

static void test_faults(void **state)
{
    (void)state;
    static const struct {
        const char *text, *error;
    } cases[] = {
        { "", "in \"\", column 1: it ends too early" },
        { "1 +", "in \"1 +\", column 4: it ends too early" },
        { "1 2", "in \"1 2\", column 3: unexpected text" },
        { "(1", "in \"(1\", column 3: expected \")\"" },
        { "1)", "in \"1)\", column 2: unexpected text" },
        { "a = 1", "in \"a = 1\", column 3: unexpected text" },
        { "a & b", "in \"a & b\", column 3: unexpected text" },
        { "a ? b : c", "in \"a ? b : c\", column 3: unexpected text" },
        { "1.5", "in \"1.5\", column 2: only whole numbers can be used" },
        { "0x10", "in \"0x10\", column 2: only whole numbers can be used" },
        { "1e3", "in \"1e3\", column 2: only whole numbers can be used" },
        { "9223372036854775808",
          "in \"9223372036854775808\", column 19: the number doesn't fit in 64 bits" },
        { "min(1)", "in \"min(1)\", column 6: this function takes two arguments" },
        { "pow2ceil(1, 2)", "in \"pow2ceil(1, 2)\", column 11: expected \")\"" },
        { "sqrt(4)",
          "in \"sqrt(4)\", column 6: unknown function (there are min, max, ceildiv and pow2ceil)" },
        { "*3", "in \"*3\", column 1: expected a number, a name or \"(\"" },
        { "row", "in \"row\": unknown symbol \"row\", did you mean \"rows\"?" },
        { "elephants", "in \"elephants\": unknown symbol \"elephants\"" },
        { "1/zero", "in \"1/zero\": division by zero" },
        { "1 % zero", "in \"1 % zero\": division by zero" },
        { "ceildiv(1, zero)", "in \"ceildiv(1, zero)\": division by zero" },
        { "ceildiv(-1, 2)", "in \"ceildiv(-1, 2)\": ceildiv of a negative number" },
        { "pow2ceil(-1)", "in \"pow2ceil(-1)\": pow2ceil of a negative number" },
        { "9223372036854775807 + 1",
          "in \"9223372036854775807 + 1\": the result doesn't fit in 64 bits" },
        { "-9223372036854775807 - 2",
          "in \"-9223372036854775807 - 2\": the result doesn't fit in 64 bits" },
        { "4611686018427387904*2",
          "in \"4611686018427387904*2\": the result doesn't fit in 64 bits" },
        { "(0-9223372036854775807-1)/-1",
          "in \"(0-9223372036854775807-1)/-1\": the result doesn't fit in 64 bits" },
        { "-(0-9223372036854775807-1)",
          "in \"-(0-9223372036854775807-1)\": the result doesn't fit in 64 bits" },
        { "pow2ceil(4611686018427387905)",
          "in \"pow2ceil(4611686018427387905)\": the result doesn't fit in 64 bits" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int64_t value = 12345;
        struct err err = { 0 };
        assert_int_equal(evaluate(cases[i].text, &value, &err), ERR_INVALID);
        assert_string_equal(err_text(&err), cases[i].error);
        assert_int_equal(value, 12345);
        assert_int_equal(evaluate(cases[i].text, &value, NULL), ERR_INVALID);
    }
}

static void test_limits(void **state)
{
    (void)state;
    char text[EXPR_TEXT_MAX + 2];
    int64_t value;
    memset(text, ' ', sizeof(text));
    text[0] = '1';
    text[EXPR_TEXT_MAX] = '\0';
    assert_int_equal(evaluate(text, &value, NULL), 0);
    text[EXPR_TEXT_MAX] = ' ';
    text[EXPR_TEXT_MAX + 1] = '\0';
    assert_int_equal(evaluate(text, &value, NULL), ERR_TOOBIG);

    memset(text, '(', EXPR_TEXT_MAX);
    text[EXPR_TEXT_MAX] = '\0';
    struct err err = { 0 };
    assert_int_equal(evaluate(text, &value, &err), ERR_INVALID);
    assert_non_null(strstr(err_text(&err), "nested too deeply"));

    /* Every bracket is a level, and so is what stands inside. */
    for (size_t deep = EXPR_DEPTH_MAX - 1; deep <= EXPR_DEPTH_MAX; deep++) {
        memset(text, '(', deep);
        text[deep] = '1';
        memset(text + deep + 1, ')', deep);
        text[2 * deep + 1] = '\0';
        assert_int_equal(evaluate(text, &value, NULL), deep < EXPR_DEPTH_MAX ? 0 : ERR_INVALID);
    }

    for (size_t i = 0; i < EXPR_TEXT_MAX; i++) {
        text[i] = i % 2 ? '+' : '1';
    }
    text[EXPR_TEXT_MAX - 1] = '\0';
    assert_int_equal(evaluate(text, &value, NULL), 0);
    assert_int_equal(value, EXPR_TEXT_MAX / 2);
}

/* What evaluation skips, the check still reads. */
static void test_check(void **state)
{
    (void)state;
    auto_arena struct arena *arena = arena_new();
    struct expr *expr;
    int64_t value;
    struct err err = { 0 };
    assert_int_equal(expr_parse(arena, "1 || max(2, row) > 1", &expr, NULL), 0);
    assert_int_equal(expr_eval(expr, &scope, &value, NULL), 0);
    assert_int_equal(expr_check(expr, &scope, &err), ERR_INVALID);
    assert_string_equal(err_text(&err), "in \"1 || max(2, row) > 1\": unknown symbol \"row\", did "
                                        "you mean \"rows\"?");
    assert_int_equal(expr_parse(arena, "1 || -rows/zero", &expr, NULL), 0);
    assert_int_equal(expr_check(expr, &scope, NULL), 0);
}

static void test_mentions(void **state)
{
    (void)state;
    auto_arena struct arena *arena = arena_new();
    struct expr *expr;
    assert_int_equal(expr_parse(arena, "min(rows, 4*(-cols))", &expr, NULL), 0);
    assert_true(expr_mentions(expr, "rows"));
    assert_true(expr_mentions(expr, "cols"));
    assert_false(expr_mentions(expr, "col"));
    assert_string_equal(expr_text(expr), "min(rows, 4*(-cols))");
    assert_string_equal(expr_text(expr_constant(arena, -5)), "-5");
}

static void test_scope(void **state)
{
    (void)state;
    assert_int_equal(*symbols_find(&scope, "rows"), 7);
    assert_int_equal(*symbols_find(&outer, "rows"), 64);
    assert_null(symbols_find(&scope, "row"));
    assert_null(symbols_find(NULL, "rows"));
}

/* Small symbols: every combination is tried. What can be said must hold every value, and no error. */
static const char *const bounded[] = {
    "a", "-a", "!a", "a + b", "a - b*2", "a * b", "a * a * c", "a / b", "a / (b + 9)", "a % b", "a % (b + 9)",
    "a % 7", "(a + 9) % 4", "ceildiv(a + 9, c + 9)", "ceildiv(a, b)", "pow2ceil(a + 8)", "pow2ceil(b)",
    "min(a, b) + max(b, c)", "a == b", "a != b + c", "a < b", "a <= b - 3", "a > b * c", "a >= b",
    "a < b && c / a > 1", "a || 8 / a", "a + 20 < b && b / 0", "a < 20 || b / 0", "a < b || c < b",
    "!(a < b) && !(c > 2)", "a * 4611686018427387904", "cols / (a + 9) % 16 == 0",
};

static void check_box(const struct expr *expr, const struct expr_range *ranges)
{
    struct expr_interval all;
    bool said = expr_bounds(expr, ranges, 3, &scope, &all);
    for (int64_t a = ranges[0].within.lo; said && a <= ranges[0].within.hi; a++) {
        for (int64_t b = ranges[1].within.lo; b <= ranges[1].within.hi; b++) {
            for (int64_t c = ranges[2].within.lo; c <= ranges[2].within.hi; c++) {
                const struct symbol values[] = { { "a", a }, { "b", b }, { "c", c } };
                const struct symbols inner = { values, 3, &scope };
                int64_t value;
                if (expr_eval(expr, &inner, &value, NULL) < 0 || value < all.lo || value > all.hi) {
                    fail_msg("%s at %d %d %d", expr_text(expr), (int)a, (int)b, (int)c);
                }
            }
        }
    }
    bool point = true;
    for (size_t i = 0; i < 3; i++) {
        point = point && ranges[i].within.lo == ranges[i].within.hi;
    }
    const struct symbol values[] = { { "a", ranges[0].within.lo }, { "b", ranges[1].within.lo },
                                     { "c", ranges[2].within.lo } };
    const struct symbols inner = { values, 3, &scope };
    int64_t value;
    if (point && expr_eval(expr, &inner, &value, NULL) == 0) {
        assert_true(said && all.lo == value && all.hi == value); /* a point is known exactly */
    }
}

static void test_bounds(void **state)
{
    (void)state;
    auto_arena struct arena *arena = arena_new();
    for (size_t i = 0; i < ARRAY_LEN(bounded); i++) {
        struct expr *expr;
        assert_int_equal(expr_parse(arena, bounded[i], &expr, NULL), 0);
        for (int64_t box = 0; box < 400; box++) {
            int64_t at = box * 2654435761 % 1000003, width = box % 4;
            const struct expr_range ranges[] = {
                { "a", { at % 13 - 6, at % 13 - 6 + (width ? at % width : 0) } },
                { "b", { at / 13 % 13 - 6, at / 13 % 13 - 6 + (width ? at / 7 % width : 0) } },
                { "c", { at / 169 % 13 - 6, at / 169 % 13 - 6 + width } },
            };
            check_box(expr, ranges);
        }
    }
}

/* What bounds are for: a constraint that no value left can keep is seen. */
static void test_bounds_decide(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t lo, hi;
    } cases[] = {
        { "BLOCK * v <= 2048", 0, 1 }, { "BLOCK * v <= 128", 0, 0 }, { "BLOCK * v <= 16384", 1, 1 },
        { "v % 64 == 0", 0, 0 },       { "cols % v > 63", 0, 0 },    { "min(v, 4) == 4 && BLOCK == 256", 0, 1 },
        { "v < 1 || BLOCK < v", 0, 0 },
    };
    const struct expr_range v = { "v", { 1, 63 } };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        auto_arena struct arena *arena = arena_new();
        struct expr *expr;
        struct expr_interval got;
        assert_int_equal(expr_parse(arena, cases[i].text, &expr, NULL), 0);
        assert_true(expr_bounds(expr, &v, 1, &scope, &got));
        if (got.lo != cases[i].lo || got.hi != cases[i].hi) {
            fail_msg("%s: %d..%d", cases[i].text, (int)got.lo, (int)got.hi);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values), cmocka_unit_test(test_faults),
        cmocka_unit_test(test_limits), cmocka_unit_test(test_check),
        cmocka_unit_test(test_mentions), cmocka_unit_test(test_scope),
        cmocka_unit_test(test_bounds), cmocka_unit_test(test_bounds_decide),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
