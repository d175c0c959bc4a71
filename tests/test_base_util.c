/* SPDX-License-Identifier: MIT */
#include "base/util.h"
#include "base/err.h"
#include "base/log.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static void test_err(void **state)
{
    (void)state;
    struct err err = { 0 };
    assert_string_equal(err_text(&err), "success");
    assert_int_equal(err_set(&err, ERR_INVALID, "grid[%d] is 0", 1), ERR_INVALID);
    assert_int_equal(err_wrap(&err, "launches[%d]", 0), ERR_INVALID);
    assert_int_equal(err_wrap(&err, "task %s", "softmax"), ERR_INVALID);
    assert_string_equal(err_text(&err), "task softmax: launches[0]: grid[1] is 0");
    assert_int_equal(err_set(NULL, ERR_BUSY, "x"), ERR_BUSY);
    assert_string_equal(err_name(ERR_BUSY), "in use");
    assert_string_equal(err_name(-ENOENT), "No such file or directory");
    assert_string_equal(err_name(-5000), "unknown error");
}

/* Text longer than the room is cut, never overrun. */
static void test_err_long(void **state)
{
    (void)state;
    struct err err = { 0 };
    auto_free char *text = xcalloc(5000, 1);
    memset(text, 'x', 4999);
    err_set(&err, ERR_INVALID, "%s", text);
    assert_int_equal(strlen(err.text), sizeof(err.text) - 1);
    for (int i = 0; i < 10; i++) {
        err_wrap(&err, "%s", text);
        assert_int_equal(strlen(err.text), sizeof(err.text) - 1);
    }
}

static void test_numbers(void **state)
{
    (void)state;
    int64_t i = 77;
    double d = 77;
    assert_true(str_to_i64("-9223372036854775808", &i) && i == INT64_MIN);
    assert_true(str_to_i64("007", &i) && i == 7);
    static const char *const not_integers[]
        = { "", "-", "+5", " 5", "\n5", "5 ", "5x", "0x10", "1e3", "9223372036854775808", "--5" };
    for (size_t k = 0; k < ARRAY_LEN(not_integers); k++) {
        assert_false(str_to_i64(not_integers[k], &i));
    }
    assert_int_equal(i, 7);
    assert_true(str_to_f64("-1.5e-3", &d) && d == -1.5e-3);
    assert_true(str_to_f64(".5", &d) && d == 0.5);
    static const char *const not_numbers[]
        = { "", "-", ".", "+5", " 5", "5 ", "nan", "-nan", "inf", "-inf", "0x10", "1e999", "e5" };
    for (size_t k = 0; k < ARRAY_LEN(not_numbers); k++) {
        assert_false(str_to_f64(not_numbers[k], &d));
    }
    assert_true(d == 0.5);
}

static void test_suggest(void **state)
{
    (void)state;
    static const char *const known[] = { "grid", "block", "shared", "cooperative" };
    static const struct {
        const char *name, *near;
    } cases[] = {
        { "gird", "grid" },        { "grids", "grid" },     { "blcok", "block" },
        { "Block", "block" },      { "share", "shared" },   { "coperative", "cooperative" },
        { "wavefront", NULL },     { "", NULL },            { "zzzz", NULL },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const char *near = suggest(cases[i].name, known, ARRAY_LEN(known));
        if (cases[i].near ? !str_eq(near, cases[i].near) : near != NULL) {
            fail_msg("\"%s\": %s", cases[i].name, near ? near : "nothing");
        }
    }
    assert_null(suggest("grid", NULL, 0));
    auto_free char *endless = xcalloc(1001, 1);
    memset(endless, 'g', 1000);
    assert_null(suggest(endless, known, ARRAY_LEN(known)));
}

static void test_strings(void **state)
{
    (void)state;
    assert_true(str_eq("a", "a"));
    assert_false(str_eq("a", "b"));
    assert_false(str_eq(NULL, NULL));
    assert_true(str_prefix("launches", "launch"));
    assert_false(str_prefix("launch", "launches"));
    auto_free char *text = xprintf("%s-%d", "x", 5);
    assert_string_equal(text, "x-5");
}

static void test_log(void **state)
{
    (void)state;
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    struct log log = { out, LOG_LEVEL_WARN };
    log_line(&log, LOG_LEVEL_INFO, "pool", "hidden");
    log_line(&log, LOG_LEVEL_WARN, "pool", "worker %d said \"no\"\nand left", 3);
    log_line(NULL, LOG_LEVEL_ERROR, "pool", "nowhere");
    fclose(out);
    assert_string_equal(text, "level=warn module=pool msg=\"worker 3 said 'no' and left\"\n");
    free(text);
    enum log_level level = LOG_LEVEL_ERROR;
    assert_int_equal(log_level_parse("debug", &level), 0);
    assert_int_equal(level, LOG_LEVEL_DEBUG);
    assert_int_equal(log_level_parse("verbose", &level), ERR_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_err),     cmocka_unit_test(test_err_long),
        cmocka_unit_test(test_numbers), cmocka_unit_test(test_suggest),
        cmocka_unit_test(test_strings), cmocka_unit_test(test_log),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
