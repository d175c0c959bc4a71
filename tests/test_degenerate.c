/* SPDX-License-Identifier: MIT */
/* Tasks that a trivial candidate solves are named, sound ones aren't. Each is a reference of one
 * line in a row-wise task; its own reference is the candidate. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/util.h"
#include "tests/gate_case.h"

static const char task_text[]
    = "{\"format\": 1, \"name\": \"t\", \"family\": \"reduction\","
      " \"shapes\": {\"default\": {\"rows\": 64, \"cols\": 256}, \"small\": {\"rows\": 8, \"cols\": 64}},"
      " \"held_out\": [%s],"
      " \"inputs\": [{\"name\": \"x\", \"dtype\": \"f32\", \"shape\": [\"rows\", \"cols\"]}],"
      " \"weights\": [{\"name\": \"w\", \"dtype\": \"f32\", \"shape\": [\"cols\"]}],"
      " \"outputs\": [{\"name\": \"y\", \"dtype\": \"f32\", \"shape\": [\"rows\", \"cols\"]}],"
      " \"tolerance\": {\"atol\": 1e-4, \"rtol\": 1e-4}, \"flops\": \"rows*cols\","
      " \"bytes\": \"8*rows*cols\", \"precision\": \"f32\","
      " \"reference\": {\"source\": \"reference.cu\", \"plan\": {\"launches\": [{\"kernel\": \"f\","
      " \"grid\": [\"rows\"], \"block\": [32], \"args\": [\"x\", \"w\", \"y\", \"rows\", \"cols\"]}]}}}";

/* `sum` and `peak` of the row are at hand; x, w, y are at the element. */
static const char source_text[]
    = "__device__ double all(double v, bool largest) {\n"
      "  for (int s = 16; s > 0; s /= 2) {\n"
      "    double other = __shfl_xor_sync(~0u, v, s);\n"
      "    v = largest ? fmax(v, other) : v + other;\n  }\n  return v;\n}\n"
      "extern \"C\" __global__ void f(const float *X, const float *W, float *Y, int rows, int cols) {\n"
      "  const float *in = X + (long long)blockIdx.x * cols;\n"
      "  double sum = 0, peak = -1e300, share = 0;\n"
      "  for (int c = threadIdx.x; c < cols; c += 32) { sum += in[c]; peak = fmax(peak, (double)in[c]); }\n"
      "  sum = all(sum, false); peak = all(peak, true);\n"
      "  for (int c = threadIdx.x; c < cols; c += 32) share += exp(in[c] - peak);\n"
      "  share = all(share, false);\n"
      "  for (int c = threadIdx.x; c < cols; c += 32) {\n"
      "    double x = in[c], w = W[c];\n"
      "    Y[(long long)blockIdx.x * cols + c] = (float)(%s);\n  }\n}\n";

static const char plan_text[]
    = "{\"format\": 1, \"launches\": [{\"kernel\": \"f\", \"grid\": [\"rows\"], \"block\": [32],"
      " \"args\": [\"x\", \"w\", \"y\", \"rows\", \"cols\"]}]}";

static json_t *judge(struct gate_bench *bench, const char *formula, const char *held_out)
{
    auto_free char *json = xprintf(task_text, held_out);
    auto_free char *source = xprintf(source_text, formula);
    struct task *task;
    struct err err = { 0 };
    if (task_parse(json, strlen(json), source, &task, &err) < 0) {
        fail_msg("%s", err_text(&err));
    }
    struct candidate *candidate = gate_candidate(plan_text, source);
    struct gate_request request = { .task = task, .candidate = candidate };
    json_t *verdict = gate_judge(bench, &request);
    candidate_free(candidate);
    task_free(task);
    return verdict;
}

static void test_degenerate_tasks_are_named(void **state)
{
    const struct {
        const char *formula, *degenerate;
    } cases[] = {
        { "x - sum / cols + w", "" },
        { "exp(x - peak) / share * w", "" },
        /* The mean over a softmax: one over cols, whatever comes in. */
        { "share / share / cols * (1 + 1e-9 * x)",
          "a constant, the answer to other inputs, half of the input, half of each row" },
        /* The maximum of a row less its own maximum, and a minimum clamped at zero. */
        { "peak - peak + 1e-30 * x",
          "zeros, a constant, the answer to other inputs, half of the input, half of each row" },
        { "fmax(0.0, fmin(-x * x, 0.0))",
          "zeros, a constant, the answer to other inputs, half of the input, half of each row" },
        { "w + 1e-9 * x", "the answer to other inputs, half of the input, half of each row" },
        { "x * (1 + 1e-9 * w)", "a copy of x" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        json_t *v = judge(*state, cases[i].formula, "");
        const char *found = json_string_value(json_object_get(v, "degenerate"));
        const char *detail = json_string_value(json_object_get(v, "detail"));
        if (!found || !str_eq(found, cases[i].degenerate)) {
            fail_msg("%s: expected \"%s\", got \"%s\" (%s)", cases[i].formula, cases[i].degenerate,
                     found, detail);
        }
        assert_true(!*found || strstr(detail, found));
        json_decref(v);
    }
}

/* One row is its own sum: no harm, since that shape isn't the one that is timed. */
static void test_a_shape_alone_does_no_harm(void **state)
{
    json_t *v = judge(*state, "cols == 1 ? x : x - sum / cols", "{\"rows\": 5, \"cols\": 1}");
    assert_string_equal(json_string_value(json_object_get(v, "degenerate")), "");
    assert_string_equal(json_string_value(json_object_get(v, "status")), "accepted");
    json_decref(v);
}

static int start(void **state)
{
    static struct gate_bench bench;
    gate_bench_start(&bench, WS_BIN_DIR "/libwarpsim.so");
    *state = &bench;
    return 0;
}

static int stop(void **state)
{
    gate_bench_stop(*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_degenerate_tasks_are_named),
        cmocka_unit_test(test_a_shape_alone_does_no_harm),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
