/* SPDX-License-Identifier: MIT */
/* Results that were made up, scored against numbers worked out by hand; two runs compared; the page of one. */
#include "agent/kernelbench_against.h"
#include "agent/kernelbench_page.h"
#include "agent/kernelbench_tally.h"
#include "base/file.h"
#include "base/util.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define HOSTILE "<script>alert(1)</script>\"'&"

static json_t *strict(const char *name, double us)
{
    return us > 0 ? json_pack("{s:s,s:s,s:{s:s,s:f,s:{s:f,s:f,s:f,s:i}}}", "name", name, "id", "0", "verdict", "status",
                              "accepted", "sol", 0.5, "time", "median_us", us, "lo_us", us * 0.99, "hi_us", us * 1.01,
                              "n", 30)
                  : json_pack("{s:s,s:s,s:{s:s,s:s}}", "name", name, "id", "0", "verdict", "status", "incorrect",
                              "detail", HOSTILE);
}

/* A problem whose candidates took these microseconds (0: incorrect), up to a negative number; eager took 100. */
static json_t *problem(int level, int id, const char *family, const double *us)
{
    json_t *list = json_array();
    for (size_t i = 0; us[i] >= 0; i++) {
        json_array_append_new(list, strict("c", us[i]));
    }
    auto_free char *name = xprintf("%d_P", id), *hash = xprintf("%d/%d", level, id);
    return json_pack("{s:i,s:i,s:i,s:s,s:s,s:s,s:s,s:{s:{s:f}},s:o}", "format", 1, "level", level, "id", id, "name", name,
                     "family", family, "hash", hash, "device", "H200", "baselines", "eager", "median_us", 100.0,
                     "candidates", list);
}

#define US(...) ((const double[]) { __VA_ARGS__, -1 })

static struct results *results_from(json_t *list)
{
    struct results *r = NULL;
    struct err err = { 0 };
    if (results_of(list, &r, &err) < 0) {
        fail_msg("%s", err_text(&err));
    }
    json_decref(list);
    return r;
}

static void near(double a, double b)
{
    if (!(fabs(a - b) < 1e-9)) {
        fail_msg("%.12g, expected %.12g", a, b);
    }
}

static json_t *sample(void)
{
    json_t *fast = problem(1, 1, "norm", US(80, 0, 50)), *none = problem(1, 5, "norm", US(-1));
    json_t *empty = problem(2, 3, "conv", US(-1)), *unfit = problem(2, 4, "conv", US(-1));
    json_t *zeros = problem(1, 6, "loss", US(1));
    json_object_set_new(json_object_get(fast, "baselines"), "compile", json_pack("{s:f}", "median_us", 25.0));
    json_object_set_new(json_array_get(json_object_get(fast, "candidates"), 0), "kb",
                        json_pack("{s:s,s:f,s:s,s:f}", "status", "correct", "mean_us", 90.0, "baseline", "eager",
                                  "baseline_mean_us", 270.0));
    json_object_set_new(json_array_get(json_object_get(fast, "candidates"), 0), "verified",
                        json_pack("{s:s,s:b}", "status", "unsupported", "left_out", 1));
    json_object_set_new(empty, "campaign", json_string("c1")); /* asked for: nothing came, so it failed */
    json_object_set_new(unfit, "unsupported", json_string("draws " HOSTILE));
    json_object_set_new(json_object_get(json_array_get(json_object_get(zeros, "candidates"), 0), "verdict"), "degenerate",
                        json_string("zeros"));
    json_object_set_new(fast, "cost", json_pack("{s:f,s:i,s:f}", "usd", 1.5, "tokens", 1000, "gpu_s", 2.0));
    return json_pack("[o,o,o,o,o,o]", fast, problem(1, 2, "norm", US(200)), none, zeros, empty, unfit);
}

