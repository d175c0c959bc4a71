/* SPDX-License-Identifier: MIT */
/* Nodes of the graph: adding with limits, the seed documents, examples, states by experience. */
#include "base/jread.h"
#include "base/util.h"
#include "graph/htg_learn.h"
#include "graph/htg_seed.h"
#include "kernelbench/verdict.h"

#include <math.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct htg *with_direction(const char *id)
{
    struct htg *htg = htg_new();
    struct htg_direction direction = {.id = id, .title = "T"};
    assert_int_equal(htg_add_direction(htg, &direction, NULL), 0);
    return htg;
}

static int add_seed(struct htg *htg, const char *kind, const char *text, struct err *err)
{
    size_t len = strlen(text);
    if (str_eq(kind, "directions")) {
        return htg_seed_directions(htg, text, len, err);
    }
    return str_eq(kind, "strategies") ? htg_seed_strategies(htg, text, len, err)
                                      : htg_seed_transitions(htg, text, len, err);
}

static int code_of(const char *name)
{
#define X(word, value, text)                                                                       \
    if (str_eq(name, #word)) {                                                                     \
        return value;                                                                              \
    }
    ERR_LIST(X)
#undef X
    return 0;
}

static const char *member(const json_t *entry, const char *key)
{
    return json_string_value(json_object_get(entry, key));
}

static void test_seed_cases(void **state)
{
    (void)state;
    json_t *cases;
    assert_int_equal(jread_file(WS_SOURCE_DIR "/tests/cases/graph/seeds.json", &cases, NULL), 0);
    assert_true(json_array_size(cases) > 10);
    for (size_t i = 0; i < json_array_size(cases); i++) {
        const json_t *entry = json_array_get(cases, i);
        struct htg *htg = with_direction("known");
        struct err err = {0};
        int r = add_seed(htg, member(entry, "kind"), member(entry, "text"), &err);
        if (r != code_of(member(entry, "code")) || !strstr(err.text, member(entry, "says"))) {
            fail_msg("%s: code %d, \"%s\"", member(entry, "name"), r, err.text);
        }
        htg_free(htg);
    }
    json_decref(cases);
}

/* The graph knows the classes of a verdict by name, without including it. */
static void test_classes_are_the_verdicts(void **state)
{
    (void)state;
    static const char *const names[] = {
#define X(name, text) text,
        BOTTLENECK_LIST(X)
#undef X
    };
    assert_int_equal(ARRAY_LEN(names), CONTEXT_CLASSES);
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        enum context_class class;
        assert_true(context_class_parse(names[i], &class));
        assert_string_equal(context_class_name(class), names[i]);
    }
}

static void test_copies(void **state)
{
    (void)state;
    struct htg *htg = with_direction("a");
    char id[] = "vector", tunable[] = "VEC";
    const char *tunables[] = {tunable};
    struct htg_strategy strategy = {.id = id, .direction = "a", .tunables = {tunables, 1}};
    assert_int_equal(htg_add_strategy(htg, &strategy, NULL), 0);
    memset(id, '#', sizeof(id) - 1);
    memset(tunable, '#', sizeof(tunable) - 1);
    const struct htg_strategy *kept = htg_strategy(htg, (size_t)htg_find_strategy(htg, "vector"));
    assert_string_equal(kept->id, "vector");
    assert_string_equal(kept->tunables.at[0], "VEC");
    assert_string_equal(kept->guidance, "");
    htg_free(htg);
}

static void test_limit_of_directions(void **state)
{
    (void)state;
    struct htg *htg = htg_new();
    for (int i = 0; i <= HTG_DIRECTIONS_MAX; i++) {
        char id[16];
        snprintf(id, sizeof(id), "d%d", i);
        struct htg_direction direction = {.id = id};
        assert_int_equal(htg_add_direction(htg, &direction, NULL),
                         i < HTG_DIRECTIONS_MAX ? 0 : ERR_FULL);
    }
    assert_int_equal(htg_directions(htg), HTG_DIRECTIONS_MAX);
    htg_free(htg);
}

