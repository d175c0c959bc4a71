/* SPDX-License-Identifier: MIT */
/*
 * The forest: what every tree must keep to, the same forest whoever grew it, and the bitmaps' answer
 * against walking the trees.
 */
#include "agent/tune/forest.h"
#include "base/rng.h"
#include "base/util.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

/* Rows of a space with some structure; label 1: the fastest tenth of the first n_train. */
struct data {
    size_t n, d, n_train;
    float *x;
    double *y;
    uint8_t *label;
    double *weight;
};

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void label_data(struct data *data)
{
    auto_free double *sorted = xcalloc(data->n_train, sizeof(*sorted));
    memcpy(sorted, data->y, data->n_train * sizeof(*sorted));
    qsort(sorted, data->n_train, sizeof(*sorted), by_value);
    double threshold = sorted[data->n_train / 10], sum = 0, ones = 0;
    for (size_t i = 0; i < data->n; i++) {
        data->label[i] = data->y[i] <= threshold;
        data->weight[i] = data->label[i] ? fmax(1e-5, threshold - data->y[i]) : 1;
        sum += data->label[i] && i < data->n_train ? data->weight[i] : 0;
        ones += data->label[i] && i < data->n_train;
    }
    for (size_t i = 0; i < data->n; i++) {
        data->weight[i] /= data->label[i] ? sum / ones : 1;
    }
}

static struct data make(size_t n, size_t n_train, size_t d, uint32_t values, uint64_t seed)
{
    struct data data = { .n = n, .d = d, .n_train = n_train, .x = xcalloc(n * d, sizeof(float)),
                         .y = xcalloc(n, sizeof(double)), .label = xcalloc(n, 1),
                         .weight = xcalloc(n, sizeof(double)) };
    struct rng rng;
    rng_init(&rng, seed, 7, 0);
    for (size_t i = 0; i < n; i++) {
        float *row = data.x + i * d;
        for (size_t j = 0; j < d; j++) {
            row[j] = (float)rng_below(&rng, j % 3 == 0 ? 2 : values);
            data.y[i] += sin(1.0 + (double)j) * (double)row[j] / values;
        }
        data.y[i] += row[0] > 0 && row[d / 2] > 1 ? 1 : 0;
    }
    label_data(&data);
    return data;
}

static void drop(struct data *data)
{
    free(data->x);
    free(data->y);
    free(data->label);
    free(data->weight);
}

static struct forest *fit(const struct data *data, struct forest_options options)
{
    return forest_fit(data->x, data->n_train, data->d, data->label, data->weight, &options);
}

/* A row that a tree drew is told apart from the others, so a large forest knows its training rows. */
static void test_training_rows_are_learned(void **state)
{
    (void)state;
    struct data data = make(400, 400, 10, 9, 1);
    struct forest *forest = fit(&data, (struct forest_options) { .seed = 5 });
    auto_free float *p = xcalloc(data.n, sizeof(*p));
    forest_predict(forest, data.x, data.n, 1, p);
    for (size_t i = 0; i < data.n; i++) {
        assert_true(data.label[i] || p[i] < 0.5);
    }
    assert_int_equal(forest_trees(forest), 100);
    forest_free(forest);
    drop(&data);
}

static void check_ranking(struct data *data, struct forest_options options)
{
    struct forest *forest = fit(data, options);
    auto_free float *p = xcalloc(data->n, sizeof(*p)), *one = xcalloc(data->n, sizeof(*one));
    auto_free double *sum = xcalloc(data->n, sizeof(*sum));
    forest_predict(forest, data->x, data->n, 1, p);
    for (unsigned t = 0; t < forest_trees(forest); t++) {
        forest_predict_tree(forest, t, data->x, data->n, one);
        for (size_t i = 0; i < data->n; i++) {
            sum[i] += (double)one[i];
        }
    }
    for (size_t i = 0; i < data->n; i++) {
        assert_true(fabs(sum[i] / forest_trees(forest) - (double)p[i]) < 1e-6);
    }
    forest_free(forest);
}

