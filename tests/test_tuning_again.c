/* SPDX-License-Identifier: MIT */
/*
 * Live tuning: what is shared and pinned, failures as data, what is cut short, timed again, paired
 * and verified, and that the same times make the same search.
 */
#include "tests/tuning_rig.h"
#include "base/jread.h"
#include "base/util.h"

#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

/* A space's samples are shared by whoever begins from another of its configs, and what was best is
 * tried at once. */
static void test_a_space_is_shared(void **state)
{
    struct fixture *f = *state;
    const struct candidate *from = rig_variant(f, "05_online_vector");
    struct seen seen;
    rig_tune(f, from, 100, &seen);
    struct candidate *best = seen.best;
    size_t fastest = rig_find_fastest(&seen);
    double best_us = seen.at[fastest].us;
    rig_tune(f, best, 100, &seen); /* begins from the best: all is known */
    assert_true(seen.device_s == 0);
    assert_int_equal(seen.samples, 24);
    candidate_free(seen.best);
    struct tuning_options few = { .candidate = from, .budget = 2 };
    rig_tune_as(f, few, &seen); /* its own config, then the store's best */
    assert_int_equal(seen.samples, 2);
    assert_true(seen.at[1].us == best_us);
    candidate_free(seen.best);
    candidate_free(best);
}

/* The config that is named comes right after the plan's own; one that can't be is refused. */
static void test_pinned(void **state)
{
    struct fixture *f = *state;
    const char *const good[] = { "{\"BLOCK\":1024,\"UNROLL\":2}" };
    const char *const bad[] = { "{\"BLOK\":1024}", "{\"BLOCK\":1000}", "{\"BLOCK\":1024", "[1]" };
    struct tuning_options options = { .candidate = rig_variant(f, "05_online_vector"), .budget = 3,
                                      .n_pinned = 1, .pinned = good };
    struct seen seen;
    rig_tune_as(f, options, &seen);
    json_t *config = json_loads(seen.at[1].config, 0, NULL);
    assert_int_equal(json_integer_value(json_object_get(config, "BLOCK")), 1024);
    assert_int_equal(json_integer_value(json_object_get(config, "UNROLL")), 2);
    json_decref(config);
    candidate_free(seen.best);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct tuning *tuning = NULL;
        struct err err = { 0 };
        options.task = f->task;
        options.pinned = &bad[i];
        assert_true(tuning_start(&f->session, &options, rig_on_tuned, &seen, &tuning, &err) < 0);
        assert_non_null(strstr(err_text(&err), "pinned config"));
    }
}

/* One that hangs costs its deadline and is data; so does one that takes the device down. */
static void one_that_fails(struct fixture *f, const char *variable, const char *order,
                           const char *status)
{
    struct seen seen;
    setenv(variable, order, 1);
    f->options.fresh = true;
    session_close(&f->session); /* workers begin with the environment */
    rig_open_session(f);
    struct tuning_options options = { .candidate = rig_variant(f, "02_block_per_row"), .budget = 100,
                                      .deadline_ms = 300 };
    rig_tune_as(f, options, &seen);
    unsetenv(variable);
    assert_int_equal(seen.code, 0);
    assert_int_equal(seen.samples, 5);
    size_t failed = 0;
    for (size_t i = 0; i < seen.samples; i++) {
        bool singled = strstr(seen.at[i].config, "512") != NULL;
        assert_string_equal(seen.at[i].status, singled ? status : "accepted");
        assert_true(singled == !(seen.at[i].us > 0));
        failed += singled;
    }
    assert_int_equal(failed, 1);
    assert_non_null(seen.best);
    candidate_free(seen.best);
}

static void test_failures_are_data(void **state)
{
    struct fixture *f = *state;
    one_that_fails(f, "WARPSMITH_FAKE_COMPILE", "hang -DBLOCK=512", "timeout"); /* first: images are kept */
    one_that_fails(f, "WARPSMITH_FAKE_JUDGE", "hang \"block\":[512", "timeout");
    one_that_fails(f, "WARPSMITH_FAKE_JUDGE", "die \"block\":[512", "crash");
    one_that_fails(f, "WARPSMITH_FAKE_JUDGE", "wrong \"block\":[512", "incorrect");
}

/* Who is far slower than the best of those told before is cut short, and its time is kept. */
static void test_hopeless(void **state)
{
    struct fixture *f = *state;
    struct tuning_options options = { .candidate = rig_variant(f, "05_online_vector"), .budget = 100,
                                      .hopeless = 1.02, .algorithm = "exhaustive" };
    struct seen seen;
    rig_tune_as(f, options, &seen);
    size_t slow = 0;
    double best = (double)INFINITY;
    for (size_t i = 0; i < seen.samples; i++) {
        assert_true(seen.at[i].us > 0);
        if (str_eq(seen.at[i].status, "slow")) {
            assert_true(seen.at[i].us > 1.02 * best);
            slow++;
        }
        best = MIN(best, seen.at[i].us);
    }
    assert_true(slow > 0);
    assert_string_equal(seen.at[rig_find_fastest(&seen)].status, "accepted");
    candidate_free(seen.best);
    rig_tune_as(f, options, &seen);
    assert_true(seen.device_s == 0); /* known, too */
    candidate_free(seen.best);
}

