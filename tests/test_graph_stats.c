/* SPDX-License-Identifier: MIT */
/* Contexts and their ladder, tallies, the table of statistics, shrinkage by numbers worked out by
 * hand. */
#include "base/util.h"
#include "graph/estimate.h"

#include <math.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#define assert_near(a, b) assert_true(fabs((a) - (b)) < 1e-12)

static struct context softmax(bool modelled)
{
    struct context context;
    assert_int_equal(context_init(&context, "softmax", "memory_bound", "sm_90a", modelled, NULL),
                     0);
    return context;
}

static void test_keys_of_the_ladder(void **state)
{
    (void)state;
    struct context context = softmax(false);
    static const char *const want[] = {"softmax|memory_bound|sm_90", "*|memory_bound|*", "*|*|*"};
    static const char *const want_model[] = {"softmax|memory_bound|sm_90-model",
                                             "*|memory_bound|*-model", "*|*|*-model"};
    for (int i = 0; i < CONTEXT_RUNGS; i++) {
        char key[CONTEXT_KEY_MAX];
        context_key(&context, (enum context_rung)i, key);
        assert_string_equal(key, want[i]);
        struct context model = softmax(true);
        context_key(&model, (enum context_rung)i, key);
        assert_string_equal(key, want_model[i]);
    }
}

static void test_exact_key_parses_back(void **state)
{
    (void)state;
    for (int modelled = 0; modelled < 2; modelled++) {
        struct context context = softmax(modelled), back;
        char key[CONTEXT_KEY_MAX], again[CONTEXT_KEY_MAX];
        context_key(&context, CONTEXT_RUNG_EXACT, key);
        assert_int_equal(context_parse(key, &back, NULL), 0);
        context_key(&back, CONTEXT_RUNG_EXACT, again);
        assert_string_equal(key, again);
        assert_int_equal(back.modelled, modelled);
    }
    struct context back;
    assert_int_equal(context_parse("softmax|memory_bound", &back, NULL), ERR_INVALID);
    assert_int_equal(context_parse("*|memory_bound|sm_90", &back, NULL), ERR_INVALID);
}

/* Only the letter after the number says nothing about the machine. */
static void test_letters_of_architectures(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"sm_100f", "sm_100"}, {"sm_9ry", "sm_9ry"}, {"sm_a", "sm_a"}, {"cpu", "cpu"}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct context context;
        assert_int_equal(context_init(&context, "softmax", "none", cases[i][0], false, NULL), 0);
        assert_string_equal(context.arch, cases[i][1]);
    }
}

