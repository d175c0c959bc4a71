/* SPDX-License-Identifier: MIT */
#include "tests/gate_case.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/util.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char usual_plan[]
    = "{\"format\": 1, \"launches\": [{\"kernel\": \"centre\", \"grid\": [\"rows\"], "
      "\"block\": [128], \"args\": [\"x\", \"y\", \"cols\"]}]}";

static const char task_json[]
    = "{\"format\": 1, \"name\": \"centre\", \"family\": \"reduction\","
      " \"shapes\": {\"default\": {\"rows\": 2048, \"cols\": 4096},"
      "              \"small\": {\"rows\": 6, \"cols\": 200}},"
      " \"held_out\": [{\"rows\": 3, \"cols\": 33}, {\"rows\": 2, \"cols\": 515}],"
      " \"inputs\": [{\"name\": \"x\", \"dtype\": \"f32\", \"shape\": [\"rows\", \"cols\"],"
      "              \"domain\": \"real\"}],"
      " \"outputs\": [{\"name\": \"y\", \"dtype\": \"f32\", \"shape\": [\"rows\", \"cols\"]}],"
      " \"tolerance\": {\"atol\": 1e-5, \"rtol\": 1e-4}, \"flops\": \"2*rows*cols\","
      " \"bytes\": \"8*rows*cols\", \"precision\": \"f32\","
      " \"reference\": {\"source\": \"reference.cu\", \"plan\": {\"launches\": [{\"kernel\":"
      " \"reference\", \"grid\": [\"rows\"], \"block\": [32], \"args\": [\"x\", \"y\", \"cols\"]}]}}}";

static const char reference_source[]
    = "extern \"C\" __global__ void reference(const float *x, float *y, long long cols) {\n"
      "  const float *in = x + blockIdx.x * cols;\n"
      "  double sum = 0;\n"
      "  for (long long c = threadIdx.x; c < cols; c += 32) sum += in[c];\n"
      "  for (int s = 16; s > 0; s /= 2) sum += __shfl_xor_sync(~0u, sum, s);\n"
      "  for (long long c = threadIdx.x; c < cols; c += 32)\n"
      "    y[blockIdx.x * cols + c] = (float)(in[c] - sum / cols);\n"
      "}\n";

struct task *gate_task(void)
{
    struct task *task;
    struct err err = { 0 };
    if (task_parse(task_json, strlen(task_json), reference_source, &task, &err) < 0) {
        fail_msg("%s", err_text(&err));
    }
    return task;
}

/* The rest of the line that starts with "// key: ", or NULL. */
static char *head_line(const char *text, const char *key)
{
    auto_free char *start = xprintf("// %s: ", key);
    const char *at = strstr(text, start);
    if (!at) {
        return NULL;
    }
    at += strlen(start);
    return xprintf("%.*s", (int)strcspn(at, "\n"), at);
}

void gate_case_load(const char *path, struct gate_case *ret)
{
    struct err err = { 0 };
    size_t len;
    if (file_read(path, 1 << 20, &ret->source, &len, &err) < 0) {
        fail_msg("%s", err_text(&err));
    }
    ret->expect = head_line(ret->source, "expect");
    ret->detail = head_line(ret->source, "detail");
    ret->plan = head_line(ret->source, "plan");
    if (!ret->plan) {
        ret->plan = xstrdup(usual_plan);
    }
    assert_non_null(ret->expect);
}

void gate_case_done(struct gate_case *one)
{
    free(one->source);
    free(one->expect);
    free(one->detail);
    free(one->plan);
}

/* Compiles and gives the image that the device wants: a cubin, or PTX for the simulator. */
static void compile_image(struct gate_bench *b, const char *source, const struct bound *bound,
                          struct buf *blob, json_t *images)
{
    json_t *options = json_array();
    for (size_t i = 0; bound && i < bound->n_options; i++) {
        json_array_append_new(options, json_string(bound->options[i]));
    }
    struct answer a;
    assert_true(peer_compile(&b->compile, b->arch, source, options, &a));
    if (!json_is_true(json_object_get(a.json, "ok"))) {
        fail_msg("%s", json_string_value(json_object_get(a.json, "log")));
    }
    json_t *part = json_object_get(a.json, b->modelled ? "ptx" : "cubin");
    size_t at = (size_t)json_integer_value(json_array_get(part, 0));
    size_t len = (size_t)json_integer_value(json_array_get(part, 1));
    json_array_append_new(images, json_pack("[I,I]", (json_int_t)blob->len, (json_int_t)len));
    buf_add(blob, a.blob + at, len);
    answer_done(&a);
}

static void start_device(struct gate_bench *b, const char *driver)
{
    const char *args[] = { "device", "--driver", driver, "--gpu", "0", NULL };
    peer_start(&b->device, args);
    const json_t *device = json_object_get(b->device.hello, "device");
    if (!device) {
        fail_msg("%s", json_string_value(json_object_get(b->device.hello, "error")));
    }
    b->modelled = json_is_true(json_object_get(device, "modelled"));
    const char *arch = json_string_value(json_object_get(device, "arch"));
    snprintf(b->arch, sizeof(b->arch), "%s", arch);
    b->facts = (struct device_facts) {
        .sm_count = json_integer_value(json_object_get(device, "sm_count")),
        .max_shared = json_integer_value(json_object_get(device, "max_shared")),
        .max_memory = json_integer_value(json_object_get(device, "total_memory")),
    };
    snprintf(b->facts.arch, sizeof(b->facts.arch), "%s", arch);
}

