/* SPDX-License-Identifier: MIT */
/* Learning: the increments of a step, trust, and made-up landscapes on which an order of steps has
 * to be found and a poisoned memory has to be outgrown. */
#include "base/arena.h"
#include "base/rng.h"
#include "base/util.h"
#include "graph_fixture.h"

#include <math.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#define assert_near(a, b) assert_true(fabs((a) - (b)) < 1e-12)

static struct htg_observation observation(const char *direction, double gain, bool failed)
{
    struct htg_observation made = {
        .direction = direction, .task = "t", .gain = gain, .failed = failed};
    made.context = fixture_request(0, 0).context;
    return made;
}

static const struct htg_increment *find(const struct htg_increments *increments, const char *key)
{
    for (size_t i = 0; i < increments->n; i++) {
        if (str_eq(increments->at[i].key, key)) {
            return &increments->at[i];
        }
    }
    return NULL;
}

static void test_increments_of_a_step(void **state)
{
    (void)state;
    struct htg *htg = fixture_graph(NULL);
    struct htg_observation seen = observation("a", 0.4, false);
    seen.source = "c";
    seen.strategy = "a1";
    struct htg_increments increments;
    assert_int_equal(htg_observe(htg, &seen, &increments, NULL), 0);
    static const char *const keys[] = {
        "direction/a/softmax|memory_bound|sm_90",
        "direction/a/*|memory_bound|*",
        "direction/a/*|*|*",
        "transition/c>a/softmax|memory_bound|sm_90",
        "transition/c>a/*|memory_bound|*",
        "transition/c>a/*|*|*",
        "strategy/a1/softmax|memory_bound|sm_90",
        "strategy/a1/*|memory_bound|*",
        "strategy/a1/*|*|*",
        "proof/a1/t",
        "trust/guided/softmax",
        "trust/guided/*",
    };
    assert_int_equal(increments.n, ARRAY_LEN(keys));
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        assert_non_null(find(&increments, keys[i]));
        const struct tally *tally = htg_stat(htg, keys[i]);
        assert_int_equal(tally->n, 1);
        assert_near(tally->mean, 0.4);
    }
    htg_free(htg);
}

static void test_failures_and_controls(void **state)
{
    (void)state;
    struct htg *htg = fixture_graph(NULL);
    struct htg_observation seen = observation("a", NAN, true);
    seen.source = HTG_START;
    seen.control = true;
    seen.strategy = "a1";
    struct htg_increments increments;
    assert_int_equal(htg_observe(htg, &seen, &increments, NULL), 0);
    const struct htg_increment *edge = find(&increments, "transition/start>a/*|*|*");
    assert_true(edge->failed);
    assert_near(edge->gain, -TALLY_FAILURE_LOSS);
    assert_null(find(&increments, "proof/a1/t"));
    assert_null(find(&increments, "trust/guided/*"));
    assert_non_null(find(&increments, "trust/control/softmax"));
    assert_int_equal(htg_stat(htg, "direction/a/*|*|*")->failures, 1);
    htg_free(htg);
}

/* The most that one step can write fits. */
static void test_most_increments(void **state)
{
    (void)state;
    struct htg *htg = htg_new();
    char ids[2][HTG_ID_MAX];
    for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
        memset(ids[i], 'a' + (int)i, HTG_ID_MAX - 1);
        ids[i][HTG_ID_MAX - 1] = '\0';
        struct htg_direction direction = {.id = ids[i]};
        assert_int_equal(htg_add_direction(htg, &direction, NULL), 0);
    }
    struct htg_strategy strategy = {.id = ids[1], .direction = ids[0]};
    assert_int_equal(htg_add_strategy(htg, &strategy, NULL), 0);
    struct htg_observation seen = observation(ids[0], 0.4, false);
    char family[CONTEXT_FAMILY_MAX], task[600];
    memset(family, 'f', sizeof(family) - 1);
    family[sizeof(family) - 1] = '\0';
    memset(task, '/', sizeof(task) - 1);
    task[sizeof(task) - 1] = '\0';
    assert_int_equal(
        context_init(&seen.context, family, "compile_error", "sm_1000000000000000000", true, NULL),
        0);
    seen.source = ids[1];
    seen.strategy = ids[1];
    seen.task = task;
    struct htg_increments increments;
    assert_int_equal(htg_observe(htg, &seen, &increments, NULL), 0);
    assert_int_equal(increments.n, HTG_INCREMENTS_MAX);
    htg_free(htg);
}