static void test_bad_contexts(void **state)
{
    (void)state;
    struct context context = {.family = "kept"};
    struct err err = {0};
    assert_int_equal(context_init(&context, "softmax", "memory_bond", "sm_90", false, &err),
                     ERR_INVALID);
    assert_non_null(strstr(err.text, "did you mean \"memory_bound\""));
    assert_int_equal(context_init(&context, "a|b", "none", "sm_90", false, &err), ERR_INVALID);
    assert_int_equal(context_init(&context, "a/b", "none", "sm_90", false, &err), ERR_INVALID);
    assert_int_equal(context_init(&context, "", "none", "sm_90", false, &err), ERR_INVALID);
    assert_int_equal(context_init(&context, "a", "none", NULL, false, &err), ERR_INVALID);
    assert_int_equal(context_init(&context, "a", "none", "sm_90-model", false, &err), ERR_INVALID);
    char longest[CONTEXT_FAMILY_MAX + 1];
    memset(longest, 'x', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    assert_int_equal(context_init(&context, longest, "none", "sm_90", false, &err), ERR_TOOBIG);
    assert_string_equal(context.family, "kept");
    longest[CONTEXT_FAMILY_MAX - 1] = '\0';
    assert_int_equal(context_init(&context, longest, "none", "sm_90", false, &err), 0);
}

static void test_architectures(void **state)
{
    (void)state;
    static const struct {
        const char *arch, *entry;
        bool match;
    } cases[] = {
        {"sm_90", "sm_90", true},    {"sm_90", "sm_90a", true},  {"sm_90", "sm_80", false},
        {"sm_90", "sm_80+", true},   {"sm_80", "sm_90+", false}, {"sm_100", "sm_90+", true},
        {"sm_100", "sm_100f", true}, {"cpu", "cpu", true},       {"cpu", "sm_80+", false},
        {"sm_120", "sm_12", false},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_int_equal(context_arch_matches(cases[i].arch, cases[i].entry), cases[i].match);
    }
}

static void test_tally_by_hand(void **state)
{
    (void)state;
    struct tally tally = {0};
    tally_add(&tally, 0.1, false);
    tally_add(&tally, 0.5, false);
    tally_add(&tally, 0.9, true); /* a failure counts as the loss, whatever gain came with it */
    /* 0.1, 0.5, -0.3: mean 0.1, squares 0 + 0.16 + 0.16. */
    assert_int_equal(tally.n, 3);
    assert_int_equal(tally.failures, 1);
    assert_near(tally.mean, 0.1);
    assert_near(tally.m2, 0.32);
    assert_near(tally_variance(&tally), 0.16);
}

static void test_gains(void **state)
{
    (void)state;
    assert_near(tally_gain(2, 1), log(2));
    assert_near(tally_gain(1, 1.1), log(1 / 1.1));
    /* Nothing that runs is worse than a failure; one freak can't own a mean. */
    assert_near(tally_gain(1, 100), -TALLY_FAILURE_LOSS);
    assert_near(tally_gain(1e6, 1), TALLY_GAIN_MOST);
    assert_near(tally_value(-5, false), -TALLY_FAILURE_LOSS);
    assert_near(tally_value(5, true), -TALLY_FAILURE_LOSS);
}

static void test_merge_is_adding(void **state)
{
    (void)state;
    const double gains[] = {0.3, -0.1, 0.7, 0.2, 1.4, 0};
    for (size_t cut = 0; cut <= ARRAY_LEN(gains); cut++) {
        struct tally whole = {0}, left = {0}, right = {0};
        for (size_t i = 0; i < ARRAY_LEN(gains); i++) {
            tally_add(&whole, gains[i], i == 1);
            tally_add(i < cut ? &left : &right, gains[i], i == 1);
        }
        tally_merge(&left, &right);
        assert_int_equal(left.n, whole.n);
        assert_int_equal(left.failures, whole.failures);
        assert_near(left.mean, whole.mean);
        assert_near(left.m2, whole.m2);
    }
}

static void test_impossible_tallies(void **state)
{
    (void)state;
    const struct tally bad[] = {
        {.n = -1},
        {.n = 1, .failures = 2},
        {.n = 1, .failures = -1},
        {.n = 1, .mean = NAN},
        {.n = 1, .mean = 3},
        {.n = 1, .mean = -1},
        {.n = 2, .m2 = -1},
        {.n = 2, .m2 = INFINITY},
    };
    struct stats *stats = stats_new();
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_false(tally_valid(&bad[i]));
        assert_int_equal(stats_set(stats, "direction/a/*|*|*", &bad[i], NULL), ERR_INVALID);
    }
    assert_int_equal(stats_count(stats), 0);
    const struct tally rounding = {.n = 1, .mean = 0.2, .m2 = -1e-12};
    assert_int_equal(stats_set(stats, "direction/a/*|*|*", &rounding, NULL), 0);
    assert_true(stats_find(stats, "direction/a/*|*|*")->m2 >= 0);
    stats_free(stats);
}

static void test_shrinkage_by_hand(void **state)
{
    (void)state;
    const struct tally tally = {.n = 6, .mean = 0.5, .m2 = 0.3};
    /* (6*0.5 + 3*0.2) / 9 = 0.4; (0.3 + 3*0.09) / 9 = 0.19/3 */
    assert_near(tally_shrink_mean(&tally, 3, 0.2), 0.4);
    assert_near(tally_shrink_variance(&tally, 3, 0.09), 0.57 / 9);
}

static void test_keys(void **state)
{
    (void)state;
    char key[STATS_KEY_MAX];
    stats_key(STATS_KIND_TRANSITION, "fusion", "data-reuse", "*|*|*", key);
    assert_string_equal(key, "transition/fusion>data-reuse/*|*|*");
    enum stats_kind kind;
    const char *node, *where;
    size_t len;
    assert_int_equal(stats_key_parse(key, &kind, &node, &len, &where, NULL), 0);
    assert_int_equal(kind, STATS_KIND_TRANSITION);
    assert_int_equal(len, strlen("fusion>data-reuse"));
    assert_memory_equal(node, "fusion>data-reuse", len);
    assert_string_equal(where, "*|*|*");
    static const char *const bad[] = {"",
                                      "direction",
                                      "direction/a",
                                      "direction/a/",
                                      "direction//b",
                                      "directions/a/b",
                                      "direction/a/b/c",
                                      "direction/a>b/c",
                                      "transition/a/c"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_int_equal(stats_key_parse(bad[i], &kind, &node, &len, &where, NULL), ERR_INVALID);
    }
}

static void test_table_of_many(void **state)
{
    (void)state;
    struct stats *stats = stats_new();
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 5000; i++) {
            char key[STATS_KEY_MAX];
            snprintf(key, sizeof(key), "strategy/s%d/*|*|*", i);
            assert_int_equal(stats_add(stats, key, i % 10 / 10.0, false, NULL), 0);
        }
    }
    assert_int_equal(stats_count(stats), 5000);
    for (int i = 0; i < 5000; i++) {
        char key[STATS_KEY_MAX];
        snprintf(key, sizeof(key), "strategy/s%d/*|*|*", i);
        const struct tally *tally;
        assert_string_equal(stats_at(stats, (size_t)i, &tally), key);
        assert_ptr_equal(tally, stats_find(stats, key));
        assert_int_equal(tally->n, 2);
        assert_near(tally->mean, i % 10 / 10.0);
    }
    assert_null(stats_find(stats, "strategy/s5000/*|*|*"));
    assert_int_equal(stats_add(stats, "nonsense", 0, false, NULL), ERR_INVALID);
    stats_free(stats);
}

