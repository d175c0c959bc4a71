/* SPDX-License-Identifier: MIT */
/* The real device worker on the simulator: every case under tests/cases/gate, and the protocol. */
#include <dirent.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/util.h"
#include "tests/gate_case.h"

static const char driver[] = WS_BIN_DIR "/libwarpsim.so";

static int start(void **state)
{
    struct gate_bench *bench = xcalloc(1, sizeof(*bench));
    gate_bench_start(bench, getenv("WS_TEST_DRIVER") ? getenv("WS_TEST_DRIVER") : driver);
    *state = bench;
    return 0;
}

static int stop(void **state)
{
    gate_bench_stop(*state);
    free(*state);
    return 0;
}

static const char *text(const json_t *verdict, const char *key)
{
    const char *value = json_string_value(json_object_get(verdict, key));
    return value ? value : "";
}

/* Is `status` one of "a|b"? */
static bool one_of(const char *status, const char *list)
{
    const char *hit = strstr(list, status);
    size_t n = strlen(status);
    return hit && n && (hit == list || hit[-1] == '|') && (!hit[n] || hit[n] == '|');
}

/* Goes on after a failure, so that one run shows them all. */
static bool run_file(struct gate_bench *bench, const char *name)
{
    bool failed = false;
    struct gate_case one;
    auto_free char *path = xprintf("%s/tests/cases/gate/%s", WS_SOURCE_DIR, name);
    gate_case_load(path, &one);
    if (one.needs && str_eq(one.needs, "a clock") == bench->modelled) {
        gate_case_done(&one);
        return true;
    }
    struct candidate *candidate = gate_candidate(one.plan, one.source);
    struct gate_request request = { .candidate = candidate };
    json_t *verdict = gate_judge(bench, &request);
    candidate_free(candidate);
    if (!verdict) {
        print_error("%s: the worker died\n", name);
        gate_case_done(&one);
        gate_bench_restart_device(bench);
        return false;
    }
    if (getenv("WS_TEST_VERBOSE")) {
        printf("%s: %s in %s: %s\n", name, text(verdict, "status"), text(verdict, "phase"),
               text(verdict, "detail"));
    }
    if (!one_of(text(verdict, "status"), one.expect)
        || (one.detail && !strstr(text(verdict, "detail"), one.detail))
        || (one.simulated && bench->modelled && !strstr(text(verdict, "detail"), one.simulated))) {
        print_error("%s: expected %s (%s), got %s: %s\n", name, one.expect,
                    one.detail ? one.detail : "", text(verdict, "status"),
                    text(verdict, "detail"));
        failed = true;
    }
    bool broken = str_eq(text(verdict, "status"), "launch_error");
    json_decref(verdict);
    gate_case_done(&one);
    if (broken) {
        gate_bench_restart_device(bench);
    }
    return !failed;
}

static void test_cases(void **state)
{
    struct dirent **names;
    int n = scandir(WS_SOURCE_DIR "/tests/cases/gate", &names, NULL, alphasort);
    assert_true(n > 0);
    int done = 0, right = 0;
    for (int i = 0; i < n; i++) {
        size_t len = strlen(names[i]->d_name);
        if (len > 3 && str_eq(names[i]->d_name + len - 3, ".cu")) {
            done++;
            right += run_file(*state, names[i]->d_name);
        }
        free(names[i]);
    }
    free(names);
    assert_int_equal(right, done);
}

static void expect_refusal(struct gate_bench *bench, json_t *job, const char *words)
{
    struct answer a;
    assert_true(peer_job(&bench->device, job, "", 0, &a));
    const char *error = text(a.json, "error");
    if (!json_is_false(json_object_get(a.json, "ok")) || !strstr(error, words)) {
        fail_msg("\"%s\" isn't in \"%s\"", words, error);
    }
    answer_done(&a);
}