static void test_scores(void **state)
{
    (void)state;
    struct results *r = results_from(sample());
    struct tally_group g = { .rule = RULE_STRICT, .baseline = "eager", .seed = 1 };
    struct score s;
    struct tally_cost cost;
    tally_score(r, &g, &s);
    assert_int_equal(s.n, 3); /* not: without a candidate, degenerate, unfit */
    assert_int_equal(s.correct, 2);
    near(s.geomean, 1); /* 2x and 0.5x */
    near(s.geomean_all, 1);
    near(s.fast[1], 1.0 / 3); /* 0.5x isn't faster than 0.5x */
    near(s.pass[0], (2.0 / 3 + 1 + 0) / 3);
    near(s.sol, 0.5);
    g.level = 2;
    tally_score(r, &g, &s);
    assert_true(s.n == 1 && s.correct == 0);
    g = (struct tally_group) { .rule = RULE_STRICT, .baseline = "compile", .seed = 1 };
    tally_score(r, &g, &s);
    assert_int_equal(s.n, 1); /* only one was timed by it */
    near(s.geomean, 0.5);
    g = (struct tally_group) { .rule = RULE_KB, .baseline = "eager", .seed = 1 };
    tally_score(r, &g, &s);
    assert_int_equal(s.n, 2); /* judged by it, or nothing came */
    near(s.geomean, 3); /* its own time of eager, not the run's */
    g.rule = RULE_VERIFIED; /* which leaves one out, and in the other nothing came */
    tally_score(r, &g, &s);
    assert_true(s.n == 1 && s.correct == 0);
    assert_true(tally_rule(r) == RULE_STRICT && str_eq(tally_baseline(r, RULE_KB), "eager"));
    tally_cost(r, NULL, &cost);
    assert_int_equal(cost.n, 1);
    near(cost.usd, 1.5);
    g.level = 2;
    tally_cost(r, &g, &cost);
    assert_int_equal(cost.n, 0);
    json_t *json = tally_json(r, 1);
    assert_int_equal(json_integer_value(json_object_get(json, "degenerate")), 1);
    assert_int_equal(json_integer_value(json_object_get(json, "unsupported")), 1);
    assert_int_equal(json_integer_value(json_object_get(json, "without")), 1);
    assert_int_equal(json_integer_value(json_object_get(json, "errors")), 0);
    json_decref(json);
    json_object_del((json_t *)(uintptr_t)r->at[0].doc, "baselines");
    near(result_baseline_us(&r->at[0], RULE_STRICT, "eager"), 270); /* kb's, where the run has none */
    results_free(r);
}

/* A campaign that ended without a candidate failed, whatever the reason's called; one that waits for a reply didn't. What
 * failed without a time of PyTorch's counts against each baseline: else only what is right would be scored. */
static void test_campaign(void **state)
{
    (void)state;
    json_t *right = problem(1, 1, "norm", US(50)), *wrong = problem(1, 2, "norm", US(0)), *ended = problem(1, 3, "norm", US(-1));
    json_t *waits = problem(1, 4, "norm", US(-1)), *broken = problem(1, 5, "norm", US(-1));
    json_object_set_new(json_object_get(right, "baselines"), "compile", json_pack("{s:f}", "median_us", 25.0));
    json_t *all[] = { right, wrong, ended, waits, broken };
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        json_object_set_new(all[i], "campaign", json_string("c1"));
    }
    json_object_del(wrong, "baselines");
    json_object_del(ended, "baselines");
    json_object_set_new(ended, "ended", json_string("the budget is used up"));
    json_object_set_new(ended, "error", json_string("the budget is used up"));
    json_object_set_new(waits, "ended", json_string(""));
    json_object_set_new(waits, "waiting", json_string("a reply is awaited"));
    json_object_set_new(broken, "error", json_string("the oracle can't read it"));
    struct results *r = results_from(json_pack("[o,o,o,o,o]", right, wrong, ended, waits, broken));
    struct tally_group g = { .rule = RULE_STRICT, .baseline = "eager", .seed = 1 };
    struct score s;
    tally_score(r, &g, &s);
    assert_true(s.n == 3 && s.correct == 1);
    near(s.fast[3], 1.0 / 3);
    g.baseline = "compile";
    tally_score(r, &g, &s);
    assert_true(s.n == 3 && s.correct == 1);
    near(s.geomean, 0.5);
    near(s.geomean_all, cbrt(0.5));
    assert_true(!r->at[2].reason && !r->at[3].attempted && str_eq(r->at[4].reason, "the oracle can't read it"));
    auto_free char *status = tally_status(&r->at[2], RULE_STRICT);
    assert_string_equal(status, "no candidate: the budget is used up");
    results_free(r);
}

