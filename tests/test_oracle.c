/* SPDX-License-Identifier: MIT */
/* Problems in KernelBench's form, judged on the simulator with PyTorch as the oracle. Problems and
 * candidates lie in tests/cases/kernelbench. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/util.h"
#include "evaluator/evaluator.h"
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

/* Of a question or a judgement. */
struct outcome {
    bool done;
    int code;
    json_t *answer;
    enum verdict_status status;
    char detail[2048], degenerate[512];
    double us;
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

static void on_answer(void *ud, int code, const json_t *answer, const char *error)
{
    struct outcome *o = ud;
    o->done = true;
    o->code = code;
    o->answer = json_deep_copy(answer);
    const char *why = json_string_value(json_object_get(answer, "error"));
    snprintf(o->detail, sizeof(o->detail), "%s", code < 0 ? error : why ? why : "");
}

static void wait_for(struct fixture *f, struct outcome *o)
{
    while (!o->done && uv_run(&f->loop, UV_RUN_ONCE)) {
    }
    assert_true(o->done);
}

static const struct problem *find(const struct fixture *f, int level, int id)
{
    for (size_t i = 0; i < f->n; i++) {
        if (f->problems[i].level == level && f->problems[i].id == id) {
            return &f->problems[i];
        }
    }
    fail_msg("there is no problem %d/%d", level, id);
    return NULL;
}

/* The task, or why there's none: in ret->detail, with ret->code < 0. */
static struct task *task_of(struct fixture *f, int level, int id, struct outcome *ret)
{
    const struct problem *p = find(f, level, id);
    struct task *task = NULL;
    struct err err = { 0 };
    memset(ret, 0, sizeof(*ret));
    pytorch_ask(evaluator_oracle(f->evaluator),
                json_pack("{s:s,s:s}", "kind", "describe", "problem", p->path), 0, on_answer, ret);
    wait_for(f, ret);
    if (ret->code == 0 && !json_is_true(json_object_get(ret->answer, "ok"))) {
        ret->code = ERR_INVALID;
    } else if (ret->code == 0) {
        json_object_del(ret->answer, "ok");
        ret->code = problem_task(p, ret->answer, &task, &err);
        snprintf(ret->detail, sizeof(ret->detail), "%s", ret->code < 0 ? err_text(&err) : "");
    }
    json_decref(ret->answer);
    ret->answer = NULL;
    return task;
}

static void on_judged(void *ud, int code, const struct verdict *v, const char *error)
{
    struct outcome *o = ud;
    o->done = true;
    o->code = code;
    snprintf(o->detail, sizeof(o->detail), "%s", code < 0 ? error : v->detail);
    if (code == 0) {
        o->status = v->status;
        o->us = v->time.median_us;
        snprintf(o->degenerate, sizeof(o->degenerate), "%s", v->degenerate);
    }
}

static void judge(struct fixture *f, const struct task *task, const char *name, struct outcome *ret)
{
    struct err err = { 0 };
    struct candidate *candidate = NULL;
    auto_free char *folder = xprintf(SUITE "/candidates/%s", name);
    if (name && candidate_load(folder, &candidate, &err) < 0) {
        fail_msg("%s", err_text(&err));
    }
    struct judge_request request = { .task = task, .candidate = candidate,
                                     .depth = name ? JUDGE_DEPTH_FULL : JUDGE_DEPTH_TASK };
    memset(ret, 0, sizeof(*ret));
    evaluator_judge(f->evaluator, &request, on_judged, ret);
    wait_for(f, ret);
    candidate_free(candidate);
}

static void test_verdicts(void **state)
{
    static const struct {
        int level, id;
        const char *candidate;
        enum verdict_status status;
        const char *detail;
    } cases[] = {
        { 1, 1, "level1/1/right", VERDICT_STATUS_ACCEPTED, "agree with the reference" },
        { 1, 1, "level1/1/wrong", VERDICT_STATUS_INCORRECT, "output y" },
        { 1, 2, "level1/2/right", VERDICT_STATUS_ACCEPTED, "agree with the reference" },
        { 1, 3, "level1/3/right", VERDICT_STATUS_ACCEPTED, "agree with the reference" },
        { 1, 4, "level1/4/right", VERDICT_STATUS_ACCEPTED, "agree with the reference" },
        { 1, 5, "level1/5/right", VERDICT_STATUS_ACCEPTED, "agree with the reference" },
        { 2, 1, "level2/1/right", VERDICT_STATUS_ACCEPTED, "agree with the reference" },
        { 2, 1, "level2/1/forgetful", VERDICT_STATUS_INCORRECT, "output bn_" },
        { 2, 1, "level2/1/unscaled", VERDICT_STATUS_INCORRECT, "output y" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct outcome o;
        struct task *task = task_of(*state, cases[i].level, cases[i].id, &o);
        if (!task) {
            fail_msg("%s: %s", cases[i].candidate, o.detail);
        }
        judge(*state, task, cases[i].candidate, &o);
        if (o.code < 0 || o.status != cases[i].status || !strstr(o.detail, cases[i].detail)) {
            fail_msg("%s: %s: %s", cases[i].candidate, o.code < 0 ? err_name(o.code)
                     : verdict_status_name(o.status), o.detail);
        }
        assert_string_equal(o.degenerate, "");
        assert_true(o.status != VERDICT_STATUS_ACCEPTED || o.us > 0);
        task_free(task);
    }
}

/* No shape of a task, but what tells a problem apart: names, roles, sizes. */
static void test_task(void **state)
{
    struct outcome o;
    struct task *task = task_of(*state, 2, 1, &o);
    assert_non_null(task);
    assert_string_equal(task->name, "l2-1_Linear_BatchNorm");
    assert_true(task->specialise && task->relative);
    assert_int_equal(task_tensor(task, "x")->role, TENSOR_ROLE_INPUT);
    assert_int_equal(task_tensor(task, "linear_weight")->role, TENSOR_ROLE_WEIGHT);
    assert_int_equal(task_tensor(task, "bn_running_var")->role, TENSOR_ROLE_INOUT);
    assert_int_equal(task_tensor(task, "bn_num_batches_tracked")->dtype, DTYPE_I64);
    assert_int_equal(task_tensor(task, "y")->role, TENSOR_ROLE_OUTPUT);
    int64_t count, terms;
    assert_int_equal(tensor_count(task_tensor(task, "linear_weight"), &task->shapes[0].symbols, &count,
                                  NULL), 0);
    assert_int_equal(count, 20 * 24);
    assert_int_equal(task_accumulation(task, &task->shapes[0], &terms, NULL), 0);
    assert_int_equal(terms, 32 + 24);
    task_free(task);
    task = task_of(*state, 1, 1, &o);
    assert_non_null(task);
    assert_int_equal(task->n_scalars, 1);
    assert_true(task->scalars[0].value == 1.5);
    task_free(task);
}

/* Problems that can't be judged say so in a sentence, and the oracle goes on. */
static void test_trouble(void **state)
{
    static const struct {
        int level, id;
        const char *text;
    } cases[] = {
        { 2, 2, "draws random numbers (dropout, a dropout of 0.2)" },
        { 3, 1, "1_Missing_module.py: it can't be imported: ModuleNotFoundError: No module named" },
        { 3, 2, "2_Raises.py: forward: RuntimeError" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct outcome o;
        assert_null(task_of(*state, cases[i].level, cases[i].id, &o));
        assert_true(o.code < 0);
        if (!strstr(o.detail, cases[i].text)) {
            fail_msg("%d/%d: %s", cases[i].level, cases[i].id, o.detail);
        }
    }
}

/* A problem whose file changed since it was described isn't the one that was asked about. */
static void test_changed(void **state)
{
    struct outcome o;
    struct task *task = task_of(*state, 1, 1, &o);
    assert_non_null(task);
    task->oracle_hash = "0000000000000000000000000000000000000000000000000000000000000000";
    judge(*state, task, "level1/1/right", &o);
    assert_int_equal(o.code, ERR_ENVIRONMENT);
    assert_non_null(strstr(o.detail, "has changed since"));
    task_free(task);
}

/* The task itself is judged without a candidate. */
static void test_task_alone(void **state)
{
    struct outcome o;
    struct task *task = task_of(*state, 1, 4, &o);
    assert_non_null(task);
    judge(*state, task, NULL, &o);
    assert_int_equal(o.code, 0);
    assert_int_equal(o.status, VERDICT_STATUS_ACCEPTED);
    task_free(task);
}

static void on_late(uv_timer_t *timer)
{
    const int *pid = timer->data;
    kill(*pid, SIGKILL);
    uv_close((uv_handle_t *)timer, NULL);
}

/* Judges the slow problem, whose oracle is busy for seconds, and ends a process in the middle. */
static void judge_and_kill(struct fixture *f, const struct task *task, int pid, uint64_t after_ms,
                           struct outcome *ret)
{
    uv_timer_t timer = { .data = &pid };
    assert_true(pid > 0);
    uv_timer_init(&f->loop, &timer);
    uv_timer_start(&timer, on_late, after_ms, 0);
    judge(f, task, "level2/4/right", ret);
    if (!uv_is_closing((uv_handle_t *)&timer)) { /* it was over before */
        uv_close((uv_handle_t *)&timer, NULL);
    }
    uv_run(&f->loop, UV_RUN_NOWAIT);
}

/* Either process may die in the middle: the next judgement finds both again. */
static void test_deaths(void **state)
{
    struct fixture *f = *state;
    struct outcome o;
    struct task *task = task_of(f, 2, 4, &o);
    int pid = 0;
    assert_non_null(task);
    assert_int_equal(evaluator_pids(f->evaluator, &pid, 1), 1);
    judge_and_kill(f, task, pid, 200, &o); /* a device worker that dies gets a second try */
    assert_int_equal(o.code, 0);
    assert_int_equal(o.status, VERDICT_STATUS_ACCEPTED);
    for (uint64_t ms = 300; ms <= 900; ms *= 3) { /* so does what an oracle that dies was asked about */
        judge_and_kill(f, task, pytorch_pid(evaluator_oracle(f->evaluator)), ms, &o);
        if (o.code < 0) {
            fail_msg("after %llu ms: %s", (unsigned long long)ms, o.detail);
        }
        assert_int_equal(o.status, VERDICT_STATUS_ACCEPTED);
    }
    judge(f, task, "level2/4/right", &o);
    assert_int_equal(o.code, 0);
    assert_int_equal(o.status, VERDICT_STATUS_ACCEPTED);
    task_free(task);
}

struct crash {
    struct fixture *fixture;
    const char *path;
    struct outcome outcome;
};

static void on_crash_time(uv_timer_t *timer)
{
    struct crash *c = timer->data;
    pytorch_ask(evaluator_oracle(c->fixture->evaluator),
                json_pack("{s:s,s:s}", "kind", "describe", "problem", c->path), 0, on_answer, &c->outcome);
    uv_close((uv_handle_t *)timer, NULL);
}

/* A problem that ends the oracle between two questions about another fails alone. */
static void test_others_crash(void **state)
{
    static const char text[] = "import os\nos._exit(1)\n";
    struct fixture *f = *state;
    struct outcome o;
    struct task *task = task_of(f, 2, 4, &o);
    char folder[] = "/tmp/ws_oracle_XXXXXX";
    assert_non_null(mkdtemp(folder));
    auto_free char *path = xprintf("%s/1_Crashes.py", folder);
    assert_int_equal(file_write(path, text, strlen(text), NULL), 0);
    struct crash c = { .fixture = f, .path = path };
    uv_timer_t timer = { .data = &c };
    uv_timer_init(&f->loop, &timer);
    uv_timer_start(&timer, on_crash_time, 600, 0);
    judge(f, task, "level2/4/right", &o);
    wait_for(f, &c.outcome);
    assert_int_equal(c.outcome.code, ERR_CRASH);
    if (o.code < 0) {
        fail_msg("%s", o.detail);
    }
    assert_int_equal(o.status, VERDICT_STATUS_ACCEPTED);
    unlink(path);
    rmdir(folder);
    task_free(task);
}

static bool is_alive(int pid)
{
    auto_free char *path = xprintf("/proc/%d/stat", pid), *text = NULL;
    size_t len = 0;
    const char *state = file_read(path, 4096, &text, &len, NULL) == 0 ? strrchr(text, ')') : NULL;
    return state && state[1] && state[2] != 'Z' && state[2] != 'X';
}

/* What a problem's file starts ends with the oracle. */
static void test_children(void **state)
{
    static const char text[]
        = "import os, subprocess\nimport torch\nimport torch.nn as nn\n"
          "child = subprocess.Popen(['sleep', '300'])\n"
          "with open(os.path.splitext(__file__)[0] + '.pid', 'w') as file:\n    file.write(str(child.pid))\n"
          "class Model(nn.Module):\n    def forward(self, x):\n        return x * 2\n"
          "def get_inputs():\n    return [torch.rand(3)]\ndef get_init_inputs():\n    return []\n";
    struct fixture *f = *state;
    struct outcome o = { 0 };
    char folder[] = "/tmp/ws_oracle_XXXXXX";
    assert_non_null(mkdtemp(folder));
    auto_free char *path = xprintf("%s/1_Starts.py", folder), *kept = xprintf("%s/1_Starts.pid", folder), *pid = NULL;
    size_t len = 0;
    assert_int_equal(file_write(path, text, strlen(text), NULL), 0);
    pytorch_ask(evaluator_oracle(f->evaluator), json_pack("{s:s,s:s}", "kind", "describe", "problem", path), 0,
                on_answer, &o);
    wait_for(f, &o);
    assert_true(json_is_true(json_object_get(o.answer, "ok")));
    json_decref(o.answer);
    assert_int_equal(file_read(kept, 64, &pid, &len, NULL), 0);
    assert_true(is_alive(atoi(pid)));
    assert_int_equal(kill(pytorch_pid(evaluator_oracle(f->evaluator)), SIGKILL), 0);
    for (uint64_t began = clock_ns(); is_alive(atoi(pid)) && clock_ns() - began < 30000000000u; usleep(1000)) {
        uv_run(&f->loop, UV_RUN_NOWAIT);
    }
    assert_false(is_alive(atoi(pid)));
    unlink(path);
    unlink(kept);
    rmdir(folder);
}

/* Which Python: one without PyTorch, or none at all, is a sentence and no crash. */
static void test_no_python(void **state)
{
    static const struct {
        const char *python, *text;
    } cases[] = {
        { "/nonexistent/python3", "can't start /nonexistent/python3" },
        { "/bin/false", "oracle worker was lost" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        uv_loop_t loop;
        struct err err = { 0 };
        struct pytorch *pytorch = NULL;
        struct pytorch_options options = { .python = cases[i].python, .device = "cpu" };
        uv_loop_init(&loop);
        assert_int_equal(pytorch_open(&loop, &options, &pytorch, &err), ERR_ENVIRONMENT);
        assert_null(pytorch);
        if (!strstr(err_text(&err), cases[i].text)) {
            fail_msg("%s", err_text(&err));
        }
        uv_run(&loop, UV_RUN_DEFAULT);
        assert_int_equal(uv_loop_close(&loop), 0);
    }
    (void)state;
}

int main(void)
{
    enum { SKIPPED = 77 };
    if (getenv("WARPSMITH_NO_PYTORCH")) {
        return SKIPPED;
    }
    /* The one that Debian's python3-torch belongs to, unless another was chosen. */
    setenv("WARPSMITH_PYTHON", "/usr/bin/python3", 0);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_verdicts),
        cmocka_unit_test(test_task),
        cmocka_unit_test(test_trouble),
        cmocka_unit_test(test_changed),
        cmocka_unit_test(test_task_alone),
        cmocka_unit_test(test_deaths),
        cmocka_unit_test(test_others_crash),
        cmocka_unit_test(test_children),
        cmocka_unit_test(test_no_python),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