/* A judge job without cases, but with everything that must stand before them. */
static json_t *empty_job(void)
{
    return json_pack("{s:s,s:s,s:[],s:{s:f,s:f},s:[]}", "kind", "judge", "salt",
                     "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f", "images",
                     "tolerance", "atol", 1e-5, "rtol", 1e-5, "cases");
}

static json_t *with(json_t *job, const char *key, json_t *value)
{
    json_object_set_new(job, key, value);
    return job;
}

static void test_bad_jobs_are_refused(void **state)
{
    struct gate_bench *bench = *state;
    expect_refusal(bench, json_pack("{s:s}", "kind", "dance"), "no kind of job is called \"dance\"");
    expect_refusal(bench, json_pack("{}"), "no kind of job");
    expect_refusal(bench, json_pack("{s:s}", "kind", "judge"), "salt");
    expect_refusal(bench, with(empty_job(), "salt", json_string("00")), "salt");
    expect_refusal(bench, with(empty_job(), "trials", json_integer(0)), "trials");
    expect_refusal(bench, with(empty_job(), "images", json_pack("[[i,i]]", 0, 10)), "images[0]");
    expect_refusal(bench, with(empty_job(), "cases", json_pack("[{}]")), "cases[0]");
    expect_refusal(bench, with(empty_job(), "cases",
                               json_pack("[{s:s,s:b,s:b,s:[]}]", "shape", "small", "check", 1,
                                         "time", 0, "scalars")), "cases[0].reference");
    json_t *protocol = with(empty_job(), "kind", json_string("protocol"));
    expect_refusal(bench, json_deep_copy(protocol), "protocol: expected an object");
    expect_refusal(bench, with(json_deep_copy(protocol), "protocol", json_pack("{s:[s]}", "rules", "lax")),
                   "rules[0] is neither kb nor verified");
    expect_refusal(bench, with(protocol, "protocol", json_pack("{s:[s]}", "rules", "kb")), "it needs a problem");
    expect_refusal(bench, json_pack("{s:s}", "kind", "setup"), "gate");
    gate_bench_restart_device(bench); /* that setup took the gate away */
}

static void test_judge_before_setup(void **state)
{
    struct gate_bench *bench = *state;
    struct peer peer;
    const char *args[] = { "device", "--driver", bench->driver, NULL };
    peer_start(&peer, args);
    struct answer a;
    assert_true(peer_job(&peer, empty_job(), "", 0, &a));
    assert_string_equal(text(a.json, "error"), "judge before setup");
    answer_done(&a);
    assert_int_equal(peer_stop(&peer), 0);
}

static void test_missing_driver_is_said(void **state)
{
    struct gate_bench *bench = *state;
    struct peer peer;
    const char *args[] = { "device", "--driver", "/nowhere/libcuda.so.1", NULL };
    peer_start(&peer, args);
    assert_non_null(strstr(text(peer.hello, "error"), "--gpu sim"));
    assert_int_equal(peer_stop(&peer), 3);
    const char *far[] = { "device", "--driver", bench->driver, "--gpu", "77", NULL };
    peer_start(&peer, far);
    assert_non_null(strstr(text(peer.hello, "error"), "no GPU 77"));
    assert_int_equal(peer_stop(&peer), 3);
}

static void test_broken_context_ends_the_worker(void **state)
{
    struct gate_bench *bench = *state;
    struct gate_case one;
    gate_case_load(WS_SOURCE_DIR "/tests/cases/gate/far_past_the_end.cu", &one);
    struct candidate *candidate = gate_candidate(one.plan, one.source);
    struct gate_request request = { .candidate = candidate };
    json_t *verdict = gate_judge(bench, &request);
    assert_string_equal(text(verdict, "status"), "launch_error");
    assert_int_equal(peer_stop(&bench->device), 4);
    json_decref(verdict);
    candidate_free(candidate);
    gate_case_done(&one);
    gate_bench_start_device(bench);
}