static void test_limit_of_strategies(void **state)
{
    (void)state;
    struct htg *htg = with_direction("a");
    for (int i = 0; i <= HTG_STRATEGIES_MAX; i++) {
        char id[16];
        snprintf(id, sizeof(id), "s%d", i);
        struct htg_strategy strategy = {.id = id, .direction = "a"};
        assert_int_equal(htg_add_strategy(htg, &strategy, NULL),
                         i < HTG_STRATEGIES_MAX ? 0 : ERR_FULL);
    }
    htg_free(htg);
}

static void test_limits_of_texts(void **state)
{
    (void)state;
    struct htg *htg = with_direction("a");
    char *text = xcalloc(HTG_TEXT_MAX + 2, 1);
    memset(text, 'x', HTG_TEXT_MAX + 1);
    struct htg_strategy strategy = {.id = "s", .direction = "a", .guidance = text};
    assert_int_equal(htg_add_strategy(htg, &strategy, NULL), ERR_TOOBIG);
    text[HTG_ID_MAX] = '\0';
    strategy = (struct htg_strategy){.id = text, .direction = "a"};
    assert_int_equal(htg_add_strategy(htg, &strategy, NULL), ERR_TOOBIG);
    strategy = (struct htg_strategy){.id = "s", .direction = "a", .title = "\xff\xfe"};
    assert_int_equal(htg_add_strategy(htg, &strategy, NULL), ERR_INVALID);
    const char *many[HTG_LIST_MAX + 1];
    for (size_t i = 0; i < ARRAY_LEN(many); i++) {
        many[i] = "x";
    }
    strategy =
        (struct htg_strategy){.id = "s", .direction = "a", .families = {many, ARRAY_LEN(many)}};
    assert_int_equal(htg_add_strategy(htg, &strategy, NULL), ERR_TOOBIG);
    strategy.families.n--;
    strategy.prior = (struct htg_prior){.gain = {NAN}, .given = 1};
    assert_int_equal(htg_add_strategy(htg, &strategy, NULL), ERR_INVALID);
    strategy.prior.given = 0;
    assert_int_equal(htg_add_strategy(htg, &strategy, NULL), 0);
    assert_int_equal(htg_add_strategy(htg, &strategy, NULL), ERR_EXISTS);
    assert_int_equal(htg_strategies(htg), 1);
    free(text);
    htg_free(htg);
}

static void test_priors_by_class(void **state)
{
    (void)state;
    struct htg_prior prior = {.given = 1u << CONTEXT_CLASS_MEMORY_BOUND |
                                       1u << CONTEXT_CLASS_LATENCY_BOUND};
    prior.gain[CONTEXT_CLASS_MEMORY_BOUND] = 0.3;
    prior.gain[CONTEXT_CLASS_LATENCY_BOUND] = 0.2;
    assert_true(htg_prior_gain(&prior, CONTEXT_CLASS_MEMORY_BOUND) == 0.3);
    assert_true(htg_prior_gain(&prior, CONTEXT_CLASS_COMPUTE_BOUND) == 0);
    assert_true(fabs(htg_prior_gain(&prior, CONTEXT_CLASS_NONE) - 0.1) < 1e-12);
}

static void test_transitions_are_found(void **state)
{
    (void)state;
    struct htg *htg = with_direction("a");
    struct htg_direction b = {.id = "b"};
    assert_int_equal(htg_add_direction(htg, &b, NULL), 0);
    struct htg_transition edges[] = {{.from = "start", .to = "b", .prior = 0.1},
                                     {.from = "b", .to = "a", .why = "because"}};
    for (size_t i = 0; i < ARRAY_LEN(edges); i++) {
        assert_int_equal(htg_add_transition(htg, &edges[i], NULL), 0);
    }
    assert_true(htg_find_transition(htg, "start", "b")->prior == 0.1);
    assert_string_equal(htg_find_transition(htg, "b", "a")->why, "because");
    assert_null(htg_find_transition(htg, "a", "b"));
    assert_null(htg_find_transition(htg, "nowhere", "b"));
    htg_free(htg);
}