/* Odd sizes: a block that isn't full, a word that isn't, more blocks than one; mixed leaves. */
static void test_bitmaps_agree_with_the_trees(void **state)
{
    (void)state;
    static const size_t rows[] = { 100, 129, 4096, 9001 };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct data data = make(rows[i], 100, 7, 6, i);
        check_ranking(&data, (struct forest_options) { .seed = i, .trees = 30 });
        check_ranking(&data, (struct forest_options) { .seed = i, .trees = 7, .min_leaf = 5 });
        check_ranking(&data, (struct forest_options) { .seed = i, .trees = 33, .max_depth = 3 });
        drop(&data);
    }
    struct data wide = make(3000, 500, 5, 100000, 3); /* nearly every value is another one */
    check_ranking(&wide, (struct forest_options) { .seed = 1, .trees = 20 });
    drop(&wide);
}

static void test_threads_change_nothing(void **state)
{
    (void)state;
    struct data data = make(9000, 300, 12, 5, 2);
    auto_free float *p = xcalloc(data.n, sizeof(*p)), *q = xcalloc(data.n, sizeof(*q));
    struct forest *one = fit(&data, (struct forest_options) { .seed = 9, .threads = 1 });
    struct forest *many = fit(&data, (struct forest_options) { .seed = 9, .threads = 3 });
    struct forest *other = fit(&data, (struct forest_options) { .seed = 10 });
    forest_predict(one, data.x, data.n, 1, p);
    forest_predict(many, data.x, data.n, 3, q);
    assert_memory_equal(p, q, data.n * sizeof(*p));
    forest_predict(other, data.x, data.n, 1, q);
    assert_memory_not_equal(p, q, data.n * sizeof(*p));
    double a[12], b[12];
    forest_importance(one, a);
    forest_importance(many, b);
    assert_memory_equal(a, b, sizeof(a));
    forest_free(one);
    forest_free(many);
    forest_free(other);
    drop(&data);
}

static void test_min_leaf_and_depth_bite(void **state)
{
    (void)state;
    struct data data = make(300, 300, 8, 20, 4);
    struct forest *forest = fit(&data, (struct forest_options) { .seed = 1, .trees = 10,
                                                                 .max_depth = 2 });
    auto_free uint16_t *leaves = xcalloc(data.n * 10, sizeof(*leaves));
    size_t path[8];
    forest_leaves(forest, data.x, data.n, leaves);
    for (size_t i = 0; i < data.n * 10; i++) {
        assert_true(leaves[i] < 4);
    }
    for (unsigned t = 0; t < 10; t++) {
        assert_in_range(forest_path(forest, t, data.x, path), 1, 2);
    }
    forest_free(forest);
    forest = fit(&data, (struct forest_options) { .seed = 1, .trees = 10, .min_leaf = 95 });
    forest_leaves(forest, data.x, data.n, leaves);
    for (size_t i = 0; i < data.n * 10; i++) {
        assert_true(leaves[i] < 2); /* some 190 of 300 samples are drawn: two leaves at most */
    }
    forest_free(forest);
    drop(&data);
}

/* One feature decides alone: it is on every path, has all the importance, and the cut lies midway. */
static void test_one_feature_decides(void **state)
{
    (void)state;
    float x[40][3];
    uint8_t label[40];
    for (int i = 0; i < 40; i++) {
        x[i][0] = 1;
        x[i][1] = (float)(i < 20 ? i % 4 : 10 + i % 4);
        x[i][2] = 2;
        label[i] = i < 20;
    }
    struct forest_options options = { .trees = 16, .seed = 3 };
    struct forest *forest = forest_fit(&x[0][0], 40, 3, label, NULL, &options);
    double importance[3];
    forest_importance(forest, importance);
    assert_true(importance[1] == 1 && importance[0] == 0 && importance[2] == 0);
    size_t path[3];
    for (unsigned t = 0; t < 16; t++) {
        assert_int_equal(forest_path(forest, t, x[0], path), 1);
        assert_int_equal(path[0], 1);
    }
    const float rows[4][3] = { { 9, 3, 9 }, { 9, 4.9f, 0 }, { 0, 8.1f, 0 }, { 0, 1e30f, 0 } };
    float p[4];
    forest_predict(forest, &rows[0][0], 4, 1, p);
    assert_true(p[0] == 1 && p[1] > 0.5f && p[2] < 0.5f && p[3] == 0);
    forest_free(forest);
}

