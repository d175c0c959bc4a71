/* SPDX-License-Identifier: MIT */
/* `kernelbench run` with candidates that are there already: the shipped kernel of each problem, and a candidate
 * for a network, with many weights and launches. */
#include "tests/kernelbench_rig.h"
#include "base/file.h"
#include "base/util.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* One attempt, mapped to a family, and kept for exports. */
static void check_mapped(const char *out)
{
    json_t *result = kernelbench_rig_result(out, "level1_19");
    const json_t *one = json_array_get(json_object_get(result, "candidates"), 0);
    assert_int_equal(json_array_size(json_object_get(result, "candidates")), 1);
    assert_string_equal(kernelbench_rig_text(json_object_get(one, "verdict"), "status"), "accepted");
    assert_string_equal(kernelbench_rig_text(json_object_get(one, "kb"), "status"), "correct");
    assert_true(json_is_true(json_object_get(result, "mapped")));
    assert_true(str_prefix(kernelbench_rig_text(result, "start"), "activation/"));
    auto_free char *kept = xprintf("%s/candidates/%s/plan.json", out, kernelbench_rig_text(one, "id"));
    assert_true(file_exists(kept));
    json_decref(result);
}

/* What an earlier run measured of PyTorch isn't lost to one that measures something else, or nothing. */
static void check_kept(const char *args, const char *out)
{
    json_t *result = kernelbench_rig_result(out, "level1_19");
    auto_free char *file = xprintf("%s/results/level1_19.json", out);
    json_object_set_new(result, "baselines", json_pack("{s:{s:f}}", "eager", "median_us", 12.5));
    assert_int_equal(json_dump_file(result, file, 0), 0);
    json_decref(result);
    json_decref(kernelbench_rig_json(args));
    result = kernelbench_rig_result(out, "level1_19");
    const json_t *eager = json_object_get(json_object_get(result, "baselines"), "eager");
    assert_true(json_number_value(json_object_get(eager, "median_us")) == 12.5);
    json_decref(result);
    check_mapped(out);
    /* Nor is what another rule said: asked for one alone, both are there. */
    auto_free char *by_kb = xprintf("kernelbench_run --steps 0 --gpu sim --out %s --protocol kb --json -", out);
    json_decref(kernelbench_rig_json(by_kb));
    check_mapped(out);
}

static void check_unchanged(const char *args, const char *out, const json_t *before)
{
    json_t *told = kernelbench_rig_json(args), *after = kernelbench_rig_result(out, "level1_19");
    assert_int_equal(kernelbench_rig_whole(told, "errors"), 1);
    assert_true(json_equal(before, after));
    json_decref(told);
    json_decref(after);
}

/* A problem that can't be read any more, a module or the file having gone, keeps what was found of it. */
static void test_gone(void **state)
{
    auto_free char *out = xprintf("%s/gone", (const char *)*state), *suite = xprintf("%s/suite", (const char *)*state);
    auto_free char *level = xprintf("%s/level1", suite), *problem = xprintf("%s/19_ReLU.py", level);
    auto_free char *module = xprintf("%s/that_will_go.py", (const char *)*state);
    auto_free char *args = xprintf("kernelbench_run --suite %s --steps 0 --gpu sim --out %s --json -", suite, out);
    auto_free char *text = NULL, *longer = NULL;
    assert_int_equal(folder_make(level, NULL), 0);
    assert_int_equal(file_read(CASES "kernelbench_run/level1/19_ReLU.py", 1 << 20, &text, NULL, NULL), 0);
    longer = xprintf("import sys\nsys.path.append('%s')\nimport that_will_go\n%s", (const char *)*state, text);
    assert_int_equal(file_write(problem, longer, strlen(longer), NULL), 0);
    assert_int_equal(file_write(module, "", 0, NULL), 0);
    json_decref(kernelbench_rig_json(args));
    json_t *before = kernelbench_rig_result(out, "level1_19");
    assert_int_equal(json_array_size(json_object_get(before, "candidates")), 1);
    assert_int_equal(unlink(module), 0);
    check_unchanged(args, out, before);
    assert_int_equal(unlink(problem), 0); /* nor is there a hash to compare any more */
    assert_int_equal(folder_make(problem, NULL), 0);
    check_unchanged(args, out, before);
    json_decref(before);
}

