/* SPDX-License-Identifier: MIT */
/* `kernelbench run` without a folder of candidates, on problems of our own: what ships with the program on
 * two simulated devices, and a model whose answers are files. That suite has a problem that a family is
 * mapped to, one that fails when it is judged, and one that no shipped kernel computes. And a candidate for a
 * network, with many weights and launches. */
#include "base/file.h"
#include "base/jread.h"
#include "base/util.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <dirent.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#define CASES WS_SOURCE_DIR "/tests/cases/"

static int setup(void **state)
{
    static char folder[] = "/tmp/ws_kernelbench_run_XXXXXX";
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

/* What it printed is the caller's. */
static int run(const char *args, char **ret_output)
{
    auto_free char *line = xprintf("%s/warpsmith kernelbench run --suite " CASES "%s 2>&1", WS_BIN_DIR, args);
    FILE *pipe = popen(line, "r");
    struct buf out;
    char chunk[4096];
    size_t n;
    assert_non_null(pipe);
    buf_init(&out, 1 << 20);
    while ((n = fread(chunk, 1, sizeof(chunk), pipe)) > 0) {
        buf_add(&out, chunk, n);
    }
    int status = pclose(pipe);
    *ret_output = out.len ? buf_take(&out) : xstrdup("");
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
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

static json_t *result_of(const char *out, const char *name)
{
    auto_free char *file = xprintf("%s/results/%s.json", out, name);
    json_t *result = NULL;
    assert_int_equal(jread_file(file, &result, NULL), 0);
    return result;
}

static const char *text_of(const json_t *json, const char *key)
{
    const char *text = json_string_value(json_object_get(json, key));
    return text ? text : "";
}

static int64_t whole(const json_t *json, const char *key)
{
    return json_integer_value(json_object_get(json, key));
}

/* Every attempt is accepted, and by KernelBench's rules the best of them is right. */
static void check_mapped(const char *out, size_t attempts)
{
    json_t *result = result_of(out, "level1_19"), *one;
    size_t i, right = 0;
    assert_int_equal(json_array_size(json_object_get(result, "candidates")), attempts);
    json_array_foreach(json_object_get(result, "candidates"), i, one)
    {
        assert_string_equal(text_of(json_object_get(one, "verdict"), "status"), "accepted");
        right += str_eq(text_of(json_object_get(one, "kb"), "status"), "correct");
        auto_free char *kept = xprintf("%s/candidates/%s/plan.json", out, text_of(one, "id"));
        assert_true(file_exists(kept));
    }
    assert_int_equal(right, 1);
    assert_true(json_is_true(json_object_get(result, "mapped")));
    assert_true(str_prefix(text_of(result, "start"), "activation/"));
    json_decref(result);
}

static void check_others(const char *out)
{
    json_t *failed = result_of(out, "level1_20"), *without = result_of(out, "level1_7");
    assert_non_null(strstr(text_of(failed, "error"), "works twice and then never again"));
    assert_string_equal(text_of(without, "without"), "no shipped kernel computes this");
    json_decref(failed);
    json_decref(without);
}

/* A campaign over the shipped variants, on two devices; the same command takes it up again. */
static void test_offline(void **state)
{
    auto_free char *out = xprintf("%s/offline", (const char *)*state);
    auto_free char *args = xprintf("kernelbench_run --llm offline --steps 1 --tune 1 --gpu sim,sim --protocol strict,kb "
                                   "--out %s --json -", out);
    json_t *first = run_json(args), *again = run_json(args);
    assert_int_equal(whole(first, "problems"), 3);
    assert_int_equal(whole(first, "judged"), 2);
    assert_int_equal(whole(first, "accepted"), 2);
    assert_int_equal(whole(first, "errors"), 1);
    assert_int_equal(whole(again, "judged"), 0);
    assert_int_equal(whole(again, "known"), 2);
    assert_true(str_prefix(text_of(first, "campaign"), "c"));
    assert_string_equal(text_of(first, "campaign"), text_of(again, "campaign"));
    json_decref(first);
    json_decref(again);
    check_mapped(out, 2);
    check_others(out);
    char *output = NULL;
    auto_free char *other = xprintf("kernelbench_run --llm offline --problems 19 --gpu sim --out %s", out);
    assert_int_equal(run(other, &output), 2);
    assert_non_null(strstr(output, "a campaign over other problems"));
    free(output);
}

/* Without a step after the start there's nothing to decide: the shipped kernel of each problem, by any rules. */
static void test_shipped(void **state)
{
    auto_free char *out = xprintf("%s/shipped", (const char *)*state);
    auto_free char *args = xprintf("kernelbench_run --steps 0 --gpu sim --protocol strict,kb --out %s --json -", out);
    json_t *told = run_json(args);
    assert_int_equal(whole(told, "problems"), 3);
    assert_int_equal(whole(told, "judged") + whole(told, "known"), 1); /* the campaign may have judged it */
    assert_int_equal(whole(told, "errors"), 1);
    assert_null(json_object_get(told, "campaign"));
    json_decref(told);
    check_mapped(out, 1);
    json_t *without = result_of(out, "level1_7");
    assert_string_equal(text_of(without, "without"), "no shipped kernel computes this");
    json_decref(without);
}

/* A kernel for 7_Doubled_tanh, as a model would write it. */
static void answer(const char *spool)
{
    static const char text[]
        = "```cuda\nextern \"C\" __global__ void doubled(const float *x, float *y, long long n)\n{\n"
          "    long long i = blockIdx.x * 256ll + threadIdx.x;\n    if (i < n) {\n"
          "        y[i] = tanhf(x[i]) * 2.0f;\n    }\n}\n```\n"
          "```json\n{\"format\": 1, \"launches\": [{\"kernel\": \"doubled\", \"grid\": [\"ceildiv(24*130, 256)\"], "
          "\"block\": [256], \"args\": [\"x\", \"y\", \"24*130\"]}]}\n```\n"
          "strategy: new: plain: one thread an element\n";
    auto_free char *asked = xprintf("%s/out", spool);
    DIR *dir = opendir(asked);
    struct dirent *entry;
    size_t n = 0;
    assert_non_null(dir);
    while ((entry = readdir(dir))) {
        const char *dot = strrchr(entry->d_name, '.');
        if (dot && str_eq(dot, ".json")) {
            auto_free char *file = xprintf("%s/in/%.*s.txt", spool, (int)(dot - entry->d_name), entry->d_name);
            assert_int_equal(file_write(file, text, strlen(text), NULL), 0);
            n++;
        }
    }
    closedir(dir);
    assert_int_equal(n, 1);
}

/* Nobody has a kernel to begin with: the model writes the first one. */
static void test_model(void **state)
{
    const char *folder = *state;
    auto_free char *out = xprintf("%s/model", folder);
    auto_free char *spool = xprintf("%s/spool", folder);
    auto_free char *args = xprintf("kernelbench_run --problems 7 --provider spool:%s --no-wait --steps 1 --gpu sim "
                                   "--out %s --json -", spool, out);
    json_t *asked = run_json(args);
    assert_int_equal(whole(asked, "judged"), 0);
    assert_int_equal(whole(asked, "errors"), 0);
    json_t *waits = result_of(out, "level1_7");
    assert_string_equal(text_of(waits, "waiting"), "a reply is awaited");
    answer(spool);
    json_t *answered = run_json(args), *result = result_of(out, "level1_7");
    assert_int_equal(whole(answered, "judged"), 1);
    assert_int_equal(whole(answered, "accepted"), 1);
    assert_false(json_is_true(json_object_get(result, "mapped")));
    assert_string_equal(text_of(result, "ended"), "all steps are done");
    json_decref(asked);
    json_decref(waits);
    json_decref(answered);
    json_decref(result);
}

/* A network of 64 layers: 128 weights by their state-dict names, turned round in `prepare`, and a graph of 64
 * launches. The other candidate gives one layer another one's weights. */
static void test_deep(void **state)
{
    static const char *const want[] = { "accepted", "incorrect" };
    auto_free char *out = xprintf("%s/deep", (const char *)*state);
    auto_free char *args = xprintf("kernelbench_large --candidates " CASES "kernelbench_large/candidates --gpu sim "
                                   "--out %s --json -", out);
    json_t *told = run_json(args), *result = result_of(out, "level3_1");
    for (size_t i = 0; i < ARRAY_LEN(want); i++) {
        const json_t *one = json_array_get(json_object_get(result, "candidates"), i);
        assert_string_equal(text_of(json_object_get(one, "verdict"), "status"), want[i]);
    }
    assert_int_equal(whole(told, "judged"), 2);
    json_decref(told);
    json_decref(result);
}

int main(void)
{
    enum { SKIPPED = 77 };
    if (getenv("WARPSMITH_NO_PYTORCH")) {
        return SKIPPED;
    }
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_offline), cmocka_unit_test(test_shipped), cmocka_unit_test(test_model),
                                        cmocka_unit_test(test_deep) };
    return cmocka_run_group_tests(tests, setup, teardown);
}
