/* SPDX-License-Identifier: MIT */
/* The command as a user runs it, on small problems with the simulator and PyTorch on the CPU: a run, the
 * same again from the store, its score; and what is said when something is missing. */
#include "base/file.h"
#include "base/jread.h"
#include "base/util.h"

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

static int setup(void **state)
{
    static char folder[] = "/tmp/ws_kernelbench_XXXXXX";
    assert_non_null(mkdtemp(folder));
    auto_free char *store = xprintf("%s/store", folder);
    setenv("WARPSMITH_STORE", store, 1);
    setenv("WARPSMITH_PYTHON", "/usr/bin/python3", 0);
    *state = folder;
    return 0;
}

static int teardown(void **state)
{
    return folder_remove(*state, NULL);
}

/* Runs `warpsmith COMMAND ARGS`; what it printed is the caller's. */
static int run_command(const char *command, const char *args, char **ret_output)
{
    auto_free char *line = xprintf("%s/warpsmith %s %s 2>&1", WS_BIN_DIR, command, args);
    FILE *pipe = popen(line, "r");
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

static int run(const char *args, char **ret_output)
{
    return run_command("kernelbench", args, ret_output);
}

static json_t *run_json(const char *args)
{
    char *output = NULL;
    json_t *json = NULL;
    if (run(args, &output) != 0 || jread_parse(output, strlen(output), &json, NULL) < 0) {
        fail_msg("%s: %s", args, output);
    }
    free(output);
    return json;
}

static int64_t whole(const json_t *json, const char *key)
{
    return json_integer_value(json_object_get(json, key));
}

static void test_run(void **state)
{
    const char *folder = *state;
    auto_free char *args = xprintf("run --suite " SUITE " --candidates " SUITE "/candidates --out %s/run "
                                   "--levels 1-3 --problems 1,3 --gpu sim --json -", folder);
    json_t *first = run_json(args), *again = run_json(args);
    /* 1/1 right and wrong, 1/3 right, 2/1 right, forgetful and unscaled; 2/3 has none, 3/1 can't be imported. */
    assert_int_equal(whole(first, "problems"), 5);
    assert_int_equal(whole(first, "judged"), 6);
    assert_int_equal(whole(first, "known"), 0);
    assert_int_equal(whole(first, "accepted"), 3);
    assert_int_equal(whole(first, "errors"), 1);
    assert_int_equal(whole(again, "judged"), 0);
    assert_int_equal(whole(again, "known"), 6);
    assert_int_equal(whole(again, "accepted"), 3);
    json_decref(first);
    json_decref(again);
    auto_free char *file = xprintf("%s/run/results/level1_1.json", folder);
    json_t *result = NULL;
    assert_int_equal(jread_file(file, &result, NULL), 0);
    assert_string_equal(json_string_value(json_object_get(result, "name")), "1_Swish");
    assert_int_equal(json_array_size(json_object_get(result, "candidates")), 2);
    assert_true(json_is_true(json_object_get(result, "modelled")));
    assert_null(json_object_get(result, "baselines"));
    json_decref(result);
}

/* The same product of operands with 23, 10 and 7 bits of mantissa, held to f32 and to TF32; and by a library,
 * which a simulated device has none of. */
static void test_precision(void **state)
{
    static const struct {
        const char *option, *want[4]; /* bf16, f32, library, tf32: in the order of their names */
    } cases[] = { { "", { "incorrect", "accepted", "unsupported", "incorrect" } },
                  { "--precision tf32", { "incorrect", "accepted", "unsupported", "accepted" } } };
    const char *folder = *state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        auto_free char *out = xprintf("%s/precision%zu", folder, i);
        auto_free char *file = xprintf("%s/results/level1_1.json", out);
        auto_free char *args = xprintf("run --suite " SUITE "_precision --candidates " SUITE "_precision/candidates "
                                       "--out %s --gpu sim --json - %s", out, cases[i].option);
        json_t *result = NULL;
        json_decref(run_json(args));
        assert_int_equal(jread_file(file, &result, NULL), 0);
        const json_t *candidates = json_object_get(result, "candidates");
        assert_int_equal(json_array_size(candidates), 4);
        for (size_t k = 0; k < 4; k++) {
            const json_t *verdict = json_object_get(json_array_get(candidates, k), "verdict");
            const char *status = json_string_value(json_object_get(verdict, "status"));
            if (!status || !str_eq(status, cases[i].want[k])) {
                fail_msg("%s, candidate %zu: %s: %s", cases[i].option, k, status ? status : "no verdict",
                         json_string_value(json_object_get(verdict, "detail")));
            }
        }
        json_decref(result);
    }
}

