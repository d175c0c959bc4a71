/* SPDX-License-Identifier: MIT */
/* What each ablation takes away, the share of controls, and a choice that survives JSON. */
#include "base/util.h"
#include "graph_fixture.h"

#include <math.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <string.h>

#define assert_near(a, b) assert_true(fabs((a) - (b)) < 1e-12)

static struct select_step kept(const char *direction)
{
    return (struct select_step){
        .direction = direction, .outcome = SELECT_OUTCOME_GAINED, .lineage = true};
}

/* How often each direction is taken in 2000 draws. */
static void count(struct bench *bench, struct select_request *request,
                  size_t ret[FIXTURE_DIRECTIONS])
{
    memset(ret, 0, FIXTURE_DIRECTIONS * sizeof(*ret));
    for (uint64_t i = 0; i < 2000; i++) {
        auto_arena struct arena *arena = arena_new();
        request->step = i;
        ret[fixture_choose(bench->htg, request, arena)->picked]++;
    }
}

/* A memory in which a is good by itself, b only after c (kept two steps ago) and after the start
 * bad, and strategy d2 is good but its direction isn't. */
static struct select_request ablated(struct bench *bench, struct select_step history[2],
                                     const char *name)
{
    fixture_known(bench->htg, STATS_KIND_DIRECTION, NULL, "a", 40, 0.3);
    fixture_known(bench->htg, STATS_KIND_TRANSITION, "c", "b", 40, 0.9);
    fixture_known(bench->htg, STATS_KIND_TRANSITION, "e", "b", 40, -0.3);
    fixture_known(bench->htg, STATS_KIND_STRATEGY, NULL, "d2", 40, 0.5);
    history[0] = kept("c");
    history[1] = kept("e");
    struct select_request request = fixture_request(3, 0);
    request.history = history;
    request.n_history = 2;
    assert_true(select_ablation_parse(name, &request.ablation));
    assert_string_equal(select_ablation_name(request.ablation), name);
    return request;
}

static void test_ablation_prefix_and_position(void **state)
{
    struct bench *bench = *state;
    struct select_step history[2];
    size_t full[FIXTURE_DIRECTIONS], bare[FIXTURE_DIRECTIONS], equal[FIXTURE_DIRECTIONS];
    struct select_request request = ablated(bench, history, "full");
    count(bench, &request, full);
    const struct choice *choice = fixture_choose(bench->htg, &request, bench->arena);
    assert_true(choice->directions[1].terms[0].attention >
                choice->directions[1].terms[1].attention);

    request = ablated(bench, history, "no-position");
    count(bench, &request, equal);
    choice = fixture_choose(bench->htg, &request, bench->arena);
    assert_near(choice->directions[1].terms[0].attention, choice->directions[1].terms[1].attention);
    assert_true(equal[1] > full[1]); /* the older, better edge counts as much */

    request = ablated(bench, history, "no-prefix");
    count(bench, &request, bare);
    choice = fixture_choose(bench->htg, &request, bench->arena);
    assert_int_equal(choice->n_sources, 0);
    assert_near(choice->directions[1].score, choice->directions[2].score); /* b is like any other */
    assert_true(bare[0] > bare[1]);
}

static void test_ablation_flat(void **state)
{
    struct bench *bench = *state;
    struct select_step history[2];
    size_t flat[FIXTURE_DIRECTIONS];
    struct select_request request = ablated(bench, history, "flat");
    count(bench, &request, flat);
    for (int i = 0; i < FIXTURE_DIRECTIONS; i++) {
        assert_true(i == 3 || flat[i] < flat[3] / 5); /* d2 wins in the one list */
    }
    assert_int_equal(fixture_choose(bench->htg, &request, bench->arena)->n_sources, 0);
    request = ablated(bench, history, "no-local");
    count(bench, &request, flat);
    assert_true(flat[0] > flat[3]); /* without strategies d is what its moves brought, not the best */
}

/* The flat draw is one draw over all strategies: P(direction) * P(strategy | direction). */
static void test_flat_is_one_list(void **state)
{
    struct bench *bench = *state;
    struct select_step history[2];
    struct select_request request = ablated(bench, history, "flat");
    struct choice *choice = NULL;
    double joint[2] = {0}, score[2] = {0};
    for (size_t i = 0; i < 2; i++) {
        request.directions = 0;
        choice = fixture_choose(bench->htg, &request, bench->arena);
        choice->picked = i == 0 ? 0 : 3;
        joint[i] = choice->directions[choice->picked].probability;
        assert_int_equal(select_strategies(bench->htg, &request, 0, bench->arena, choice, NULL), 0);
        joint[i] *= choice->strategies[0].probability;
        score[i] = choice->strategies[0].score;
    }
    assert_true(fabs(joint[1] / joint[0] / exp((score[1] - score[0]) / request.tuning.temperature) - 1) < 1e-6);
}