static void judge_file(struct gate_bench *bench, const char *name, const char *status,
                       const char *words)
{
    struct gate_case one;
    auto_free char *path = xprintf("%s/tests/cases/gate/%s.cu", WS_SOURCE_DIR, name);
    gate_case_load(path, &one);
    struct candidate *candidate = gate_candidate(one.plan, one.source);
    struct gate_request request = { .candidate = candidate };
    json_t *verdict = gate_judge(bench, &request);
    assert_string_equal(text(verdict, "status"), status);
    if (!strstr(text(verdict, "detail"), words)) {
        fail_msg("\"%s\" isn't in \"%s\"", words, text(verdict, "detail"));
    }
    json_decref(verdict);
    candidate_free(candidate);
    gate_case_done(&one);
}

/* Without memory that can be protected, a changed input shows in a comparison afterwards. */
static void test_plain_memory(void **state)
{
    struct gate_bench *bench = *state;
    bench->memory = "plain";
    gate_bench_restart_device(bench);
    judge_file(bench, "right", "accepted", "agree");
    judge_file(bench, "writes_input", "incorrect", "changed the input x");
    judge_file(bench, "before_the_start", "incorrect", "before the start of y");
    judge_file(bench, "tail_missing", "incorrect", "never written");
    bench->memory = NULL;
    gate_bench_restart_device(bench);
}

static const char big_task[]
    = "{\"format\": 1, \"name\": \"big\", \"family\": \"elementwise\","
      " \"shapes\": {\"default\": {\"n\": 2400000001}},"
      " \"inputs\": [{\"name\": \"x\", \"dtype\": \"f16\", \"shape\": [\"n\"],"
      "              \"domain\": \"real\"}],"
      " \"outputs\": [{\"name\": \"y\", \"dtype\": \"f16\", \"shape\": [\"n\"]}],"
      " \"tolerance\": {\"atol\": 1e-5, \"rtol\": 1e-3}, \"flops\": \"n\","
      " \"bytes\": \"4*n\", \"precision\": \"f16\","
      " \"reference\": {\"source\": \"reference.cu\", \"plan\": {\"launches\": [{\"kernel\":"
      " \"twice\", \"grid\": [\"ceildiv(n, 256)\"], \"block\": [256],"
      " \"args\": [\"x\", \"y\", \"n\"]}]}}}";

static const char big_plan[]
    = "{\"format\": 1, \"launches\": [{\"kernel\": \"twice\", \"grid\": [\"ceildiv(n, 256)\"],"
      " \"block\": [256], \"args\": [\"x\", \"y\", \"n\"]}]}";

static char *big_source(const char *type)
{
    return xprintf("#include <cuda_fp16.h>\n"
                   "extern \"C\" __global__ void twice(const __half *x, __half *y, long long n) {\n"
                   "  %s i = (%s)blockIdx.x * 256 + threadIdx.x;\n"
                   "  if (i >= 0 && i < n) y[i] = __hadd(x[i], x[i]);\n}\n", type, type);
}

/* More elements than an int can count: our kernels must count them, a candidate that can't fails. */
static void test_large_tensors(void **state)
{
    struct gate_bench *bench = *state;
    if (bench->modelled) {
        skip(); /* the simulator would take minutes */
    }
    auto_free char *wide = big_source("long long"), *narrow = big_source("int");
    struct task *task;
    struct err err = { 0 };
    if (task_parse(big_task, strlen(big_task), wide, &task, &err) < 0) {
        fail_msg("%s", err_text(&err));
    }
    struct candidate *good = gate_candidate(big_plan, wide), *bad = gate_candidate(big_plan, narrow);
    struct gate_request request = { .task = task, .candidate = good };
    json_t *verdict = gate_judge(bench, &request);
    printf("%s in %.3f s, %.0f us: %s\n", text(verdict, "status"),
           json_number_value(json_object_get(verdict, "device_s")),
           json_number_value(json_object_get(json_object_get(verdict, "time"), "median_us")),
           text(verdict, "detail"));
    assert_string_equal(text(verdict, "status"), "accepted");
    json_decref(verdict);
    request.candidate = bad;
    verdict = gate_judge(bench, &request);
    assert_string_equal(text(verdict, "status"), "incorrect");
    assert_non_null(strstr(text(verdict, "detail"), "index 2147483648"));
    json_decref(verdict);
    candidate_free(good);
    candidate_free(bad);
    task_free(task);
}

