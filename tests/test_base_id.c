/* SPDX-License-Identifier: MIT */
#include "base/id.h"
#include "base/util.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

/*
 * The reference values come from Python: hashlib.blake2b(digest_size=32) over each part's length
 * as eight little-endian bytes and the part.
 */
static void test_known(void **state)
{
    (void)state;
    struct id id;
    char hex[ID_HEX], brief[ID_SHORT];
    id_of_bytes("", 0, &id);
    id_hex(&id, hex);
    assert_string_equal(hex,
                        "81e47a19e6b29b0a65b9591762ce5143ed30d0261e5d24a3201752506b20f15c");
    const struct id_part parts[] = { { "plan", 4 }, { "source", 6 } };
    id_of_parts(parts, 2, &id);
    id_hex(&id, hex);
    assert_string_equal(hex,
                        "f229d07b946a7aa6f4f1a73d7fe3f6cf4cc93f3fb786ddc85c59b7fe1e3af391");
    id_short(&id, brief);
    assert_int_equal(strlen(brief), 12);
    assert_true(str_prefix(hex, brief));
}

/* Bytes can't move from one part to the next without a new id. */
static void test_parts(void **state)
{
    (void)state;
    static const struct id_part lists[][3] = {
        { { "ab", 2 }, { "c", 1 }, { "", 0 } },
        { { "a", 1 }, { "bc", 2 }, { "", 0 } },
        { { "", 0 }, { "ab", 2 }, { "c", 1 } },
        { { "abc", 3 }, { "", 0 }, { "", 0 } },
    };
    struct id ids[ARRAY_LEN(lists) + 1];
    for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
        id_of_parts(lists[i], 3, &ids[i]);
    }
    id_of_parts(lists[3], 1, &ids[ARRAY_LEN(lists)]);
    for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
        for (size_t k = 0; k < i; k++) {
            assert_false(id_eq(&ids[i], &ids[k]));
        }
    }
    struct id whole;
    id_of_bytes("abc", 3, &whole);
    assert_true(id_eq(&whole, &ids[ARRAY_LEN(lists)]));
}

static void test_hex(void **state)
{
    (void)state;
    struct id id, back;
    char hex[ID_HEX];
    random_bytes(id.bytes, sizeof(id.bytes));
    id_hex(&id, hex);
    assert_true(id_parse(hex, &back));
    assert_true(id_eq(&id, &back));
    memset(&back, 7, sizeof(back));
    struct id before = back;
    hex[63] = 'g';
    assert_false(id_parse(hex, &back));
    hex[63] = '\0';
    assert_false(id_parse(hex, &back));
    assert_false(id_parse("", &back));
    assert_true(id_eq(&back, &before));
}

static void test_random(void **state)
{
    (void)state;
    unsigned char a[32] = { 0 }, b[32] = { 0 };
    random_bytes(a, sizeof(a));
    random_bytes(b, sizeof(b));
    assert_memory_not_equal(a, b, sizeof(a));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known), cmocka_unit_test(test_parts),
        cmocka_unit_test(test_hex),   cmocka_unit_test(test_random),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
