/* SPDX-License-Identifier: MIT */
/* Choosing directions and strategies: the formula, attention, penalties, masks, applicability,
 * ablations, determinism, and a choice that survives JSON. */
#include "base/util.h"
#include "graph_fixture.h"

#include <math.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <string.h>

#define assert_near(a, b) assert_true(fabs((a) - (b)) < 1e-12)

/* One test's graph and arena. */
struct bench {
    struct htg *htg;
    struct arena *arena;
};

static int setup(void **state)
{
    struct bench *bench = xcalloc(1, sizeof(*bench));
    bench->htg = fixture_graph(NULL);
    bench->arena = arena_new();
    *state = bench;
    return 0;
}

static int teardown(void **state)
{
    struct bench *bench = *state;
    htg_free(bench->htg);
    arena_free(bench->arena);
    cleanup_free(&bench);
    return 0;
}

static struct select_step step(const char *direction, enum select_outcome outcome)
{
    return (struct select_step){ .direction = direction, .outcome = outcome, .here = true,
                                 .lineage = false };
}

static struct select_step kept(const char *direction)
{
    return (struct select_step){ .direction = direction, .outcome = SELECT_OUTCOME_GAINED,
                                 .lineage = true };
}

static void test_score_by_hand(void **state)
{
    struct bench *bench = *state;
    fixture_stat(bench->htg, "direction/a/softmax|memory_bound|sm_90", 3, 0.4);
    fixture_stat(bench->htg, "transition/b>a/softmax|memory_bound|sm_90", 1, 1.0);
    fixture_edge(bench->htg, "c", "a", 0.1);
    const struct select_step history[] = { kept("c"), kept("b"), step("a", SELECT_OUTCOME_FAILED) };
    struct select_request request = fixture_request(1, 1);
    request.history = history;
    request.n_history = 3;
    const struct choice *choice = fixture_choose(bench->htg, &request, bench->arena);
    const struct choice_direction *a = &choice->directions[0];
    const struct select_tuning *t = &request.tuning;
    assert_near(t->k, 3);
    /* m(a) = (3*0.4 + 3*0)/6; b>a: (1*1 + 3*0.2)/4, a quarter of it experience; c>a: 0.2 + 0.1 */
    assert_near(a->estimate.mean, 0.2);
    assert_int_equal(choice->n_sources, 2);
    assert_string_equal(choice->sources[0], "b");
    assert_string_equal(choice->sources[1], "c");
    assert_near(a->terms[0].estimate.mean, 0.4);
    assert_near(a->terms[0].estimate.share, 0.25);
    assert_near(a->terms[1].estimate.mean, 0.3);
    double first = exp(t->evidence * 0.25), second = exp(-t->position);
    double transition = (first * 0.4 + second * 0.3) / (first + second);
    double explore = t->u * sqrt((0.03 + 3 * 0.09) / 6 / 6);
    assert_near(a->terms[0].attention, first / (first + second));
    assert_near(a->transition, transition);
    assert_near(a->explore, explore);
    assert_near(a->failed, t->failed);
    assert_near(a->score, transition + t->w * 0.2 + explore - t->failed);
}

static void test_attention_sums_to_one(void **state)
{
    struct bench *bench = *state;
    const struct select_step history[] = { kept("a"), kept("b"), kept("c"), kept("d"), kept("e") };
    fixture_known(bench->htg, STATS_KIND_TRANSITION, "b", "a", 50, 0.3);
    fixture_known(bench->htg, STATS_KIND_TRANSITION, "e", "c", 2, 0.9);
    struct select_request request = fixture_request(1, 1);
    request.history = history;
    request.n_history = 5;
    for (int64_t window = 1; window <= 5; window++) {
        request.tuning.window = window;
        const struct choice *choice = fixture_choose(bench->htg, &request, bench->arena);
        assert_int_equal(choice->n_sources, window);
        double sum_p = 0;
        for (size_t i = 0; i < choice->n_directions; i++) {
            double sum = 0;
            for (size_t j = 0; j < choice->n_sources; j++) {
                sum += choice->directions[i].terms[j].attention;
            }
            assert_near(sum, 1);
            sum_p += choice->directions[i].probability;
        }
        assert_near(sum_p, 1);
    }
    /* Without evidence the recent step weighs more; evidence can turn that around. */
    request.tuning.window = 2;
    request.tuning.evidence = 2 * request.tuning.position;
    request.n_history = 3;
    const struct choice *choice = fixture_choose(bench->htg, &request, bench->arena);
    assert_true(choice->directions[3].terms[0].attention > choice->directions[3].terms[1].attention);
    assert_true(choice->directions[0].terms[0].attention < choice->directions[0].terms[1].attention);
}