static struct task *task_of(const char *json, const char *reference)
{
    struct task *task;
    struct err err = { 0 };
    if (task_parse(json, strlen(json), reference, &task, &err) < 0) {
        fail_msg("%s", err_text(&err));
    }
    return task;
}

/* Judges one candidate of a task given as text. */
static void judge_text(struct gate_bench *bench, const char *json, const char *reference,
                       const char *plan, const char *source, const char *status, const char *words)
{
    struct task *task = task_of(json, reference);
    struct candidate *candidate = gate_candidate(plan, source);
    struct gate_request request = { .task = task, .candidate = candidate };
    json_t *verdict = gate_judge(bench, &request);
    if (!str_eq(text(verdict, "status"), status) || !strstr(text(verdict, "detail"), words)) {
        fail_msg("expected %s (%s), got %s: %s", status, words, text(verdict, "status"),
                 text(verdict, "detail"));
    }
    json_decref(verdict);
    candidate_free(candidate);
    task_free(task);
}

/* m = decay * m + g * w[column], in place; y = 2 x in x's own memory. */
static const char state_task[]
    = "{\"format\": 1, \"name\": \"state\", \"family\": \"elementwise\","
      " \"shapes\": {\"default\": {\"r\": 300, \"c\": 700}, \"small\": {\"r\": 5, \"c\": 70}},"
      " \"inputs\": [{\"name\": \"g\", \"dtype\": \"bf16\", \"shape\": [\"r\", \"c\"], \"domain\": \"real\"},"
      "  {\"name\": \"x\", \"dtype\": \"i32\", \"shape\": [\"r\"], \"domain\": \"index < c\"}],"
      " \"weights\": [{\"name\": \"w\", \"dtype\": \"f64\", \"shape\": [\"c\"], \"domain\": \"positive\"}],"
      " \"inout\": [{\"name\": \"m\", \"dtype\": \"f32\", \"shape\": [\"r\", \"c\"], \"domain\": \"real\"}],"
      " \"scalars\": [{\"name\": \"decay\", \"dtype\": \"f16\", \"value\": 0.875}],"
      " \"outputs\": [{\"name\": \"y\", \"dtype\": \"i32\", \"shape\": [\"r\"]}],"
      " \"alias\": [\"y\", \"x\"],"
      " \"tolerance\": {\"atol\": 1e-5, \"rtol\": 1e-5}, \"flops\": \"3*r*c\", \"bytes\": \"8*r*c\","
      " \"precision\": \"f32\", \"reference\": {\"source\": \"reference.cu\", \"plan\": {\"launches\":"
      " [{\"kernel\": \"step\", \"grid\": [\"r\"], \"block\": [64],"
      "   \"args\": [\"g\", \"w\", \"m\", \"x\", \"y\", \"decay\", \"c\"]}]}}}";

static const char state_plan[]
    = "{\"format\": 1, \"launches\": [{\"kernel\": \"step\", \"grid\": [\"r\"], \"block\": [64],"
      " \"args\": [\"g\", \"w\", \"m\", \"x\", \"y\", \"decay\", \"c\"]}]}";

