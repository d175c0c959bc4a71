/* SPDX-License-Identifier: MIT */
#include "agent/diff.h"
#include "base/buf.h"
#include "base/rng.h"
#include "base/util.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

/* "-a;+b; c;" of the two texts. */
static char *diff_text(const char *before, const char *after)
{
    auto_arena struct arena *arena = arena_new();
    struct diff_line *lines;
    size_t n = diff_lines(before, after, arena, &lines);
    struct buf text;
    buf_init(&text, 1 << 20);
    buf_puts(&text, "");
    for (size_t i = 0; i < n; i++) {
        buf_printf(&text, "%c%.*s;", (char)lines[i].kind, (int)lines[i].len, lines[i].text);
    }
    return buf_take(&text);
}

static void test_by_hand(void **state)
{
    (void)state;
    static const struct {
        const char *before, *after, *want;
    } cases[] = {
        { "", "", "" },
        { "a\n", "a\n", " a;" },
        { "a", "a\n", " a;" }, /* the last line's end isn't a change */
        { "", "a\nb\n", "+a;+b;" },
        { "a\nb\n", "", "-a;-b;" },
        { "a\nb\nc\n", "a\nc\n", " a;-b; c;" },
        { "a\nc\n", "a\nb\nc\n", " a;+b; c;" },
        { "a\nb\nc\n", "a\nB\nc\n", " a;-b;+B; c;" },
        { "a\n", "b\n", "-a;+b;" },
        { "a\n\nb\n", "a\nb\n", " a;-; b;" },
        { "a\nb\nc\na\nb\nb\na\n", "c\nb\na\nb\na\nc\n", NULL },
        { "ab\n", "a\nb\n", "-ab;+a;+b;" }, /* lines, not characters */
        { "a\r\n", "a\n", "-a\r;+a;" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        auto_free char *got = diff_text(cases[i].before, cases[i].after);
        if (cases[i].want) {
            assert_string_equal(got, cases[i].want);
        } else {
            size_t kept = 0; /* Myers's example: four lines are common */
            for (const char *at = got; *at; at = strchr(at, ';') + 1) {
                kept += *at == ' ';
            }
            assert_int_equal(kept, 4);
        }
    }
}

/* One side of a diff, put together again. */
static void assert_side(const struct diff_line *lines, size_t n, enum diff_kind other,
                        const char *text)
{
    auto_buf struct buf side;
    buf_init(&side, 1 << 22);
    buf_puts(&side, "");
    for (size_t i = 0; i < n; i++) {
        if (lines[i].kind != other) {
            buf_add(&side, lines[i].text, lines[i].len);
            buf_puts(&side, "\n");
        }
    }
    assert_string_equal(side.at, text);
}

static char *draw_text(struct rng *rng, size_t lines, uint64_t words)
{
    struct buf text;
    buf_init(&text, 1 << 20);
    buf_puts(&text, "");
    for (size_t i = 0; i < lines; i++) {
        buf_printf(&text, "word %llu\n", (unsigned long long)rng_below(rng, words));
    }
    return buf_take(&text);
}

/* Whatever the texts: both come out of the diff whole. */
static void test_both_sides_are_there(void **state)
{
    (void)state;
    struct rng rng;
    rng_init(&rng, 4, 0, 0);
    for (int i = 0; i < 300; i++) {
        auto_arena struct arena *arena = arena_new();
        uint64_t words = 1 + rng_below(&rng, 12);
        auto_free char *before = draw_text(&rng, rng_below(&rng, 30), words);
        auto_free char *after = draw_text(&rng, rng_below(&rng, 30), words);
        struct diff_line *lines;
        size_t n = diff_lines(before, after, arena, &lines);
        assert_side(lines, n, DIFF_ADD, before);
        assert_side(lines, n, DIFF_REMOVE, after);
    }
}

/* What is beyond the limit is left out, on either side. */
static void test_limit(void **state)
{
    (void)state;
    struct rng rng;
    rng_init(&rng, 9, 0, 0);
    auto_arena struct arena *arena = arena_new();
    auto_free char *text = draw_text(&rng, DIFF_LINES_MAX + 100, 1000);
    struct diff_line *lines;
    size_t n = diff_lines(text, text, arena, &lines);
    assert_int_equal(n, DIFF_LINES_MAX);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(lines[i].kind, DIFF_KEEP);
    }
    assert_int_equal(diff_lines(text, "", arena, &lines), DIFF_LINES_MAX);
    assert_int_equal(lines[0].kind, DIFF_REMOVE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_by_hand),
        cmocka_unit_test(test_both_sides_are_there),
        cmocka_unit_test(test_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
