/* SPDX-License-Identifier: MIT */
/* Steps, features and draws of every kind of parameter, and configs as text. */
#include "agent/tune/tune_config.h"
#include "base/util.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { POW2, NUMBER, CHOICE, BOOL, ORDER, PARAMS };

static const double pow2s[] = { 16, 32, 64, 128, 256 }, numbers[] = { 1, 3, 7, 8 }, bools[] = { 0, 1 };
static const char *const pow2_texts[] = { "16", "32", "64", "128", "256" };
static const char *const number_texts[] = { "1", "3", "7", "8" };
static const char *const words[] = { "row", "column", "tiled" }, *const bool_texts[] = { "false", "true" };
static const char *const order_texts[] = { "0", "1", "2", "3", "4", "5" };
static const double orders[] = { 0, 1, 2, 3, 4, 5 };

static const struct tune_param params[PARAMS] = {
    [POW2] = { "BLOCK", TUNE_POW2, 5, 0, pow2s, pow2_texts },
    [NUMBER] = { "TILE", TUNE_NUMBER, 4, 0, numbers, number_texts },
    [CHOICE] = { "MODE", TUNE_CHOICE, 3, 0, NULL, words },
    [BOOL] = { "FAST", TUNE_BOOL, 2, 0, bools, bool_texts },
    [ORDER] = { "ORDER", TUNE_PERMUTATION, 6, 3, orders, order_texts },
};

/* Small blocks only where it isn't fast. */
static int allows(const void *ud, const uint16_t *config)
{
    (void)ud;
    return config[BOOL] == 0 || config[POW2] > 1;
}

static struct tune_space *open_space(void)
{
    struct arena *arena = arena_new();
    struct tune_space *space = arena_alloc(arena, 1, sizeof(*space));
    *space = (struct tune_space) { .arena = arena, .n = PARAMS, .allows = allows };
    space->params = arena_alloc(arena, PARAMS, sizeof(*params));
    memcpy(space->params, params, sizeof(params));
    assert_int_equal(tune_space_seal(space, NULL), 0);
    return space;
}

/* All of them, in order. */
static size_t list(struct tune_space *space)
{
    space->listed = arena_alloc(space->arena, 5 * 4 * 3 * 2 * 6 * PARAMS, sizeof(uint16_t));
    uint16_t *row = space->listed;
    for (uint16_t i = 0; i < 5 * 4 * 3 * 2 * 6; i++) {
        const uint16_t config[] = { i / 144, i / 36 % 4, i / 12 % 3, i / 6 % 2, i % 6 };
        if (allows(NULL, config)) {
            memcpy(row, config, sizeof(config));
            row += PARAMS;
        }
    }
    space->n_listed = (size_t)(row - space->listed) / PARAMS;
    return space->n_listed;
}

static void test_size(void **state)
{
    (void)state;
    struct tune_space *space = open_space();
    assert_int_equal(tune_space_size(space), 5 * 4 * 3 * 2 * 6);
    assert_int_equal(space->n_features, 1 + 1 + 3 + 1 + 3);
    for (size_t i = 0; i < PARAMS; i++) {
        space->params[i].n = 1u << 16;
    }
    assert_true(tune_space_size(space) == UINT64_MAX);
    tune_space_free(space);
}

static void test_features(void **state)
{
    (void)state;
    static const float expected[] = { 6, 7, 0, 1, 0, 1, 1, 2, 0 };
    static const size_t whose[] = { POW2, NUMBER, CHOICE, CHOICE, CHOICE, BOOL, ORDER, ORDER, ORDER };
    const uint16_t config[] = { 2, 2, 1, 1, 3 };
    struct tune_space *space = open_space();
    float got[ARRAY_LEN(expected)];
    tune_space_features(space, config, got);
    for (size_t i = 0; i < ARRAY_LEN(expected); i++) {
        assert_true(got[i] == expected[i]);
        assert_int_equal(tune_space_feature_param(space, i), whose[i]);
    }
    tune_space_free(space);
}