/* `often` runs the update more than once; `x` is what y is made of. */
static char *state_source(int often, const char *x)
{
    return xprintf(
        "#include <cuda_fp16.h>\n#include <cuda_bf16.h>\n"
        "extern \"C\" __global__ void step(const __nv_bfloat16 *g, const double *w, float *m,\n"
        "                                const int *x, int *y, __half decay, int c) {\n"
        "  int row = blockIdx.x;\n"
        "  for (int k = 0; k < %d; k++)\n"
        "    for (int i = threadIdx.x; i < c; i += 64)\n"
        "      m[row * c + i] = (float)((double)__half2float(decay) * m[row * c + i]\n"
        "                               + (double)__bfloat162float(g[row * c + i]) * w[i]);\n"
        "  if (threadIdx.x == 0) y[row] = 2 * %s;\n}\n", often, x);
}

static void test_state_in_place(void **state)
{
    auto_free char *right = state_source(1, "x[row]"), *twice = state_source(2, "x[row]");
    auto_free char *wrong_row = state_source(1, "x[0]");
    judge_text(*state, state_task, right, state_plan, right, "accepted", "agree");
    judge_text(*state, state_task, right, state_plan, twice, "incorrect", "output m:");
    judge_text(*state, state_task, right, state_plan, wrong_row, "incorrect", "output y:");
}

/* An 8-bit scalar, input and output: -1.5 is 0xbc in e4m3. */
static void test_eight_bits(void **state)
{
    static const char task[]
        = "{\"format\": 1, \"name\": \"flip\", \"family\": \"elementwise\","
          " \"shapes\": {\"default\": {\"n\": 3000}, \"small\": {\"n\": 300}},"
          " \"inputs\": [{\"name\": \"x\", \"dtype\": \"f8e4m3\", \"shape\": [\"n\"]}],"
          " \"scalars\": [{\"name\": \"s\", \"dtype\": \"f8e4m3\", \"value\": -1.5}],"
          " \"outputs\": [{\"name\": \"y\", \"dtype\": \"f8e4m3\", \"shape\": [\"n\"]}],"
          " \"tolerance\": {\"atol\": 1e-3, \"rtol\": 1e-3}, \"flops\": \"n\", \"bytes\": \"2*n\","
          " \"precision\": \"f8e4m3\", \"reference\": {\"source\": \"reference.cu\", \"plan\":"
          " {\"launches\": [{\"kernel\": \"flip\", \"grid\": [\"ceildiv(n, 64)\"], \"block\": [64],"
          "   \"args\": [\"x\", \"y\", \"s\", \"n\"]}]}}}";
    static const char plan[]
        = "{\"format\": 1, \"launches\": [{\"kernel\": \"flip\", \"grid\": [\"ceildiv(n, 64)\"],"
          " \"block\": [64], \"args\": [\"x\", \"y\", \"s\", \"n\"]}]}";
    static const char source[]
        = "extern \"C\" __global__ void flip(const unsigned char *x, unsigned char *y,\n"
          "                                unsigned char s, long long n) {\n"
          "  long long i = blockIdx.x * 64ll + threadIdx.x;\n"
          "  if (i < n) y[i] = x[i] ^ (s == 0xbc ? 0x80 : 0)%s;\n}\n";
    auto_free char *right = xprintf(source, ""), *wrong = xprintf(source, " ^ (i == 77)");
    judge_text(*state, task, right, plan, right, "accepted", "agree");
    judge_text(*state, task, right, plan, wrong, "incorrect", "index 77 (row 0, column 77): expected");
}

static const char tiny_task[]
    = "{\"format\": 1, \"name\": \"tiny\", \"family\": \"elementwise\","
      " \"shapes\": {\"default\": {\"n\": 5000}, \"small\": {\"n\": 500}},"
      " \"inputs\": [{\"name\": \"x\", \"dtype\": \"f32\", \"shape\": [\"n\"], \"domain\": \"unit\"}],"
      " \"outputs\": [{\"name\": \"y\", \"dtype\": \"f32\", \"shape\": [\"n\"]}],"
      " \"tolerance\": {\"atol\": %s, \"rtol\": 1e-5}, \"flops\": \"n\", \"bytes\": \"%s\","
      " \"precision\": \"f32\", \"deterministic\": true,"
      " \"reference\": {\"source\": \"reference.cu\", \"plan\": {\"launches\":"
      " [{\"kernel\": \"scale\", \"grid\": [\"ceildiv(n, 64)\"], \"block\": [64],"
      "   \"args\": [\"x\", \"y\", \"n\"]}]}}}";