static void set_up(struct gate_bench *b)
{
    auto_free char *text = NULL;
    size_t len;
    assert_int_equal(file_read(WS_SOURCE_DIR "/evaluator/worker/gate.cu", 1 << 20, &text, &len,
                               NULL), 0);
    auto_buf struct buf blob;
    buf_init(&blob, 64 << 20);
    json_t *images = json_array();
    compile_image(b, text, NULL, &blob, images);
    json_decref(images);
    struct answer a;
    assert_true(peer_job(&b->device, json_pack("{s:s}", "kind", "setup"), blob.at, blob.len, &a));
    if (!json_is_true(json_object_get(a.json, "ok"))) {
        fail_msg("%s", json_string_value(json_object_get(a.json, "error")));
    }
    answer_done(&a);
}

void gate_bench_start(struct gate_bench *b, const char *driver)
{
    static const char *const compile[] = { "compile", "--include", WS_CUDA_DIR "/include", NULL };
    memset(b, 0, sizeof(*b));
    peer_start(&b->compile, compile);
    b->task = gate_task();
    start_device(b, driver);
    set_up(b);
}

void gate_bench_restart_device(struct gate_bench *b, const char *driver)
{
    peer_stop(&b->device);
    start_device(b, driver);
    set_up(b);
}

void gate_bench_stop(struct gate_bench *b)
{
    assert_int_equal(peer_stop(&b->device), 0);
    assert_int_equal(peer_stop(&b->compile), 0);
    task_free(b->task);
}

/* A side of a case: compiled, bound, appended. */
static json_t *side(struct gate_bench *b, const struct shape *shape, const struct plan *plan,
                    const char *source, struct arena *arena, struct buf *blob, json_t *images)
{
    struct bound *bound;
    struct err err = { 0 };
    if (candidate_bind(b->task, shape, plan, &b->facts, arena, &bound, &err) < 0) {
        fail_msg("%s", err_text(&err));
    }
    compile_image(b, source, bound, blob, images);
    json_t *json = bound_json(bound);
    json_object_set_new(json, "image", json_integer((json_int_t)json_array_size(images) - 1));
    return json;
}

static struct candidate *parse(const char *plan, const char *source)
{
    struct candidate *candidate;
    struct err err = { 0 };
    if (candidate_parse(plan, strlen(plan), source, strlen(source), &candidate, &err) < 0) {
        fail_msg("%s", err_text(&err));
    }
    return candidate;
}

json_t *gate_judge(struct gate_bench *b, const struct gate_request *request)
{
    struct candidate *candidate = parse(request->plan ? request->plan : usual_plan, request->source);
    struct candidate *baseline = request->baseline_source
        ? parse(request->baseline_plan ? request->baseline_plan : usual_plan,
                request->baseline_source)
        : NULL;
    auto_arena struct arena *arena = arena_new();
    auto_buf struct buf blob;
    buf_init(&blob, 64 << 20);
    json_t *cases = json_array(), *images = json_array();
    for (size_t i = 0; i < b->task->n_shapes; i++) {
        const struct shape *shape = &b->task->shapes[i];
        bool timed = shape->use == SHAPE_USE_DEFAULT;
        json_t *one = json_pack("{s:s,s:b,s:b,s:[]}", "shape", shape->name, "check",
                                !timed || !b->modelled, "time", timed, "scalars");
        json_object_set_new(one, "reference",
                            side(b, shape, b->task->reference_plan, b->task->reference_source,
                                 arena, &blob, images));
        json_object_set_new(one, "candidate", side(b, shape, candidate->plan, request->source,
                                                   arena, &blob, images));
        json_object_set_new(one, "baseline",
                            baseline ? side(b, shape, baseline->plan, request->baseline_source,
                                            arena, &blob, images) : json_null());
        json_array_append_new(cases, one);
    }
    json_t *job = json_pack(
        "{s:s,s:s,s:i,s:{s:i,s:i},s:o,s:{s:f,s:f},s:[],s:{s:i,s:i,s:b,s:s},s:o}", "kind", "judge",
        "salt", "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f", "trials",
        request->trials ? request->trials : 3, "samples", "min",
        request->samples_min ? request->samples_min : 30, "max",
        request->samples_max ? request->samples_max : 240, "images", images, "tolerance", "atol",
        b->task->atol, "rtol", b->task->rtol, "aliases", "floor", "bytes", 8 * 2048 * 4096,
        "flops", 2 * 2048 * 4096, "flops_minimum", 0, "precision", "f32", "cases", cases);
    struct answer a;
    bool answered = peer_job(&b->device, job, blob.at, blob.len, &a);
    candidate_free(candidate);
    candidate_free(baseline);
    if (!answered) {
        return NULL;
    }
    free(a.blob);
    return a.json;
}