static void test_ablation_random(void **state)
{
    struct bench *bench = *state;
    struct select_step history[2];
    struct select_request request = ablated(bench, history, "random");
    bool moved = false;
    for (uint64_t seed = 0; seed < 20; seed++) {
        request.seed = seed;
        request.step = 0;
        const struct choice *one = fixture_choose(bench->htg, &request, bench->arena);
        request.step = 1;
        const struct choice *two = fixture_choose(bench->htg, &request, bench->arena);
        double sum = 0;
        for (size_t i = 0; i < one->n_directions; i++) {
            sum += one->directions[i].estimate.mean;
            assert_near(one->directions[i].estimate.mean, two->directions[i].estimate.mean);
        }
        moved = moved || one->directions[0].estimate.mean < 0.1;
        assert_true(sum > 0.28 && sum < 0.3); /* the same numbers, dealt anew */
    }
    assert_true(moved);
}

static void test_ablation_local_and_none(void **state)
{
    struct bench *bench = *state;
    struct select_step history[2];
    size_t none[FIXTURE_DIRECTIONS];
    struct select_request request = ablated(bench, history, "none");
    count(bench, &request, none);
    for (int i = 0; i < FIXTURE_DIRECTIONS; i++) {
        assert_in_range(none[i], 250, 420); /* 333 each */
    }
    struct choice *choice = fixture_choose(bench->htg, &request, bench->arena);
    assert_true(choice->control && !choice->recall);

    request = ablated(bench, history, "no-local");
    request.directions = 1u << 3;
    size_t first = 0;
    for (request.step = 0; request.step < 200; request.step++) {
        choice = fixture_choose(bench->htg, &request, bench->arena);
        assert_true(!choice->control && !choice->recall);
        assert_int_equal(select_strategies(bench->htg, &request, 2, bench->arena, choice, NULL), 0);
        first += str_eq(choice->strategies[0].id, "d2");
    }
    assert_in_range(first, 60, 140); /* its record isn't recalled */
    request.ablation = SELECT_ABLATION_OFF;
    first = 0;
    for (request.step = 0; request.step < 200; request.step++) {
        choice = fixture_choose(bench->htg, &request, bench->arena);
        assert_true(choice->recall);
        assert_int_equal(select_strategies(bench->htg, &request, 2, bench->arena, choice, NULL), 0);
        first += str_eq(choice->strategies[0].id, "d2");
    }
    assert_true(first > 180);
}

static void test_control_share(void **state)
{
    struct bench *bench = *state;
    fixture_known(bench->htg, STATS_KIND_DIRECTION, NULL, "a", 90, 2.0);
    struct select_request request = fixture_request(5, 0);
    request.tuning.control_share = 0.2;
    size_t controls = 0, astray = 0;
    for (uint64_t i = 0; i < 2000; i++) {
        auto_arena struct arena *arena = arena_new();
        request.step = i;
        const struct choice *choice = fixture_choose(bench->htg, &request, arena);
        controls += choice->control;
        astray += choice->control && choice->picked != 0;
        assert_true(choice->control || choice->picked == 0);
    }
    assert_in_range(controls, 320, 480);
    assert_true(astray > controls / 2);
}

static json_t *some_choice(struct bench *bench, uint64_t i, double control_share)
{
    struct select_step history[2];
    struct select_request request = ablated(bench, history, "full");
    request.seed = 0xffffffffffffff00u + i;
    request.step = i;
    request.ablation = (enum select_ablation)(i % (SELECT_ABLATION_NONE + 1));
    request.tuning.control_share = control_share;
    struct choice *choice = fixture_choose(bench->htg, &request, bench->arena);
    assert_int_equal(select_strategies(bench->htg, &request, 1, bench->arena, choice, NULL), 0);
    json_t *json = choice_json(choice);
    auto_free char *text = json_canonical(json);
    json_t *back;
    assert_int_equal(jread_parse(text, strlen(text), &back, NULL), 0);
    json_decref(json);
    return back;
}

static void test_choice_survives_json(void **state)
{
    struct bench *bench = *state;
    for (uint64_t i = 0; i < 64; i++) {
        json_t *json = some_choice(bench, i, 0.3);
        struct choice *choice;
        struct err err = {0};
        if (choice_parse(json, bench->arena, &choice, &err) < 0) {
            fail_msg("%s", err.text);
        }
        json_t *again = choice_json(choice);
        assert_true(json_equal(json, again));
        json_decref(json);
        json_decref(again);
    }
}

