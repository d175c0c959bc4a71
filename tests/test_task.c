/* SPDX-License-Identifier: MIT */
#include "kernelbench/task.h"
#include "base/file.h"
#include "base/util.h"
#include "kernelbench/candidate.h"
#include "tests/cases.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

static const char reference[]
    = "extern \"C\" __global__ void sample_reference(const float *x) {}\n";

static int run_case(const json_t *the_case, const char *text, size_t len, struct err *err)
{
    const json_t *source = json_object_get(the_case, "source");
    struct task *task = NULL;
    const char *code = source ? json_string_value(source) : reference; /* null: none */
    int r = task_parse(text, len, code, &task, err);
    if (r < 0) {
        assert_null(task);
        return r;
    }
    task_free(task);
    return 0;
}

static void test_cases(void **state)
{
    (void)state;
    assert_true(cases_all("task", run_case) >= 40);
}

static struct task *base_task(void)
{
    auto_free char *text = cases_base("task");
    struct task *task = NULL;
    struct err err = { 0 };
    if (task_parse(text, strlen(text), reference, &task, &err) < 0) {
        fail_msg("%s", err_text(&err));
    }
    return task;
}

static void test_content(void **state)
{
    (void)state;
    struct task *task = base_task();
    assert_string_equal(task->name, "sample");
    assert_null(task->folder);
    assert_int_equal(task->n_tensors, 5);
    static const struct {
        const char *name;
        enum tensor_role role;
        enum dtype dtype;
        enum domain_kind domain;
    } want[] = {
        { "x", TENSOR_ROLE_INPUT, DTYPE_F32, DOMAIN_KIND_REAL },
        { "pick", TENSOR_ROLE_INPUT, DTYPE_I32, DOMAIN_KIND_INDEX },
        { "w", TENSOR_ROLE_WEIGHT, DTYPE_BF16, DOMAIN_KIND_POSITIVE },
        { "state", TENSOR_ROLE_INOUT, DTYPE_F32, DOMAIN_KIND_REAL },
        { "y", TENSOR_ROLE_OUTPUT, DTYPE_F32, DOMAIN_KIND_REAL },
    };
    for (size_t i = 0; i < ARRAY_LEN(want); i++) {
        assert_string_equal(task->tensors[i].name, want[i].name);
        assert_int_equal(task->tensors[i].role, want[i].role);
        assert_int_equal(task->tensors[i].dtype, want[i].dtype);
        assert_int_equal(task->tensors[i].domain, want[i].domain);
    }
    assert_int_equal(task->n_scalars, 2);
    assert_true(task->scalars[0].value == 0.5 && task->scalars[1].value == 1);
    assert_true(task->atol == 1e-5 && task->rtol == 1e-4);
    assert_string_equal(task->precision, "f32");
    assert_false(task->specialise);
    assert_non_null(task->reference_plan);
    assert_string_equal(task->reference_source, reference);
    task_free(task);
}

static void test_shapes(void **state)
{
    (void)state;
    struct task *task = base_task();
    assert_int_equal(task->n_shapes, 3);
    static const enum shape_use uses[]
        = { SHAPE_USE_DEFAULT, SHAPE_USE_SMALL, SHAPE_USE_HELD_OUT };
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(task->shapes[i].use, uses[i]);
    }
    const struct shape *held_out = task_shape(task, "held_out[0]");
    assert_ptr_equal(held_out, &task->shapes[2]);
    assert_int_equal(*symbols_find(&held_out->symbols, "rows"), 777);
    assert_null(task_shape(task, "held_out[1]"));
    int64_t count;
    assert_int_equal(tensor_count(task_tensor(task, "x"), &held_out->symbols, &count, NULL), 0);
    assert_int_equal(count, 777 * 1025);
    assert_null(task_tensor(task, "z"));
    int64_t flops;
    assert_int_equal(expr_eval(task->flops, &task->shapes[0].symbols, &flops, NULL), 0);
    assert_int_equal(flops, (int64_t)5 * 4096 * 8192);
    task_free(task);
}