static void check_steps(const struct tune_space *space, const uint16_t *config, size_t param,
                        unsigned radius, size_t n, const uint16_t *expected)
{
    uint16_t got[6];
    assert_int_equal(tune_space_neighbours(space, config, param, radius, got), n);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(got[i], expected[i]);
    }
}

static void test_neighbours(void **state)
{
    (void)state;
    struct tune_space *space = open_space();
    const uint16_t config[] = { 1, 3, 0, 1, 0 };
    check_steps(space, config, POW2, 1, 2, (const uint16_t[]) { 0, 2 });
    check_steps(space, config, POW2, 2, 3, (const uint16_t[]) { 0, 2, 3 });
    check_steps(space, config, POW2, 99, 4, (const uint16_t[]) { 0, 2, 3, 4 });
    check_steps(space, config, NUMBER, 1, 1, (const uint16_t[]) { 2 });
    check_steps(space, config, CHOICE, 1, 2, (const uint16_t[]) { 1, 2 });
    check_steps(space, config, BOOL, 1, 1, (const uint16_t[]) { 0 });
    /* From 012: 102, 210, 021. */
    check_steps(space, config, ORDER, 1, 3, (const uint16_t[]) { 2, 5, 1 });
    tune_space_free(space);
}

/* Every rank has an order of its own, the first ascends, the last descends. */
static void test_permutation(void **state)
{
    (void)state;
    uint8_t before[4] = { 0 }, order[4];
    for (uint32_t rank = 0; rank < 24; rank++) {
        tune_permutation(4, rank, order);
        unsigned seen = 0;
        for (size_t i = 0; i < 4; i++) {
            seen |= 1u << order[i];
        }
        assert_int_equal(seen, 15);
        assert_true(rank == 0 || memcmp(before, order, 4) < 0); /* lexicographic */
        memcpy(before, order, 4);
    }
    const uint8_t last[] = { 3, 2, 1, 0 };
    assert_memory_equal(order, last, 4);
}

static void test_listed(void **state)
{
    (void)state;
    struct tune_space *space = open_space();
    size_t n = list(space);
    assert_int_equal(tune_space_seal(space, NULL), 0);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(tune_space_find(space, space->listed + i * PARAMS), i);
    }
    const uint16_t forbidden[] = { 0, 0, 0, 1, 0 }, outside[] = { 5, 0, 0, 0, 0 };
    assert_int_equal(tune_space_find(space, forbidden), -1);
    assert_int_equal(tune_space_allows(space, forbidden), 0);
    assert_int_equal(tune_space_allows(space, outside), 0);
    assert_int_equal(tune_space_allows(space, space->listed), 1);
    assert_true(space->n_allowed == (double)n && space->count == TUNE_COUNT_EXACT);
    tune_space_free(space);
}

static void test_listed_twice(void **state)
{
    (void)state;
    struct tune_space *space = open_space();
    struct err err = { 0 };
    list(space);
    memcpy(space->listed + 7 * PARAMS, space->listed + 3 * PARAMS, PARAMS * sizeof(uint16_t));
    assert_int_equal(tune_space_seal(space, &err), ERR_EXISTS);
    assert_string_equal(err_text(&err), "config 7 is config 3 again");
    tune_space_free(space);
}

/* 576 configs and 57,600 draws: each count has mean 100 and deviation 10; 65 is far outside. */
static void test_draw(void **state)
{
    (void)state;
    struct tune_space *listed = open_space(), *free_draw = open_space();
    size_t n = list(listed);
    assert_int_equal(n, 576);
    assert_int_equal(tune_space_seal(listed, NULL), 0);
    const struct tune_space *spaces[] = { listed, free_draw };
    for (size_t s = 0; s < ARRAY_LEN(spaces); s++) {
        auto_free unsigned *counts = xcalloc(n, sizeof(*counts));
        struct rng rng;
        rng_init(&rng, 1, s, 0);
        for (size_t i = 0; i < 100 * n; i++) {
            uint16_t config[PARAMS];
            assert_int_equal(tune_space_draw(spaces[s], &rng, config), 0);
            counts[tune_space_find(listed, config)]++;
        }
        for (size_t i = 0; i < n; i++) {
            assert_in_range(counts[i], 35, 165);
        }
    }
    tune_space_free(listed);
    tune_space_free(free_draw);
}