static void test_first_step_comes_from_start(void **state)
{
    struct bench *bench = *state;
    fixture_edge(bench->htg, "start", "d", 1.0);
    struct select_request request = fixture_request(1, 0);
    request.tuning.temperature = 0;
    const struct select_step vain[] = { step("a", SELECT_OUTCOME_SAME) };
    request.history = vain;
    request.n_history = 1; /* not in the lineage: the walk still stands at the start */
    const struct choice *choice = fixture_choose(bench->htg, &request, bench->arena);
    assert_int_equal(choice->n_sources, 1);
    assert_string_equal(choice->sources[0], "start");
    assert_int_equal(choice->picked, 3);
}

static void test_same_seed_same_choice(void **state)
{
    struct bench *bench = *state;
    size_t by_step[FIXTURE_DIRECTIONS] = { 0 }, changed = 0;
    for (uint64_t i = 0; i < 200; i++) {
        struct select_request request = fixture_request(7, i);
        const struct choice *one = fixture_choose(bench->htg, &request, bench->arena);
        const struct choice *two = fixture_choose(bench->htg, &request, bench->arena);
        assert_int_equal(one->picked, two->picked);
        by_step[one->picked]++;
        request.task = "another";
        const struct choice *other = fixture_choose(bench->htg, &request, bench->arena);
        request.task = "t";
        request.seed = 8;
        const struct choice *seed = fixture_choose(bench->htg, &request, bench->arena);
        changed += other->picked != one->picked;
        changed += seed->picked != one->picked;
    }
    assert_true(changed > 100);
    for (int i = 0; i < FIXTURE_DIRECTIONS; i++) {
        assert_true(by_step[i] > 10); /* all equal: each about 33 times */
    }
}

static void test_penalties_bite(void **state)
{
    struct bench *bench = *state;
    struct select_request request = fixture_request(1, 1);
    double before = fixture_choose(bench->htg, &request, bench->arena)->directions[0].probability;
    const struct select_step failed[] = { step("a", SELECT_OUTCOME_FAILED) };
    const struct select_step stale[] = { step("a", SELECT_OUTCOME_SAME) };
    const struct select_step old[] = { step("a", SELECT_OUTCOME_FAILED), step("b", SELECT_OUTCOME_SAME) };
    struct select_step elsewhere[] = { step("a", SELECT_OUTCOME_FAILED) };
    elsewhere[0].here = false;
    const struct select_step gained[] = { kept("a") };
    const struct { const struct select_step *at; size_t n; double failed, stale; } cases[] = {
        { failed, 1, 1, 0 }, { stale, 1, 0, 1 }, { old, 2, 0.5, 0 }, { elsewhere, 1, 0.5, 0 },
        { gained, 1, 0, 0 },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        request.history = cases[i].at;
        request.n_history = cases[i].n;
        const struct choice *choice = fixture_choose(bench->htg, &request, bench->arena);
        const struct choice_direction *a = &choice->directions[0];
        assert_near(a->failed, cases[i].failed * request.tuning.failed);
        assert_near(a->stale, cases[i].stale * request.tuning.stale);
        if (cases[i].failed + cases[i].stale > 0.9) {
            assert_true(a->probability < 0.6 * before);
        }
    }
}

static void test_exhausted(void **state)
{
    struct bench *bench = *state;
    struct select_step history[] = { step("a", SELECT_OUTCOME_SAME), step("a", SELECT_OUTCOME_FAILED) };
    history[0].strategy = "a1";
    history[1].strategy = "a1";
    struct select_request request = fixture_request(1, 1);
    request.history = history;
    request.n_history = 2;
    const struct choice *choice = fixture_choose(bench->htg, &request, bench->arena);
    assert_near(choice->directions[0].exhausted, 0); /* a2 is left */
    history[1].strategy = "a2";
    choice = fixture_choose(bench->htg, &request, bench->arena);
    assert_near(choice->directions[0].exhausted, request.tuning.exhausted);
    assert_true(choice->directions[0].probability < 1e-4);
    /* From another parent it may be worth trying again. */
    history[0].here = false;
    choice = fixture_choose(bench->htg, &request, bench->arena);
    assert_near(choice->directions[0].exhausted, 0);
}