/* Without a step after the start there's nothing to decide: the shipped kernel of each problem, by any rules. */
static void test_shipped(void **state)
{
    auto_free char *out = xprintf("%s/shipped", (const char *)*state);
    auto_free char *args = xprintf("kernelbench_run --steps 0 --gpu sim --protocol strict,kb --out %s --json -", out);
    json_t *told = kernelbench_rig_json(args);
    assert_int_equal(kernelbench_rig_whole(told, "problems"), 3);
    assert_int_equal(kernelbench_rig_whole(told, "judged"), 1);
    assert_int_equal(kernelbench_rig_whole(told, "errors"), 1);
    assert_null(json_object_get(told, "campaign"));
    json_decref(told);
    check_mapped(out);
    check_kept(args, out);
    json_t *without = kernelbench_rig_result(out, "level1_7");
    assert_string_equal(kernelbench_rig_text(without, "without"), "no shipped kernel computes this");
    json_decref(without);
}

/* A network of 64 layers: 128 weights by their state-dict names, turned round in `prepare`, and a graph of 64
 * launches. The other candidate gives one layer another one's weights. */
static void test_deep(void **state)
{
    static const char *const want[] = { "accepted", "incorrect" };
    auto_free char *out = xprintf("%s/deep", (const char *)*state);
    auto_free char *args = xprintf("kernelbench_large --candidates " CASES "kernelbench_large/candidates --gpu sim "
                                   "--out %s --json -", out);
    json_t *told = kernelbench_rig_json(args), *result = kernelbench_rig_result(out, "level3_1");
    for (size_t i = 0; i < ARRAY_LEN(want); i++) {
        const json_t *one = json_array_get(json_object_get(result, "candidates"), i);
        assert_string_equal(kernelbench_rig_text(json_object_get(one, "verdict"), "status"), want[i]);
    }
    assert_int_equal(kernelbench_rig_whole(told, "judged"), 2);
    json_decref(told);
    json_decref(result);
}

static void put(const char *folder, const char *name)
{
    auto_free char *path = xprintf("%s/%s", folder, name);
    assert_int_equal(folder_make(folder, NULL), 0);
    assert_int_equal(file_write(path, "{}", 2, NULL), 0);
}

/* Half a candidate, and a folder that can't be opened, are errors of their own; a problem with nothing is told. */
static void test_layouts(void **state)
{
    static const char *const texts[] = { "5/no_plan/plan.json: No such file", "5/no_source/kernel.cu: No such file",
                                         "5_loop: Too many levels", "1/whole/kernel.cu: No such file",
                                         "5 problems have no candidate", "; 0 accepted, 4 errors" };
    const char *folder = *state;
    char *output = NULL;
    auto_free char *plan = xprintf("%s/cands/level1/5/no_plan", folder), *loop = xprintf("%s/cands/level1/5_loop", folder);
    auto_free char *source = xprintf("%s/cands/level1/5/no_source", folder);
    auto_free char *whole = xprintf("%s/cands/level1/1/whole", folder);
    auto_free char *args = xprintf("kernelbench --levels 1,2 --problems 1-3,5 --candidates %s/cands --gpu sim --out %s/layouts",
                                   folder, folder);
    put(plan, "kernel.cu");
    put(source, "plan.json");
    put(whole, "plan.json");
    assert_int_equal(symlink("5_loop", loop), 0);
    assert_int_equal(kernelbench_rig_run(args, &output), 0);
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        if (!strstr(output, texts[i])) {
            fail_msg("no \"%s\" in %s", texts[i], output);
        }
    }
    free(output);
}

int main(void)
{
    enum { SKIPPED = 77 };
    if (getenv("WARPSMITH_NO_PYTORCH")) {
        return SKIPPED;
    }
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_shipped), cmocka_unit_test(test_gone),
                                        cmocka_unit_test(test_layouts),
                                        cmocka_unit_test(test_deep) };
    return cmocka_run_group_tests(tests, kernelbench_rig_setup, kernelbench_rig_teardown);
}