static void test_bad_observations(void **state)
{
    (void)state;
    struct htg *htg = fixture_graph(NULL);
    struct htg_increments increments;
    struct htg_observation bad = observation("nowhere", 0, false);
    assert_int_equal(htg_observe(htg, &bad, &increments, NULL), ERR_INVALID);
    bad = observation("a", NAN, false);
    assert_int_equal(htg_observe(htg, &bad, &increments, NULL), ERR_INVALID);
    bad = observation("a", 0, false);
    bad.source = "nowhere";
    assert_int_equal(htg_observe(htg, &bad, &increments, NULL), ERR_INVALID);
    bad.source = NULL;
    bad.strategy = "nothing";
    assert_int_equal(htg_observe(htg, &bad, &increments, NULL), ERR_INVALID);
    assert_int_equal(stats_count(htg_stats(htg)), 0);
    htg_free(htg);
}

static void test_frozen_learns_nothing(void **state)
{
    (void)state;
    struct htg *htg = fixture_graph(NULL);
    const enum select_ablation still[] = {SELECT_ABLATION_FROZEN, SELECT_ABLATION_NONE};
    for (size_t i = 0; i < ARRAY_LEN(still); i++) {
        struct htg_observation seen = observation("a", 0.4, false);
        struct htg_increments increments = {.n = 9};
        seen.ablation = still[i];
        assert_int_equal(htg_observe(htg, &seen, &increments, NULL), 0);
        assert_int_equal(increments.n, 0);
        assert_int_equal(stats_count(htg_stats(htg)), 0);
    }
    htg_free(htg);
}

/* Two processes on one store: each learns its own steps; reading the sums gives both the same. */
static void test_increments_commute(void **state)
{
    (void)state;
    struct htg *one = fixture_graph(NULL), *two = fixture_graph(NULL), *both = fixture_graph(NULL);
    struct rng rng;
    rng_init(&rng, 1, 2, 3);
    for (int i = 0; i < 200; i++) {
        char direction[] = {(char)('a' + rng_below(&rng, FIXTURE_DIRECTIONS)), '\0'};
        struct htg_observation seen = observation(direction, rng_normal(&rng) / 3, i % 5 == 0);
        struct htg_increments increments;
        assert_int_equal(htg_observe(both, &seen, &increments, NULL), 0);
        assert_int_equal(htg_observe(i % 3 ? one : two, &seen, &increments, NULL), 0);
    }
    for (size_t i = 0; i < stats_count(htg_stats(two)); i++) {
        const struct tally *of_two;
        const char *key = stats_at(htg_stats(two), i, &of_two);
        struct tally sum = *htg_stat(one, key);
        tally_merge(&sum, of_two);
        const struct tally *want = htg_stat(both, key);
        assert_int_equal(sum.n, want->n);
        assert_int_equal(sum.failures, want->failures);
        assert_near(sum.mean, want->mean);
        assert_near(sum.m2, want->m2);
    }
    htg_free(one);
    htg_free(two);
    htg_free(both);
}

static void trust_stat(struct htg *htg, const char *arm, int64_t n, double mean)
{
    const char *const families[] = {"softmax", "*"};
    for (size_t i = 0; i < ARRAY_LEN(families); i++) {
        char key[STATS_KEY_MAX];
        struct tally tally = {.n = n, .mean = mean, .m2 = 0.09 * (double)n};
        stats_key(STATS_KIND_TRUST, NULL, arm, families[i], key);
        assert_int_equal(htg_stat_set(htg, key, &tally, NULL), 0);
    }
}

