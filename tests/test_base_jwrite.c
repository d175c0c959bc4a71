/* SPDX-License-Identifier: MIT */
#include "base/jwrite.h"
#include "base/rng.h"
#include "base/util.h"

#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static void test_reals_as_text(void **state)
{
    (void)state;
    static const struct {
        double value;
        const char *text;
    } cases[] = {
        { 0, "0.0" },           { -0.0, "-0.0" },        { 1, "1.0" },
        { 0.1, "0.1" },         { -2.5, "-2.5" },        { 100, "100.0" },
        { 0.000123, "0.000123" }, { 1e-9, "0.000000001" }, { 123456.789012, "123456.789012" },
        { 999999999999999.0, "999999999999999.0" },      { 0.05, "0.05" },
        { 1e14, "100000000000000.0" }, { 1e22, "1e+22" }, { 12345678901.1234, "12345678901.1234" },
        { 0.1 + 0.2, "0.30000000000000004" },            { 1e300, "1.0000000000000001e+300" },
        { 9007199254740993.0, "9007199254740992.0" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char text[JSON_REAL_MAX];
        size_t n = json_real_text(cases[i].value, text);
        assert_string_equal(text, cases[i].text);
        assert_int_equal(n, strlen(text));
    }
}

static void read_back(double value)
{
    char text[JSON_REAL_MAX];
    json_real_text(value, text);
    double back = strtod(text, NULL);
    if (memcmp(&back, &value, sizeof(value)) != 0) {
        fail_msg("%.17g was written as %s", value, text);
    }
}

/* Bits of every kind, and decimals of every length around every power of ten. */
static void test_reals_read_back(void **state)
{
    (void)state;
    struct rng rng;
    rng_init(&rng, 5, 0, 0);
    for (int i = 0; i < 200000; i++) {
        uint64_t bits = rng_u64(&rng);
        double value;
        memcpy(&value, &bits, sizeof(value));
        if (isfinite(value)) {
            read_back(value);
        }
        double scale = pow(10, (double)rng_below(&rng, 30) - 15);
        read_back(rng_normal(&rng) * scale);
        read_back(rint(rng_normal(&rng) * 1e6) / 1e6);
        double m = (double)rng_below(&rng, 1000000000000000);
        read_back(m / pow(10, (double)rng_below(&rng, 23)));
    }
    const double edges[] = { DBL_MAX, DBL_MIN, DBL_TRUE_MIN, 1e15, 1e16, 1e-22, 1e-23,
                             nextafter(1e15, 0), nextafter(1, 2), nextafter(0.1, 0) };
    for (size_t i = 0; i < ARRAY_LEN(edges); i++) {
        read_back(edges[i]);
        read_back(-edges[i]);
    }
}

/* A document of all kinds of values, deep enough to nest. */
static json_t *draw_value(struct rng *rng, int depth)
{
    static const char *const strings[]
        = { "", "plain", "\"\\/\b\f\n\r\t", "\x01\x1f\x7f", "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80" };
    switch (rng_below(rng, depth > 0 ? 8 : 6)) {
    case 0: return json_integer((json_int_t)rng_u64(rng) >> rng_below(rng, 64));
    case 1: return json_real(rng_normal(rng));
    case 2: return json_true();
    case 3: return json_false();
    case 4: return json_null();
    case 5: return json_string(strings[rng_below(rng, ARRAY_LEN(strings))]);
    case 6: {
        json_t *array = json_array();
        for (uint64_t n = rng_below(rng, 5); n > 0; n--) {
            json_array_append_new(array, draw_value(rng, depth - 1));
        }
        return array;
    }
    default: {
        json_t *object = json_object();
        for (uint64_t n = rng_below(rng, rng_below(rng, 8) == 0 ? 80 : 6); n > 0; n--) {
            auto_free char *key = xprintf("%s%llu", strings[rng_below(rng, ARRAY_LEN(strings))],
                                          (unsigned long long)rng_below(rng, 100));
            json_object_set_new(object, key, draw_value(rng, depth - 1));
        }
        return object;
    }
    }
}

/* Number for number what jansson would have written, but for the digits of reals. */
static void test_documents_read_back(void **state)
{
    (void)state;
    struct rng rng;
    rng_init(&rng, 11, 0, 0);
    for (int i = 0; i < 3000; i++) {
        json_t *value = draw_value(&rng, 4);
        auto_free char *sorted = json_canonical(value), *plain = json_compact(value);
        json_t *a = json_loads(sorted, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, NULL);
        json_t *b = json_loads(plain, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, NULL);
        assert_true(json_equal(value, a));
        assert_true(json_equal(value, b));
        int flags = JSON_COMPACT | JSON_ENCODE_ANY;
        auto_free char *theirs = json_dumps(b, flags), *ours = json_dumps(value, flags);
        assert_string_equal(theirs, ours); /* the order of members too */
        auto_free char *again = json_canonical(b);
        assert_string_equal(again, sorted);
        json_decref(value);
        json_decref(a);
        json_decref(b);
    }
}

static void test_as_jansson_where_no_real_is(void **state)
{
    (void)state;
    json_t *value = json_loads("{\"b\": [1, -9223372036854775808, 9223372036854775807, null], \"a\": "
                               "{\"\\u0001\\\"\\\\\": \"\\n\\r\\t\\b\\f/\\u00e9\"}, \"c\": {}, \"d\": []}",
                               0, NULL);
    assert_non_null(value);
    auto_free char *ours = json_canonical(value);
    auto_free char *theirs = json_dumps(value, JSON_COMPACT | JSON_SORT_KEYS);
    assert_string_equal(ours, theirs);
    json_decref(value);
}

static void test_a_full_buffer_shows(void **state)
{
    (void)state;
    json_t *value = json_pack("[s, s]", "0123456789", "0123456789");
    struct buf out;
    buf_init(&out, 16);
    json_write(value, false, &out);
    assert_int_equal(out.failed, ERR_TOOBIG);
    assert_true(out.len <= 16);
    buf_done(&out);
    json_decref(value);
}

static void test_text_without_a_tree(void **state)
{
    (void)state;
    auto_buf struct buf out;
    buf_init(&out, 1 << 10);
    struct jwriter w = { &out, false };
    json_t *tree = json_pack("[i, f]", 1, 0.25);
    jwrite_open(&w, NULL, '{');
    jwrite_open(&w, "a", '[');
    jwrite_close(&w, ']');
    jwrite_open(&w, "b", '[');
    jwrite_open(&w, NULL, '{');
    jwrite_close(&w, '}');
    jwrite_int(&w, NULL, INT64_MIN);
    jwrite_real(&w, NULL, 0.5);
    jwrite_close(&w, ']');
    jwrite_string(&w, "q\"", "line\n");
    jwrite_string(&w, "bytes", "a\xff\xc3\xa9\xc3");
    jwrite_bool(&w, "yes", true);
    jwrite_null(&w, "no");
    jwrite_tree(&w, "tree", tree);
    jwrite_json(&w, "text", "{}");
    jwrite_close(&w, '}');
    assert_int_equal(out.failed, 0);
    assert_string_equal(out.at, "{\"a\":[],\"b\":[{},-9223372036854775808,0.5],\"q\\\"\":\"line\\n\","
                                "\"bytes\":\"a?\xc3\xa9?\",\"yes\":true,\"no\":null,\"tree\":[1,0.25],\"text\":{}}");
    json_decref(tree);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reals_as_text),
        cmocka_unit_test(test_reals_read_back),
        cmocka_unit_test(test_documents_read_back),
        cmocka_unit_test(test_as_jansson_where_no_real_is),
        cmocka_unit_test(test_a_full_buffer_shows),
        cmocka_unit_test(test_text_without_a_tree),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