static void put(struct htg *htg, const char *key, int64_t n, double mean, double m2)
{
    struct tally tally = {.n = n, .mean = mean, .m2 = m2};
    assert_int_equal(htg_stat_set(htg, key, &tally, NULL), 0);
}

static void read_a(const struct htg *htg, const struct context *context, struct estimate *ret)
{
    struct ladder ladder;
    view_direction(view_of(htg, context), 0, &ladder);
    estimate_read(&ladder, 0.2, 3, ret);
    assert_near(estimate_mean(&ladder, 0.2, 3), ret->mean);
}

static void test_ladder_backs_off(void **state)
{
    (void)state;
    struct htg *htg = htg_new();
    assert_int_equal(htg_add_direction(htg, &(struct htg_direction){.id = "a"}, NULL), 0);
    struct context context = softmax(false);
    struct estimate e;
    read_a(htg, &context, &e);
    assert_int_equal(e.level, CONTEXT_RUNGS);
    assert_near(e.mean, 0.2);
    assert_near(e.variance, ESTIMATE_PRIOR_VARIANCE);
    assert_near(e.share, 0);
    assert_near(estimate_doubt(&e, 3), sqrt(0.09 / 3));

    put(htg, "direction/a/*|*|*", 3, 0.6, 0.03);
    read_a(htg, &context, &e);
    assert_int_equal(e.level, CONTEXT_RUNG_EVERYWHERE);
    assert_near(e.mean, 0.4);      /* (3*0.6 + 3*0.2) / 6 */
    assert_near(e.variance, 0.05); /* (0.03 + 3*0.09) / 6 */
    assert_near(e.share, 0.5);

    put(htg, "direction/a/*|memory_bound|*", 1, 0.0, 0);
    read_a(htg, &context, &e);
    assert_int_equal(e.level, CONTEXT_RUNG_CLASS);
    assert_near(e.mean, 0.3); /* (0 + 3*0.4) / 4 */
    assert_near(e.share, 1 - 0.5 * 0.75);

    put(htg, "direction/a/softmax|memory_bound|sm_90", 6, 0.9, 0.3);
    read_a(htg, &context, &e);
    assert_int_equal(e.level, CONTEXT_RUNG_EXACT);
    assert_near(e.mean, 0.7); /* (6*0.9 + 3*0.3) / 9 */
    assert_near(estimate_doubt(&e, 3), sqrt(e.variance / 9));

    /* Another architecture reads the same upper rungs; a model reads none of a measurement's. */
    struct context other;
    assert_int_equal(context_init(&other, "softmax", "memory_bound", "sm_100", false, NULL), 0);
    read_a(htg, &other, &e);
    assert_near(e.mean, 0.3);
    other = softmax(true);
    read_a(htg, &other, &e);
    assert_int_equal(e.level, CONTEXT_RUNGS);
    htg_free(htg);
}

static void test_estimate_json(void **state)
{
    (void)state;
    struct estimate e = {.prior = 0.123456789, .rung = {{3, 1, 1.0 / 3, 0.7}, {0}, {9, 2, 0.1, 2}}};
    estimate_climb(&e, 3);
    auto_buf struct buf text;
    buf_init(&text, 1 << 12);
    estimate_write(&(struct jwriter){&text, false}, NULL, &e);
    json_t *json = json_loads(text.at, 0, NULL);
    struct estimate back;
    assert_int_equal(estimate_parse(json, NULL, 3, &back, NULL), 0);
    assert_memory_equal(&e, &back, sizeof(e));
    json_object_set_new(json, "mean", json_real(0.9));
    struct err err = {0};
    assert_int_equal(estimate_parse(json, NULL, 3, &back, &err), ERR_INVALID);
    assert_non_null(strstr(err.text, "its evidence"));
    json_decref(json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keys_of_the_ladder),
        cmocka_unit_test(test_exact_key_parses_back),
        cmocka_unit_test(test_letters_of_architectures),
        cmocka_unit_test(test_bad_contexts),
        cmocka_unit_test(test_architectures),
        cmocka_unit_test(test_tally_by_hand),
        cmocka_unit_test(test_gains),
        cmocka_unit_test(test_merge_is_adding),
        cmocka_unit_test(test_impossible_tallies),
        cmocka_unit_test(test_shrinkage_by_hand),
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_table_of_many),
        cmocka_unit_test(test_ladder_backs_off),
        cmocka_unit_test(test_estimate_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