static void test_trust(void **state)
{
    (void)state;
    struct htg *htg = fixture_graph(NULL);
    struct context context = fixture_request(0, 0).context, other = context, model = context;
    strcpy(other.family, "matmul");
    model.modelled = true;
    assert_near(htg_trust(htg, &context, 3), 1); /* nothing speaks against it yet */
    trust_stat(htg, "guided", 40, 0.3);
    trust_stat(htg, "control", 10, 0.1);
    assert_near(htg_trust(htg, &context, 3), 1);
    trust_stat(htg, "guided", 40, -0.2);
    double bad = htg_trust(htg, &context, 3);
    assert_true(bad < 0.1);
    /* One family's disappointment is a warning to the others, not a verdict; a model's isn't one.
     */
    assert_true(htg_trust(htg, &other, 3) > bad);
    assert_true(htg_trust(htg, &other, 3) < 1);
    assert_near(htg_trust(htg, &model, 3), 1);
    /* Little evidence, little loss of trust. */
    trust_stat(htg, "guided", 2, -0.2);
    trust_stat(htg, "control", 1, 0.1);
    assert_true(htg_trust(htg, &context, 3) > 0.3);
    htg_free(htg);
}

/* Trust is the share of steps that follow memory. */
static void test_distrust_makes_controls(void **state)
{
    (void)state;
    struct htg *htg = fixture_graph(NULL);
    trust_stat(htg, "guided", 200, -0.3);
    trust_stat(htg, "control", 200, 0.3);
    struct select_request request = fixture_request(1, 0);
    select_tuning_default(&request.tuning);
    size_t controls = 0;
    for (uint64_t i = 0; i < 1000; i++) {
        auto_arena struct arena *arena = arena_new();
        request.step = i;
        controls += fixture_choose(htg, &request, arena)->control;
    }
    assert_in_range(controls, 920, 985); /* all but 0.9 * trust_floor */
    htg_free(htg);
}

/* A made-up world: what a direction brings, given what was kept before. */
struct world {
    double (*gain)(const bool kept[FIXTURE_DIRECTIONS], int latest, int direction);
    uint64_t steps;
};

/* Runs one task; returns the sum of gains kept. Learns into htg. */
static double campaign(struct htg *htg, const struct world *world, uint64_t seed, uint64_t number,
                       const struct select_tuning *tuning, enum select_ablation ablation)
{
    bool kept[FIXTURE_DIRECTIONS] = {false};
    struct select_step history[64];
    char ids[FIXTURE_DIRECTIONS][2];
    char task[16];
    int latest = -1;
    double sum = 0;
    snprintf(task, sizeof(task), "task%llu", (unsigned long long)number);
    for (uint64_t i = 0; i < world->steps; i++) {
        auto_arena struct arena *arena = arena_new();
        struct rng noise;
        rng_init(&noise, seed, number, i);
        struct select_request request = fixture_request(seed, i);
        request.task = task;
        request.tuning = *tuning;
        request.ablation = ablation;
        request.history = history;
        request.n_history = i;
        const struct choice *choice = fixture_choose(htg, &request, arena);
        int d = (int)choice->picked;
        double gain = world->gain(kept, latest, d) + 0.02 * rng_normal(&noise);
        bool failed = gain<-0.5, better = gain> HTG_WIN_GAIN;
        struct htg_observation seen = observation(choice->directions[d].id, gain, failed);
        seen.source = choice->n_sources > 0 ? choice->sources[0] : NULL;
        seen.control = choice->control;
        seen.ablation = ablation;
        struct htg_increments increments;
        assert_int_equal(htg_observe(htg, &seen, &increments, NULL), 0);
        memcpy(ids[d], (char[]){(char)('a' + d), '\0'}, 2);
        for (uint64_t j = 0; better && j < i; j++) {
            history[j].here = false;
        }
        history[i] = (struct select_step){
            .direction = ids[d],
            .lineage = better,
            .here = !better,
            .outcome = failed   ? SELECT_OUTCOME_FAILED
                       : better ? SELECT_OUTCOME_GAINED
                                : SELECT_OUTCOME_SAME,
        };
        if (better) {
            kept[d] = true;
            latest = d;
            sum += gain;
        }
    }
    return sum;
}

