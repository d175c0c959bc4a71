/* SPDX-License-Identifier: MIT */
/*
 * Exports as their users get them: the C launcher compiled and run on the simulator's driver, Python files run by
 * their own launcher on it and compared with the Model they keep, and a run's results in KernelBench's layout. The
 * run is made up here, but for its candidates, problems and their hashes.
 */
#include "base/buf.h"
#include "base/file.h"
#include "base/jread.h"
#include "base/util.h"
#include "kernelbench/candidate.h"
#include "kernelbench/problem.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define SUITE WS_SOURCE_DIR "/tests/cases/kernelbench"
#define CASES WS_SOURCE_DIR "/tests/cases/export/candidates"

static char folder[] = "/tmp/ws_export_XXXXXX";

/* The output of a shell's line; what it printed is the caller's. */
static int shell(const char *line, char **ret_output)
{
    auto_free char *all = xprintf("cd %s && (%s) 2>&1", folder, line);
    FILE *pipe = popen(all, "r");
    struct buf out;
    char chunk[4096];
    size_t n;
    assert_non_null(pipe);
    buf_init(&out, 4 << 20);
    while ((n = fread(chunk, 1, sizeof(chunk), pipe)) > 0) {
        buf_add(&out, chunk, n);
    }
    int status = pclose(pipe);
    *ret_output = out.len ? buf_take(&out) : xstrdup("");
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void expect(int code, const char *text, const char *line)
{
    char *output = NULL;
    int got = shell(line, &output);
    if (got != code || (text && !strstr(output, text))) {
        fail_msg("%s\nexit %d, expected %d and \"%s\":\n%s", line, got, code, text ? text : "", output);
    }
    free(output);
}

/* A folder's candidate, kept in the run under its id, as a run does. */
static json_t *keep(const char *from, const char *name)
{
    struct candidate *c = NULL;
    struct err err = { 0 };
    char hex[ID_HEX];
    if (candidate_load(from, &c, &err) < 0) {
        fail_msg("%s", err_text(&err));
    }
    id_hex(&c->id, hex);
    auto_free char *to = xprintf("%s/run/candidates/%s", folder, hex);
    assert_int_equal(folder_make(to, NULL), 0);
    assert_int_equal(candidate_save(c, to, NULL), 0);
    candidate_free(c);
    return json_pack("{s:s,s:s,s:{s:s}}", "name", name, "id", hex, "verdict", "status", "incorrect");
}

static void write_result(int level, const char *number, json_t *candidates)
{
    auto_arena struct arena *arena = arena_new();
    struct problem *p;
    size_t n;
    char hex[ID_HEX];
    auto_free char *levels = xprintf("%d", level);
    assert_int_equal(problem_find(SUITE, levels, number, arena, &p, &n, NULL), 0);
    id_hex(&p->hash, hex);
    json_t *doc = json_pack("{s:i,s:i,s:i,s:s,s:s,s:s,s:s,s:{s:{s:f}},s:o}", "format", 1, "level", level, "id", p->id,
                            "name", p->name, "family", p->family, "hash", hex, "device", "NVIDIA H200", "baselines",
                            "compile", "median_us", 30.0, "candidates", candidates);
    auto_free char *text = json_dumps(doc, 0), *at = xprintf("%s/run/results/level%d_%s.json", folder, level, number);
    json_decref(doc);
    assert_int_equal(file_write(at, text, strlen(text), NULL), 0);
}

static int setup(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(folder));
    auto_free char *store = xprintf("%s/store", folder), *results = xprintf("%s/run/results", folder);
    setenv("WARPSMITH_STORE", store, 1);
    setenv("WARPSMITH_PYTHON", "/usr/bin/python3", 0);
    assert_int_equal(folder_make(results, NULL), 0);
    json_t *prepared = keep(CASES "/level2/1/prepared", "1/prepared");
    json_object_set_new(prepared, "verdict", json_pack("{s:s,s:{s:f}}", "status", "accepted", "time", "median_us", 9.5));
    json_object_set_new(prepared, "kb",
                        json_pack("{s:s,s:s,s:f,s:f,s:f,s:f,s:i,s:s,s:f,s:f,s:f,s:f,s:i}", "status", "correct", "trials",
                                  "5/5", "mean_us", 12.5, "std_us", 0.5, "min_us", 12.0, "max_us", 14.0, "n", 100,
                                  "baseline", "eager", "baseline_mean_us", 25.0, "baseline_std_us", 1.0,
                                  "baseline_min_us", 24.0, "baseline_max_us", 30.0, "baseline_n", 80));
    write_result(2, "1", json_pack("[o,o]", keep(SUITE "/candidates/level2/1/forgetful", "1/forgetful"), prepared));
    json_t *right = keep(SUITE "/candidates/level1/4/right", "4/right"); /* by kb the machine failed, not the candidate */
    json_object_set_new(right, "verdict", json_pack("{s:s,s:{s:f}}", "status", "accepted", "time", "median_us", 7.0));
    json_object_set_new(right, "kb", json_pack("{s:s,s:s}", "status", "error", "detail", "the device is gone"));
    write_result(1, "4", json_pack("[o]", right));
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    return folder_remove(folder, NULL);
}