/* The longest sum: as the task says, else over the largest dimensions of what is read. */
static void test_accumulation(void **state)
{
    (void)state;
    struct task *task = base_task();
    int64_t terms = 0;
    assert_int_equal(task_accumulation(task, &task->shapes[0], &terms, NULL), 0);
    assert_int_equal(terms, 3 * 8192 + 4096);
    assert_int_equal(task_accumulation(task, &task->shapes[2], &terms, NULL), 0);
    assert_int_equal(terms, 3 * 1025 + 777);
    assert_int_equal(task->roundings, 0);
    assert_false(task->deterministic);
    assert_false(task_shape_is_small(task, &task->shapes[0]));
    assert_true(task_shape_is_small(task, &task->shapes[1]));
    assert_false(task_shape_is_small(task, &task->shapes[2]));
    task_free(task);

    auto_free char *text = cases_base("task");
    json_t *doc = json_loads(text, 0, NULL);
    json_object_set_new(doc, "accumulation", json_string("rows / 2"));
    json_object_set_new(doc, "roundings", json_integer(3));
    json_object_set_new(doc, "deterministic", json_true());
    auto_free char *said = json_dumps(doc, 0);
    json_decref(doc);
    assert_int_equal(task_parse(said, strlen(said), reference, &task, NULL), 0);
    assert_int_equal(task_accumulation(task, &task->shapes[0], &terms, NULL), 0);
    assert_int_equal(terms, 2048);
    assert_int_equal(task->roundings, 3);
    assert_true(task->deterministic);
    task_free(task);
}

/* The order of keys and the spaces don't count; everything else does. */
static void test_id(void **state)
{
    (void)state;
    auto_free char *text = cases_base("task");
    struct task *a = base_task(), *b = NULL;
    json_t *doc = json_loads(text, 0, NULL);
    json_t *name = json_incref(json_object_get(doc, "name"));
    json_object_del(doc, "name");
    json_object_set_new(doc, "name", name);
    auto_free char *shuffled = json_dumps(doc, JSON_COMPACT);
    assert_string_not_equal(shuffled, text);
    assert_int_equal(task_parse(shuffled, strlen(shuffled), reference, &b, NULL), 0);
    assert_true(id_eq(&a->id, &b->id));
    task_free(b);

    auto_free char *source = xprintf("%s ", reference);
    assert_int_equal(task_parse(text, strlen(text), source, &b, NULL), 0);
    assert_false(id_eq(&a->id, &b->id));
    task_free(b);

    json_object_set_new(doc, "precision", json_string("tf32"));
    auto_free char *other = json_dumps(doc, 0);
    assert_int_equal(task_parse(other, strlen(other), reference, &b, NULL), 0);
    assert_false(id_eq(&a->id, &b->id));
    task_free(b);
    json_decref(doc);
    task_free(a);
}

static void test_alias(void **state)
{
    (void)state;
    auto_free char *text = cases_base("task");
    json_t *doc = json_loads(text, 0, NULL);
    json_object_set_new(doc, "alias", json_pack("[ss]", "y", "x"));
    auto_free char *aliased = json_dumps(doc, 0);
    json_decref(doc);
    struct task *task = NULL;
    assert_int_equal(task_parse(aliased, strlen(aliased), reference, &task, NULL), 0);
    assert_int_equal(task->n_aliases, 1);
    assert_string_equal(task->aliases[0][0], "y");
    assert_string_equal(task->aliases[0][1], "x");
    task_free(task);
}

/* A tensor of more than 2^31 elements, as real problems have, and one past 2^63 bytes. */
static void test_large(void **state)
{
    (void)state;
    struct task *task = base_task();
    const struct symbol large[] = { { "rows", 1 << 20 }, { "cols", 1 << 20 } };
    struct symbols symbols = { large, 2, NULL };
    int64_t count;
    assert_int_equal(tensor_count(task_tensor(task, "x"), &symbols, &count, NULL), 0);
    assert_int_equal(count, (int64_t)1 << 40);
    const struct symbol huge[] = { { "rows", (int64_t)1 << 31 }, { "cols", (int64_t)1 << 31 } };
    symbols.at = huge;
    struct err err = { 0 };
    assert_int_equal(tensor_count(task_tensor(task, "x"), &symbols, &count, &err), ERR_INVALID);
    assert_string_equal(err_text(&err), "x has more bytes than fit in 64 bits");
    task_free(task);
}