/* Numbers of all digits, as learning leaves them, come out of a record to the last bit. */
static void test_choice_of_odd_numbers(void **state)
{
    struct bench *bench = *state;
    fixture_known(bench->htg, STATS_KIND_DIRECTION, NULL, "a", 7, 1.0 / 3);
    fixture_known(bench->htg, STATS_KIND_DIRECTION, NULL, "b", 3, sqrt(0.5));
    struct select_step history[2];
    struct select_request request = ablated(bench, history, "full");
    struct choice *choice = fixture_choose(bench->htg, &request, bench->arena), *back;
    json_t *json = choice_json(choice);
    auto_free char *text = json_canonical(json);
    json_decref(json);
    assert_int_equal(jread_parse(text, strlen(text), &json, NULL), 0);
    assert_int_equal(choice_parse(json, bench->arena, &back, NULL), 0);
    size_t known = 0;
    for (size_t i = 0; i < choice->n_directions; i++) {
        const struct choice_direction *was = &choice->directions[i], *is = &back->directions[i];
        assert_memory_equal(&was->score, &is->score, sizeof(was->score));
        assert_memory_equal(&was->probability, &is->probability, sizeof(was->probability));
        const json_t *kept = json_object_get(
            json_array_get(json_object_get(json, "directions"), i), "estimate");
        bool experience = was->estimate.level != CONTEXT_RUNGS;
        assert_int_equal(json_object_size(kept) > 1, experience); /* else the prior alone */
        known += experience;
    }
    assert_in_range(known, 1, choice->n_directions - 1);
    json_decref(json);
}

static void test_forged_choices(void **state)
{
    struct bench *bench = *state;
    const struct {
        const char *in, *key;
        json_t *value;
        const char *says;
    } forgeries[] = {
        {NULL, "picked", json_string("f"), "picked"},
        {NULL, "control", json_true(), "as a control, decides"},
        {NULL, "recall", json_false(), "picked"},
        {NULL, "recall", json_integer(3), "expected true or false"},
        {NULL, "trust", json_real(7), "trust"},
        {NULL, "format", json_integer(3), "format"},
        {NULL, "format", json_integer(1), "another rule than today's"},
        {NULL, "k_edge", json_real(0), "k_edge"},
        {NULL, "context", json_string("x"), "context"},
        {NULL, "ablation", json_string("x"), "ablation"},
        {NULL, "sources", json_array(), "terms for 0 sources"},
        {NULL, "extra", json_true(), "unknown key"},
        {"directions", "score", json_real(9), "score was kept as 9"},
        {"directions", "failed", json_real(0.5), "was kept as"},
        {"directions", "terms", json_array(), "0 terms"},
        {"strategies", "score", json_real(9), "score was kept as 9"},
        {"strategies", "penalty", json_real(0.7), "ranks"},
    };
    for (size_t i = 0; i < ARRAY_LEN(forgeries); i++) {
        json_t *json = some_choice(bench, 0, 0);
        json_t *at =
            forgeries[i].in ? json_array_get(json_object_get(json, forgeries[i].in), 0) : json;
        json_object_set_new(at, forgeries[i].key, forgeries[i].value);
        struct choice *choice = NULL;
        struct err err = {0};
        int r = choice_parse(json, bench->arena, &choice, &err);
        if (r >= 0 || !strstr(err.text, forgeries[i].says)) {
            fail_msg("%s: %d \"%s\"", forgeries[i].key, r, err.text);
        }
        assert_null(choice);
        json_decref(json);
    }
}

/* What a store gives back may be cut anywhere or lack anything: an error each time. */
static void test_choice_with_holes(void **state)
{
    struct bench *bench = *state;
    json_t *whole = some_choice(bench, 0, 0);
    const char *key;
    json_t *value;
    void *next;
    json_object_foreach_safe(whole, next, key, value)
    {
        json_t *holed = json_copy(whole);
        json_object_del(holed, key);
        struct choice *choice = NULL;
        if (choice_parse(holed, bench->arena, &choice, NULL) >= 0) {
            fail_msg("parsed without \"%s\"", key);
        }
        json_decref(holed);
    }
    json_decref(whole);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        T(test_ablation_prefix_and_position),
        T(test_ablation_flat),
        T(test_flat_is_one_list),
        T(test_ablation_random),
        T(test_ablation_local_and_none),
        T(test_control_share),
        T(test_choice_survives_json),
        T(test_choice_of_odd_numbers),
        T(test_forged_choices),
        T(test_choice_with_holes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
