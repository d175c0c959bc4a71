/* SPDX-License-Identifier: MIT */
/*
 * The prior on made-up devices: a kernel of four parameters whose best config moves with the device.
 * It must find what carries over, see through other orders and other values, go on from few samples,
 * and never propose what was measured or isn't allowed.
 */
#include "agent/tune/prior.h"
#include "agent/tune/tuner.h"
#include "base/util.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { PARAMS = 4, FIRST = 5 };

static const double blocks[] = { 16, 32, 64, 128, 256, 512 }, tiles[] = { 1, 2, 3, 4, 5, 6, 7, 8 },
                    flags[] = { 0, 1 };
static const char *const block_texts[] = { "16", "32", "64", "128", "256", "512" },
                  *const tile_texts[] = { "1", "2", "3", "4", "5", "6", "7", "8" },
                  *const flag_texts[] = { "0", "1" }, *const order_texts[] = { "row", "col", "z" };

/* Which way a device leans, -1 to 1; what runs out of shared memory fails. */
static double time_of(double device, double block, double tile, double flag, double order)
{
    if (block * tile > 2048) {
        return NAN;
    }
    double y = 0.25 * fabs(log2(block) - 6.5 - device) + 0.1 * fabs(tile - 4 + 2 * device);
    y += flag > 0 ? -0.2 * device : 0;
    y += order == 0 ? 0 : order == 1 ? 0.2 : 0.5;
    return 3 * exp(y);
}

static int allows(const void *ud, const uint16_t *config)
{
    (void)ud;
    return !(config[0] == 0 && config[1] == 0); /* one corner is forbidden */
}

/* Six blocks, eight tiles, a switch, three words; listed or not. */
static struct tune_space *make_space(bool listed)
{
    struct arena *arena = arena_new();
    struct tune_space *space = arena_alloc(arena, 1, sizeof(*space));
    static const struct tune_param params[PARAMS] = {
        { .name = "BLOCK", .kind = TUNE_POW2, .n = 6, .values = blocks, .texts = block_texts },
        { .name = "TILE", .kind = TUNE_NUMBER, .n = 8, .values = tiles, .texts = tile_texts },
        { .name = "FLAG", .kind = TUNE_BOOL, .n = 2, .values = flags, .texts = flag_texts },
        { .name = "ORDER", .kind = TUNE_CHOICE, .n = 3, .texts = order_texts },
    };
    *space = (struct tune_space) { .arena = arena, .n = PARAMS, .allows = allows };
    space->params = arena_alloc(arena, PARAMS, sizeof(*space->params));
    memcpy(space->params, params, sizeof(params));
    if (listed) {
        space->listed = arena_alloc(arena, 6 * 8 * 2 * 3 * PARAMS, sizeof(*space->listed));
        for (uint16_t i = 0; i < 6 * 8 * 2 * 3; i++) {
            uint16_t config[PARAMS] = { i / 48, i / 6 % 8, i / 3 % 2, i % 3 };
            if (allows(NULL, config)) {
                memcpy(space->listed + space->n_listed++ * PARAMS, config, sizeof(config));
            }
        }
    }
    assert_int_equal(tune_space_seal(space, NULL), 0);
    return space;
}

static double time_at(const uint16_t *config, double device)
{
    return time_of(device, blocks[config[0]], tiles[config[1]], config[2], config[3]);
}

static double speed_at(const struct tune_space *listed, const uint16_t *config, double device)
{
    double best = INFINITY, time = time_at(config, device);
    for (size_t i = 0; i < listed->n_listed; i++) {
        best = fmin(best, time_at(listed->listed + i * PARAMS, device));
    }
    return isnan(time) ? 0 : best / time;
}

/* Adds what was measured on a device: every `step`-th config. */
static void add_device(struct prior *prior, const struct tune_space *space, double device, size_t step)
{
    auto_free uint16_t *configs = xcalloc(space->n_listed * PARAMS, sizeof(*configs));
    auto_free double *times = xcalloc(space->n_listed, sizeof(*times));
    size_t n = 0;
    for (size_t i = 0; i < space->n_listed; i += step, n++) {
        memcpy(configs + n * PARAMS, space->listed + i * PARAMS, PARAMS * sizeof(*configs));
        times[n] = time_at(configs + n * PARAMS, device);
    }
    struct prior_place place = { .kernel = "k", .vendor = "v", .sm_count = 100 + 10 * device };
    prior_add(prior, &place, space->params, PARAMS, configs, times, n);
}