static json_t *read_json(const char *name)
{
    auto_free char *path = xprintf("%s/%s", folder, name);
    json_t *json = NULL;
    struct err err = { 0 };
    if (jread_file(path, &json, &err) < 0) {
        fail_msg("%s", err_text(&err));
    }
    return json;
}

static void near(const json_t *json, const char *key, double want)
{
    double got = json_number_value(json_object_get(json, key));
    if (!(fabs(got - want) < 1e-9)) {
        fail_msg("%s: %.12g, expected %.12g", key, got, want);
    }
}

/* As eval_from_generations.py writes it: what benchmark_eval_analysis.py reads of a sample, and its types. */
static void check_sample(const json_t *sample, int id, bool correct, double ms)
{
    const json_t *about = json_object_get(sample, "metadata");
    assert_int_equal(json_integer_value(json_object_get(sample, "sample_id")), id);
    assert_true(json_is_true(json_object_get(sample, "compiled")));
    assert_true(json_is_true(json_object_get(sample, "correctness")) == correct);
    assert_string_equal(json_string_value(json_object_get(about, "hardware")), "NVIDIA H200");
    assert_true(json_is_string(json_object_get(about, "device")));
    assert_true(json_is_object(json_object_get(sample, "runtime_stats")));
    near(sample, "runtime", ms);
}

static void test_upstream(void **state)
{
    (void)state;
    expect(0, "3 exported", WS_BIN_DIR "/warpsmith kernelbench export --suite " SUITE
           " --out run --to up --all --gpu sim");
    json_t *results = read_json("up/runs/run_level2/eval_results.json");
    assert_int_equal(json_object_size(results), 1);
    const json_t *samples = json_object_get(results, "1");
    json_t *first = read_json("up/runs/run_level1/eval_results.json");
    check_sample(json_array_get(json_object_get(first, "4"), 0), 0, true, 0.007);
    json_decref(first);
    check_sample(json_array_get(samples, 0), 0, false, -1);
    check_sample(json_array_get(samples, 1), 1, true, 0.0125);
    near(json_object_get(json_array_get(samples, 1), "runtime_stats"), "std", 0.0005);
    assert_string_equal(json_string_value(json_object_get(json_object_get(json_array_get(samples, 1), "metadata"),
                                                          "correctness_trials")), "(5/5)");
    json_decref(results);
    /* By itself the winner is sample 0, whatever its number was: upstream's analysis looks at no other. */
    expect(0, "1 exported", WS_BIN_DIR "/warpsmith kernelbench export --suite " SUITE
           " --out run --to best --levels 2 --gpu sim");
    results = read_json("best/runs/run_level2/eval_results.json");
    assert_int_equal(json_array_size(json_object_get(results, "1")), 1);
    check_sample(json_array_get(json_object_get(results, "1"), 0), 0, true, 0.0125);
    json_decref(results);
    expect(0, "candidate 1/prepared: strictly accepted",
           "head -40 best/runs/run_level2/level_2_problem_1_sample_0_kernel.py");
    json_t *times = read_json("up/results/timing/NVIDIA_H200/baseline_time_torch.json");
    const json_t *one = json_object_get(json_object_get(times, "level2"), "1_Linear_BatchNorm.py");
    near(one, "mean", 0.025);
    near(one, "max", 0.03);
    near(one, "num_trials", 80);
    assert_true(json_is_object(json_object_get(times, "level1")) && json_is_object(json_object_get(times, "level3")));
    json_decref(times);
    times = read_json("up/results/timing/NVIDIA_H200/baseline_time_torch_compile_inductor_default.json");
    near(json_object_get(json_object_get(times, "level1"), "4_Masked_cumsum.py"), "mean", 0.03);
    json_decref(times);
}

