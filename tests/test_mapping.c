/* SPDX-License-Identifier: MIT */
/* Problems in the words of a shipped family, what is refused, and that the shipped mappings hold together. */
#include "kernelbench/mapping.h"
#include "base/file.h"
#include "base/jread.h"
#include "base/util.h"
#include "kernelbench/candidate.h"

#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static const char native_text[] =
    "{\"format\": 1, \"name\": \"scaled\", \"family\": \"scaled\", \"shapes\": {\"default\": {\"rows\": 8, \"cols\": 4,"
    " \"op\": 1}}, \"inputs\": [{\"name\": \"a\", \"dtype\": \"f32\", \"shape\": [\"rows\", \"cols\"]}],"
    " \"weights\": [{\"name\": \"w\", \"dtype\": \"f32\", \"shape\": [\"cols\"]}],"
    " \"scalars\": [{\"name\": \"s\", \"dtype\": \"f32\", \"value\": 1}, {\"name\": \"eps\", \"dtype\": \"f32\", \"value\": 1}],"
    " \"outputs\": [{\"name\": \"c\", \"dtype\": \"f32\", \"shape\": [\"rows\", \"cols\"]}],"
    " \"tolerance\": {\"atol\": 1e-5, \"rtol\": 1e-4}, \"reference\": {\"oracle\": \"x.py\", \"hash\":"
    " \"0000000000000000000000000000000000000000000000000000000000000000\"}, \"specialise\": true}";

static const char document_text[] =
    "{\"format\": 1, \"name\": \"l1-7_Scale\", \"family\": \"other\", \"shapes\": {\"default\": {\"N\": 5, \"eight\": 8}},"
    " \"inputs\": [{\"name\": \"x\", \"dtype\": \"f32\", \"shape\": [2, 3, 8]}],"
    " \"weights\": [{\"name\": \"scale_weight\", \"dtype\": \"f32\", \"shape\": [8]}], \"inout\": [],"
    " \"scalars\": [{\"name\": \"factor\", \"dtype\": \"f32\", \"value\": 3.5}],"
    " \"outputs\": [{\"name\": \"y\", \"dtype\": \"f32\", \"shape\": [2, 24]}],"
    " \"tolerance\": {\"atol\": 1e-5, \"rtol\": 1e-4}, \"reference\": {\"oracle\": \"x.py\", \"hash\":"
    " \"0000000000000000000000000000000000000000000000000000000000000000\"}, \"specialise\": true}";

/* A mapping of that problem; the parts are members' texts. */
static char *mapping_text(const char *tensors, const char *symbols, const char *scalars)
{
    return xprintf("{\"format\": 1, \"task\": \"scaled\", \"problems\": {\"1/7_Scale\": {\"start\": \"02_fast\","
                   " \"params\": {\"BLOCK\": 64, \"WIDE\": true}, \"tensors\": {%s}, \"symbols\": {%s}, \"scalars\": {%s}}}}",
                   tensors, symbols, scalars);
}

static const char tensors_good[] = "\"a\": \"x\", \"w\": \"scale_weight\", \"c\": \"y\"";
static const char symbols_good[] = "\"rows\": \"x_0*x_1\", \"cols\": \"min(eight, x_2)\", \"op\": 3";
static const char scalars_good[] = "\"s\": \"factor\", \"eps\": 0.5";

static int apply_to(const char *text, const char *document, json_t **ret_doc, struct err *err)
{
    auto_arena struct arena *arena = arena_new();
    struct mapping mapping;
    struct task *native = NULL;
    json_t *doc = NULL;
    assert_int_equal(task_parse(native_text, strlen(native_text), NULL, &native, err), 0);
    assert_int_equal(jread_parse(document, strlen(document), &doc, err), 0);
    int r = mapping_parse(text, strlen(text), "scaled", arena, &mapping, err);
    if (r == 0) {
        const struct mapping_entry *entry = mapping_find(&mapping, "1/7_Scale");
        assert_null(mapping_find(&mapping, "2/7_Scale"));
        assert_non_null(entry);
        assert_string_equal(entry->start, "02_fast");
        assert_int_equal(entry->n_params, 2);
        assert_int_equal(entry->params[1].value, 1);
        r = mapping_apply(entry, native, doc, err);
    }
    mapping_done(&mapping);
    task_free(native);
    if (r < 0 || !ret_doc) {
        json_decref(doc);
    } else {
        *ret_doc = doc;
    }
    return r;
}

