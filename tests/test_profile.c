/* SPDX-License-Identifier: MIT */
/* A judgement with a profile, from request to verdict, over real workers and the simulated GPU. */
#include "base/file.h"
#include "base/util.h"
#include "evaluator/evaluator.h"
#include "tests/gate_case.h"

#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

struct rig {
    uv_loop_t loop;
    struct evaluator *evaluator;
    struct task *task;
    struct judgement *judgement;
    struct arena *arena;
    int calls, code;
    uint64_t deadline_ms;
    struct verdict verdict;
};

static void rig_open_with(struct rig *rig, const char *worker)
{
    struct err err = { 0 };
    *rig = (struct rig) { .task = gate_task(), .arena = arena_new() };
    uv_loop_init(&rig->loop);
    const struct evaluator_options options = { .gpu = "sim", .compile_workers = 1,
                                               .worker = worker };
    if (evaluator_open(&rig->loop, &options, &rig->evaluator, &err) < 0) {
        fail_msg("%s", err_text(&err));
    }
}

static void rig_open(struct rig *rig)
{
    rig_open_with(rig, NULL);
}

static void rig_close(struct rig *rig)
{
    evaluator_close(rig->evaluator);
    uv_run(&rig->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&rig->loop), 0);
    task_free(rig->task);
    arena_free(rig->arena);
}

static void on_judged(void *ud, int code, const struct verdict *verdict, const char *error)
{
    struct rig *rig = ud;
    (void)error;
    rig->calls++;
    rig->code = code;
    rig->judgement = NULL;
    if (verdict) {
        verdict_copy(verdict, rig->arena, &rig->verdict);
    }
}

static void on_cancel(uv_timer_t *timer)
{
    struct rig *rig = timer->data;
    if (rig->judgement) {
        judge_cancel(rig->judgement);
    }
}

/* Judges tests/cases/gate/NAME.cu; cancels after so many milliseconds, 0: never. Returns how many
 * it took. */
static double judge(struct rig *rig, const char *name, bool profile, uint64_t cancel_ms)
{
    struct gate_case one;
    auto_free char *path = xprintf("%s/tests/cases/gate/%s.cu", WS_SOURCE_DIR, name);
    gate_case_load(path, &one);
    struct candidate *candidate = gate_candidate(one.plan, one.source);
    const struct judge_request request = { .task = rig->task, .candidate = candidate,
                                           .depth = JUDGE_DEPTH_QUICK, .profile = profile,
                                           .deadline_ms = rig->deadline_ms };
    uv_timer_t timer;
    uint64_t start = clock_ns();
    uv_timer_init(&rig->loop, &timer);
    timer.data = rig;
    if (cancel_ms) {
        uv_timer_start(&timer, on_cancel, cancel_ms, 0);
    }
    rig->calls = 0;
    rig->judgement = evaluator_judge(rig->evaluator, &request, on_judged, rig);
    while (rig->calls == 0 && uv_run(&rig->loop, UV_RUN_ONCE)) {
    }
    uv_close((uv_handle_t *)&timer, NULL);
    uv_run(&rig->loop, UV_RUN_NOWAIT);
    assert_int_equal(rig->calls, 1);
    candidate_free(candidate);
    gate_case_done(&one);
    return (double)(clock_ns() - start) * 1e-6;
}

static void test_verdict(void **state)
{
    struct rig rig;
    (void)state;
    rig_open(&rig);
    judge(&rig, "right", true, 0);
    const struct verdict *v = &rig.verdict;
    assert_int_equal(rig.code, 0);
    assert_int_equal(v->status, VERDICT_STATUS_ACCEPTED);
    assert_true(counters_get(&v->counters, COUNTER_TIME) > 0);
    assert_true(counters_get(&v->counters, COUNTER_LOAD_SECTORS) > 0);
    assert_true(counters_has(&v->counters, COUNTER_DRAM));
    assert_false(counters_has(&v->counters, COUNTER_STALL_WAIT)); /* the simulator has no such thing */
    assert_true(v->joules == 0);
    assert_non_null(strstr(v->profile, "not available: energy"));
    assert_true(*v->bottleneck_why != '\0');
    assert_true(v->time.n > 0 && v->registers > 0); /* the judgement's own figures stay */
    double warps = 64 * v->occupancy; /* of an SM's 64 */
    assert_true(warps >= 1 && fabs(warps - nearbyint(warps)) < 1e-9);
    assert_null(strstr(v->bottleneck_why, "takes")); /* it has but one kernel */
    /* Modelled counts are the same every time, as modelled times are. */
    struct counters first = v->counters;
    judge(&rig, "right", true, 0);
    assert_memory_equal(&first, &rig.verdict.counters, sizeof(first));
    rig_close(&rig);
}

