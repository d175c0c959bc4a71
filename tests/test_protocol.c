/* SPDX-License-Identifier: MIT */
/* Candidates under KernelBench's and KernelBench-Verified's own rules, on the simulator with PyTorch on the
 * CPU: what they let pass that the strict gate doesn't, and what they don't. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/util.h"
#include "evaluator/aside.h"
#include "evaluator/protocol.h"
#include "evaluator/pytorch.h"
#include "kernelbench/problem.h"

#define SUITE WS_SOURCE_DIR "/tests/cases/kernelbench"

struct fixture {
    uv_loop_t loop;
    struct evaluator *evaluator;
    struct arena *arena;
    struct problem *problems;
    size_t n;
};

struct outcome {
    bool done;
    int code;
    json_t *answer;
    char error[512];
};

static int start(void **state)
{
    struct fixture *f = xcalloc(1, sizeof(*f));
    struct err err = { 0 };
    struct evaluator_options options = { .gpu = "sim", .compile_workers = 1, .oracle = true,
                                         .worker = WS_BIN_DIR "/warpsmith-worker" };
    f->arena = arena_new();
    uv_loop_init(&f->loop);
    if (problem_find(SUITE, NULL, NULL, f->arena, &f->problems, &f->n, &err) < 0
        || evaluator_open(&f->loop, &options, &f->evaluator, &err) < 0) {
        fail_msg("%s", err_text(&err));
    }
    *state = f;
    return 0;
}

static int stop(void **state)
{
    struct fixture *f = *state;
    evaluator_close(f->evaluator);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    int r = uv_loop_close(&f->loop);
    arena_free(f->arena);
    free(f);
    return r;
}

/* Of a question to PyTorch, and of a protocol. */
static void on_answer(void *ud, int code, const json_t *answer, const char *error)
{
    struct outcome *o = ud;
    o->done = true;
    o->code = code;
    o->answer = json_deep_copy(answer);
    snprintf(o->error, sizeof(o->error), "%s", code < 0 && error ? error : "");
}

static void wait_for(struct fixture *f, struct outcome *o)
{
    while (!o->done && uv_run(&f->loop, UV_RUN_ONCE)) {
    }
    assert_true(o->done);
}

static struct task *task_of(struct fixture *f, int level, int id)
{
    struct outcome o = { 0 };
    struct task *task = NULL;
    struct err err = { 0 };
    for (size_t i = 0; i < f->n; i++) {
        const struct problem *p = &f->problems[i];
        if (p->level == level && p->id == id) {
            pytorch_ask(evaluator_oracle(f->evaluator),
                        json_pack("{s:s,s:s}", "kind", "describe", "problem", p->path), 0, on_answer, &o);
            wait_for(f, &o);
            json_object_del(o.answer, "ok");
            if (problem_task(p, o.answer, &task, &err) < 0) {
                fail_msg("%s", err_text(&err));
            }
            json_decref(o.answer);
        }
    }
    assert_non_null(task);
    return task;
}

static void judge(struct fixture *f, int level, int id, const char *name, unsigned rules, bool exact,
                  struct outcome *ret)
{
    struct err err = { 0 };
    struct candidate *candidate = NULL;
    struct task *task = task_of(f, level, id);
    auto_free char *folder = xprintf(SUITE "/%s", name);
    if (candidate_load(folder, &candidate, &err) < 0) {
        fail_msg("%s", err_text(&err));
    }
    struct protocol_request request = { .task = task, .candidate = candidate, .rules = rules, .exact = exact };
    memset(ret, 0, sizeof(*ret));
    evaluator_protocol(f->evaluator, &request, on_answer, ret);
    assert_false(ret->done);
    wait_for(f, ret);
    candidate_free(candidate);
    task_free(task);
}

static const char *text(const struct outcome *o, const char *rule, const char *key)
{
    const char *value = json_string_value(json_object_get(json_object_get(o->answer, rule), key));
    return value ? value : "";
}

enum { BOTH = PROTOCOL_RULE_KB | PROTOCOL_RULE_VERIFIED };

