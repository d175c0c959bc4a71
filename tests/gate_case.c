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
    ret->simulated = head_line(ret->source, "on the simulator");
    ret->needs = head_line(ret->source, "needs");
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
    free(one->simulated);
    free(one->needs);
    free(one->plan);
}

/* What a job is made of. Sources that were compiled with the same options aren't again. */
struct parts {
    struct gate_bench *bench;
    const struct task *task;
    struct arena *arena;
    struct buf blob;
    json_t *images, *known; /* known: text of source and options -> index of the image */
};

/* Compiles and adds the image that the device wants: a cubin, or PTX for the simulator. */
static int compile_image(struct parts *p, const char *source, const struct bound *bound)
{
    json_t *options = json_array();
    for (size_t i = 0; bound && i < bound->n_options; i++) {
        json_array_append_new(options, json_string(bound->options[i]));
    }
    auto_free char *flags = json_dumps(options, JSON_COMPACT);
    auto_free char *key = xprintf("%s\n%s", flags, source);
    const json_t *there = json_object_get(p->known, key);
    if (there) {
        json_decref(options);
        return (int)json_integer_value(there);
    }
    struct answer a;
    assert_true(peer_compile(&p->bench->compile, p->bench->arch, source, options, &a));
    if (!json_is_true(json_object_get(a.json, "ok"))) {
        fail_msg("%s", json_string_value(json_object_get(a.json, "log")));
    }
    json_t *part = json_object_get(a.json, p->bench->modelled ? "ptx" : "cubin");
    size_t at = (size_t)json_integer_value(json_array_get(part, 0));
    size_t len = (size_t)json_integer_value(json_array_get(part, 1));
    json_array_append_new(p->images, json_pack("[I,I]", (json_int_t)p->blob.len, (json_int_t)len));
    buf_add(&p->blob, a.blob + at, len);
    answer_done(&a);
    int index = (int)json_array_size(p->images) - 1;
    json_object_set_new(p->known, key, json_integer(index));
    return index;
}

static void parts_init(struct parts *p, struct gate_bench *bench, const struct task *task)
{
    *p = (struct parts) { .bench = bench, .task = task, .arena = arena_new(),
                          .images = json_array(), .known = json_object() };
    buf_init(&p->blob, 128 << 20);
}

static void parts_done(struct parts *p)
{
    buf_done(&p->blob);
    arena_free(p->arena);
    json_decref(p->known);
}

static void start_device(struct gate_bench *b)
{
    const char *args[] = { "device", "--driver", b->driver, "--memory",
                           b->memory ? b->memory : "mapped", NULL };
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
    struct parts p;
    assert_int_equal(file_read(WS_SOURCE_DIR "/evaluator/worker/gate.cu", 1 << 20, &text, &len,
                               NULL), 0);
    parts_init(&p, b, NULL);
    compile_image(&p, text, NULL);
    json_decref(p.images);
    struct answer a;
    assert_true(peer_job(&b->device, json_pack("{s:s}", "kind", "setup"), p.blob.at, p.blob.len,
                         &a));
    if (!json_is_true(json_object_get(a.json, "ok"))) {
        fail_msg("%s", json_string_value(json_object_get(a.json, "error")));
    }
    answer_done(&a);
    parts_done(&p);
}

void gate_bench_start(struct gate_bench *b, const char *driver)
{
    static const char *const compile[] = { "compile", "--include", WS_CUDA_DIR "/include", NULL };
    memset(b, 0, sizeof(*b));
    peer_start(&b->compile, compile);
    b->task = gate_task();
    b->driver = driver;
    start_device(b);
    set_up(b);
}

void gate_bench_start_device(struct gate_bench *b)
{
    start_device(b);
    set_up(b);
}

void gate_bench_restart_device(struct gate_bench *b)
{
    peer_stop(&b->device);
    gate_bench_start_device(b);
}

void gate_bench_stop(struct gate_bench *b)
{
    assert_int_equal(peer_stop(&b->device), 0);
    assert_int_equal(peer_stop(&b->compile), 0);
    task_free(b->task);
}