static struct htg_example example(const char *candidate, double gain, const char *family,
                                  const char *arch)
{
    struct htg_example made = {.gain = gain};
    snprintf(made.candidate, sizeof(made.candidate), "%s", candidate);
    assert_int_equal(context_init(&made.context, family, "none", arch, false, NULL), 0);
    return made;
}

static void test_examples(void **state)
{
    (void)state;
    struct htg *htg = with_direction("a");
    struct htg_strategy strategy = {.id = "s", .direction = "a"};
    assert_int_equal(htg_add_strategy(htg, &strategy, NULL), 0);
    const struct htg_example examples[] = {
        example("c1", 0.1, "softmax", "sm_90"), example("c2", 0.5, "softmax", "sm_100"),
        example("c3", 0.9, "matmul", "sm_90"),  example("c4", 0.2, "softmax", "sm_90"),
        example("c5", 0.05, "norm", "sm_90"),   example("c1", 0.3, "softmax", "sm_90"),
        example("c3", 0.1, "matmul", "sm_90"),
    };
    for (size_t i = 0; i < ARRAY_LEN(examples); i++) {
        assert_int_equal(htg_add_example(htg, "s", &examples[i], NULL), 0);
    }
    assert_int_equal(htg_add_example(htg, "other", &examples[0], NULL), ERR_NOTFOUND);
    const struct htg_strategy *kept = htg_strategy(htg, 0);
    static const char *const order[] = {"c3", "c2", "c1", "c4"};
    assert_int_equal(kept->n_examples, ARRAY_LEN(order));
    for (size_t i = 0; i < ARRAY_LEN(order); i++) {
        assert_string_equal(kept->examples[i].candidate, order[i]);
    }
    struct htg_example asked = example("", 0, "softmax", "sm_90");
    assert_string_equal(htg_best_example(kept, &asked.context)->candidate, "c1");
    asked = example("", 0, "softmax", "sm_80");
    assert_string_equal(htg_best_example(kept, &asked.context)->candidate, "c2");
    asked = example("", 0, "conv", "sm_90");
    assert_string_equal(htg_best_example(kept, &asked.context)->candidate, "c3");
    htg_free(htg);
}

static void try_it(struct htg *htg, const char *strategy, const char *task, double gain,
                   bool failed)
{
    struct htg_observation observation = {
        .direction = "a", .strategy = strategy, .task = task, .gain = gain, .failed = failed};
    struct htg_increments increments;
    assert_int_equal(context_init(&observation.context, "softmax", "none", "sm_90", false, NULL),
                     0);
    assert_int_equal(htg_observe(htg, &observation, &increments, NULL), 0);
}

static struct htg *with_strategies(void)
{
    struct htg *htg = with_direction("a");
    const struct htg_strategy strategies[] = {
        {.id = "winner", .direction = "a", .state = HTG_STATE_PROVISIONAL},
        {.id = "loser", .direction = "a", .state = HTG_STATE_PROVISIONAL},
        {.id = "seed", .direction = "a", .state = HTG_STATE_SEED},
    };
    for (size_t i = 0; i < ARRAY_LEN(strategies); i++) {
        assert_int_equal(htg_add_strategy(htg, &strategies[i], NULL), 0);
    }
    return htg;
}

static enum htg_state state_of(const struct htg *htg, const char *strategy)
{
    return htg_strategy(htg, (size_t)htg_find_strategy(htg, strategy))->state;
}

static void test_states_follow_experience(void **state)
{
    (void)state;
    struct htg *htg = with_strategies();
    try_it(htg, "winner", "task1", 0.2, false);
    try_it(htg, "winner", "task1", 0.2, false);
    assert_int_equal(state_of(htg, "winner"), HTG_STATE_PROVISIONAL);
    try_it(htg, "winner", "task2", 0.001, false); /* "same": no win */
    assert_int_equal(state_of(htg, "winner"), HTG_STATE_PROVISIONAL);
    try_it(htg, "winner", "task2", 0.2, false);
    assert_int_equal(state_of(htg, "winner"), HTG_STATE_PROMOTED);
    for (int i = 0; i < HTG_RETIRE_TRIES; i++) {
        assert_int_equal(state_of(htg, "loser"), HTG_STATE_PROVISIONAL);
        try_it(htg, "loser", "task1", 0.9, true);
        try_it(htg, "seed", "task1", 0.9, true);
        try_it(htg, "winner", "task1", 0.9, true);
    }
    assert_int_equal(state_of(htg, "loser"), HTG_STATE_RETIRED);
    assert_int_equal(state_of(htg, "seed"), HTG_STATE_SEED);
    assert_int_equal(state_of(htg, "winner"), HTG_STATE_PROMOTED);
    htg_free(htg);
}