static void test_deadlines_follow_the_first_configs(void **state)
{
    (void)state;
    double costs[TUNING_POPULATION];
    for (size_t i = 0; i < TUNING_POPULATION; i++) {
        costs[i] = i < 3 ? 100 : 0.001 * (double)i; /* one in ten doesn't count */
    }
    assert_int_equal(tuning_deadline(costs, TUNING_POPULATION - 1, 3, 10, 30000), 30000);
    assert_int_equal(tuning_deadline(costs, TUNING_POPULATION, 3, 10, 30000), 87);
    assert_int_equal(tuning_deadline(costs, TUNING_POPULATION, 3, 5000, 30000), 5000);
    assert_int_equal(tuning_deadline(costs, TUNING_POPULATION, 3, 5000, 2000), 2000);
}


/* The same times, the same search, whatever order results come in. */
static void test_same_search(void **state)
{
    struct fixture *f = *state;
    struct candidate *candidate = rig_two_hundred(f, "");
    struct seen *a = xcalloc(2, sizeof(*a)), *b = a + 1;
    f->options.fresh = true;
    rig_tune(f, candidate, 40, a);
    rig_tune(f, candidate, 40, b);
    assert_string_equal(a->algorithm, "auto");
    assert_int_equal(a->samples, 40);
    assert_string_equal(a->record, b->record);
    candidate_free(a->best);
    candidate_free(b->best);
    candidate_free(candidate);
    free(a);
}

/* A replay goes by the record: no device, no store. */
static void test_replayed(void **state)
{
    struct fixture *f = *state;
    const struct candidate *candidate = rig_variant(f, "05_online_vector");
    struct seen *live = xcalloc(2, sizeof(*live)), *again = live + 1;
    rig_tune(f, candidate, 10, live);
    json_t *record = json_loads(live->record, 0, NULL);
    f->options.fresh = true;
    struct tuning_options options = { .candidate = candidate, .budget = 10, .record = record };
    rig_tune_as(f, options, again);
    assert_true(again->device_s == 0);
    assert_string_equal(again->record, live->record);
    assert_true(id_eq(&again->best->id, &live->best->id));
    candidate_free(again->best);
    json_array_append_new(json_object_get(record, "samples"), json_pack("{s:s}", "config", "{}"));
    options.task = f->task;
    struct tuning *tuning = NULL;
    struct err err = { 0 };
    assert_int_equal(tuning_start(&f->session, &options, rig_on_tuned, again, &tuning, &err), ERR_INVALID);
    assert_non_null(strstr(err_text(&err), "samples[10]"));
    json_decref(record);
    candidate_free(live->best);
    free(live);
}

/* The fastest at a quick look isn't in pairs: somebody else is the best, and the pairs are said. */
static void test_finalists_are_paired(void **state)
{
    struct fixture *f = *state;
    const struct candidate *candidate = rig_variant(f, "02_block_per_row");
    struct seen seen;
    setenv("WARPSMITH_FAKE_SPREAD", "0.02", 1);
    session_close(&f->session);
    rig_open_session(f);
    rig_tune(f, candidate, 100, &seen);
    assert_int_equal(seen.finals, 4);
    int64_t first = rig_param(seen.best, "BLOCK");
    auto_free char *config = xprintf("{\"BLOCK\":%lld}", (long long)first);
    assert_string_equal(seen.at[rig_find_fastest(&seen)].config, config); /* also where all are "same" */
    candidate_free(seen.best);
    auto_free char *order = xprintf("worse \"block\":[%lld", (long long)first);
    setenv("WARPSMITH_FAKE_JUDGE", order, 1);
    f->options.fresh = true;
    session_close(&f->session);
    rig_open_session(f);
    rig_tune(f, candidate, 100, &seen);
    assert_int_equal(seen.finals, 4);
    assert_int_not_equal(rig_param(seen.best, "BLOCK"), first);
    candidate_free(seen.best);
}

/* Half the time all at once is looked at again before it counts. */
static void test_a_jump_is_confirmed(void **state)
{
    struct fixture *f = *state;
    struct seen seen;
    setenv("WARPSMITH_FAKE_SPREAD", "0.02", 1);
    setenv("WARPSMITH_FAKE_JUDGE", "glitch \"block\":[1024", 1);
    session_close(&f->session);
    rig_open_session(f);
    struct tuning_options options = { .candidate = rig_variant(f, "05_online_vector"), .budget = 100,
                                      .algorithm = "exhaustive" };
    rig_tune_as(f, options, &seen);
    assert_int_equal(seen.samples, 24);
    assert_int_equal(seen.confirmed, 1);
    for (size_t i = 0; i < seen.samples; i++) {
        assert_true(seen.at[i].us > 95);
    }
    candidate_free(seen.best);
}