/* Mean over campaigns first..last of several worlds' lives. */
static double live(const struct world *world, const double *priors, void (*poison)(struct htg *),
                   const struct select_tuning *tuning, enum select_ablation ablation,
                   uint64_t campaigns, uint64_t skip_first, double *ret_trust)
{
    double sum = 0, trust = 0;
    const uint64_t lives = 16;
    for (uint64_t seed = 1; seed <= lives; seed++) {
        struct htg *htg = fixture_graph(priors);
        if (poison) {
            poison(htg);
        }
        for (uint64_t i = 0; i < campaigns; i++) {
            double gained = campaign(htg, world, seed, i, tuning, ablation);
            sum += i >= skip_first ? gained : 0;
        }
        struct context context = fixture_request(0, 0).context;
        trust += htg_trust(htg, &context, tuning->k);
        htg_free(htg);
    }
    if (ret_trust) {
        *ret_trust = trust / (double)lives;
    }
    return sum / (double)(lives * (campaigns - skip_first));
}

/* a helps only right after b, c only right after d; alone they fail. b and d bring little. */
static double pairs(const bool kept[FIXTURE_DIRECTIONS], int latest, int direction)
{
    switch (direction) {
    case 0:
        return kept[0] ? 0 : latest == 1 ? 0.7 : -1;
    case 2:
        return kept[2] ? 0 : latest == 3 ? 0.7 : -1;
    case 1:
    case 3:
        return kept[direction] ? 0 : 0.05;
    default:
        return kept[direction] ? 0 : 0.1;
    }
}

/* The same pairs, but it's enough that the first of a pair came at any time before. */
static double enablers(const bool kept[FIXTURE_DIRECTIONS], int latest, int direction)
{
    bool before = direction == 0 ? kept[1] : direction == 2 && kept[3];
    return pairs(kept, before ? direction + 1 : latest == direction + 1 ? -1 : latest, direction);
}

/* Memory with order beats every memory from which something was taken, and no memory. */
static void find_order(const char *name, const struct world *world, double least)
{
    struct select_tuning tuning, no_opening;
    select_tuning_default(&tuning);
    no_opening = tuning;
    no_opening.opening = 0;
    double full = live(world, NULL, NULL, &tuning, SELECT_ABLATION_OFF, 60, 30, NULL);
    double greedy = live(world, NULL, NULL, &no_opening, SELECT_ABLATION_OFF, 60, 30, NULL);
    print_message("%s: full %.2f, without looking ahead %.2f", name, full, greedy);
    const enum select_ablation taken[] = {SELECT_ABLATION_NO_PREFIX, SELECT_ABLATION_FROZEN,
                                          SELECT_ABLATION_RANDOM, SELECT_ABLATION_NONE};
    for (size_t i = 0; i < ARRAY_LEN(taken); i++) {
        double less = live(world, NULL, NULL, &tuning, taken[i], 60, 30, NULL);
        print_message(", %s %.2f", select_ablation_name(taken[i]), less);
        assert_true(full > least * less);
    }
    print_message(" nats a task\n");
    assert_true(full > greedy);
}

static void test_order_is_found(void **state)
{
    (void)state;
    find_order("pairs", &(struct world){pairs, 8}, 1.5);
    find_order("enablers", &(struct world){enablers, 8}, 1.3);
}