/* A side of a case: compiled, bound, appended; JSON null where the plan is none. */
static json_t *side(struct parts *p, const struct shape *shape, const struct plan *plan,
                    const char *source)
{
    struct bound *bound;
    struct err err = { 0 };
    if (!plan) {
        return json_null();
    }
    if (candidate_bind(p->task, shape, plan, &p->bench->facts, p->arena, &bound, &err) < 0) {
        fail_msg("%s", err_text(&err));
    }
    json_t *json = bound_json(bound);
    json_object_set_new(json, "image", json_integer(compile_image(p, source, bound)));
    return json;
}

struct candidate *gate_candidate(const char *plan, const char *source)
{
    struct candidate *candidate;
    struct err err = { 0 };
    plan = plan ? plan : usual_plan;
    if (candidate_parse(plan, strlen(plan), source, strlen(source), &candidate, &err) < 0) {
        fail_msg("%s", err_text(&err));
    }
    return candidate;
}

static json_t *one_case(struct parts *p, const struct gate_request *request,
                        const struct shape *shape)
{
    const struct task *task = p->task;
    const struct candidate *c = request->candidate, *b = request->baseline;
    bool timed = shape->use == SHAPE_USE_DEFAULT;
    json_t *scalars = json_array();
    for (size_t i = 0; i < task->n_scalars; i++) {
        json_array_append_new(scalars, json_pack("{s:s,s:s,s:f}", "name", task->scalars[i].name,
                                                 "dtype", dtype_name(task->scalars[i].dtype),
                                                 "value", task->scalars[i].value));
    }
    int64_t terms = 1;
    task_accumulation(task, shape, &terms, NULL);
    bool check = !p->bench->modelled || (!timed && task_shape_is_small(task, shape));
    return json_pack("{s:s,s:I,s:b,s:b,s:o,s:o,s:o,s:o}", "shape", shape->name,
                     "accumulation", (json_int_t)terms, "check", check, "time", timed, "scalars",
                     scalars, "reference",
                     side(p, shape, task->reference_plan, task->reference_source), "candidate",
                     side(p, shape, c->plan, c->source), "baseline",
                     side(p, shape, b ? b->plan : NULL, b ? b->source : NULL));
}

static json_t *floor_json(const struct task *task)
{
    int64_t bytes = 0, flops = 0;
    expr_eval(task->bytes, &task->shapes[0].symbols, &bytes, NULL);
    expr_eval(task->flops, &task->shapes[0].symbols, &flops, NULL);
    return json_pack("{s:I,s:I,s:b,s:s}", "bytes", (json_int_t)bytes, "flops", (json_int_t)flops,
                     "flops_minimum", task->flops_minimum, "precision", task->precision);
}

json_t *gate_judge(struct gate_bench *b, const struct gate_request *request)
{
    struct parts p;
    parts_init(&p, b, request->task ? request->task : b->task);
    json_t *cases = json_array();
    for (size_t i = 0; i < p.task->n_shapes; i++) {
        json_array_append_new(cases, one_case(&p, request, &p.task->shapes[i]));
    }
    json_t *aliases = json_array();
    for (size_t i = 0; i < p.task->n_aliases; i++) {
        json_array_append_new(aliases, json_pack("[s,s]", p.task->aliases[i][0],
                                                 p.task->aliases[i][1]));
    }
    auto_free char *salt = xprintf("%02x0102030405060708090a0b0c0d0e0f"
                                   "101112131415161718191a1b1c1d1e1f", (unsigned)request->first);
    json_t *job = json_pack(
        "{s:s,s:s,s:i,s:I,s:b,s:{s:i,s:i},s:o,s:{s:f,s:f},s:o,s:o,s:o}", "kind", "judge", "salt", salt, "trials",
        request->trials ? request->trials : 9, "roundings", (json_int_t)p.task->roundings,
        "deterministic", p.task->deterministic, "samples", "min",
        request->samples_min ? request->samples_min : 30, "max",
        request->samples_max ? request->samples_max : 240, "images", p.images, "tolerance", "atol",
        p.task->atol, "rtol", p.task->rtol, "aliases", aliases, "floor", floor_json(p.task), "cases", cases);
    struct answer a = { 0 };
    bool answered = peer_job(&b->device, job, p.blob.at, p.blob.len, &a);
    parts_done(&p);
    free(a.blob);
    return answered ? a.json : NULL;
}
