/* SPDX-License-Identifier: MIT */
/* The evaluator as a whole on the simulator, with a task so small that a judgement is quick: what is
 * refused before it runs, what a sanitizer adds, and what a candidate that hangs costs. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/util.h"
#include "evaluator/evaluator.h"

static const char task_text[]
    = "{\"format\":1,\"name\":\"twice\",\"family\":\"twice\",\"shapes\":{\"default\":{\"n\":4096},"
      "\"small\":{\"n\":1000}},\"inputs\":[{\"name\":\"x\",\"dtype\":\"f32\",\"shape\":[\"n\"],"
      "\"domain\":\"real\"}],\"outputs\":[{\"name\":\"y\",\"dtype\":\"f32\",\"shape\":[\"n\"]}],"
      "\"tolerance\":{\"atol\":1e-6,\"rtol\":1e-6},\"flops\":\"n\",\"bytes\":\"8*n\","
      "\"precision\":\"f32\",\"reference\":{\"source\":\"reference.cu\",\"plan\":{\"launches\":"
      "[{\"kernel\":\"twice\",\"grid\":[\"ceildiv(n, 256)\"],\"block\":[256],\"args\":[\"x\",\"y\","
      "\"n\"]}]}}}";
static const char reference[]
    = "extern \"C\" __global__ void twice(const float *x, float *y, int n) {\n"
      "  int i = blockIdx.x * 256 + threadIdx.x;\n  if (i < n) y[i] = (float)(2.0 * x[i]);\n}\n";

#define KERNEL(extra)                                                                              \
    "extern \"C\" __global__ void twice(const float *x, float *y, int n) {\n"                      \
    "  int i = blockIdx.x * 256 + threadIdx.x;\n  if (i < n) y[i] = x[i] + x[i];\n" extra "\n}\n"
#define LAUNCH                                                                                     \
    "{\"kernel\":\"twice\",\"grid\":[\"ceildiv(n, 256)\"],\"block\":[256],\"args\":[\"x\",\"y\",\"n\"]"
#define PLAN "{\"format\":1,\"launches\":[" LAUNCH "}]}"

struct fixture {
    uv_loop_t loop;
    struct evaluator *evaluator;
    struct task *task;
};

struct outcome {
    bool done;
    int code;
    enum verdict_status status;
    char phase[64], detail[2048], remarks[1024], tool[128], text[2048];
    int errors;
    double seconds, device_s, compile_s, us;
};

static void on_judged(void *ud, int code, const struct verdict *v, const char *error)
{
    struct outcome *o = ud;
    o->done = true;
    o->code = code;
    if (code < 0) {
        snprintf(o->detail, sizeof(o->detail), "%s", error);
        return;
    }
    o->status = v->status;
    o->errors = v->sanitizer.errors;
    o->device_s = v->device_s;
    o->compile_s = v->compile_s;
    o->us = v->time.median_us;
    snprintf(o->phase, sizeof(o->phase), "%s", v->phase);
    snprintf(o->detail, sizeof(o->detail), "%s", v->detail);
    snprintf(o->remarks, sizeof(o->remarks), "%s", v->remarks);
    snprintf(o->tool, sizeof(o->tool), "%s", v->sanitizer.tool ? v->sanitizer.tool : "");
    snprintf(o->text, sizeof(o->text), "%s", v->sanitizer.text ? v->sanitizer.text : "");
}

static int start(void **state)
{
    struct fixture *f = xcalloc(1, sizeof(*f));
    struct err err = { 0 };
    struct evaluator_options options = { .gpu = "sim", .compile_workers = 1,
                                         .worker = WS_BIN_DIR "/warpsmith-worker" };
    uv_loop_init(&f->loop);
    if (task_parse(task_text, strlen(task_text), reference, &f->task, &err) < 0
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
    task_free(f->task);
    free(f);
    return r;
}

static void judge_as(struct fixture *f, struct judge_request request, const char *plan,
                     const char *source, struct outcome *ret)
{
    struct err err = { 0 };
    struct candidate *candidate;
    if (candidate_parse(plan, strlen(plan), source, strlen(source), &candidate, &err) < 0) {
        fail_msg("%s", err_text(&err));
    }
    request.task = f->task;
    request.candidate = candidate;
    memset(ret, 0, sizeof(*ret));
    uint64_t began = clock_ns();
    evaluator_judge(f->evaluator, &request, on_judged, ret);
    while (!ret->done && uv_run(&f->loop, UV_RUN_ONCE)) {
    }
    ret->seconds = (double)(clock_ns() - began) * 1e-9;
    candidate_free(candidate);
    if (ret->code < 0) {
        fail_msg("%s", ret->detail);
    }
}

static void judge(struct fixture *f, const char *plan, const char *source, bool sanitize,
                  uint64_t deadline_ms, struct outcome *ret)
{
    struct judge_request request = { .depth = JUDGE_DEPTH_CHECK, .sanitize = sanitize,
                                     .deadline_ms = deadline_ms };
    judge_as(f, request, plan, source, ret);
}

static void is(const struct outcome *o, enum verdict_status status, const char *phase,
               const char *detail)
{
    if (o->status != status || !str_eq(o->phase, phase) || (detail && !strstr(o->detail, detail))) {
        fail_msg("%s, phase %s: %s", verdict_status_name(o->status), o->phase, o->detail);
    }
}

static void test_refused_before_it_runs(void **state)
{
    struct fixture *f = *state;
    struct outcome o;
    static const char early[] = KERNEL("  asm volatile(\"griddepcontrol.launch_dependents;\");");
    judge(f, PLAN, early, false, 0, &o);
    is(&o, VERDICT_STATUS_UNSUPPORTED, "compile",
       "kernel twice: griddepcontrol.launch_dependents: work may go on past the end of the timed run; "
       "declare the launch programmatic");
    assert_true(o.device_s == 0);
    judge(f, "{\"format\":1,\"launches\":[" LAUNCH ",\"programmatic\":true}]}", early, false, 0, &o);
    is(&o, VERDICT_STATUS_ACCEPTED, "done", NULL);
    judge(f, PLAN, KERNEL("  if (n < 0) { float *p = new float[4]; y[0] = p[n]; }"), false, 0, &o);
    is(&o, VERDICT_STATUS_UNSUPPORTED, "compile", "malloc: the device heap outlives a run");
    judge(f, PLAN,
          "extern \"C\" __device__ int cudaDeviceSynchronize();\n"
          KERNEL("  if (n < 0) y[0] = cudaDeviceSynchronize();"), false, 0, &o);
    is(&o, VERDICT_STATUS_UNSUPPORTED, "compile", "only the plan launches kernels");
}

static void test_remarks(void **state)
{
    struct fixture *f = *state;
    struct outcome o;
    judge(f, PLAN, KERNEL("  if (n < 0) y[0] = clock64();"), false, 0, &o);
    is(&o, VERDICT_STATUS_ACCEPTED, "done", NULL);
    assert_string_equal(o.remarks, "twice: reads a clock");
}

/* A read of the red zone before x, which no output shows. */
static const char peeks[]
    = KERNEL("  if (i == 0 && ((volatile const float *)x)[-1] == 123.456f) y[0] = 0;");