static int allows_nothing(const void *ud, const uint16_t *config)
{
    (void)ud;
    (void)config;
    return 0;
}

static void test_draw_nothing(void **state)
{
    (void)state;
    struct tune_space *space = open_space();
    struct rng rng;
    uint16_t config[PARAMS] = { 9 };
    rng_init(&rng, 1, 1, 1);
    space->allows = allows_nothing;
    assert_int_equal(tune_space_draw(space, &rng, config), ERR_NOTFOUND);
    assert_int_equal(config[0], 9);
    tune_space_free(space);
}

/* A config as JSON and back, and what isn't one. */
static void test_config(void **state)
{
    (void)state;
    struct tune_space *space = open_space();
    const uint16_t config[] = { 2, 1, 2, 1, 5 };
    uint16_t back[PARAMS] = { 0 };
    json_t *object = tune_config_json(space, config);
    auto_free char *text = json_compact(object);
    assert_string_equal(text, "{\"BLOCK\":64,\"TILE\":3,\"MODE\":\"tiled\",\"FAST\":true,\"ORDER\":5}");
    assert_int_equal(tune_config_read(space, object, NULL, back, NULL), 0);
    assert_memory_equal(back, config, sizeof(config));
    json_decref(object);
    auto_buf struct buf line;
    buf_init(&line, 200);
    tune_config_text(space, config, &line);
    assert_string_equal(line.at, "BLOCK=64 TILE=3 MODE=tiled FAST=true ORDER=5");
    tune_space_free(space);
}

static void test_bad_configs(void **state)
{
    (void)state;
    static const struct {
        const char *text, *error;
    } cases[] = {
        { "{\"BLOK\": 1}", "BLOK: unknown key, did you mean \"BLOCK\"?" },
        { "{\"BLOCK\": 48}", "BLOCK: 48 is not one of its 5 values (16 to 256)" },
        { "{\"BLOCK\": \"wide\"}", "BLOCK: \"wide\" is not one of its 5 values (16 to 256)" },
        { "{\"MODE\": \"rows\"}", "MODE: \"rows\" is not one of its 3 values (row to tiled)" },
        { "{\"BLOCK\": 16, \"FAST\": true}", "the constraints forbid this config" },
        { "[{\"BLOCK\": 64}, {\"BLOCK\": 16, \"FAST\": 1}]", "[1]: the constraints forbid this config" },
        { "[7]", "[0]: expected an object, got an integer" },
        { "7", "expected a config or a list of them, got an integer" },
    };
    struct tune_space *space = open_space();
    const uint16_t own[PARAMS] = { 4, 0, 0, 0, 0 };
    space->own = arena_alloc(space->arena, PARAMS, sizeof(own[0]));
    memcpy(space->own, own, sizeof(own));
    space->has_own = true;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        json_t *value = json_loads(cases[i].text, JSON_DECODE_ANY, NULL);
        struct err err = { 0 };
        uint16_t *configs = NULL;
        size_t n = 0;
        assert_true(tune_config_read_all(space, value, &configs, &n, &err) < 0);
        assert_string_equal(err_text(&err), cases[i].error);
        assert_null(configs);
        json_decref(value);
    }
    uint16_t config[PARAMS];
    json_t *empty = json_object();
    assert_int_equal(tune_config_read(space, empty, NULL, config, NULL), 0);
    assert_memory_equal(config, own, sizeof(own));
    space->has_own = false;
    struct err err = { 0 };
    assert_int_equal(tune_config_read(space, empty, NULL, config, &err), ERR_INVALID);
    assert_string_equal(err_text(&err), "the parameter \"BLOCK\" is missing");
    json_decref(empty);
    tune_space_free(space);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_size),        cmocka_unit_test(test_features),
        cmocka_unit_test(test_neighbours),  cmocka_unit_test(test_permutation),
        cmocka_unit_test(test_listed),      cmocka_unit_test(test_listed_twice),
        cmocka_unit_test(test_draw),        cmocka_unit_test(test_draw_nothing),
        cmocka_unit_test(test_config),      cmocka_unit_test(test_bad_configs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
