/* SPDX-License-Identifier: MIT */
/* `kernelbench run` with a provider: the shipped variants in a campaign on two simulated devices, and a model
 * whose answers are files. The suite has a problem that a family is mapped to, one that fails when it is
 * judged, and one that no shipped kernel computes. */
#include "tests/kernelbench_rig.h"
#include "base/file.h"
#include "base/util.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

/* Two attempts, both accepted; by KernelBench's rules the best of them is right. */
static void check_mapped(const char *out)
{
    json_t *result = kernelbench_rig_result(out, "level1_19"), *one;
    size_t i, right = 0;
    assert_int_equal(json_array_size(json_object_get(result, "candidates")), 2);
    json_array_foreach(json_object_get(result, "candidates"), i, one)
    {
        assert_string_equal(kernelbench_rig_text(json_object_get(one, "verdict"), "status"), "accepted");
        right += str_eq(kernelbench_rig_text(json_object_get(one, "kb"), "status"), "correct");
    }
    assert_int_equal(right, 1);
    assert_true(json_number_value(json_object_get(json_object_get(result, "cost"), "gpu_s")) > 0);
    json_decref(result);
}

static void check_others(const char *out)
{
    json_t *failed = kernelbench_rig_result(out, "level1_20");
    json_t *without = kernelbench_rig_result(out, "level1_7");
    assert_non_null(strstr(kernelbench_rig_text(failed, "error"), "works twice and then never again"));
    assert_string_equal(kernelbench_rig_text(without, "without"), "no shipped kernel computes this");
    json_decref(failed);
    json_decref(without);
}

/* A second run into the same folder would be a second campaign with a second budget. */
static void check_busy(const char *out)
{
    auto_free char *folder = xprintf("%s/locks", out), *file = xprintf("%s/kernelbench.lock", folder);
    auto_free char *args = xprintf("kernelbench_run --llm offline --gpu sim --out %s", out);
    char *output = NULL;
    assert_int_equal(folder_make(folder, NULL), 0);
    assert_int_equal(file_write(file, "process 7 on here\n", 18, NULL), 0);
    auto_close int fd = open(file, O_RDWR | O_CLOEXEC);
    assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), 0);
    assert_int_equal(kernelbench_rig_run(args, &output), 3);
    assert_non_null(strstr(output, "it is being run by process 7 on here"));
    free(output);
}

/* A campaign over the shipped variants, on two devices; the same command takes it up again. */
static void test_offline(void **state)
{
    auto_free char *out = xprintf("%s/offline", (const char *)*state);
    auto_free char *args = xprintf("kernelbench_run --llm offline --steps 1 --tune 1 --gpu sim,sim "
                                   "--protocol strict,kb --out %s --json -", out);
    json_t *first = kernelbench_rig_json(args), *again = kernelbench_rig_json(args);
    assert_int_equal(kernelbench_rig_whole(first, "problems"), 3);
    assert_int_equal(kernelbench_rig_whole(first, "judged"), 2);
    assert_int_equal(kernelbench_rig_whole(first, "accepted"), 2);
    assert_int_equal(kernelbench_rig_whole(first, "errors"), 1);
    assert_int_equal(kernelbench_rig_whole(again, "judged"), 0);
    assert_int_equal(kernelbench_rig_whole(again, "known"), 2);
    assert_true(str_prefix(kernelbench_rig_text(first, "campaign"), "c"));
    assert_string_equal(kernelbench_rig_text(first, "campaign"), kernelbench_rig_text(again, "campaign"));
    json_decref(first);
    json_decref(again);
    check_mapped(out);
    check_others(out);
    char *output = NULL;
    auto_free char *other = xprintf("kernelbench_run --llm offline --problems 19 --gpu sim --out %s", out);
    assert_int_equal(kernelbench_rig_run(other, &output), 2);
    assert_non_null(strstr(output, "a campaign over other problems"));
    free(output);
    check_busy(out);
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
    json_t *asked = kernelbench_rig_json(args);
    assert_int_equal(kernelbench_rig_whole(asked, "judged"), 0);
    assert_int_equal(kernelbench_rig_whole(asked, "errors"), 0);
    json_t *waits = kernelbench_rig_result(out, "level1_7");
    assert_string_equal(kernelbench_rig_text(waits, "waiting"), "a reply is awaited");
    answer(spool);
    json_t *answered = kernelbench_rig_json(args), *result = kernelbench_rig_result(out, "level1_7");
    assert_int_equal(kernelbench_rig_whole(answered, "judged"), 1);
    assert_int_equal(kernelbench_rig_whole(answered, "accepted"), 1);
    assert_false(json_is_true(json_object_get(result, "mapped")));
    assert_string_equal(kernelbench_rig_text(result, "ended"), "all steps are done");
    json_decref(asked);
    json_decref(waits);
    json_decref(answered);
    json_decref(result);
}

int main(void)
{
    enum { SKIPPED = 77 };
    if (getenv("WARPSMITH_NO_PYTORCH")) {
        return SKIPPED;
    }
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_offline), cmocka_unit_test(test_model) };
    return cmocka_run_group_tests(tests, kernelbench_rig_setup, kernelbench_rig_teardown);
}