static void test_simulator_sanitizes(void **state)
{
    struct fixture *f = *state;
    struct outcome o;
    judge(f, PLAN, KERNEL(""), true, 0, &o);
    is(&o, VERDICT_STATUS_ACCEPTED, "done", NULL);
    assert_string_equal(o.tool, "simulator");
    assert_int_equal(o.errors, 0);
    judge(f, PLAN, peeks, false, 0, &o);
    is(&o, VERDICT_STATUS_ACCEPTED, "done", NULL);
    judge(f, PLAN, peeks, true, 0, &o);
    is(&o, VERDICT_STATUS_INCORRECT, "sanitize", "invalid read of 4 bytes of global memory");
    assert_int_equal(o.errors, 1);
}

/* A tool that runs its program as compute-sanitizer does and then writes `log`. */
static void with_tool(const char *text, const char *path)
{
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    fprintf(file, "#!/bin/sh\ntool=$2; log=$4; shift 10\n%s", text);
    fclose(file);
    chmod(path, 0700);
    setenv("WARPSMITH_SANITIZER", path, 1);
}

static void test_tools(void **state)
{
    struct fixture *f = *state;
    struct outcome o;
    char path[] = "/tmp/warpsmith-tool-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    with_tool("\"$@\" || exit 1\n{ echo '========= COMPUTE-SANITIZER'\n"
              "test $tool = racecheck && { echo '========= Error: Race reported between k+1 and k+2'\n"
              "echo '=========     and Read access at k+2 [3 hazards]'; }\n"
              "echo '========= ERROR SUMMARY: 0 errors'; } > $log\n", path);
    judge(f, PLAN, KERNEL(""), true, 0, &o);
    is(&o, VERDICT_STATUS_INCORRECT, "sanitize", "racecheck: Error: Race reported");
    assert_string_equal(o.tool, "memcheck, racecheck, initcheck, synccheck");
    assert_int_equal(o.errors, 1);
    /* The worker's own words where the tool has none; nothing is claimed to have gone through. */
    with_tool("\"$@\" 3<&- ; exit 1\n", path);
    judge(f, PLAN, KERNEL(""), true, 0, &o);
    is(&o, VERDICT_STATUS_ACCEPTED, "done", NULL);
    assert_string_equal(o.tool, "not available");
    assert_non_null(strstr(o.text, "memcheck didn't go through: it left no summary in its log"));
    unlink(path);
    judge(f, PLAN, KERNEL(""), true, 0, &o);
    is(&o, VERDICT_STATUS_ACCEPTED, "done", NULL);
    assert_string_equal(o.tool, "not available");
    unsetenv("WARPSMITH_SANITIZER");
}

