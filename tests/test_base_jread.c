/* SPDX-License-Identifier: MIT */
#include "base/jread.h"
#include "base/file.h"
#include "base/util.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

static void test_parse(void **state)
{
    (void)state;
    static const struct {
        const char *text, *error;
    } cases[] = {
        { "{\"a\": 1, \"a\": 2}", "line 1, column 12: duplicate object key near '\"a\"'" },
        { "{}x", "line 1, column 3: end of file expected near 'x'" },
        { "{\n\"a\": }", "line 2, column 6: unexpected token near '}'" },
        { "{\"a\": 1e999}", "line 1, column 11: real number overflow near '1e999'" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        json_t *json = NULL;
        struct err err = { 0 };
        assert_int_equal(jread_parse(cases[i].text, strlen(cases[i].text), &json, &err),
                         ERR_INVALID);
        assert_string_equal(err_text(&err), cases[i].error);
        assert_null(json);
    }
    json_t *json = NULL;
    assert_int_equal(jread_parse("{\"a\": 1}garbage", 8, &json, NULL), 0);
    json_decref(json);
    assert_int_equal(jread_parse("{\"a\": \"\xff\"}", 10, &json, NULL), ERR_INVALID);
}

static void test_file(void **state)
{
    (void)state;
    char path[] = "/tmp/test_jread_XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "[1,]", 4), 4);
    close(fd);
    json_t *json = NULL;
    struct err err = { 0 };
    assert_int_equal(jread_file(path, &json, &err), ERR_INVALID);
    auto_free char *want = xprintf("%s: line 1, column 4: unexpected token near ']'", path);
    assert_string_equal(err_text(&err), want);
    unlink(path);
    assert_int_equal(jread_file(path, &json, &err), -ENOENT);
    assert_null(json);
}

static void test_path(void **state)
{
    (void)state;
    struct jpath root = { NULL, "launches", 0 }, element = { &root, NULL, 3 };
    struct jpath key = { &element, "grid", 0 }, last = { &key, NULL, 1 };
    struct err err = { 0 };
    assert_int_equal(jread_fail(&last, &err, "no %s", "good"), ERR_INVALID);
    assert_string_equal(err_text(&err), "launches[3].grid[1]: no good");
    assert_int_equal(jread_fail(NULL, &err, "no good"), ERR_INVALID);
    assert_string_equal(err_text(&err), "no good");
    assert_int_equal(jread_fail(&last, NULL, "no good"), ERR_INVALID);
    char text[32], small[9];
    jread_path(&last, text, sizeof(text));
    assert_string_equal(text, "launches[3].grid[1]");
    jread_path(&last, small, sizeof(small));
    assert_string_equal(small, "launches");
    jread_path(NULL, text, sizeof(text));
    assert_string_equal(text, "");
}

static void test_object(void **state)
{
    (void)state;
    static const char *const known[] = { "grid", "block", "shared" };
    struct err err = { 0 };
    struct jpath at = { NULL, "launch", 0 };
    json_t *json = json_loads("{\"grid\": 1, \"blocks\": 2}", 0, NULL);
    assert_int_equal(jread_object(json, &at, known, 3, &err), ERR_INVALID);
    assert_string_equal(err_text(&err), "launch.blocks: unknown key, did you mean \"block\"?");
    json_object_del(json, "blocks");
    assert_int_equal(jread_object(json, &at, known, 3, &err), 0);
    json_object_set_new(json, "wavefront", json_null());
    assert_int_equal(jread_object(json, &at, known, 3, &err), ERR_INVALID);
    assert_string_equal(err_text(&err), "launch.wavefront: unknown key");
    json_decref(json);
    assert_int_equal(jread_object(NULL, &at, known, 3, &err), ERR_INVALID);
    assert_string_equal(err_text(&err), "launch: expected an object, got null");
}

static json_t *sample(void)
{
    return json_loads("{\"s\": \"text\", \"i\": 5, \"r\": 2.5, \"b\": true, \"l\": [1, 2, 3]}", 0,
                      NULL);
}

/* Each reader: what is there, what is absent, what is of another kind, what is out of range. */
static void test_members(void **state)
{
    (void)state;
    json_t *json = sample();
    const char *s = "untouched";
    int64_t i = -1;
    double r = -1;
    bool b = false;
    const json_t *l = NULL;
    assert_int_equal(jread_string(json, "s", true, NULL, &s, NULL), 0);
    assert_string_equal(s, "text");
    assert_int_equal(jread_int(json, "i", true, 5, 5, NULL, &i, NULL), 0);
    assert_int_equal(i, 5);
    assert_int_equal(jread_real(json, "r", true, 2.5, 3, NULL, &r, NULL), 0);
    assert_true(r == 2.5);
    assert_int_equal(jread_real(json, "i", true, 0, 9, NULL, &r, NULL), 0);
    assert_true(r == 5);
    assert_int_equal(jread_bool(json, "b", true, NULL, &b, NULL), 0);
    assert_true(b);
    assert_int_equal(jread_array(json, "l", true, 3, NULL, &l, NULL), 0);
    assert_int_equal(json_array_size(l), 3);
    json_decref(json);
}

static void test_absent(void **state)
{
    (void)state;
    json_t *json = sample();
    const char *s = "untouched";
    int64_t i = -1;
    struct err err = { 0 };
    struct jpath at = { NULL, "top", 0 };
    assert_int_equal(jread_string(json, "none", false, &at, &s, &err), 0);
    assert_int_equal(jread_int(json, "none", false, 0, 1, &at, &i, &err), 0);
    assert_string_equal(s, "untouched");
    assert_int_equal(i, -1);
    assert_int_equal(jread_int(json, "none", true, 0, 1, &at, &i, &err), ERR_INVALID);
    assert_string_equal(err_text(&err), "top: the key \"none\" is missing");
    json_decref(json);
}

static void test_wrong(void **state)
{
    (void)state;
    json_t *json = sample();
    const char *s = "untouched";
    int64_t i = -1;
    double r = -1;
    bool b = true;
    const json_t *l = NULL;
    struct err err = { 0 };
    assert_int_equal(jread_string(json, "i", true, NULL, &s, &err), ERR_INVALID);
    assert_string_equal(err_text(&err), "i: expected a string, got an integer");
    assert_int_equal(jread_int(json, "r", true, 0, 9, NULL, &i, &err), ERR_INVALID);
    assert_string_equal(err_text(&err), "r: expected an integer, got a real number");
    assert_int_equal(jread_int(json, "i", true, 6, 9, NULL, &i, &err), ERR_INVALID);
    assert_string_equal(err_text(&err), "i: 5 is outside 6..9");
    assert_int_equal(jread_int(json, "i", true, 0, 4, NULL, &i, &err), ERR_INVALID);
    assert_int_equal(jread_real(json, "s", true, 0, 1, NULL, &r, &err), ERR_INVALID);
    assert_string_equal(err_text(&err), "s: expected a number, got a string");
    assert_int_equal(jread_real(json, "r", true, 0, 2, NULL, &r, &err), ERR_INVALID);
    assert_string_equal(err_text(&err), "r: 2.5 is outside 0..2");
    assert_int_equal(jread_bool(json, "i", true, NULL, &b, &err), ERR_INVALID);
    assert_string_equal(err_text(&err), "i: expected true or false, got an integer");
    assert_int_equal(jread_array(json, "l", true, 2, NULL, &l, &err), ERR_INVALID);
    assert_string_equal(err_text(&err), "l: 3 elements, 2 at most");
    assert_int_equal(jread_array(json, "b", true, 2, NULL, &l, &err), ERR_INVALID);
    assert_string_equal(err_text(&err), "b: expected an array, got true");
    assert_string_equal(s, "untouched");
    assert_true(i == -1 && r == -1 && b && !l);
    json_decref(json);
}

static void test_canonical(void **state)
{
    (void)state;
    json_t *a = json_loads("{\"b\": [1, 2.5, null], \"a\": {\"y\": true, \"x\": \"\xc3\xa9\"}}", 0,
                           NULL);
    json_t *b = json_loads("{\"a\":{\"x\":\"\\u00e9\",\"y\":true},\"b\":[1,2.5,null]}", 0, NULL);
    auto_free char *one = json_canonical(a);
    auto_free char *two = json_canonical(b);
    assert_string_equal(one, "{\"a\":{\"x\":\"\xc3\xa9\",\"y\":true},\"b\":[1,2.5,null]}");
    assert_string_equal(one, two);
    json_decref(a);
    json_decref(b);
}

static void test_pretty(void **state)
{
    (void)state;
    static const char text[]
        = "{\n"
          "  \"format\": 1,\n"
          "  \"long\": [\n"
          "    {\"kernel\": \"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\", \"grid\": [\"rows\", 2]},\n"
          "    {\"kernel\": \"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\", \"grid\": []}\n"
          "  ],\n"
          "  \"tags\": {\"a\": \"\\\"\", \"b\": null}\n"
          "}\n";
    json_t *json = json_loads(text, 0, NULL);
    auto_free char *pretty = json_pretty(json);
    assert_string_equal(pretty, text);
    json_decref(json);
    json = json_integer(7);
    auto_free char *number = json_pretty(json);
    assert_string_equal(number, "7\n");
    json_decref(json);
}

static void expect_text(const char *bytes, size_t len, const char *want)
{
    json_t *json = json_text(bytes, len);
    assert_string_equal(json_string_value(json), want);
    assert_int_equal(json_string_length(json), strlen(want));
    json_decref(json);
}

/* Whole sequences stay, whatever isn't one becomes a question mark a byte (RFC 3629). */
static void test_text(void **state)
{
    (void)state;
    expect_text("", 0, "");
    expect_text("plain", 5, "plain");
    expect_text("plain", 3, "pla");
    expect_text("a\0b", 3, "a?b");
    expect_text("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", 9, "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80");
    expect_text("\xc3", 1, "?");
    expect_text("\xe2\x82", 2, "??");
    expect_text("\xc0\x80", 2, "??");
    expect_text("\xe0\x80\x80", 3, "???");
    expect_text("\xed\xa0\x80", 3, "???");
    expect_text("\xf4\x90\x80\x80", 4, "????");
    expect_text("\xf0\x80\x80\x80", 4, "????");
    expect_text("\xff\xfe", 2, "??");
    expect_text("x\xc3(", 3, "x?(");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse),   cmocka_unit_test(test_file),
        cmocka_unit_test(test_path),    cmocka_unit_test(test_object),
        cmocka_unit_test(test_members), cmocka_unit_test(test_absent),
        cmocka_unit_test(test_wrong),   cmocka_unit_test(test_canonical),
        cmocka_unit_test(test_text),    cmocka_unit_test(test_pretty),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
