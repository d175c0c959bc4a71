/* SPDX-License-Identifier: MIT */
/*
 * `warpsmith tune TASK CANDIDATE` as a user sees it, on instant workers: the table, the folder it
 * writes, JSON, T4 read again, and what is said of what can't be tuned.
 */
#include "base/file.h"
#include "base/jread.h"
#include "base/util.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

enum { ARGS_MAX = 40, OUTPUT_MAX = 8 << 20 };

struct fixture {
    char folder[64];
    char *out, *err; /* of the last call */
};

static int setup(void **state)
{
    struct fixture *f = xcalloc(1, sizeof(*f));
    snprintf(f->folder, sizeof(f->folder), "/tmp/warpsmith-tune-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    setenv("WARPSMITH_WORKER", WS_BIN_DIR "/fake_worker", 1);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    folder_remove(f->folder, NULL);
    free(f->out);
    free(f->err);
    free(f);
    return 0;
}

/* Words of `line`; "@" at the front of one is the fixture's folder. */
static int call(struct fixture *f, const char *line)
{
    auto_free char *out = xprintf("%s/out", f->folder), *err = xprintf("%s/err", f->folder);
    auto_free char *store = xprintf("%s/store", f->folder);
    free(f->out);
    free(f->err);
    f->out = f->err = NULL;
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        char *args[ARGS_MAX + 8] = { "warpsmith", "tune", "--store", store, "--gpu", "0" };
        char *copy = xstrdup(line);
        size_t n = 6;
        for (char *word = strtok(copy, " "); word && n < ARGS_MAX; word = strtok(NULL, " ")) {
            args[n++] = *word == '@' ? xprintf("%s/%s", f->folder, word + 1) : word;
        }
        if (!freopen(out, "w", stdout) || !freopen(err, "w", stderr)) {
            _exit(126);
        }
        execv(WS_BIN_DIR "/warpsmith", args);
        _exit(127);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(file_read(out, OUTPUT_MAX, &f->out, NULL, NULL), 0);
    assert_int_equal(file_read(err, OUTPUT_MAX, &f->err, NULL, NULL), 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static json_t *read_json(const struct fixture *f, const char *name)
{
    auto_free char *path = xprintf("%s/%s", f->folder, name);
    json_t *json = NULL;
    struct err err = { 0 };
    if (jread_file(path, &json, &err) < 0) {
        fail_msg("%s", err_text(&err));
    }
    return json;
}

static void test_a_candidate(void **state)
{
    struct fixture *f = *state;
    int code = call(f, "softmax 05_online_vector --evals 30 --out @tuned --t4 @space.json.gz --json @r.json");
    if (code != 0) {
        fail_msg("exit %d: %s", code, f->err);
    }
    assert_non_null(strstr(f->out, "24 configs of 24 by exhaustive (times are modelled, not measured)"));
    assert_non_null(strstr(f->out, "*best*"));
    assert_non_null(strstr(f->out, "device busy with timing and checks"));
    json_t *result = read_json(f, "r.json"), *plan = read_json(f, "tuned/plan.json");
    const json_t *best = json_object_get(json_object_get(result, "best"), "config");
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)best, name, value) { /* the plan has the best's values */
        assert_true(json_equal(json_object_get(json_object_get(plan, "params"), name), value));
    }
    assert_int_equal(json_object_size(best), 3);
    assert_int_equal(json_integer_value(json_object_get(result, "evals")), 24);
    assert_int_equal(json_array_size(json_object_get(result, "samples")), 24);
    assert_int_equal(json_array_size(json_array_get(json_object_get(result, "curves"), 0)), 24);
    assert_true(json_is_true(json_object_get(result, "modelled")));
    auto_free char *page = xprintf("%s/tuned/report.html", f->folder);
    auto_free char *source = xprintf("%s/tuned/kernel.cu", f->folder);
    assert_true(file_exists(page) && file_exists(source));
    json_decref(plan);
    json_decref(result);
    /* What was kept as T4 is a space to search. */
    assert_int_equal(call(f, "--replay @space.json.gz --evals 10 --seeds 2"), 0);
    assert_non_null(strstr(f->out, "05_online_vector on Fake: 24 configs of 3 parameters"));
    /* And again: all is known. */
    assert_int_equal(call(f, "softmax 05_online_vector --evals 30 --out @tuned"), 0);
    assert_non_null(strstr(f->out, "24 were known from earlier tunings"));
}

/* The plan of a shipped variant with this in place of its space and constraints. */
static void write_candidate(const struct fixture *f, const char *params, const char *space,
                            const char *constraints)
{
    auto_free char *folder = xprintf("%s/mine", f->folder);
    auto_free char *plan = xprintf(
        "{\"format\":1,\"params\":%s,\"space\":%s,\"constraints\":%s,\"launches\":[{\"kernel\":\"softmax\","
        "\"grid\":[\"rows\"],\"block\":[\"BLOCK\"],\"args\":[\"x\",\"y\",\"cols\"]}]}",
        params, space, constraints);
    auto_free char *plan_path = xprintf("%s/plan.json", folder);
    auto_free char *source_path = xprintf("%s/kernel.cu", folder);
    static const char source[] = "extern \"C\" __global__ void softmax(const float *x, float *y, int n) {}\n";
    assert_int_equal(folder_make(folder, NULL), 0);
    assert_int_equal(file_write(plan_path, plan, strlen(plan), NULL), 0);
    assert_int_equal(file_write(source_path, source, strlen(source), NULL), 0);
}

static void test_spaces_that_are_none(void **state)
{
    struct fixture *f = *state;
    write_candidate(f, "{\"BLOCK\":64}", "{\"BLOCK\":{\"int\":[32,256]}}", "[\"BLOCK > 300\"]");
    assert_int_equal(call(f, "softmax @mine --out @tuned"), 2);
    assert_non_null(strstr(f->err, "BLOCK > 300"));
    write_candidate(f, "{\"BLOCK\":64,\"A\":1}", "{\"BLOCK\":{\"int\":[32,256]},\"A\":{\"int\":[1,8]}}",
                    "[\"A*BLOCK < 100\",\"A > 4\"]"); /* each by itself could hold */
    assert_int_equal(call(f, "softmax @mine --out @tuned"), 2);
    assert_non_null(strstr(f->err, "constraint"));
    auto_free char *plan = xprintf("%s/tuned/plan.json", f->folder);
    assert_false(file_exists(plan));
    assert_int_equal(call(f, "softmax 05_online_vector --algorithm guess"), 2);
    assert_non_null(strstr(f->err, "guess"));
    assert_int_equal(call(f, "softmax 05_online_vector --pin {\"BLOCK\":7}"), 2);
    assert_non_null(strstr(f->err, "BLOCK"));
    assert_int_equal(call(f, "softmax"), 2);
}

/* Too many to list: searched all the same, but not by going through them. */
static void test_too_large_to_list(void **state)
{
    struct fixture *f = *state;
    write_candidate(f, "{\"BLOCK\":64,\"A\":1,\"B\":1,\"C\":1}",
                    "{\"BLOCK\":{\"int\":[32,1024]},\"A\":{\"int\":[1,1000]},\"B\":{\"int\":[1,1000]},"
                    "\"C\":{\"int\":[1,1000]}}", "[\"A + B <= C\"]");
    int code = call(f, "softmax @mine --evals 40 --out @tuned");
    if (code != 0) {
        fail_msg("exit %d: %s", code, f->err);
    }
    assert_non_null(strstr(f->out, "40 configs of about "));
    assert_int_equal(call(f, "softmax @mine --evals 40 --algorithm exhaustive --out @tuned"), 2);
    assert_non_null(strstr(f->err, "list"));
}

/* Everything fails: data, a negative answer, and nothing that looks like a result. */
static void test_nothing_passes(void **state)
{
    struct fixture *f = *state;
    setenv("WARPSMITH_FAKE_JUDGE", "wrong \"block\":[", 1);
    int code = call(f, "softmax 02_block_per_row --out @tuned");
    unsetenv("WARPSMITH_FAKE_JUDGE");
    assert_int_equal(code, 1);
    assert_non_null(strstr(f->out, "5 incorrect, such as BLOCK="));
    assert_non_null(strstr(f->out, "no config passed"));
    auto_free char *plan = xprintf("%s/tuned/plan.json", f->folder);
    assert_false(file_exists(plan));
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_a_candidate),
        T(test_spaces_that_are_none),
        T(test_too_large_to_list),
        T(test_nothing_passes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