/* The files run: right where the candidate is, wrong where it forgets to update its buffers. */
static void test_models_run(void **state)
{
    (void)state;
    char *output = NULL;
    const char *preload = "";
#ifdef __clang__
    if (*WS_SANITIZE) {
        skip(); /* clang's runtime can't be loaded before Python */
    }
#else
    preload = strstr(WS_SANITIZE, "address") ? "LD_PRELOAD=$(" WS_CC " -print-file-name=libasan.so) ASAN_OPTIONS=detect_leaks=0"
        : strstr(WS_SANITIZE, "thread") ? "LD_PRELOAD=$(" WS_CC " -print-file-name=libtsan.so)" : "";
#endif
    auto_free char *line = xprintf("%s $WARPSMITH_PYTHON -B " WS_SOURCE_DIR "/tests/export_run.py " WS_SIM
                                   " up/runs/*/*.py", preload);
    int code = shell(line, &output);
    if (code != 0 || !strstr(output, "run_level2/level_2_problem_1_sample_0_kernel.py: wrong")
        || !strstr(output, "run_level2/level_2_problem_1_sample_1_kernel.py: right")
        || !strstr(output, "run_level1/level_1_problem_4_sample_0_kernel.py: right")) {
        fail_msg("%s", output);
    }
    free(output);
}

static void write_floats(const char *name, const float *at, size_t n)
{
    auto_free char *path = xprintf("%s/%s", folder, name);
    assert_int_equal(file_write(path, at, n * sizeof(*at), NULL), 0);
}

/* A task of two tensors: y = x over the root of the mean of x squared, row by row, times w. */
static void write_task(void)
{
    static const char task[] = "{\"format\": 1, \"name\": \"if-3d\", \"family\": \"rmsnorm\","
        "\"shapes\": {\"default\": {\"rows\": 8, \"cols\": 64}},"
        "\"inputs\": [{\"name\": \"in\", \"dtype\": \"f32\", \"shape\": [\"rows\", \"cols\"]}],"
        "\"scalars\": [{\"name\": \"eps\", \"dtype\": \"f32\", \"value\": 0.5}],"
        "\"outputs\": [{\"name\": \"out\", \"dtype\": \"f32\", \"shape\": [\"rows\", \"cols\"]}],"
        "\"tolerance\": {\"atol\": 1e-5, \"rtol\": 1e-4},"
        "\"reference\": {\"source\": \"reference.cu\", \"plan\": {\"launches\": [{\"kernel\": \"scale\","
        "\"grid\": [\"rows\"], \"block\": [32], \"args\": [\"in\", \"out\", \"eps\", \"cols\", -3]}]}}}";
    static const char source[] = "extern \"C\" __global__ void scale(const float *x, float *y, float eps, int cols, int add)\n"
        "{\n    for (int i = threadIdx.x; i < cols; i += blockDim.x)\n"
        "        y[blockIdx.x * cols + i] = x[blockIdx.x * cols + i] * eps + add; // \\ '''\n}\n";
    static const char plan[] = "{\"format\": 1, \"launches\": [{\"kernel\": \"scale\", \"grid\": [\"rows\"],"
        "\"block\": [32], \"args\": [\"in\", \"out\", \"eps\", \"cols\", -3]}]}";
    auto_free char *t = xprintf("%s/task.json", folder), *r = xprintf("%s/reference.cu", folder);
    auto_free char *k = xprintf("%s/mine/kernel.cu", folder), *p = xprintf("%s/mine/plan.json", folder);
    auto_free char *mine = xprintf("%s/mine", folder);
    assert_int_equal(folder_make(mine, NULL), 0);
    assert_int_equal(file_write(t, task, strlen(task), NULL), 0);
    assert_int_equal(file_write(r, source, strlen(source), NULL), 0);
    assert_int_equal(file_write(k, source, strlen(source), NULL), 0);
    assert_int_equal(file_write(p, plan, strlen(plan), NULL), 0);
}