static void test_rules(void **state)
{
    static const struct {
        int level, id;
        const char *candidate, *kb, *kb_trials, *verified, *verified_trials;
    } cases[] = {
        { 1, 1, "candidates/level1/1/right", "correct", "5/5", "correct", "9/9" },
        /* Wrong below zero, where KernelBench never looks: the fourth of Verified's does. */
        { 1, 1, "candidates/level1/1/wrong", "correct", "5/5", "incorrect", "8/9" },
        { 1, 1, "protocol/last_row", "incorrect", "0/5", "incorrect", "0/5" },
        /* Off by 4e-4 of each element: within one tolerance and not the other. */
        { 1, 1, "protocol/coarse", "incorrect", "0/5", "correct", "9/9" },
        { 1, 1, "protocol/unwritten", "incorrect", "0/5", "incorrect", "0/5" },
        /* No logarithm below zero: that distribution is dropped. */
        { 1, 3, "candidates/level1/3/right", "correct", "5/5", "correct", "8/8" },
        { 1, 4, "candidates/level1/4/right", "correct", "5/5", "correct", "9/9" },
        { 1, 5, "candidates/level1/5/right", "correct", "5/5", "correct", "9/9" },
        { 2, 1, "candidates/level2/1/right", "correct", "5/5", "correct", "9/9" },
        /* Buffers that Model updates, and a scale that starts as one: nobody looks. */
        { 2, 1, "candidates/level2/1/forgetful", "correct", "5/5", "correct", "9/9" },
        { 2, 1, "candidates/level2/1/unscaled", "correct", "5/5", "correct", "9/9" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct outcome o;
        judge(*state, cases[i].level, cases[i].id, cases[i].candidate, BOTH, false, &o);
        if (o.code < 0 || !str_eq(text(&o, "kb", "status"), cases[i].kb)
            || !str_eq(text(&o, "kb", "trials"), cases[i].kb_trials)
            || !str_eq(text(&o, "verified", "status"), cases[i].verified)
            || !str_eq(text(&o, "verified", "trials"), cases[i].verified_trials)) {
            auto_free char *answer = json_dumps(o.answer, JSON_INDENT(1) | JSON_ENCODE_ANY);
            fail_msg("%d/%d %s: %s%s", cases[i].level, cases[i].id, cases[i].candidate, o.error,
                     answer ? answer : "");
        }
        assert_string_equal(text(&o, "kb", "inputs"), "own generator");
        /* A modelled time is never given as one of theirs. */
        assert_int_equal(json_integer_value(json_object_get(json_object_get(o.answer, "kb"), "n")), 0);
        assert_null(json_object_get(json_object_get(o.answer, "kb"), "mean_us"));
        json_decref(o.answer);
    }
}

/* One rule alone, KernelBench's own draws, and what is said of a mismatch. */
static void test_exact(void **state)
{
    struct outcome o;
    judge(*state, 1, 1, "protocol/last_row", PROTOCOL_RULE_KB, true, &o);
    assert_int_equal(o.code, 0);
    assert_null(json_object_get(o.answer, "verified"));
    assert_string_equal(text(&o, "kb", "status"), "incorrect");
    assert_string_equal(text(&o, "kb", "inputs"), "exact");
    assert_non_null(strstr(text(&o, "kb", "detail"), "100 of 4800 elements are off by more than 0.0001"));
    assert_non_null(strstr(text(&o, "kb", "detail"), "the first at index 4700"));
    json_decref(o.answer);
    judge(*state, 2, 1, "candidates/level2/1/right", BOTH, true, &o);
    assert_string_equal(text(&o, "kb", "trials"), "5/5");
    assert_string_equal(text(&o, "verified", "trials"), "9/9");
    json_decref(o.answer);
}

/* Of one problem, told by its name, Verified keeps five draws instead of four. */
static void test_fifth(void **state)
{
    struct fixture *f = *state;
    struct fixture kept = { .problems = f->problems, .n = f->n };
    struct err err = { 0 };
    struct outcome o;
    assert_int_equal(problem_find(SUITE "_verified", NULL, NULL, f->arena, &f->problems, &f->n, &err), 0);
    for (int exact = 0; exact < 2; exact++) {
        judge(f, 1, 100, "../kernelbench_verified/candidates/level1/100/right", BOTH, exact, &o);
        assert_string_equal(text(&o, "kb", "trials"), "5/5");
        assert_string_equal(text(&o, "verified", "trials"), "10/10");
        assert_string_equal(text(&o, "verified", "status"), "correct");
        json_decref(o.answer);
    }
    f->problems = kept.problems;
    f->n = kept.n;
}

/* What ends before a rule does has the verdict's word; the next one is judged as ever. */
static void test_failures(void **state)
{
    static const struct {
        const char *candidate, *status, *detail;
    } cases[] = {
        { "protocol/broken_source", "compile_error", "" },
        { "protocol/broken_plan", "plan_error", "unknown symbol" },
        { "protocol/beyond", "launch_error", "" },
        { "candidates/level1/1/right", "correct", "" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct outcome o;
        judge(*state, 1, 1, cases[i].candidate, BOTH, false, &o);
        if (o.code < 0 || !str_eq(text(&o, "kb", "status"), cases[i].status)
            || !str_eq(text(&o, "verified", "status"), cases[i].status)
            || !strstr(text(&o, "kb", "detail"), cases[i].detail)) {
            fail_msg("%s: %s: %s %s", cases[i].candidate, text(&o, "kb", "status"), text(&o, "kb", "detail"), o.error);
        }
        json_decref(o.answer);
    }
}

struct aside_turn {
    struct outcome outcome;
    const struct outcome *before; /* what must be over when the turn comes */
    bool wanted, in_order;
};

static json_t *turn_question(void *ud)
{
    struct aside_turn *turn = ud;
    turn->in_order = turn->before->done;
    return turn->wanted ? json_pack("{s:s,s:s,s:s}", "kind", "baseline", "rule", "kb", "problem", "x") : NULL;
}

static void on_aside(void *ud, int code, const json_t *answer, const char *error)
{
    struct aside_turn *turn = ud;
    on_answer(&turn->outcome, code, answer, error);
}

/* PyTorch is asked for its time when no candidate is on the device any more. */
static void test_aside(void **state)
{
    struct fixture *f = *state;
    struct err err = { 0 };
    struct candidate *candidate = NULL;
    struct outcome judged = { 0 };
    struct task *task = task_of(f, 1, 1);
    assert_int_equal(candidate_load(SUITE "/candidates/level1/1/right", &candidate, &err), 0);
    struct protocol_request request = { .task = task, .candidate = candidate, .rules = PROTOCOL_RULE_KB };
    evaluator_protocol(f->evaluator, &request, on_answer, &judged);
    while (!judged.done && uv_run(&f->loop, UV_RUN_ONCE)) {
    }
    json_decref(judged.answer);
    judged = (struct outcome) { 0 };
    evaluator_protocol(f->evaluator, &request, on_answer, &judged); /* compiled by now: it is first in the queue */
    struct aside_turn asked = { .before = &judged, .wanted = true }, spared = { .before = &judged };
    evaluator_aside(f->evaluator, turn_question, on_aside, &asked);
    evaluator_aside(f->evaluator, turn_question, on_aside, &spared);
    wait_for(f, &asked.outcome);
    wait_for(f, &spared.outcome);
    assert_true(judged.done && asked.in_order && spared.in_order);
    assert_int_equal(asked.outcome.code, 0);
    assert_non_null(strstr(json_string_value(json_object_get(asked.outcome.answer, "error")), "needs a GPU"));
    assert_int_equal(spared.outcome.code, 0);
    assert_null(spared.outcome.answer);
    json_decref(asked.outcome.answer);
    json_decref(judged.answer);
    candidate_free(candidate);
    task_free(task);
}

int main(void)
{
    enum { SKIPPED = 77 };
    if (getenv("WARPSMITH_NO_PYTORCH")) {
        print_message("skipped: WARPSMITH_NO_PYTORCH is set\n");
        return SKIPPED;
    }
    setenv("WARPSMITH_PYTHON", "/usr/bin/python3", 0);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rules),
        cmocka_unit_test(test_exact),
        cmocka_unit_test(test_fifth),
        cmocka_unit_test(test_failures),
        cmocka_unit_test(test_aside),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