/* How many count as failures for an error alone. */
static void test_errors(void **state)
{
    (void)state;
    json_t *list = json_pack("[o]", problem(1, 1, "norm", US(50, 60, 0)));
    json_t *candidates = json_object_get(json_array_get(list, 0), "candidates");
    json_object_set_new(json_array_get(candidates, 1), "kb", json_pack("{s:s}", "status", "error"));
    json_object_set_new(json_array_get(candidates, 2), "error", json_string("the device is gone"));
    struct results *broken = results_from(list);
    assert_int_equal(tally_errors(broken), 2);
    results_free(broken);
}

/* A copy of a result would count twice; results of two machines are no one run's. */
static void test_twice(void **state)
{
    (void)state;
    struct results *r = NULL;
    struct err err = { 0 };
    json_t *list = json_pack("[o,o]", problem(1, 7, "norm", US(50)), problem(1, 7, "norm", US(50)));
    assert_int_equal(results_of(list, &r, &err), ERR_INVALID);
    assert_string_equal(err_text(&err), "level 1 problem 7 is there twice, as 7_P and 7_P");
    json_decref(list);
    list = json_array();
    for (int i = 0; i < RESULTS_MAX; i++) {
        json_array_append_new(list, problem(1, i, "norm", US(50)));
    }
    r = results_from(json_incref(list));
    assert_true(r->n == RESULTS_MAX && !r->mixed);
    results_free(r);
    json_object_set_new(json_array_get(list, 1), "device", json_string("B200"));
    r = results_from(json_incref(list));
    assert_true(r->mixed);
    results_free(r);
    json_array_append_new(list, problem(2, 1, "norm", US(50)));
    assert_int_equal(results_of(list, &r, &err), ERR_TOOBIG);
    json_decref(list);
}

/* What isn't a result is refused by the place of the fault; absurd times are none. */
static void test_foreign(void **state)
{
    (void)state;
    struct results *r = NULL;
    struct err err = { 0 };
    json_t *list = json_pack("[{s:i,s:s}]", "format", 1, "level", "one");
    assert_int_equal(results_of(list, &r, &err), ERR_INVALID);
    assert_non_null(strstr(err_text(&err), "level"));
    json_decref(list);
    json_t *odd = problem(1, 1, "norm", US(1e300, 1e-300));
    json_object_set_new(json_object_get(odd, "baselines"), HOSTILE, json_pack("{s:f}", "median_us", 1.0));
    r = results_from(json_pack("[o]", odd));
    near(result_us(json_array_get(r->at[0].candidates, 0), RULE_STRICT), 0);
    near(tally_speedup(&r->at[0], RULE_STRICT, "eager"), 0);
    assert_int_equal(r->n_baselines, 1); /* a baseline's name is a word */
    results_free(r);
    assert_int_equal(results_read("/nonexistent", NULL, &r, &err), ERR_NOTFOUND);
}

/* Ten problems that this run has in `mine` times the other's time each, give or take. */
static struct against *compared(double mine, double spread)
{
    json_t *a = json_array(), *b = json_array();
    for (int i = 1; i <= 10; i++) {
        double jitter = i % 2 ? 1 + spread : 1 - spread;
        json_array_append_new(a, problem(1, i, "norm", US(mine * jitter * 100)));
        json_array_append_new(b, problem(1, i, "norm", US(100)));
    }
    json_array_append_new(a, problem(2, 1, "conv", US(10)));
    json_array_append_new(b, problem(2, 1, "conv", US(0)));
    json_array_append_new(a, problem(2, 2, "conv", US(0)));
    json_array_append_new(b, problem(2, 2, "conv", US(10)));
    json_array_append_new(a, problem(2, 3, "conv", US(10)));
    json_array_append_new(b, problem(2, 3, "conv", US(90)));
    json_object_set_new(json_array_get(b, 12), "hash", json_string("another file"));
    struct results *mine_results = results_from(a), *other = results_from(b);
    struct against *against = against_make(mine_results, "this", other, "that", RULE_STRICT, 1);
    auto_free char *says = against_says(against);
    assert_int_equal(against->n_timed, 10);
    assert_true(against->n_gained == 1 && against->n_lost == 1 && against->changed_file == 1);
    bool small = against->ratio < 1.01 && against->ratio > 1 / 1.01;
    assert_true((strstr(says, "no difference shown") != NULL) == (small || (against->span.lo <= 1 && against->span.hi >= 1)));
    json_t *json = against_json(against);
    assert_int_equal(json_array_size(json_object_get(json, "timed")), 10);
    json_decref(json);
    results_free(mine_results); /* the pairs are not looked at any more */
    results_free(other);
    return against;
}