/* By other rules than strict's alone; what they said is kept, and isn't asked for again. */
static void test_protocols(void **state)
{
    const char *folder = *state;
    auto_free char *args = xprintf("run --suite " SUITE " --candidates " SUITE "/candidates --out %s/rules "
                                   "--levels 1 --problems 1 --gpu sim --protocol kb,verified --json -", folder);
    auto_free char *file = xprintf("%s/rules/results/level1_1.json", folder);
    double wall[2];
    for (int turn = 0; turn < 2; turn++) {
        json_t *result = NULL;
        json_decref(run_json(args));
        assert_int_equal(jread_file(file, &result, NULL), 0);
        const json_t *wrong = json_array_get(json_object_get(result, "candidates"), 1);
        assert_string_equal(json_string_value(json_object_get(wrong, "name")), "1/wrong");
        assert_null(json_object_get(wrong, "verdict"));
        const json_t *kb = json_object_get(wrong, "kb"), *verified = json_object_get(wrong, "verified");
        assert_string_equal(json_string_value(json_object_get(kb, "status")), "correct");
        assert_string_equal(json_string_value(json_object_get(verified, "status")), "incorrect");
        wall[turn] = json_number_value(json_object_get(kb, "wall_s"));
        json_decref(result);
    }
    assert_true(wall[0] > 0 && wall[0] == wall[1]);
}

/* Of what test_run left. */
static void test_score(void **state)
{
    auto_free char *args = xprintf("score --out %s/run --json -", (const char *)*state);
    json_t *score = run_json(args);
    assert_int_equal(whole(score, "problems"), 5);
    assert_int_equal(whole(score, "without"), 1);
    assert_int_equal(whole(score, "unsupported"), 1);
    assert_int_equal(whole(score, "degenerate"), 0);
    assert_true(json_is_true(json_object_get(score, "modelled")));
    const json_t *all = json_object_get(json_object_get(score, "correctness"), "all");
    assert_int_equal(whole(all, "problems"), 3);
    assert_int_equal(whole(all, "correct"), 3); /* the best of each problem's candidates */
    double pass = json_number_value(json_object_get(all, "pass_at_1"));
    assert_true(pass > 0.611 && pass < 0.612); /* (1/2 + 1 + 1/3) / 3 */
    assert_int_equal(json_object_size(json_object_get(score, "against")), 0);
    json_decref(score);
}

static void test_list(void **state)
{
    char *output = NULL;
    (void)state;
    assert_int_equal(run("list --suite " SUITE, &output), 0);
    assert_non_null(strstr(output, "48x100 f32 -> 48x100 f32"));
    assert_non_null(strstr(output, "2_Dropout: forward draws random numbers"));
    assert_non_null(strstr(output, "11 problems: 8 can be judged, 1 can't be by anyone, 2 can't be here"));
    free(output);
}

/* Small ones first; what was found is kept, what failed may be mended. */
static void test_check(void **state)
{
    static const struct {
        const char *name, *finding;
    } want[] = { { "1_Missing_module", "failed" }, { "2_Dropout", "unsupported" },
                 { "3_Nothing_left", "degenerate" }, { "1_Linear_BatchNorm", "sound" } };
    auto_free char *args = xprintf("check --suite " SUITE " --levels 2,3 --problems 1-3 --out %s/check --gpu sim --json -",
                                   (const char *)*state);
    json_t *found = run_json(args);
    const json_t *list = json_object_get(found, "problems");
    size_t seen = 0;
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *one = json_array_get(list, i);
        for (size_t k = 0; k < ARRAY_LEN(want); k++) {
            if (str_eq(want[k].name, json_string_value(json_object_get(one, "name")))) {
                assert_string_equal(json_string_value(json_object_get(one, "finding")), want[k].finding);
                seen++;
            }
        }
    }
    assert_int_equal(seen, ARRAY_LEN(want));
    json_decref(found);
    auto_free char *kept = xprintf("%s/check/check/level2_3.json", (const char *)*state);
    auto_free char *failed = xprintf("%s/check/check/level3_1.json", (const char *)*state);
    assert_true(file_exists(kept));
    assert_false(file_exists(failed));
}