static void test_dtypes(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        enum dtype dtype;
        size_t size;
        bool is_float;
    } want[] = {
        { "f64", DTYPE_F64, 8, true },       { "f32", DTYPE_F32, 4, true },
        { "f16", DTYPE_F16, 2, true },       { "bf16", DTYPE_BF16, 2, true },
        { "f8e4m3", DTYPE_F8E4M3, 1, true }, { "f8e5m2", DTYPE_F8E5M2, 1, true },
        { "i64", DTYPE_I64, 8, false },      { "i32", DTYPE_I32, 4, false },
        { "i16", DTYPE_I16, 2, false },      { "i8", DTYPE_I8, 1, false },
        { "u8", DTYPE_U8, 1, false },        { "bool", DTYPE_BOOL, 1, false },
    };
    enum dtype dtype;
    for (size_t i = 0; i < ARRAY_LEN(want); i++) {
        assert_true(dtype_parse(want[i].name, &dtype));
        assert_int_equal(dtype, want[i].dtype);
        assert_string_equal(dtype_name(dtype), want[i].name);
        assert_int_equal(dtype_size(dtype), want[i].size);
        assert_int_equal(dtype_is_float(dtype), want[i].is_float);
    }
    static const char *const reserved[] = { "tf32", "f6e2m3", "f6e3m2", "f4e2m1", "ue8m0", "F32" };
    for (size_t i = 0; i < ARRAY_LEN(reserved); i++) {
        assert_false(dtype_parse(reserved[i], &dtype));
    }
}

static void write_text(const char *folder, const char *name, const char *text)
{
    auto_free char *path = xprintf("%s/%s", folder, name);
    assert_int_equal(file_write(path, text, strlen(text), NULL), 0);
}

static void test_folder(void **state)
{
    (void)state;
    char folder[] = "/tmp/test_task_XXXXXX";
    assert_non_null(mkdtemp(folder));
    auto_free char *text = cases_base("task");
    struct task *task = NULL;
    struct err err = { 0 };
    assert_int_equal(task_load(folder, &task, &err), -ENOENT);
    write_text(folder, "task.json", text);
    assert_int_equal(task_load(folder, &task, &err), -ENOENT);
    assert_non_null(strstr(err_text(&err), "reference.cu"));
    write_text(folder, "reference.cu", reference);
    assert_int_equal(task_load(folder, &task, &err), 0);
    assert_string_equal(task->folder, folder);
    struct task *same = base_task();
    assert_true(id_eq(&task->id, &same->id));
    task_free(same);
    task_free(task);

    write_text(folder, "task.json", "{\"format\": 1, \"nome\": \"sample\"}");
    task = NULL;
    assert_int_equal(task_load(folder, &task, &err), ERR_INVALID);
    auto_free char *want = xprintf("%s/task.json: nome: unknown key, did you mean \"name\"?",
                                   folder);
    assert_string_equal(err_text(&err), want);
    assert_null(task);

    write_text(folder, "task.json", "{\"reference\": {\"source\": \"../outside.cu\"}}");
    assert_int_equal(task_load(folder, &task, &err), ERR_INVALID);
    assert_null(task);
    assert_int_equal(folder_remove(folder, NULL), 0);
}

/* A task whose oracle is a program beside: it must be the very one. */
static void test_oracle(void **state)
{
    (void)state;
    char folder[] = "/tmp/test_task_XXXXXX";
    static const char problem[] = "class Model: pass\n";
    char hex[ID_HEX];
    struct id id;
    struct task *task = NULL;
    struct err err = { 0 };
    assert_non_null(mkdtemp(folder));
    id_of_bytes(problem, strlen(problem), &id);
    id_hex(&id, hex);
    auto_free char *base = cases_base("task");
    json_t *doc = json_loads(base, 0, NULL);
    json_object_set_new(doc, "reference", json_pack("{s:s,s:s}", "oracle", "1_Sample.py", "hash", hex));
    auto_free char *text = json_dumps(doc, 0);
    json_decref(doc);
    write_text(folder, "task.json", text);
    assert_int_equal(task_load(folder, &task, &err), -ENOENT);
    write_text(folder, "1_Sample.py", problem);
    assert_int_equal(task_load(folder, &task, &err), 0);
    auto_free char *path = xprintf("%s/1_Sample.py", folder);
    assert_string_equal(task->oracle, path);
    assert_string_equal(task->reference_source, problem);
    assert_null(task->reference_plan);
    task_free(task);
    task = NULL;
    write_text(folder, "1_Sample.py", "class Model: ...\n");
    assert_int_equal(task_load(folder, &task, &err), ERR_INVALID);
    assert_non_null(strstr(err_text(&err), "isn't the file that"));
    assert_null(task);
    assert_int_equal(folder_remove(folder, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),  cmocka_unit_test(test_content),
        cmocka_unit_test(test_shapes),
        cmocka_unit_test(test_accumulation), cmocka_unit_test(test_id),
        cmocka_unit_test(test_alias),  cmocka_unit_test(test_large),
        cmocka_unit_test(test_folder), cmocka_unit_test(test_oracle), cmocka_unit_test(test_dtypes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