static void test_masks(void **state)
{
    struct bench *bench = *state;
    struct select_request request = fixture_request(1, 0);
    request.directions = 1u << 1 | 1u << 4;
    for (uint64_t i = 0; i < 50; i++) {
        request.step = i;
        const struct choice *choice = fixture_choose(bench->htg, &request, bench->arena);
        assert_true(choice->picked == 1 || choice->picked == 4);
    }
    /* Only c2 ships: only direction c can be acted upon, and only with c2. */
    bool strategies[2 * FIXTURE_DIRECTIONS] = { false };
    strategies[htg_find_strategy(bench->htg, "c2")] = true;
    request.directions = 0;
    request.strategies = strategies;
    struct choice *choice = fixture_choose(bench->htg, &request, bench->arena);
    assert_int_equal(choice->picked, 2);
    assert_int_equal(select_strategies(bench->htg, &request, 3, bench->arena, choice, NULL), 0);
    assert_int_equal(choice->n_strategies, 1);
    assert_string_equal(choice->strategies[0].id, "c2");
    request.directions = 1;
    struct err err = { 0 };
    struct choice *untouched = choice;
    assert_int_equal(select_direction(bench->htg, &request, bench->arena, &choice, &err), ERR_NOTFOUND);
    assert_ptr_equal(choice, untouched);
}

static void test_applicability(void **state)
{
    struct bench *bench = *state;
    static const char *const softmax[] = { "softmax" }, *const matmul[] = { "matmul" };
    static const char *const newer[] = { "sm_100+" }, *const half[] = { "f16", "bf16" };
    static const char *const compute[] = { "compute_bound" }, *const f32[] = { "f32" };
    static const char *const mixed[] = { "f32", "f16" };
    const struct { struct htg_strategy strategy; bool applies; } cases[] = {
        { { .id = "z0", .families = { softmax, 1 } }, true },
        { { .id = "z1", .families = { matmul, 1 } }, false },
        { { .id = "z2", .archs = { newer, 1 } }, false },
        { { .id = "z3", .bottlenecks = { compute, 1 } }, false },
        { { .id = "z4", .dtypes = { half, 2 } }, false },
        { { .id = "z5", .dtypes = { f32, 1 } }, true },
        { { .id = "z6", .dtypes = { mixed, 2 } }, true },
        { { .id = "z7", .state = HTG_STATE_RETIRED }, false },
    };
    struct htg_direction z = { .id = "z" };
    assert_int_equal(htg_add_direction(bench->htg, &z, NULL), 0);
    struct select_request request = fixture_request(1, 1);
    request.dtypes = (struct htg_list){ f32, 1 };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct htg_strategy strategy = cases[i].strategy;
        strategy.direction = "z";
        assert_int_equal(htg_add_strategy(bench->htg, &strategy, NULL), 0);
        size_t index = (size_t)htg_find_strategy(bench->htg, strategy.id);
        assert_int_equal(select_applies(bench->htg, index, &request), cases[i].applies);
        const struct choice *choice = fixture_choose(bench->htg, &request, bench->arena);
        assert_near(choice->directions[FIXTURE_DIRECTIONS].unfit, 0);
    }
    /* A bottleneck nobody measured yet rules nothing out. */
    request.context.class = CONTEXT_CLASS_NONE;
    assert_true(select_applies(bench->htg, (size_t)htg_find_strategy(bench->htg, "z3"), &request));
    request.directions = 1u << FIXTURE_DIRECTIONS;
    struct choice *choice = fixture_choose(bench->htg, &request, bench->arena);
    assert_int_equal(select_strategies(bench->htg, &request, 9, bench->arena, choice, NULL), 0);
    assert_int_equal(choice->n_strategies, 4);
    for (size_t i = 0; i < 4; i++) {
        assert_non_null(strchr("0356", choice->strategies[i].id[1]));
    }
}