static const struct prior_place here = { .kernel = "k", .vendor = "v", .sm_count = 100 };

static double best_of(const struct tune_space *space, const uint16_t *configs, size_t n, double device)
{
    double best = 0;
    for (size_t i = 0; i < n; i++) {
        best = fmax(best, speed_at(space, configs + i * PARAMS, device));
    }
    return best;
}

static void test_similarity(void **state)
{
    (void)state;
    const struct prior_size rows[] = { { "rows", 4096 } }, more[] = { { "rows", 8192 } };
    struct prior_place a = { .kernel = "k", .family = "f", .vendor = "v", .arch = "a",
                             .sm_count = 132, .n_shape = 1, .shape = rows };
    struct prior_place b = a, unknown = { 0 };
    assert_true(prior_similarity(&a, &a) == 1);
    assert_true(prior_similarity(&a, &unknown) == 1 && prior_similarity(&unknown, &a) == 1);
    b.shape = more;
    double shape = prior_similarity(&a, &b);
    assert_true(shape < 1 && shape > 0.7);
    b.arch = "b";
    double arch = prior_similarity(&a, &b);
    assert_true(arch < shape);
    b.vendor = "w";
    double vendor = prior_similarity(&a, &b);
    assert_true(vendor < 0.2 * arch && vendor > 0);
    b.kernel = "other";
    assert_true(prior_similarity(&a, &b) < vendor);
}

/* A device between those known, and one beyond them; five at once, then twelve one by one. */
static void test_new_devices(void **state)
{
    (void)state;
    static const double targets[] = { 0.2, -0.9 }, first[] = { 0.95, 0.8 };
    struct tune_space *space = make_space(true);
    struct prior *prior = prior_new();
    add_device(prior, space, -0.5, 1);
    add_device(prior, space, 0.1, 1);
    add_device(prior, space, 0.8, 1);
    for (size_t i = 0; i < ARRAY_LEN(targets); i++) {
        struct prior_guide *guide = prior_guide_new(prior, &here, space, 1);
        assert_int_equal(prior_guide_tunings(guide), 3);
        uint16_t configs[12][PARAMS];
        struct prior_sample own[12];
        assert_int_equal(prior_guide_next(guide, NULL, 0, FIRST, configs[0]), FIRST);
        assert_true(best_of(space, configs[0], FIRST, targets[i]) > first[i]);
        for (size_t k = 0; k < 12; k++) {
            assert_int_equal(prior_guide_next(guide, own, k, 1, configs[k]), 1);
            own[k] = (struct prior_sample) { configs[k], 7 * time_at(configs[k], targets[i]) };
        }
        assert_true(best_of(space, configs[0], 12, targets[i]) > 0.97);
        prior_guide_free(guide);
    }
    prior_free(prior);
    tune_space_free(space);
}

/* An earlier tuning that has it all the wrong way round: the controls show it. */
static void test_a_misleading_tuning(void **state)
{
    (void)state;
    struct tune_space *space = make_space(true);
    struct prior *prior = prior_new();
    auto_free double *times = xcalloc(space->n_listed, sizeof(*times));
    for (size_t i = 0; i < space->n_listed; i++) {
        times[i] = 1 / time_at(space->listed + i * PARAMS, 0);
    }
    prior_add(prior, &here, space->params, PARAMS, space->listed, times, space->n_listed);
    struct prior_guide *guide = prior_guide_new(prior, &here, space, 1);
    struct tuner_options options = { .algorithm = "prior", .budget = 40, .seed = 1, .guide = guide };
    struct tuner *tuner;
    uint16_t configs[40][PARAMS];
    size_t n = 0, got;
    assert_int_equal(tuner_new(space, &options, &tuner, NULL), 0);
    for (; n < 40 && (got = tuner_ask(tuner, 4, configs[n])) > 0; n += got) {
        for (size_t k = n; k < n + got; k++) {
            assert_int_equal(tuner_tell(tuner, configs[k], time_at(configs[k], 0), NULL), 0);
        }
    }
    assert_true(best_of(space, configs[0], FIRST, 0) < 0.6);
    assert_true(best_of(space, configs[0], n, 0) > 0.9);
    tuner_free(tuner);
    prior_guide_free(guide);
    prior_free(prior);
    tune_space_free(space);
}