static void test_near_ones_are_timed_again(void **state)
{
    struct fixture *f = *state;
    struct seen *seen = xcalloc(1, sizeof(*seen));
    setenv("WARPSMITH_FAKE_SPREAD", "0.02", 1);
    session_close(&f->session);
    rig_open_session(f);
    struct candidate *candidate = rig_two_hundred(f, "");
    rig_tune(f, candidate, 70, seen);
    assert_true(seen->samples > TUNING_RETIME_EVERY);
    assert_true(seen->retimed > 0 && seen->retimed <= TUNING_RETIME_MOST);
    candidate_free(seen->best);
    candidate_free(candidate);
    free(seen);
}

/* What another kernel of the family showed is tried first. */
static void test_earlier_tunings_propose(void **state)
{
    struct fixture *f = *state;
    struct seen *first = xcalloc(2, sizeof(*first)), *then = first + 1;
    struct candidate *one = rig_two_hundred(f, "one"), *other = rig_two_hundred(f, "other");
    struct tuning_options prior = { .candidate = one, .budget = 10, .algorithm = "prior" };
    rig_tune_as(f, prior, then);
    assert_int_equal(then->earlier, 0); /* nobody came before, which is said */
    assert_non_null(strstr(then->note, "no earlier tuning"));
    assert_int_equal(then->samples, 1);
    candidate_free(then->best);
    rig_tune(f, one, 200, first);
    rig_tune(f, other, 10, then);
    assert_int_equal(then->earlier, 1);
    double best = first->at[rig_find_fastest(first)].us, proposed = (double)INFINITY;
    for (size_t i = 1; i <= 5; i++) { /* after the plan's own */
        proposed = MIN(proposed, then->at[i].us);
    }
    assert_true(proposed <= 1.02 * best);
    candidate_free(first->best);
    candidate_free(then->best);
    prior.candidate = other;
    rig_tune_as(f, prior, then);
    assert_string_equal(then->algorithm, "prior");
    assert_true(then->samples > 1 && then->at[rig_find_fastest(then)].us <= 1.02 * best);
    candidate_free(then->best);
    candidate_free(one);
    candidate_free(other);
    free(first);
}

/* The best must pass every check, or it isn't. */
static void test_the_best_is_verified(void **state)
{
    struct fixture *f = *state;
    struct seen seen;
    struct tuning_options options = { .candidate = rig_variant(f, "02_block_per_row"), .budget = 100,
                                      .verify = true };
    rig_tune_as(f, options, &seen);
    assert_string_equal(seen.note, "");
    int64_t first = rig_param(seen.best, "BLOCK");
    candidate_free(seen.best);
    auto_free char *order = xprintf("doomed \"block\":[%lld", (long long)first);
    setenv("WARPSMITH_FAKE_JUDGE", order, 1);
    f->options.fresh = true;
    session_close(&f->session);
    rig_open_session(f);
    rig_tune_as(f, options, &seen);
    assert_int_not_equal(rig_param(seen.best, "BLOCK"), first);
    assert_non_null(strstr(seen.note, "is incorrect"));
    assert_int_equal(seen.samples, 5);
    candidate_free(seen.best);
    setenv("WARPSMITH_FAKE_JUDGE", "doomed \"block\":[", 1); /* all of them */
    session_close(&f->session);
    rig_open_session(f);
    rig_tune_as(f, options, &seen);
    assert_null(seen.best);
    assert_int_equal(seen.code, 0);
}

/* Nobody to ask: said, and the search goes on. */
static void test_no_model(void **state)
{
    struct fixture *f = *state;
    struct seen seen;
    struct tuning_options options = { .candidate = rig_variant(f, "05_online_vector"), .budget = 15,
                                      .algorithm = "hybrid" };
    rig_tune_as(f, options, &seen);
    assert_int_equal(seen.samples, 15);
    assert_non_null(strstr(seen.note, "no model to ask"));
    candidate_free(seen.best);
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
#define T(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)
#define G(f) cmocka_unit_test_setup_teardown(f, rig_setup_gpu, rig_teardown)
    const struct CMUnitTest tests[] = {
        T(test_a_space_is_shared),
        T(test_pinned),
        T(test_failures_are_data),
        T(test_hopeless),
        T(test_deadlines_follow_the_first_configs),
        T(test_same_search),
        T(test_replayed),
        T(test_earlier_tunings_propose),
        G(test_finalists_are_paired),
        G(test_a_jump_is_confirmed),
        G(test_near_ones_are_timed_again),
        T(test_the_best_is_verified),
        T(test_no_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