/* Of several kernels the longest is named. */
static void test_kernels(void **state)
{
    struct rig rig;
    struct err err = { 0 };
    (void)state;
    rig_open(&rig);
    assert_int_equal(evaluator_counters(rig.evaluator, &err), 0); /* modelled ones */
    judge(&rig, "prepared", true, 0);
    assert_int_equal(rig.verdict.status, VERDICT_STATUS_ACCEPTED);
    judge(&rig, "scratch_zeroed", true, 0);
    assert_int_equal(rig.verdict.status, VERDICT_STATUS_ACCEPTED);
    assert_non_null(strstr(rig.verdict.bottleneck_why, "% of the kernels' time"));
    rig_close(&rig);
}

/* Not asked for, or not accepted: nothing of it in the verdict. */
static void test_only_where_asked(void **state)
{
    struct rig rig;
    (void)state;
    rig_open(&rig);
    judge(&rig, "right", false, 0);
    assert_int_equal(rig.verdict.status, VERDICT_STATUS_ACCEPTED);
    assert_true(rig.verdict.counters.known == 0);
    assert_string_equal(rig.verdict.profile, "");
    judge(&rig, "zeros", true, 0);
    assert_int_equal(rig.verdict.status, VERDICT_STATUS_INCORRECT);
    assert_true(rig.verdict.counters.known == 0);
    assert_string_equal(rig.verdict.profile, "");
    rig_close(&rig);
}

/* Whenever it is canceled, there is one callback, and nothing is left on the loop. */
static void test_cancel(void **state)
{
    struct rig rig;
    (void)state;
    rig_open(&rig);
    judge(&rig, "right", false, 0);
    double bare = judge(&rig, "right", false, 0), whole = judge(&rig, "right", true, 0);
    int canceled = 0;
    for (int i = 1; i <= 3; i++) {
        judge(&rig, "right", true, (uint64_t)(bare + (whole - bare) * i / 5) + 1);
        canceled += rig.code == ERR_CANCELED;
    }
    assert_true(canceled > 0);
    judge(&rig, "right", true, 0);
    assert_int_equal(rig.code, 0);
    assert_true(rig.verdict.counters.known != 0);
    rig_close(&rig);
}

/* A profile's worker that can't even start leaves the verdict as it is, and says so. */
static void test_lost_worker(void **state)
{
    (void)state;
    char path[] = "/tmp/warpsmith-test-XXXXXX";
    auto_close int fd = mkstemp(path);
    assert_true(fd >= 0);
    auto_free char *script
        = xprintf("#!/bin/sh\ncase \"$*\" in *--profile*) exit 9;; esac\nexec %s/warpsmith-worker "
                  "\"$@\"\n", WS_BIN_DIR);
    assert_int_equal(write(fd, script, strlen(script)), strlen(script));
    fchmod(fd, 0700);
    close(fd);
    fd = -1;
    setenv("WARPSMITH_WORKER", path, 1);
    struct rig rig;
    rig_open(&rig);
    judge(&rig, "right", true, 0);
    unsetenv("WARPSMITH_WORKER");
    unlink(path);
    assert_int_equal(rig.code, 0);
    assert_int_equal(rig.verdict.status, VERDICT_STATUS_ACCEPTED);
    assert_true(rig.verdict.counters.known == 0);
    assert_non_null(strstr(rig.verdict.profile, "not profiled"));
    rig_close(&rig);
}