static void test_against(void **state)
{
    (void)state;
    struct against *a = compared(0.5, 0.1);
    assert_true(a->ratio > 1.9 && a->ratio < 2.1 && a->span.lo > 1.8 && a->span.hi < 2.3);
    assert_true(a->faster == 10 && a->surely_faster == 10 && a->slower == 0 && a->sign_p < 0.01);
    free(a);
    a = compared(1, 0.1); /* half of them slower, half faster */
    assert_true(a->span.lo < 1 && a->span.hi > 1 && a->faster == 5 && a->slower == 5 && a->sign_p == 1);
    assert_true(a->surely_faster == 5 && a->surely_slower == 5);
    free(a);
    a = compared(1.015, 0); /* over 1 %, but within what the two times' intervals leave open */
    assert_true(a->slower == 10 && a->surely_slower == 0);
    free(a);
    a = compared(1.004, 0); /* under 1 %, however sure */
    assert_true(a->same == 10 && a->span.hi < 1);
    free(a);
}

/* What the other run didn't judge by the rule, it didn't fail by. */
static void test_against_rules(void **state)
{
    (void)state;
    json_t *here = problem(1, 1, "norm", US(50)), *there = problem(1, 1, "norm", US(50)), *kb;
    kb = json_pack("{s:s,s:f}", "status", "correct", "mean_us", 60.0);
    json_object_set(json_array_get(json_object_get(here, "candidates"), 0), "kb", kb);
    json_object_set_new(json_array_get(json_object_get(there, "candidates"), 0), "kb", kb);
    json_object_del(json_array_get(json_object_get(there, "candidates"), 0), "verdict");
    struct results *a = results_from(json_pack("[o]", here)), *b = results_from(json_pack("[o]", there));
    assert_int_equal(against_rule(a, b), RULE_KB);
    struct against *against = against_make(a, "this", b, "that", RULE_STRICT, 1);
    assert_true(against->paired == 0 && against->n_gained == 0);
    free(against);
    against = against_make(a, "this", b, "that", RULE_KB, 1);
    assert_true(against->paired == 1 && against->n_timed == 1);
    free(against);
    results_free(a);
    results_free(b);
}

static void test_page(void **state)
{
    (void)state;
    json_t *list = sample();
    json_array_append_new(list, problem(2, 7, HOSTILE, US(0)));
    struct results *r = results_from(list);
    struct against *a = against_make(r, "a", r, HOSTILE, RULE_STRICT, 1);
    struct kernelbench_page page = { .results = r, .name = HOSTILE, .against = a, .seed = 1 };
    auto_buf struct buf out;
    buf_init(&out, 16 << 20);
    kernelbench_page_text(&page, &out);
    assert_int_equal(out.failed, 0);
    assert_null(strstr(out.at, "<script"));
    assert_null(strstr(out.at, "http")); /* nothing is fetched */
    assert_non_null(strstr(out.at, "2 of 4"));
    assert_non_null(strstr(out.at, "strict / compile"));
    assert_non_null(strstr(out.at, "class=\"fast "));
    assert_non_null(strstr(out.at, "a trivial candidate passes: zeros"));
    assert_non_null(strstr(out.at, "no difference shown"));
    free(a);
    results_free(r);
}