/* The C form compiles without a warning, and what it computes is right to the last bit. */
static void test_c(void **state)
{
    (void)state;
    enum { N = 8 * 64 };
    float x[N], *y = NULL;
    char *text = NULL;
    size_t len = 0;
    for (int i = 0; i < N; i++) {
        x[i] = (float)(i - 100);
    }
    write_task();
    write_floats("x.bin", x, N);
    expect(0, "c/launch.c", WS_BIN_DIR "/warpsmith export . mine --format c --to c --gpu sim");
    expect(0, NULL, WS_CC " -std=c11 -Wall -Wextra -Wno-pedantic -Werror -O1 "
           "$(test -n '" WS_SANITIZE "' && echo -fsanitize=" WS_SANITIZE ") -I" WS_CUDA_HEADERS
           " c/main.c c/launch.c " WS_SIM " -Wl,-rpath,$(dirname " WS_SIM ") -o c/main");
    expect(2, "usage", "cd c && ASAN_OPTIONS=detect_leaks=0 ./main one");
    expect(0, "median of 100 runs", "cd c && ASAN_OPTIONS=detect_leaks=0 ./main ../x.bin ../y.bin");
    auto_free char *path = xprintf("%s/y.bin", folder);
    assert_int_equal(file_read(path, 1 << 20, &text, &len, NULL), 0);
    assert_int_equal(len, sizeof(x));
    y = (float *)(void *)text;
    for (int i = 0; i < N; i++) {
        assert_true(y[i] == x[i] * 0.5f - 3);
    }
    free(text);
}

/* A word of Python's isn't a parameter's name, a quote doesn't end the source, the wrong tensor is refused. */
static void test_function(void **state)
{
    (void)state;
    expect(0, "py/if_3d.py", WS_BIN_DIR "/warpsmith export . mine --to py --from-source --gpu sim");
    expect(0, "if_3d: in_ must be a torch.float32 tensor of (8, 64)",
           "cd py && $WARPSMITH_PYTHON -B -c \"\n"
           "import inspect, torch, if_3d as m\n"
           "assert list(inspect.signature(m.if_3d).parameters) == ['in_']\n"
           "assert b\\\"'''\\\" in m.WARPSMITH_SOURCE and m.WARPSMITH_IMAGE == ''\n"
           "try:\n    m.if_3d(torch.zeros(8, 64))\nexcept ValueError as e:\n    print(e)\"");
    /* A folder's name can't leave the comment that it stands in. */
    expect(0, "odd/if_3d.py", "cp -r mine \"$(printf 'mine\\nraise SystemExit(5)')\" && " WS_BIN_DIR
           "/warpsmith export . \"./$(printf 'mine\\nraise SystemExit(5)')\" --to odd --from-source --gpu sim && "
           "$WARPSMITH_PYTHON -B odd/if_3d.py");
}

/* Weights are prepared for the tensor that is given, not for its address; memory that begins at an odd place is copied. */
static void test_call(void **state)
{
    (void)state;
    expect(0, "right", "$WARPSMITH_PYTHON -B " WS_SOURCE_DIR "/tests/export_call.py " WS_SOURCE_DIR
           "/agent/export/kernel.py");
}

static void test_refusals(void **state)
{
    (void)state;
    expect(2, "--to DIR is missing", WS_BIN_DIR "/warpsmith export . mine");
    expect(2, "none of torch, c, upstream", WS_BIN_DIR "/warpsmith export . mine --to x --format elf");
    expect(2, "is no KernelBench problem", WS_BIN_DIR "/warpsmith export . mine --to x --format upstream --gpu sim");
    expect(2, "needs --out RUN and --to DIR", WS_BIN_DIR "/warpsmith kernelbench export --suite " SUITE " --out run");
    expect(2, "is the folder that a run wrote", WS_BIN_DIR "/warpsmith kernelbench export --suite " SUITE
           " --out none --to x");
    /* Another file than was judged, and another candidate. */
    expect(0, NULL, "mkdir -p suite/level1 suite/level2 && cp " SUITE "/level1/4_*.py suite/level1/ && "
           "cp " SUITE "/level2/1_*.py suite/level2/ && echo '# changed' >> suite/level1/4_Masked_cumsum.py && "
           "for k in run/candidates/*/kernel.cu; do echo '// changed' >> $k; done");
    char *output = NULL;
    int code = shell(WS_BIN_DIR "/warpsmith kernelbench export --suite suite --out run --to x --gpu sim --all", &output);
    if (code != 1 || !strstr(output, "is not the file that was judged")
        || !strstr(output, "is another candidate than the one that was judged")) {
        fail_msg("exit %d: %s", code, output);
    }
    free(output);
}

int main(void)
{
    enum { SKIPPED = 77 };
    if (getenv("WARPSMITH_NO_PYTORCH")) {
        return SKIPPED;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_upstream), cmocka_unit_test(test_models_run), cmocka_unit_test(test_c),
        cmocka_unit_test(test_function), cmocka_unit_test(test_call), cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