/* Every tenth config was measured before; what lies between comes from the forest. */
static void test_few_samples(void **state)
{
    (void)state;
    struct tune_space *space = make_space(true);
    struct prior *prior = prior_new();
    add_device(prior, space, -0.2, 10);
    add_device(prior, space, 0.4, 7);
    struct prior_guide *guide = prior_guide_new(prior, &here, space, 1);
    uint16_t configs[FIRST][PARAMS];
    assert_int_equal(prior_guide_next(guide, NULL, 0, FIRST, configs[0]), FIRST);
    assert_true(best_of(space, configs[0], FIRST, 0) > 0.85);
    prior_guide_free(guide);
    prior_free(prior);
    tune_space_free(space);
}

/* An earlier tuning with its parameters in another order, other values, one more parameter. */
static void test_seen_from_another_space(void **state)
{
    (void)state;
    static const double other_blocks[] = { 8, 64, 128 }, stages[] = { 2, 3 };
    static const char *const other_texts[] = { "8", "64", "128" }, *const stage_texts[] = { "2", "3" },
                            *const words[] = { "z", "row" };
    struct tune_param params[] = {
        { .name = "STAGES", .kind = TUNE_NUMBER, .n = 2, .values = stages, .texts = stage_texts },
        { .name = "ORDER", .kind = TUNE_CHOICE, .n = 2, .texts = words },
        { .name = "BLOCK", .kind = TUNE_POW2, .n = 3, .values = other_blocks, .texts = other_texts },
        { .name = "FLAG", .kind = TUNE_BOOL, .n = 2, .values = flags, .texts = flag_texts },
        { .name = "TILE", .kind = TUNE_NUMBER, .n = 8, .values = tiles, .texts = tile_texts },
    };
    struct tune_space *space = make_space(true);
    struct prior *prior = prior_new();
    uint16_t configs[2 * 2 * 3 * 2 * 8][5];
    double times[ARRAY_LEN(configs)];
    for (uint16_t i = 0; i < ARRAY_LEN(configs); i++) {
        uint16_t config[5] = { i % 2, i / 2 % 2, i / 4 % 3, i / 12 % 2, i / 24 };
        memcpy(configs[i], config, sizeof(config));
        times[i] = time_of(0, other_blocks[config[2]], tiles[config[4]], config[3], config[1] ? 0 : 2)
                   * (config[0] ? 1.5 : 1);
    }
    prior_add(prior, &here, params, 5, configs[0], times, ARRAY_LEN(configs));
    struct prior_guide *guide = prior_guide_new(prior, &here, space, 1);
    uint16_t ret[FIRST][PARAMS];
    assert_int_equal(prior_guide_next(guide, NULL, 0, FIRST, ret[0]), FIRST);
    assert_true(best_of(space, ret[0], FIRST, 0) > 0.95);
    prior_guide_free(guide);
    prior_free(prior);
    prior = prior_new(); /* one parameter of four is too little to go by */
    prior_add(prior, &here, params + 2, 1, (uint16_t[]) { 0, 1 }, (double[]) { 1, 2 }, 2);
    assert_null(prior_guide_new(prior, &here, space, 1));
    prior_free(prior);
    tune_space_free(space);
}

static void test_nothing_to_learn_from(void **state)
{
    (void)state;
    struct tune_space *space = make_space(true);
    struct prior *prior = prior_new();
    assert_null(prior_guide_new(prior, &here, space, 1));
    prior_add(prior, &here, space->params, PARAMS, space->listed, (double[]) { NAN, NAN }, 2);
    prior_add(prior, &here, space->params, PARAMS, space->listed, NULL, 0);
    assert_int_equal(prior_tunings(prior), 0);
    assert_null(prior_guide_new(prior, &here, space, 1));
    prior_guide_free(NULL);
    prior_free(prior);
    prior_free(NULL);
    tune_space_free(space);
}