static int apply(const char *text, json_t **ret_doc, struct err *err)
{
    return apply_to(text, document_text, ret_doc, err);
}

/* Sizes come from the oracle, and nobody has looked at them yet. */
static void test_huge(void **state)
{
    (void)state;
    struct err err = { 0 };
    auto_free char *text = mapping_text(tensors_good, "\"rows\": 6, \"cols\": 8, \"op\": 1", scalars_good);
    auto_free char *huge = xstrdup(document_text);
    char *shape = strstr(huge, "[2, 3, 8]"); /* 48 elements, and so are these modulo 2^64 */
    auto_free char *document = xprintf("%.*s[16, 1152921504606846979]%s", (int)(shape - huge), huge, shape + 9);
    assert_int_equal(apply_to(text, document, NULL, &err), ERR_INVALID);
    if (!strstr(err_text(&err), "the problem's \"x\" is too many of f32")) {
        fail_msg("%s", err_text(&err));
    }
}

static void test_applied(void **state)
{
    (void)state;
    struct err err = { 0 };
    json_t *doc = NULL;
    auto_free char *text = mapping_text(tensors_good, symbols_good, scalars_good);
    if (apply(text, &doc, &err) < 0) {
        fail_msg("%s", err_text(&err));
    }
    auto_free char *whole = json_dumps(doc, JSON_COMPACT);
    struct task *task = NULL;
    if (task_parse(whole, strlen(whole), NULL, &task, &err) < 0) {
        fail_msg("%s", err_text(&err));
    }
    assert_string_equal(task->family, "scaled");
    assert_string_equal(task->name, "l1-7_Scale");
    const struct symbols *symbols = &task->shapes[0].symbols;
    assert_int_equal(symbols->n, 3); /* the file's own are gone */
    assert_int_equal(*symbols_find(symbols, "rows"), 6);
    assert_int_equal(*symbols_find(symbols, "cols"), 8);
    assert_int_equal(*symbols_find(symbols, "op"), 3);
    assert_int_equal(task_tensor(task, "a")->rank, 3); /* as the problem has it */
    assert_int_equal(task_tensor(task, "w")->role, TENSOR_ROLE_WEIGHT);
    assert_int_equal(task_tensor(task, "c")->role, TENSOR_ROLE_OUTPUT);
    assert_null(task_tensor(task, "x"));
    assert_int_equal(task->n_scalars, 2);
    assert_true(task->scalars[0].value == 3.5 && task->scalars[1].value == 0.5);
    task_free(task);
    json_decref(doc);
}

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const char *tensors, *symbols, *scalars, *want;
    } cases[] = {
        { "\"a\": \"x\", \"c\": \"y\"", symbols_good, scalars_good, "nothing of task scaled is mapped to the problem's \"scale_weight\"" },
        { "\"a\": \"x\", \"w\": \"x\", \"c\": \"y\"", symbols_good, scalars_good, "is mapped to the problem's \"scale_weight\"" },
        { tensors_good, "\"rows\": 6, \"cols\": 8", scalars_good, "\"op\" of task scaled is missing" },
        { tensors_good, "\"rows\": 6, \"cols\": 8, \"op\": 1, \"more\": 1", scalars_good, "more than task scaled has" },
        { tensors_good, "\"rows\": \"x_9\", \"cols\": 8, \"op\": 1", scalars_good, "unknown symbol \"x_9\"" },
        { tensors_good, "\"rows\": 7, \"cols\": 8, \"op\": 1", scalars_good, "task scaled wants 56 of f32, the problem's \"x\" is 48 of f32" },
        { tensors_good, "\"rows\": 0, \"cols\": 8, \"op\": 1", scalars_good, "it must be at least 1" },
        { tensors_good, symbols_good, "\"s\": \"nothing\", \"eps\": 1", "scalars.s" },
        { tensors_good, symbols_good, "\"s\": 1, \"eps\": 1", "one of the problem's isn't mapped" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err err = { 0 };
        auto_free char *text = mapping_text(cases[i].tensors, cases[i].symbols, cases[i].scalars);
        assert_int_equal(apply(text, NULL, &err), ERR_INVALID);
        if (!strstr(err_text(&err), cases[i].want)) {
            fail_msg("case %zu: \"%s\" doesn't say \"%s\"", i, err_text(&err), cases[i].want);
        }
    }
    struct err err = { 0 };
    assert_int_equal(apply("{\"format\": 1, \"task\": \"scaled\", \"problems\": {\"1/1_A\": {\"begin\": \"x\"}}}", NULL, &err),
                     ERR_INVALID);
    if (!strstr(err_text(&err), "problems.1/1_A") || !strstr(err_text(&err), "begin")) {
        fail_msg("%s", err_text(&err));
    }
}