static void test_unfit(void **state)
{
    struct bench *bench = *state;
    struct htg_direction z = { .id = "z" };
    assert_int_equal(htg_add_direction(bench->htg, &z, NULL), 0);
    struct select_request request = fixture_request(1, 1);
    const struct choice *choice = fixture_choose(bench->htg, &request, bench->arena);
    assert_near(choice->directions[FIXTURE_DIRECTIONS].unfit, request.tuning.unfit);
    assert_true(choice->directions[FIXTURE_DIRECTIONS].probability
                < 0.1 * choice->directions[0].probability);
}

static void test_strategies_are_ranked(void **state)
{
    struct bench *bench = *state;
    fixture_known(bench->htg, STATS_KIND_STRATEGY, NULL, "a2", 30, 0.8);
    struct select_request request = fixture_request(1, 1);
    request.directions = 1;
    request.tuning.temperature = 0;
    struct choice *choice = fixture_choose(bench->htg, &request, bench->arena);
    assert_int_equal(select_strategies(bench->htg, &request, 1, bench->arena, choice, NULL), 0);
    assert_int_equal(choice->n_recalled, 1);
    assert_string_equal(choice->strategies[0].id, "a2");
    assert_string_equal(choice->strategies[1].id, "a1");
    /* Tried in vain from this parent, three times: the other one has its turn. */
    struct select_step history[3];
    for (int i = 0; i < 3; i++) {
        history[i] = step("a", SELECT_OUTCOME_FAILED);
        history[i].strategy = "a2";
    }
    request.history = history;
    request.n_history = 3;
    choice = fixture_choose(bench->htg, &request, bench->arena);
    assert_int_equal(select_strategies(bench->htg, &request, 1, bench->arena, choice, NULL), 0);
    assert_near(choice->strategies[1].penalty, 6 * request.tuning.failed);
    assert_string_equal(choice->strategies[0].id, "a1");
}

static void test_many_strategies(void **state)
{
    struct bench *bench = *state;
    for (int i = 0; i < 3 * CHOICE_STRATEGIES_MAX; i++) {
        char id[16] = { 'm', (char)('a' + i / 26), (char)('a' + i % 26), '\0' };
        struct htg_strategy strategy = { .id = id, .direction = "b" };
        assert_int_equal(htg_add_strategy(bench->htg, &strategy, NULL), 0);
    }
    fixture_known(bench->htg, STATS_KIND_STRATEGY, NULL, "mzz" /* none */, 9, 0.9);
    fixture_known(bench->htg, STATS_KIND_STRATEGY, NULL, "mgg", 90, 0.9);
    struct select_request request = fixture_request(1, 1);
    request.directions = 2;
    request.tuning.temperature = 0;
    struct choice *choice = fixture_choose(bench->htg, &request, bench->arena);
    assert_int_equal(select_strategies(bench->htg, &request, 4, bench->arena, choice, NULL), 0);
    assert_int_equal(choice->n_strategies, CHOICE_STRATEGIES_MAX);
    assert_string_equal(choice->strategies[0].id, "mgg");
}

/* How often each direction is taken in 2000 draws. */
static void count(struct bench *bench, struct select_request *request, size_t ret[FIXTURE_DIRECTIONS])
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
    fixture_known(bench->htg, STATS_KIND_STRATEGY, NULL, "d2", 40, 1.0);
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
    assert_true(choice->directions[1].terms[0].attention > choice->directions[1].terms[1].attention);

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
    request = ablated(bench, history, "full");
    count(bench, &request, flat);
    assert_true(flat[0] > flat[3]); /* the hierarchy asks about d first */
}