/* Nothing twice, nothing that is under way, nothing forbidden, and an end. */
static void check_proposals(struct tune_space *space, struct prior *prior)
{
    enum { MOST = 600 };
    struct prior_guide *guide = prior_guide_new(prior, &here, space, 3);
    static uint16_t configs[MOST][PARAMS], again[3][PARAMS];
    static struct prior_sample own[MOST];
    size_t n = prior_guide_next(guide, NULL, 0, 3, configs[0]);
    assert_int_equal(prior_guide_next(guide, NULL, 0, 3, again[0]), 3);
    assert_memory_equal(configs, again, sizeof(again)); /* the same question, the same answer */
    for (size_t k = 0; k < 3; k++) {
        own[k] = (struct prior_sample) { configs[k], k == 0 ? NAN : k == 1 ? -1 : 5 };
    }
    n += prior_guide_next(guide, own, 3, MOST - 3, configs[3]);
    assert_true(n > 20);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(tune_space_allows(space, configs[i]), 1);
        own[i] = (struct prior_sample) { configs[i], 1 + (double)i };
        for (size_t k = 0; k < i; k++) {
            assert_memory_not_equal(configs[i], configs[k], sizeof(configs[i]));
        }
    }
    if (n < MOST) {
        assert_int_equal(prior_guide_next(guide, own, n, 5, again[0]), 0);
    }
    prior_guide_free(guide);
}

static void test_proposals_are_new_and_allowed(void **state)
{
    (void)state;
    struct tune_space *listed = make_space(true), *unlisted = make_space(false);
    struct prior *prior = prior_new();
    add_device(prior, listed, 0.3, 1);
    add_device(prior, listed, -0.3, 3);
    check_proposals(listed, prior);
    check_proposals(unlisted, prior);
    prior_free(prior);
    tune_space_free(listed);
    tune_space_free(unlisted);
}

/* In a tuner: the guide's configs first, then the algorithm goes on to the end of the budget. */
static void test_in_a_tuner(void **state)
{
    (void)state;
    struct tune_space *space = make_space(true);
    struct prior *prior = prior_new();
    add_device(prior, space, 0.3, 1);
    struct prior_guide *guide = prior_guide_new(prior, &here, space, 3);
    struct tuner_options options = { .algorithm = "random", .budget = 30, .seed = 1, .guide = guide,
                                     .n_guided = 12 };
    struct tuner *tuner;
    uint16_t configs[30][PARAMS];
    assert_int_equal(tuner_new(space, &options, &tuner, NULL), 0);
    size_t n = tuner_ask(tuner, 8, configs[0]);
    assert_int_equal(n, 8);
    assert_true(best_of(space, configs[0], 8, 0.3) > 0.99);
    while (n > 0 && !tuner_done(tuner)) {
        for (size_t i = 0; i < n; i++) {
            assert_int_equal(tuner_tell(tuner, configs[i], time_at(configs[i], 0.3), NULL), 0);
        }
        n = tuner_ask(tuner, 3, configs[0]);
    }
    const struct tuner_sample *samples;
    assert_int_equal(tuner_samples(tuner, &samples), 30);
    double guided = 0, drawn = 0;
    for (size_t i = 0; i < 30; i++) { /* from the twelfth on every other one is the algorithm's */
        bool its = i >= 12 && i % 2;
        *(its ? &drawn : &guided) += speed_at(space, samples[i].config, 0.3) / (its ? 9 : 21);
    }
    assert_true(guided > drawn + 0.1);
    tuner_free(tuner);
    options.algorithm = "prior"; /* it alone goes on until its candidates are used */
    options.n_guided = 0;
    assert_int_equal(tuner_new(space, &options, &tuner, NULL), 0);
    assert_true(tuner_ask(tuner, 30, configs[0]) > 12);
    tuner_free(tuner);
    prior_guide_free(guide);
    prior_free(prior);
    tune_space_free(space);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_similarity),
        cmocka_unit_test(test_new_devices),
        cmocka_unit_test(test_a_misleading_tuning),
        cmocka_unit_test(test_few_samples),
        cmocka_unit_test(test_seen_from_another_space),
        cmocka_unit_test(test_nothing_to_learn_from),
        cmocka_unit_test(test_proposals_are_new_and_allowed),
        cmocka_unit_test(test_in_a_tuner),
    };
    return cmocka_run_group_tests_name("prior", tests, NULL, NULL);
}