static void test_one_class_and_equal_rows(void **state)
{
    (void)state;
    float x[6] = { 1, 2, 3, 4, 5, 6 }, same[6] = { 7, 7, 7, 7, 7, 7 }, p[6];
    uint8_t zeros[6] = { 0 }, ones[6] = { 1, 1, 1, 1, 1, 1 }, mixed[6] = { 1, 0, 0, 0, 0, 0 };
    struct forest_options options = { .trees = 200, .seed = 1 };
    struct forest *forest = forest_fit(x, 6, 1, zeros, NULL, &options);
    forest_predict(forest, x, 6, 1, p);
    assert_true(p[0] == 0 && p[5] == 0);
    forest_free(forest);
    forest = forest_fit(x, 6, 1, ones, NULL, &options);
    forest_predict(forest, x, 6, 1, p);
    assert_true(p[0] == 1 && p[5] == 1);
    forest_free(forest);
    const double weight[6] = { 5, 1, 1, 1, 1, 1 }; /* half of all weight is class 1 */
    forest = forest_fit(same, 6, 1, mixed, weight, &options);
    forest_predict(forest, x, 6, 1, p);
    assert_true(p[0] == p[5] && p[0] > 0.3f && p[0] < 0.6f);
    forest_free(forest);
    forest_free(NULL);
}

static void test_weights_move_the_answer(void **state)
{
    (void)state;
    struct data data = make(200, 200, 3, 3, 6); /* 18 distinct rows: leaves are mixed */
    for (size_t i = 0; i < data.n; i++) {
        data.label[i] = i % 5 == 0;
        data.weight[i] = data.label[i] ? 10 : 1;
    }
    struct forest *plain = forest_fit(data.x, 200, 3, data.label, NULL,
                                      &(struct forest_options) { .seed = 1 });
    struct forest *heavy = fit(&data, (struct forest_options) { .seed = 1 });
    float p[200], q[200];
    forest_predict(plain, data.x, 200, 1, p);
    forest_predict(heavy, data.x, 200, 1, q);
    double before = 0, after = 0;
    for (size_t i = 0; i < 200; i++) {
        before += (double)p[i];
        after += (double)q[i];
    }
    assert_true(before < 60 && after > 110);
    forest_free(plain);
    forest_free(heavy);
    drop(&data);
}

/* Numbers: training rows come back nearly as they were, unseen ones far better than by the mean. */
static void test_numbers(void **state)
{
    (void)state;
    struct data data = make(2000, 1000, 6, 8, 5);
    struct forest *forest = forest_fit_numbers(data.x, 1000, 6, data.y, NULL,
                                               &(struct forest_options) { .seed = 2 });
    auto_free float *p = xcalloc(data.n, sizeof(*p)), *one = xcalloc(data.n, sizeof(*one));
    forest_predict(forest, data.x, data.n, 1, p);
    double mean = 0, wrong[2] = { 0, 0 }, by_mean[2] = { 0, 0 }, sum = 0;
    for (size_t i = 0; i < data.n; i++) {
        mean += data.y[i] / (double)data.n;
    }
    for (size_t i = 0; i < data.n; i++) {
        wrong[i >= 1000] += pow(data.y[i] - (double)p[i], 2);
        by_mean[i >= 1000] += pow(data.y[i] - mean, 2);
    }
    assert_true(wrong[0] < 0.05 * by_mean[0]);
    assert_true(wrong[1] < 0.2 * by_mean[1]);
    for (unsigned t = 0; t < 100; t++) {
        forest_predict_tree(forest, t, data.x + 1999 * 6, 1, one);
        sum += (double)one[0];
    }
    assert_true(fabs(sum / 100 - (double)p[1999]) < 1e-5);
    forest_free(forest);
    drop(&data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_training_rows_are_learned),
        cmocka_unit_test(test_bitmaps_agree_with_the_trees),
        cmocka_unit_test(test_threads_change_nothing),
        cmocka_unit_test(test_min_leaf_and_depth_bite),
        cmocka_unit_test(test_one_feature_decides),
        cmocka_unit_test(test_one_class_and_equal_rows),
        cmocka_unit_test(test_weights_move_the_answer),
        cmocka_unit_test(test_numbers),
    };
    return cmocka_run_group_tests_name("forest", tests, NULL, NULL);
}
