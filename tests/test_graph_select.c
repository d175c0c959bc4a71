/* SPDX-License-Identifier: MIT */
/* Choosing directions and strategies: the formula, attention, penalties, masks, applicability,
 * determinism. */
#include "base/util.h"
#include "graph_fixture.h"

#include <math.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <string.h>

#define assert_near(a, b) assert_true(fabs((a) - (b)) < 1e-12)

static struct select_step step(const char *direction, enum select_outcome outcome)
{
    return (struct select_step){
        .direction = direction, .outcome = outcome, .here = true, .lineage = false};
}

static struct select_step kept(const char *direction)
{
    return (struct select_step){
        .direction = direction, .outcome = SELECT_OUTCOME_GAINED, .lineage = true};
}

static void test_score_by_hand(void **state)
{
    struct bench *bench = *state;
    fixture_stat(bench->htg, "direction/a/softmax|memory_bound|sm_90", 3, 0.4);
    fixture_stat(bench->htg, "transition/b>a/softmax|memory_bound|sm_90", 1, 1.0);
    fixture_edge(bench->htg, "c", "a", 0.1);
    const struct select_step history[] = {kept("c"), kept("b"), step("a", SELECT_OUTCOME_FAILED)};
    struct select_request request = fixture_request(1, 1);
    request.tuning.k = 3;
    request.history = history;
    request.n_history = 3;
    const struct choice *choice = fixture_choose(bench->htg, &request, bench->arena);
    const struct choice_direction *a = &choice->directions[0];
    const struct select_tuning *t = &request.tuning;
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
    /* Two strategies of which nothing is known: each the direction's mean and the prior's doubt. */
    double local = 0.2 + t->u * sqrt(0.09 / 3) + t->temperature * log(2);
    assert_true(fabs(a->local - local) < 1e-9); /* kept on a grid */
    assert_near(a->unary, a->local);
    assert_near(a->score, t->w * (transition - 0.2) + a->local - t->failed);
}

static void test_attention_sums_to_one(void **state)
{
    struct bench *bench = *state;
    const struct select_step history[] = {kept("a"), kept("b"), kept("c"), kept("d"), kept("e")};
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
    assert_true(choice->directions[3].terms[0].attention >
                choice->directions[3].terms[1].attention);
    assert_true(choice->directions[0].terms[0].attention <
                choice->directions[0].terms[1].attention);
}

static void test_first_step_comes_from_start(void **state)
{
    struct bench *bench = *state;
    fixture_edge(bench->htg, "start", "d", 1.0);
    struct select_request request = fixture_request(1, 0);
    request.tuning.temperature = 0;
    const struct select_step vain[] = {step("a", SELECT_OUTCOME_SAME)};
    request.history = vain;
    request.n_history = 1; /* not in the lineage: the walk still stands at the start */
    const struct choice *choice = fixture_choose(bench->htg, &request, bench->arena);
    assert_int_equal(choice->n_sources, 1);
    assert_string_equal(choice->sources[0], "start");
    assert_int_equal(choice->picked, 3);
}

static void test_what_a_step_opens(void **state)
{
    struct bench *bench = *state;
    fixture_edge(bench->htg, "b", "a", 0.5);
    fixture_edge(bench->htg, "b", "c", 0.2);
    fixture_edge(bench->htg, "d", "c", -0.4);
    struct select_request request = fixture_request(1, 1);
    const struct choice *choice = fixture_choose(bench->htg, &request, bench->arena);
    const struct choice_direction *b = &choice->directions[1], *d = &choice->directions[3];
    assert_near(b->opens, 0.5);
    assert_string_equal(b->opens_to, "a");
    assert_near(b->score, d->score + 0.5 * request.tuning.opening);
    assert_near(d->opens, 0); /* what goes worse afterwards is no reason against */
    assert_string_equal(d->opens_to, "");
    /* What is in the lineage already needs no opening; what can't be taken neither. */
    const struct select_step a = kept("a");
    request.history = &a;
    request.n_history = 1;
    choice = fixture_choose(bench->htg, &request, bench->arena);
    assert_string_equal(choice->directions[1].opens_to, "c");
    request.directions = 1u << 1 | 1u << 3;
    choice = fixture_choose(bench->htg, &request, bench->arena);
    assert_near(choice->directions[1].opens, 0);
    struct htg_direction unfit = {.id = "unfit"};
    assert_int_equal(htg_add_direction(bench->htg, &unfit, NULL), 0);
    fixture_edge(bench->htg, "b", "unfit", 1.0);
    request.directions = 0;
    choice = fixture_choose(bench->htg, &request, bench->arena);
    assert_string_equal(choice->directions[1].opens_to, "c");
}