/* Every member that can be checked without the problems' files. */
static void check_entry(const char *path, const char *folder, const struct task *task, const struct mapping_entry *entry)
{
    auto_free char *variant = xprintf("%s/%s", folder, entry->start);
    struct candidate *shipped = NULL, *tuned = NULL;
    struct err err = { 0 };
    if (candidate_load(variant, &shipped, &err) < 0
        || candidate_with_params(shipped, entry->params, entry->n_params, &tuned, &err) < 0) {
        fail_msg("%s: %s: %s", path, entry->problem, err_text(&err));
    }
    candidate_free(shipped);
    candidate_free(tuned);
    const struct symbols *symbols = &task->shapes[0].symbols;
    bool whole = json_object_size(entry->tensors) == task->n_tensors && json_object_size(entry->symbols) == symbols->n
        && json_object_size(entry->scalars) == task->n_scalars;
    for (size_t i = 0; i < task->n_tensors; i++) {
        whole = whole && json_object_get(entry->tensors, task->tensors[i].name);
    }
    for (size_t i = 0; i < symbols->n; i++) {
        whole = whole && json_object_get(entry->symbols, symbols->at[i].name);
    }
    for (size_t i = 0; i < task->n_scalars; i++) {
        whole = whole && json_object_get(entry->scalars, task->scalars[i].name);
    }
    if (!whole) {
        fail_msg("%s: %s: its tensors, symbols or scalars are not those of task %s", path, entry->problem, task->name);
    }
}

static void check_family(const char *path, json_t *seen)
{
    auto_arena struct arena *arena = arena_new();
    auto_free char *folder = xstrdup(path), *text = NULL;
    *strrchr(folder, '/') = '\0';
    const char *family = strrchr(folder, '/') + 1;
    struct mapping mapping;
    struct task *task = NULL;
    struct err err = { 0 };
    size_t len;
    if (file_read(path, 1 << 20, &text, &len, &err) < 0 || mapping_parse(text, len, family, arena, &mapping, &err) < 0) {
        fail_msg("%s: %s", path, err_text(&err));
    }
    auto_free char *native = xprintf("%s/kernelbench/tasks/%s", WS_SOURCE_DIR, mapping.task);
    if (task_load(native, &task, &err) < 0) {
        fail_msg("%s: %s", path, err_text(&err));
    }
    assert_string_equal(task->family, family);
    for (size_t i = 0; i < mapping.n; i++) {
        if (json_object_get(seen, mapping.entries[i].problem)) {
            fail_msg("%s: %s is mapped twice", path, mapping.entries[i].problem);
        }
        json_object_set_new(seen, mapping.entries[i].problem, json_true());
        check_entry(path, folder, task, &mapping.entries[i]);
    }
    task_free(task);
    mapping_done(&mapping);
}

static void test_shipped(void **state)
{
    (void)state;
    glob_t found;
    json_t *seen = json_object();
    if (glob(WS_SOURCE_DIR "/kernels/*/problems.json", 0, NULL, &found) == 0) {
        for (size_t i = 0; i < found.gl_pathc; i++) {
            check_family(found.gl_pathv[i], seen);
        }
        globfree(&found);
    }
    json_decref(seen);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_applied), cmocka_unit_test(test_huge),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_shipped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