/* The flat draw is one draw over all strategies: P(direction) * P(strategy | direction). */
static void test_flat_is_one_list(void **state)
{
    struct bench *bench = *state;
    struct select_step history[2];
    struct select_request request = ablated(bench, history, "flat");
    struct choice *choice = NULL;
    double joint[2] = { 0 }, score[2] = { 0 };
    for (size_t i = 0; i < 2; i++) {
        request.directions = 0;
        choice = fixture_choose(bench->htg, &request, bench->arena);
        choice->picked = i == 0 ? 0 : 3;
        joint[i] = choice->directions[choice->picked].probability;
        assert_int_equal(select_strategies(bench->htg, &request, 0, bench->arena, choice, NULL), 0);
        joint[i] *= choice->strategies[0].probability;
        score[i] = choice->strategies[0].score;
    }
    assert_near(joint[1] / joint[0] / exp((score[1] - score[0]) / request.tuning.temperature), 1);
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

static void test_bad_requests(void **state)
{
    struct bench *bench = *state;
    struct choice *choice = NULL;
    struct select_request good = fixture_request(1, 1), bad = good;
    const struct select_step history[] = { step("nowhere", SELECT_OUTCOME_SAME) };
    bad.history = history;
    bad.n_history = 1;
    assert_int_equal(select_direction(bench->htg, &bad, bench->arena, &choice, NULL), ERR_INVALID);
    bad = good;
    bad.task = NULL;
    assert_int_equal(select_direction(bench->htg, &bad, bench->arena, &choice, NULL), ERR_INVALID);
    double *const knobs[] = { &bad.tuning.k, &bad.tuning.temperature, &bad.tuning.u,
                              &bad.tuning.control_share };
    for (size_t i = 0; i < ARRAY_LEN(knobs); i++) {
        const double values[] = { -1, NAN, INFINITY };
        for (size_t j = 0; j < ARRAY_LEN(values); j++) {
            bad = good;
            *knobs[i] = values[j];
            assert_int_equal(select_direction(bench->htg, &bad, bench->arena, &choice, NULL),
                             ERR_INVALID);
        }
    }
    bad = good;
    bad.tuning.window = CHOICE_SOURCES_MAX + 1;
    assert_int_equal(select_direction(bench->htg, &bad, bench->arena, &choice, NULL), ERR_INVALID);
    assert_null(choice);
    struct htg *empty = htg_new();
    assert_int_equal(select_direction(empty, &good, bench->arena, &choice, NULL), ERR_NOTFOUND);
    htg_free(empty);
    enum select_ablation ablation;
    assert_false(select_ablation_parse("nothing", &ablation));
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
        struct err err = { 0 };
        if (choice_parse(json, bench->arena, &choice, &err) < 0) {
            fail_msg("%s", err.text);
        }
        json_t *again = choice_json(choice);
        assert_true(json_equal(json, again));
        json_decref(json);
        json_decref(again);
    }
}

static void test_forged_choices(void **state)
{
    struct bench *bench = *state;
    const struct { const char *in, *key; json_t *value; const char *says; } forgeries[] = {
        { NULL, "picked", json_string("f"), "picked" },
        { NULL, "control", json_true(), "as a control, decides" },
        { NULL, "recall", json_integer(3), "expected true or false" },
        { NULL, "trust", json_real(7), "trust" },
        { NULL, "format", json_integer(2), "format" },
        { NULL, "context", json_string("x"), "context" },
        { NULL, "ablation", json_string("x"), "ablation" },
        { NULL, "sources", json_array(), "terms for 0 sources" },
        { NULL, "extra", json_true(), "unknown key" },
        { "directions", "score", json_real(9), "score was kept as 9" },
        { "directions", "failed", json_real(0.5), "was kept as" },
        { "directions", "terms", json_array(), "0 terms" },
        { "strategies", "score", json_real(9), "score was kept as 9" },
        { "strategies", "id", json_string("zzz"), "ranks" },
    };
    for (size_t i = 0; i < ARRAY_LEN(forgeries); i++) {
        json_t *json = some_choice(bench, 0, 0);
        json_t *at = forgeries[i].in ? json_array_get(json_object_get(json, forgeries[i].in), 0)
                                     : json;
        json_object_set_new(at, forgeries[i].key, forgeries[i].value);
        struct choice *choice = NULL;
        struct err err = { 0 };
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
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_score_by_hand),         T(test_attention_sums_to_one),
        T(test_first_step_comes_from_start), T(test_same_seed_same_choice),
        T(test_penalties_bite),        T(test_exhausted),
        T(test_masks),                 T(test_applicability),
        T(test_unfit),                 T(test_strategies_are_ranked),
        T(test_many_strategies),       T(test_ablation_prefix_and_position),
        T(test_ablation_flat),         T(test_flat_is_one_list),
        T(test_ablation_random),       T(test_ablation_local_and_none),
        T(test_control_share),         T(test_bad_requests),
        T(test_choice_survives_json),  T(test_forged_choices),
        T(test_choice_with_holes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