/* What a store gives back, before or after the nodes, leads to the same states. */
static void test_states_after_loading(void **state)
{
    (void)state;
    struct htg *from = with_strategies();
    try_it(from, "winner", "task1", 0.2, false);
    try_it(from, "winner", "group/task 2", 0.2, false);
    for (int i = 0; i < HTG_RETIRE_TRIES; i++) {
        try_it(from, "loser", "task1", 0, true);
    }
    struct htg *nodes_first = with_strategies(), *stats_first = with_direction("a");
    for (size_t i = 0; i < stats_count(htg_stats(from)); i++) {
        const struct tally *tally;
        const char *key = stats_at(htg_stats(from), i, &tally);
        for (int again = 0; again < 2; again++) {
            assert_int_equal(htg_stat_set(nodes_first, key, tally, NULL), 0);
            assert_int_equal(htg_stat_set(stats_first, key, tally, NULL), 0);
        }
    }
    for (size_t i = 0; i < htg_strategies(from); i++) {
        struct htg_strategy strategy = *htg_strategy(from, i);
        strategy.state = i < 2 ? HTG_STATE_PROVISIONAL : HTG_STATE_SEED;
        assert_int_equal(htg_add_strategy(stats_first, &strategy, NULL), 0);
        assert_int_equal(state_of(stats_first, strategy.id), state_of(from, strategy.id));
        assert_int_equal(state_of(nodes_first, strategy.id), state_of(from, strategy.id));
    }
    assert_int_equal(state_of(from, "winner"), HTG_STATE_PROMOTED);
    htg_free(from);
    htg_free(nodes_first);
    htg_free(stats_first);
}

static void test_strategy_json(void **state)
{
    (void)state;
    struct htg *htg = with_direction("a"), *other = with_direction("a");
    static const char *const families[] = {"softmax", "norm"}, *const archs[] = {"sm_80+"};
    struct htg_strategy strategy = {.id = "s",
                                    .direction = "a",
                                    .title = "T",
                                    .guidance = "g\n\"",
                                    .families = {families, 2},
                                    .archs = {archs, 1},
                                    .state = HTG_STATE_PROVISIONAL};
    strategy.prior.given = 1u << CONTEXT_CLASS_NEAR_LIMIT;
    strategy.prior.gain[CONTEXT_CLASS_NEAR_LIMIT] = 1.0 / 3;
    assert_int_equal(htg_add_strategy(htg, &strategy, NULL), 0);
    json_t *json = htg_seed_strategy_json(htg_strategy(htg, 0));
    assert_int_equal(htg_seed_strategy(other, json, NULL), 0);
    json_t *again = htg_seed_strategy_json(htg_strategy(other, 0));
    assert_true(json_equal(json, again));
    assert_int_equal(htg_strategy(other, 0)->state, HTG_STATE_PROVISIONAL);
    json_decref(json);
    json_decref(again);
    htg_free(htg);
    htg_free(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_seed_cases),
        cmocka_unit_test(test_classes_are_the_verdicts),
        cmocka_unit_test(test_copies),
        cmocka_unit_test(test_limit_of_directions),
        cmocka_unit_test(test_limit_of_strategies),
        cmocka_unit_test(test_limits_of_texts),
        cmocka_unit_test(test_priors_by_class),
        cmocka_unit_test(test_transitions_are_found),
        cmocka_unit_test(test_examples),
        cmocka_unit_test(test_states_follow_experience),
        cmocka_unit_test(test_states_after_loading),
        cmocka_unit_test(test_strategy_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