static void test_same_seed_same_choice(void **state)
{
    struct bench *bench = *state;
    size_t by_step[FIXTURE_DIRECTIONS] = {0}, changed = 0;
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
    const struct select_step failed[] = {step("a", SELECT_OUTCOME_FAILED)};
    const struct select_step stale[] = {step("a", SELECT_OUTCOME_SAME)};
    const struct select_step old[] = {step("a", SELECT_OUTCOME_FAILED),
                                      step("b", SELECT_OUTCOME_SAME)};
    struct select_step elsewhere[] = {step("a", SELECT_OUTCOME_FAILED)};
    elsewhere[0].here = false;
    const struct select_step gained[] = {kept("a")};
    const struct {
        const struct select_step *at;
        size_t n;
        double failed, stale;
    } cases[] = {
        {failed, 1, 1, 0},      {stale, 1, 0, 1},  {old, 2, 0.5, 0},
        {elsewhere, 1, 0.5, 0}, {gained, 1, 0, 0},
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
    struct select_step history[] = {step("a", SELECT_OUTCOME_SAME),
                                    step("a", SELECT_OUTCOME_FAILED)};
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
    bool strategies[2 * FIXTURE_DIRECTIONS] = {false};
    strategies[htg_find_strategy(bench->htg, "c2")] = true;
    request.directions = 0;
    request.strategies = strategies;
    struct choice *choice = fixture_choose(bench->htg, &request, bench->arena);
    assert_int_equal(choice->picked, 2);
    assert_int_equal(select_strategies(bench->htg, &request, 3, bench->arena, choice, NULL), 0);
    assert_int_equal(choice->n_strategies, 1);
    assert_string_equal(choice->strategies[0].id, "c2");
    request.directions = 1;
    struct err err = {0};
    struct choice *untouched = choice;
    assert_int_equal(select_direction(bench->htg, &request, bench->arena, &choice, &err),
                     ERR_NOTFOUND);
    assert_ptr_equal(choice, untouched);
}

static void test_applicability(void **state)
{
    struct bench *bench = *state;
    static const char *const softmax[] = {"softmax"}, *const matmul[] = {"matmul"};
    static const char *const newer[] = {"sm_100+"}, *const half[] = {"f16", "bf16"};
    static const char *const compute[] = {"compute_bound"}, *const f32[] = {"f32"};
    static const char *const mixed[] = {"f32", "f16"};
    const struct {
        struct htg_strategy strategy;
        bool applies;
    } cases[] = {
        {{.id = "z0", .families = {softmax, 1}}, true},
        {{.id = "z1", .families = {matmul, 1}}, false},
        {{.id = "z2", .archs = {newer, 1}}, false},
        {{.id = "z3", .bottlenecks = {compute, 1}}, false},
        {{.id = "z4", .dtypes = {half, 2}}, false},
        {{.id = "z5", .dtypes = {f32, 1}}, true},
        {{.id = "z6", .dtypes = {mixed, 2}}, true},
        {{.id = "z7", .state = HTG_STATE_RETIRED}, false},
    };
    struct htg_direction z = {.id = "z"};
    assert_int_equal(htg_add_direction(bench->htg, &z, NULL), 0);
    struct select_request request = fixture_request(1, 1);
    request.dtypes = (struct htg_list){f32, 1};
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
    struct htg_direction z = {.id = "z"};
    assert_int_equal(htg_add_direction(bench->htg, &z, NULL), 0);
    struct select_request request = fixture_request(1, 1);
    const struct choice *choice = fixture_choose(bench->htg, &request, bench->arena);
    assert_near(choice->directions[FIXTURE_DIRECTIONS].unfit, request.tuning.unfit);
    assert_true(choice->directions[FIXTURE_DIRECTIONS].probability <
                0.1 * choice->directions[0].probability);
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

static const struct choice_strategy *ranked(struct bench *bench,
                                            const struct select_request *request, const char *id)
{
    struct choice *choice = fixture_choose(bench->htg, request, bench->arena);
    assert_int_equal(select_strategies(bench->htg, request, 9, bench->arena, choice, NULL), 0);
    for (size_t i = 0; i < choice->n_strategies; i++) {
        if (str_eq(choice->strategies[i].id, id)) {
            return &choice->strategies[i];
        }
    }
    fail_msg("%s isn't ranked", id);
    return NULL;
}

static void test_penalties_of_strategies(void **state)
{
    struct bench *bench = *state;
    static const char *const matmul[] = {"matmul"};
    const struct htg_strategy more[] = {
        {.id = "new", .direction = "a", .state = HTG_STATE_PROVISIONAL},
        {.id = "other", .direction = "a", .families = {matmul, 1}},
    };
    for (size_t i = 0; i < ARRAY_LEN(more); i++) {
        assert_int_equal(htg_add_strategy(bench->htg, &more[i], NULL), 0);
    }
    struct select_step history[2] = {kept("a"), step("a", SELECT_OUTCOME_SAME)};
    history[0].strategy = "a1";
    history[1].strategy = "a2";
    history[1].here = false;
    bool shipped[2 * FIXTURE_DIRECTIONS + ARRAY_LEN(more)] = {false};
    shipped[htg_find_strategy(bench->htg, "other")] = true;
    struct select_request request = fixture_request(1, 1);
    request.directions = 1;
    request.history = history;
    request.n_history = 2;
    assert_near(ranked(bench, &request, "a1")->penalty, 2 * request.tuning.stale);
    assert_near(ranked(bench, &request, "a2")->penalty, 0.5 * request.tuning.stale);
    const struct choice_strategy *new = ranked(bench, &request, "new");
    assert_true(new->provisional &&new->penalty > 0 && new->penalty < 0.1);
    /* Not meant for this family, but it's all that ships. */
    request.strategies = shipped;
    assert_near(ranked(bench, &request, "other")->penalty, request.tuning.unfit);
}

/* What was invented for a matmul doesn't open tensor cores to a softmax. */
static void test_inventions_open_nothing(void **state)
{
    struct bench *bench = *state;
    static const char *const matmul[] = {"matmul"};
    const struct htg_direction direction = {.id = "z", .title = "z"};
    const struct htg_strategy seed = {.id = "z1", .direction = "z", .families = {matmul, 1}};
    const struct htg_strategy invented = {.id = "z2", .direction = "z",
                                          .state = HTG_STATE_PROVISIONAL};
    assert_int_equal(htg_add_direction(bench->htg, &direction, NULL), 0);
    assert_int_equal(htg_add_strategy(bench->htg, &seed, NULL), 0);
    assert_int_equal(htg_add_strategy(bench->htg, &invented, NULL), 0);
    int z = htg_find_direction(bench->htg, "z");
    struct select_request request = fixture_request(1, 1);
    fixture_stat(bench->htg, "strategy/z2/*|*|*", 1, 2.5);
    assert_near(fixture_choose(bench->htg, &request, bench->arena)->directions[z].unfit,
                request.tuning.unfit);
    request.directions = (uint64_t)1 << z;
    struct choice *choice = fixture_choose(bench->htg, &request, bench->arena);
    assert_int_equal(select_strategies(bench->htg, &request, 9, bench->arena, choice, NULL), 0);
    assert_int_equal(choice->n_strategies, 0);
    /* Tried in this very context, it speaks for itself. */
    fixture_stat(bench->htg, "strategy/z2/softmax|memory_bound|sm_90", 1, 0.5);
    choice = fixture_choose(bench->htg, &request, bench->arena);
    assert_near(choice->directions[z].unfit, 0);
    assert_int_equal(select_strategies(bench->htg, &request, 9, bench->arena, choice, NULL), 0);
    assert_int_equal(choice->n_strategies, 1);
    /* Where something proven fits, inventions from elsewhere are offered, too. */
    const struct htg_strategy general = {.id = "z3", .direction = "z"};
    const struct htg_strategy more = {.id = "z4", .direction = "z", .state = HTG_STATE_PROVISIONAL};
    assert_int_equal(htg_add_strategy(bench->htg, &general, NULL), 0);
    assert_int_equal(htg_add_strategy(bench->htg, &more, NULL), 0);
    choice = fixture_choose(bench->htg, &request, bench->arena);
    assert_int_equal(select_strategies(bench->htg, &request, 9, bench->arena, choice, NULL), 0);
    assert_int_equal(choice->n_strategies, 3);
}

static void test_many_strategies(void **state)
{
    struct bench *bench = *state;
    for (int i = 0; i < 3 * CHOICE_STRATEGIES_MAX; i++) {
        char id[16] = {'m', (char)('a' + i / 26), (char)('a' + i % 26), '\0'};
        struct htg_strategy strategy = {.id = id, .direction = "b"};
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

static void test_bad_requests(void **state)
{
    struct bench *bench = *state;
    struct choice *choice = NULL;
    struct select_request good = fixture_request(1, 1), bad = good;
    const struct select_step history[] = {step("nowhere", SELECT_OUTCOME_SAME)};
    bad.history = history;
    bad.n_history = 1;
    assert_int_equal(select_direction(bench->htg, &bad, bench->arena, &choice, NULL), ERR_INVALID);
    bad = good;
    bad.task = NULL;
    assert_int_equal(select_direction(bench->htg, &bad, bench->arena, &choice, NULL), ERR_INVALID);
    double *const knobs[] = {&bad.tuning.k, &bad.tuning.temperature, &bad.tuning.u,
                             &bad.tuning.control_share};
    for (size_t i = 0; i < ARRAY_LEN(knobs); i++) {
        const double values[] = {-1, NAN, INFINITY};
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

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        T(test_score_by_hand),
        T(test_attention_sums_to_one),
        T(test_first_step_comes_from_start),
        T(test_what_a_step_opens),
        T(test_same_seed_same_choice),
        T(test_penalties_bite),
        T(test_exhausted),
        T(test_masks),
        T(test_applicability),
        T(test_unfit),
        T(test_strategies_are_ranked),
        T(test_penalties_of_strategies),
        T(test_inventions_open_nothing),
        T(test_many_strategies),
        T(test_bad_requests),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
