/* SPDX-License-Identifier: MIT */
#include "base/arena.h"
#include "base/buf.h"
#include "base/util.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static void test_grow(void **state)
{
    (void)state;
    auto_buf struct buf buf;
    buf_init(&buf, 1 << 20);
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(buf_printf(&buf, "%d,", i), 0);
    }
    assert_int_equal(buf.len, 10 * 2 + 90 * 3 + 900 * 4);
    assert_int_equal(strlen(buf.at), buf.len);
    assert_true(str_prefix(buf.at, "0,1,2,"));
    assert_string_equal(buf.at + buf.len - 8, "998,999,");
}

/* Exactly the cap fits; one more fails, changes nothing and sticks. */
static void test_cap(void **state)
{
    (void)state;
    auto_buf struct buf buf;
    buf_init(&buf, 8);
    assert_int_equal(buf_puts(&buf, "12345678"), 0);
    assert_int_equal(buf_add(&buf, "x", 1), ERR_TOOBIG);
    assert_string_equal(buf.at, "12345678");
    assert_int_equal(buf.failed, ERR_TOOBIG);
    assert_int_equal(buf_add(&buf, "", 0), ERR_TOOBIG);
    buf_done(&buf);
    assert_int_equal(buf.failed, 0);
    assert_int_equal(buf_add(&buf, NULL, SIZE_MAX), ERR_TOOBIG);
    buf_done(&buf);
    buf_init(&buf, SIZE_MAX);
    assert_int_equal(buf_puts(&buf, "a"), 0);
    assert_int_equal(buf_puts(&buf, "b"), 0);
    assert_string_equal(buf.at, "ab");
}

static void test_shift_and_take(void **state)
{
    (void)state;
    auto_buf struct buf buf;
    buf_init(&buf, 64);
    buf_puts(&buf, "hello world");
    buf_shift(&buf, 6);
    assert_string_equal(buf.at, "world");
    buf_shift(&buf, 0);
    buf_shift(&buf, 5);
    assert_int_equal(buf.len, 0);
    assert_string_equal(buf.at, "");
    auto_free char *taken = buf_take(&buf);
    assert_string_equal(taken, "");
    auto_free char *again = buf_take(&buf);
    assert_string_equal(again, "");
    buf_puts(&buf, "next");
    auto_free char *last = buf_take(&buf);
    assert_string_equal(last, "next");
    assert_null(buf.at);
}

/* Zeroed, aligned, apart from each other, and counted. */
static void test_arena(void **state)
{
    (void)state;
    auto_arena struct arena *arena = arena_new();
    unsigned char *seen[300];
    size_t total = 0;
    for (size_t i = 0; i < ARRAY_LEN(seen); i++) {
        size_t size = i * 7 % 500 + (i % 100 == 99 ? 100000 : 0);
        seen[i] = arena_alloc(arena, size, 1);
        assert_int_equal((uintptr_t)seen[i] % _Alignof(max_align_t), 0);
        for (size_t k = 0; k < size; k++) {
            assert_int_equal(seen[i][k], 0);
        }
        memset(seen[i], (int)i, size);
        total += size;
    }
    for (size_t i = 0; i < ARRAY_LEN(seen); i++) {
        size_t size = i * 7 % 500 + (i % 100 == 99 ? 100000 : 0);
        for (size_t k = 0; k < size; k++) {
            assert_int_equal(seen[i][k], (unsigned char)i);
        }
    }
    assert_true(arena_used(arena) >= total);
}

static void test_arena_strings(void **state)
{
    (void)state;
    auto_arena struct arena *arena = arena_new();
    char text[] = "hello";
    char *copy = arena_strdup(arena, text), *part = arena_strndup(arena, text, 3);
    text[0] = 'J';
    assert_string_equal(copy, "hello");
    assert_string_equal(part, "hel");
    char *long_one = arena_printf(arena, "%050000d|%s", 7, copy);
    assert_int_equal(strlen(long_one), 50006);
    assert_string_equal(long_one + 49999, "7|hello");
    arena_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_grow),          cmocka_unit_test(test_cap),
        cmocka_unit_test(test_shift_and_take), cmocka_unit_test(test_arena),
        cmocka_unit_test(test_arena_strings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