/* What a profile's worker may answer, and what becomes of the verdict. */
static void test_answers(void **state)
{
    static const struct {
        const char *order;
        enum verdict_status status;
        const char *profile, *detail;
    } cases[] = {
        { "counters {\"ok\":true,\"counters\":{\"dram_pct\":70,\"fma_pct\":9},\"joules\":0.25}",
          VERDICT_STATUS_ACCEPTED, "", "" },
        { "counters {\"ok\":true,\"unavailable\":[\"counters: no\",\"energy: neither\"]}",
          VERDICT_STATUS_ACCEPTED, "not available: counters: no; energy: neither", "" },
        { "counters {\"error\":\"it broke\",\"failed\":false}", VERDICT_STATUS_ACCEPTED,
          "not profiled: it broke", "" },
        { "counters hang", VERDICT_STATUS_ACCEPTED, "not profiled: no result within", "" },
        { "counters die", VERDICT_STATUS_ACCEPTED, "not profiled: ", "" },
        /* With no profiler in its way it's the candidate's doing. */
        { "energy {\"error\":\"it broke\",\"failed\":true}", VERDICT_STATUS_SUSPECT, "",
          "when it ran on: it broke" },
        { "energy hang", VERDICT_STATUS_SUSPECT, "", "when it ran on: no result within" },
        { "energy die", VERDICT_STATUS_SUSPECT, "", "when it ran on: " },
        { "energy [1]", VERDICT_STATUS_ACCEPTED, "not profiled: ", "" },
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct rig rig;
        setenv("WARPSMITH_FAKE_PROFILE", cases[i].order, 1);
        rig_open_with(&rig, WS_BIN_DIR "/fake_worker");
        rig.deadline_ms = 1000;
        judge(&rig, "right", true, 0);
        const struct verdict *v = &rig.verdict;
        if (rig.code != 0 || v->status != cases[i].status || !strstr(v->profile, cases[i].profile)
            || !strstr(v->detail, cases[i].detail)) {
            fail_msg("%s: %d, %s, \"%s\", \"%s\"", cases[i].order, rig.code,
                     verdict_status_name(v->status), v->profile, v->detail);
        }
        assert_int_equal(v->joules == 0.25, i == 0);
        assert_int_equal(str_eq(v->bottleneck_why, "DRAM at 70 % of peak, the f32 pipe at 9 %"),
                         i == 0);
        rig_close(&rig);
    }
    unsetenv("WARPSMITH_FAKE_PROFILE");
}

/* A worker that profiles does nothing else, and one that judges doesn't profile. */
static void test_roles(void **state)
{
    static const struct {
        const char *args[6], *kind, *words;
    } cases[] = {
        { { "device", "--driver", WS_BIN_DIR "/libwarpsim.so", "--profile", "auto" }, "judge",
          "anything here but profile" },
        { { "device", "--driver", WS_BIN_DIR "/libwarpsim.so", "--profile", "auto" }, "copy",
          "anything here but profile" },
        { { "device", "--driver", WS_BIN_DIR "/libwarpsim.so", "--profile", "auto" }, "profile",
          "profile before setup" },
        { { "device", "--driver", WS_BIN_DIR "/libwarpsim.so" }, "profile",
          "no kind of job is called \"profile\"" },
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct peer peer;
        struct answer a;
        peer_start(&peer, cases[i].args);
        assert_true(peer_job(&peer, json_pack("{s:s}", "kind", cases[i].kind), "", 0, &a));
        const char *error = json_string_value(json_object_get(a.json, "error"));
        if (!error || !strstr(error, cases[i].words)) {
            fail_msg("\"%s\" isn't in \"%s\"", cases[i].words, error ? error : "");
        }
        answer_done(&a);
        assert_int_equal(peer_stop(&peer), 0);
    }
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN); /* as the program does: a peer may go */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_verdict),     cmocka_unit_test(test_only_where_asked),
        cmocka_unit_test(test_kernels),
        cmocka_unit_test(test_cancel),      cmocka_unit_test(test_lost_worker),
        cmocka_unit_test(test_answers),     cmocka_unit_test(test_roles),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