/* A long campaign's attempts, with all their samples. */
static void test_large(void **state)
{
    (void)state;
    char folder[] = "/tmp/ws_tally_XXXXXX";
    assert_non_null(mkdtemp(folder));
    auto_free char *results = xprintf("%s/results", folder), *one = xprintf("%s/level1_2.json", results);
    assert_int_equal(folder_make(results, NULL), 0);
    json_t *doc = problem(1, 2, "norm", US(50)), *samples = json_array(), *list = json_object_get(doc, "candidates");
    for (int i = 0; i < 400; i++) {
        json_array_append_new(samples, json_real(50.0 + i));
    }
    for (int i = 0; i < 1200; i++) {
        json_t *attempt = strict("c", 60);
        json_object_set(json_object_get(json_object_get(attempt, "verdict"), "time"), "samples_us", samples);
        json_array_append_new(list, attempt);
    }
    auto_free char *text = json_dumps(doc, JSON_INDENT(1));
    assert_true(strlen(text) > 4 << 20);
    assert_int_equal(file_write(one, text, strlen(text), NULL), 0);
    struct results *r = NULL;
    struct err err = { 0 };
    if (results_read(folder, NULL, &r, &err) < 0) {
        fail_msg("%s", err_text(&err));
    }
    assert_int_equal(result_best(&r->at[0], RULE_STRICT), 0);
    results_free(r);
    json_decref(samples);
    json_decref(doc);
    assert_int_equal(folder_remove(folder, NULL), 0);
}

/* A check's findings mark what a run didn't know. */
static void test_check(void **state)
{
    (void)state;
    char folder[] = "/tmp/ws_tally_XXXXXX";
    assert_non_null(mkdtemp(folder));
    auto_free char *results = xprintf("%s/results", folder), *check = xprintf("%s/check", folder);
    auto_free char *one = xprintf("%s/level1_2.json", results), *found = xprintf("%s/level1_2.json", check);
    assert_int_equal(folder_make(results, NULL), 0);
    assert_int_equal(folder_make(check, NULL), 0);
    json_t *doc = problem(1, 2, "norm", US(50));
    auto_free char *text = json_dumps(doc, 0);
    const char *finding = "{\"level\": 1, \"id\": 2, \"finding\": \"degenerate\", \"why\": \"constant\"}";
    assert_int_equal(file_write(one, text, strlen(text), NULL), 0);
    assert_int_equal(file_write(found, finding, strlen(finding), NULL), 0);
    struct results *r = NULL;
    struct tally_group g = { .rule = RULE_STRICT };
    assert_int_equal(results_read(folder, NULL, &r, NULL), 0);
    assert_true(tally_counts(&r->at[0], &g));
    results_free(r);
    assert_int_equal(results_read(folder, folder, &r, NULL), 0);
    assert_string_equal(r->at[0].degenerate, "constant");
    assert_false(tally_counts(&r->at[0], &g));
    results_free(r);
    /* Of another version of the file it says nothing; of the same it does. */
    finding = "{\"level\": 1, \"id\": 2, \"finding\": \"degenerate\", \"why\": \"zeros\", \"of\": {\"hash\": \"an older one\"}}";
    assert_int_equal(file_write(found, finding, strlen(finding), NULL), 0);
    assert_int_equal(results_read(folder, folder, &r, NULL), 0);
    assert_true(!r->at[0].degenerate && r->stale == 1 && tally_counts(&r->at[0], &g));
    results_free(r);
    finding = "{\"level\": 1, \"id\": 2, \"finding\": \"degenerate\", \"why\": \"zeros\", \"of\": {\"hash\": \"1/2\"}}";
    assert_int_equal(file_write(found, finding, strlen(finding), NULL), 0);
    assert_int_equal(results_read(folder, folder, &r, NULL), 0);
    assert_true(str_eq(r->at[0].degenerate, "zeros") && r->stale == 0);
    results_free(r);
    json_decref(doc);
    assert_int_equal(folder_remove(folder, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scores), cmocka_unit_test(test_campaign), cmocka_unit_test(test_twice),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_foreign), cmocka_unit_test(test_against), cmocka_unit_test(test_against_rules),
        cmocka_unit_test(test_page),   cmocka_unit_test(test_check),  cmocka_unit_test(test_large),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