static const char tiny_plan[]
    = "{\"format\": 1, \"launches\": [{\"kernel\": \"scale\", \"grid\": [\"ceildiv(n, 64)\"],"
      " \"block\": [64], \"args\": [\"x\", \"y\", \"n\"]}]}";

static const char tiny_source[]
    = "extern \"C\" __global__ void scale(const float *x, float *y, long long n) {\n"
      "  long long i = blockIdx.x * 64ll + threadIdx.x;\n  if (i < n) y[i] = x[i] * 1e-4f;\n}\n";

/* Within the tolerance, but not the same bits twice. */
static void test_a_task_may_forbid_nondeterminism(void **state)
{
    static const char unsteady[]
        = "__device__ unsigned calls;\n"
          "extern \"C\" __global__ void scale(const float *x, float *y, long long n) {\n"
          "  long long i = blockIdx.x * 64ll + threadIdx.x;\n"
          "  if (i < n) y[i] = x[i] * (calls %% 2 ? 1e-4f : 1.0000002e-4f);\n"
          "  __syncthreads();\n"
          "  if (blockIdx.x == gridDim.x - 1 && threadIdx.x == 0) calls++;\n}\n";
    auto_free char *strict = xprintf(tiny_task, "1e-9", "8*n"), *source = xprintf(unsteady);
    judge_text(*state, strict, tiny_source, tiny_plan, source, "incorrect", "the task forbids");
}

static void test_zeros(void **state)
{
    static const char zeros[]
        = "extern \"C\" __global__ void scale(const float *x, float *y, long long n) {\n"
          "  long long i = blockIdx.x * 64ll + threadIdx.x;\n  if (i < n) y[i] = 0;\n}\n";
    auto_free char *loose = xprintf(tiny_task, "1e-3", "8*n");
    auto_free char *strict = xprintf(tiny_task, "1e-9", "8*n");
    judge_text(*state, loose, tiny_source, tiny_plan, zeros, "accepted", "so would pass: zeros");
    judge_text(*state, strict, tiny_source, tiny_plan, zeros, "incorrect", "are wrong");
    judge_text(*state, strict, tiny_source, tiny_plan, tiny_source, "accepted", "agree");
}

/* Claims a thousand times the traffic that there is, so that an honest time is under the floor. */
static void test_faster_than_light_is_suspect(void **state)
{
    struct gate_bench *bench = *state;
    if (bench->modelled) {
        skip(); /* a modelled time can't be a cheat */
    }
    auto_free char *json = xprintf(tiny_task, "1e-9", "8000000*n");
    judge_text(bench, json, tiny_source, tiny_plan, tiny_source, "suspect", "of L2");
}

static const char hanging_source[]
    = "extern \"C\" __global__ void scale(const float *x, float *y, long long n) {\n"
      "  volatile float *out = y;\n"
      "  while (out[0] != 4711.0f) { }\n"
      "  if (n < 0) y[0] = x[0];\n}\n";

/* Nothing in the worker can end a kernel that doesn't end; the agent kills the process, and the
 * next one finds the device in order. */