/* After learning, a is likely after b and unlikely at the start. */
static void test_order_is_in_the_choice(void **state)
{
    (void)state;
    const struct world world = {pairs, 8};
    struct select_tuning tuning;
    select_tuning_default(&tuning);
    struct htg *htg = fixture_graph(NULL);
    for (uint64_t i = 0; i < 80; i++) {
        campaign(htg, &world, 3, i, &tuning, SELECT_ABLATION_OFF);
    }
    auto_arena struct arena *arena = arena_new();
    struct select_request request = fixture_request(3, 0);
    double first = fixture_choose(htg, &request, arena)->directions[0].probability;
    const struct select_step b = {.direction = "b", .lineage = true};
    request.history = &b;
    request.n_history = 1;
    double after_b = fixture_choose(htg, &request, arena)->directions[0].probability;
    assert_true(after_b > 0.5);
    assert_true(first < 0.1);
    htg_free(htg);
}

/* a, b bring something once; the rest nothing, and e, f break the kernel. */
static double plain(const bool kept[FIXTURE_DIRECTIONS], int latest, int direction)
{
    (void)latest;
    static const double first[FIXTURE_DIRECTIONS] = {0.5, 0.4, 0.1, 0.1, -1, -1};
    return first[direction] > 0 && kept[direction] ? 0 : first[direction];
}

/* A foreign memory that is sure of the opposite, and too sure to be outvoted soon. */
static void poison(struct htg *htg)
{
    for (int i = 0; i < FIXTURE_DIRECTIONS; i++) {
        char id[] = {(char)('a' + i), '\0'};
        double mean = i >= 4 ? 1.0 : -0.2;
        fixture_known(htg, STATS_KIND_DIRECTION, NULL, id, 5000, mean);
        fixture_known(htg, STATS_KIND_TRANSITION, HTG_START, id, 5000, mean);
        for (int j = 0; j < FIXTURE_DIRECTIONS; j++) {
            char from[] = {(char)('a' + j), '\0'};
            fixture_known(htg, STATS_KIND_TRANSITION, from, id, 5000, mean);
        }
    }
}

static void test_poison_is_outgrown(void **state)
{
    (void)state;
    const struct world world = {plain, 8};
    struct select_tuning guarded, blind;
    select_tuning_default(&guarded);
    blind = guarded;
    blind.control_share = 0;
    blind.trust_floor = 1;
    double trust, honest_trust;
    double followed = live(&world, NULL, poison, &blind, SELECT_ABLATION_OFF, 30, 10, NULL);
    double guard = live(&world, NULL, poison, &guarded, SELECT_ABLATION_OFF, 30, 10, &trust);
    double none = live(&world, NULL, NULL, &guarded, SELECT_ABLATION_NONE, 30, 10, NULL);
    double honest = live(&world, NULL, NULL, &guarded, SELECT_ABLATION_OFF, 30, 10, &honest_trust);
    print_message("poison: followed %.2f, guarded %.2f, no memory %.2f, honest memory %.2f nats a "
                  "task; trust %.2f and %.2f\n",
                  followed, guard, none, honest, trust, honest_trust);
    assert_true(trust < 0.1);
    assert_true(honest_trust > 0.9);
    assert_true(followed < 0.3 * none);
    assert_true(guard > 0.9 * none);
    assert_true(honest > none);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_increments_of_a_step),
        cmocka_unit_test(test_failures_and_controls),
        cmocka_unit_test(test_most_increments),
        cmocka_unit_test(test_bad_observations),
        cmocka_unit_test(test_frozen_learns_nothing),
        cmocka_unit_test(test_increments_commute),
        cmocka_unit_test(test_trust),
        cmocka_unit_test(test_distrust_makes_controls),
        cmocka_unit_test(test_order_is_found),
        cmocka_unit_test(test_order_is_in_the_choice),
        cmocka_unit_test(test_poison_is_outgrown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