/* As a task's folder a problem is one for every command. */
static void test_import(void **state)
{
    const char *folder = *state;
    char *output = NULL;
    auto_free char *args = xprintf("import --suite " SUITE " --levels 1 --problems 1 --out %s/tasks", folder);
    /* Its family has shipped kernels, in other words than the problem's: they aren't its baseline. */
    auto_free char *judged = xprintf("%s/tasks/level1/1_Swish " SUITE "/candidates/level1/1/right --gpu sim", folder);
    assert_int_equal(run(args, &output), 0);
    assert_non_null(strstr(output, "1 of 1 problems imported"));
    free(output);
    if (run_command("eval", judged, &output) != 0 || !str_prefix(output, "accepted")) {
        fail_msg("%s", output);
    }
    free(output);
    auto_free char *by_rules = xprintf("%s --protocol kb --json -", judged);
    json_t *json = NULL;
    if (run_command("eval", by_rules, &output) != 0 || jread_parse(output, strlen(output), &json, NULL) < 0) {
        fail_msg("%s", output);
    }
    free(output);
    const json_t *kb = json_object_get(json_object_get(json, "protocols"), "kb");
    assert_string_equal(json_string_value(json_object_get(kb, "trials")), "5/5");
    json_decref(json);
    /* Only what was imported has a problem behind it. */
    assert_int_equal(run_command("eval", "softmax 06_row_in_registers --gpu sim --protocol kb", &output), 2);
    free(output);
}

static void test_missing(void **state)
{
    static const struct {
        const char *args, *text;
        int code;
    } cases[] = {
        { "dance", "is none of list, check, import, run, score", 2 },
        { "list", "--suite DIR is missing", 2 },
        { "list --suite /nonexistent", "/nonexistent: ", 2 },
        { "list --suite " SUITE " --levels 4", "must be downloaded", 3 },
        { "run --suite " SUITE, "run needs --out DIR", 2 },
        { "run --suite " SUITE " --out /nonexistent --protocol kb", "name strict, too", 2 },
        { "run --suite " SUITE " --out /nonexistent --candidates /nonexistent", "/nonexistent isn't a folder", 2 },
        { "run --suite " SUITE " --out /nonexistent --candidates /tmp --llm openai:m", "give one of them", 2 },
        { "run --suite " SUITE " --out /nonexistent --candidates /tmp --exact-inputs", "--protocol kb or verified", 2 },
        { "run --suite " SUITE " --out /nonexistent --candidates /tmp --html page.html", "--html is for score", 2 },
        { "score --out /nonexistent --protocol kb", "--protocol is for run", 2 },
        { "import --suite " SUITE " --out /nonexistent --precision f99", "\"f99\" is none of f32", 2 },
        { "run --suite " SUITE " --pytorch eager,fast", "\"fast\" is none of eager", 2 },
        { "run --suite " SUITE " --protocol strict,lax", "\"lax\" is none of strict, kb, verified", 2 },
        { "score --out /nonexistent", "is the folder that a run wrote", 2 },
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char *output = NULL;
        int code = run(cases[i].args, &output);
        if (code != cases[i].code || !strstr(output, cases[i].text)) {
            fail_msg("%s: %d: %s", cases[i].args, code, output);
        }
        free(output);
    }
}

int main(void)
{
    enum { SKIPPED = 77 };
    if (getenv("WARPSMITH_NO_PYTORCH")) {
        return SKIPPED;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_run),
        cmocka_unit_test(test_score),
        cmocka_unit_test(test_precision),
        cmocka_unit_test(test_protocols),
        cmocka_unit_test(test_list),
        cmocka_unit_test(test_check),
        cmocka_unit_test(test_import),
        cmocka_unit_test(test_missing),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