static void test_hang_ends_with_a_kill(void **state)
{
    struct gate_bench *bench = *state;
    auto_free char *json = xprintf(tiny_task, "1e-9", "8*n");
    struct task *task = task_of(json, tiny_source);
    struct candidate *candidate = gate_candidate(tiny_plan, hanging_source);
    struct gate_request request = { .task = task, .candidate = candidate };
    pid_t killer = fork();
    if (killer == 0) {
        sleep(2);
        kill(bench->device.pid, SIGKILL);
        _exit(0);
    }
    assert_null(gate_judge(bench, &request));
    waitpid(killer, NULL, 0);
    assert_int_equal(peer_stop(&bench->device), -SIGKILL);
    gate_bench_start_device(bench);
    judge_text(bench, json, tiny_source, tiny_plan, tiny_source, "accepted", "agree");
    candidate_free(candidate);
    task_free(task);
}

/* A baseline, and the same verdict when asked again. */
static void test_speedup_over_a_baseline(void **state)
{
    struct gate_bench *bench = *state;
    struct gate_case fast, slow;
    gate_case_load(WS_SOURCE_DIR "/tests/cases/gate/right.cu", &fast);
    gate_case_load(WS_SOURCE_DIR "/tests/cases/gate/dynamic_shared.cu", &slow);
    struct gate_request request = { .candidate = gate_candidate(fast.plan, fast.source),
                                    .baseline = gate_candidate(slow.plan, slow.source) };
    double speedup[2] = { 0 };
    for (int i = 0; i < 2; i++) {
        json_t *verdict = gate_judge(bench, &request);
        assert_string_equal(text(verdict, "status"), "accepted");
        assert_string_equal(text(verdict, "relation"), "faster");
        if (getenv("WS_TEST_VERBOSE")) {
            json_dumpf(verdict, stdout, JSON_INDENT(1));
        }
        speedup[i] = json_number_value(json_object_get(verdict, "speedup"));
        assert_true(speedup[i] > 1.5);
        json_decref(verdict);
    }
    if (bench->modelled) {
        assert_true(speedup[0] == speedup[1]);
    }
    candidate_free((struct candidate *)(uintptr_t)request.candidate);
    candidate_free((struct candidate *)(uintptr_t)request.baseline);
    gate_case_done(&fast);
    gate_case_done(&slow);
}

/* On the simulator a shape sees some kinds of inputs only. One kind shows that the variance here is a
 * difference of squares: whichever comes first, it meets a shape where it can. */
static void test_whatever_comes_first(void **state)
{
    enum { KINDS = 9 }; /* GATE_MODE_COUNT */
    struct gate_bench *bench = *state;
    struct err err = { 0 };
    struct task *task;
    struct candidate *naive;
    assert_int_equal(task_load(WS_SOURCE_DIR "/kernelbench/tasks/layernorm", &task, &err), 0);
    assert_int_equal(candidate_load(WS_SOURCE_DIR "/tests/exploits/55_naive_variance", &naive, &err), 0);
    for (int first = 0; first < KINDS; first++) {
        struct gate_request request = { .task = task, .candidate = naive, .first = first };
        json_t *verdict = gate_judge(bench, &request);
        assert_non_null(verdict);
        if (!str_eq(text(verdict, "status"), "incorrect")) {
            fail_msg("from %d on: %s: %s", first, text(verdict, "status"), text(verdict, "detail"));
        }
        json_decref(verdict);
    }
    candidate_free(naive);
    task_free(task);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),
        cmocka_unit_test(test_bad_jobs_are_refused),
        cmocka_unit_test(test_judge_before_setup),
        cmocka_unit_test(test_missing_driver_is_said),
        cmocka_unit_test(test_broken_context_ends_the_worker),
        cmocka_unit_test(test_speedup_over_a_baseline),
        cmocka_unit_test(test_state_in_place),
        cmocka_unit_test(test_a_task_may_forbid_nondeterminism),
        cmocka_unit_test(test_eight_bits),
        cmocka_unit_test(test_zeros),
        cmocka_unit_test(test_faster_than_light_is_suspect),
        cmocka_unit_test(test_hang_ends_with_a_kill),
        cmocka_unit_test(test_plain_memory),
        cmocka_unit_test(test_large_tensors),
        cmocka_unit_test(test_whatever_comes_first),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