/* Bounds are generous: `bench deadlines` holds the figures against their bars. */
static void test_a_hang_costs_its_deadline(void **state)
{
    struct fixture *f = *state;
    struct outcome o;
    judge(f, PLAN, KERNEL("  volatile float *spin = y;\n  while (spin[0] != 12345.5f) { }"), false,
          1000, &o);
    is(&o, VERDICT_STATUS_TIMEOUT, "check small", "no result within 1.0 s");
    assert_true(o.seconds >= 1 && o.seconds < 10);
    judge(f, PLAN, KERNEL(""), false, 0, &o);
    is(&o, VERDICT_STATUS_ACCEPTED, "done", NULL);
    assert_true(o.seconds - o.device_s - o.compile_s < 15);
}

/* For the tuner: time comes first, and what is hopeless isn't checked. */
static void test_a_config_of_many(void **state)
{
    struct fixture *f = *state;
    static const char wrong[] = KERNEL("  if (i < n) y[i] += 1;");
    struct judge_request request = { .depth = JUDGE_DEPTH_TUNE };
    struct outcome o;
    judge_as(f, request, PLAN, KERNEL(""), &o);
    is(&o, VERDICT_STATUS_ACCEPTED, "done", NULL);
    assert_true(o.us > 0);
    double us = o.us;
    judge_as(f, request, PLAN, wrong, &o);
    is(&o, VERDICT_STATUS_INCORRECT, "check", NULL);
    request.hopeless_us = 2 * us;
    judge_as(f, request, PLAN, KERNEL(""), &o);
    is(&o, VERDICT_STATUS_ACCEPTED, "done", NULL);
    judge_as(f, request, PLAN, wrong, &o);
    is(&o, VERDICT_STATUS_INCORRECT, "check", NULL);
    request.hopeless_us = us / 2;
    judge_as(f, request, PLAN, KERNEL(""), &o);
    is(&o, VERDICT_STATUS_SLOW, "time", "nothing was checked");
    assert_true(o.us == us);
    judge_as(f, request, PLAN, wrong, &o);
    is(&o, VERDICT_STATUS_SLOW, "time", NULL);
}

static void test_a_deadline_of_compiling_alone(void **state)
{
    struct fixture *f = *state;
    struct judge_request request = { .depth = JUDGE_DEPTH_TUNE, .compile_deadline_ms = 300,
                                     .deadline_ms = 60000 };
    struct outcome o;
    judge_as(f, request, PLAN,
             "template <int N> struct loop { static __device__ float f(float x) { return loop<N - 1>"
             "::f(x) + loop<N - 2>::f(x * N); } };\n"
             "template <> struct loop<0> { static __device__ float f(float x) { return x; } };\n"
             "template <> struct loop<1> { static __device__ float f(float x) { return -x; } };\n"
             KERNEL("  if (i < n) y[i] = loop<40>::f(y[i]);"), &o);
    is(&o, VERDICT_STATUS_TIMEOUT, "compile", "0.3 s");
    assert_true(o.seconds < 10);
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN); /* as the program does: a peer may go */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refused_before_it_runs),
        cmocka_unit_test(test_remarks),
        cmocka_unit_test(test_simulator_sanitizes),
        cmocka_unit_test(test_tools),
        cmocka_unit_test(test_a_hang_costs_its_deadline),
        cmocka_unit_test(test_a_config_of_many),
        cmocka_unit_test(test_a_deadline_of_compiling_alone),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
