/* SPDX-License-Identifier: MIT */
/*
 * The main job as a user runs it, on the simulator: optimize, its files, report, memory; Ctrl-C and
 * resume; two campaigns in one store at the same time.
 */
#include "base/file.h"
#include "base/util.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { OPTIMIZE_OUTPUT_MAX = 8 << 20, OPTIMIZE_ARGS_MAX = 24 };

struct place {
    char folder[64];
};

static int setup(void **state)
{
    struct place *p = xcalloc(1, sizeof(*p));
    snprintf(p->folder, sizeof(p->folder), "/tmp/warpsmith-main-XXXXXX");
    assert_non_null(mkdtemp(p->folder));
    auto_free char *store = xprintf("%s/store", p->folder);
    setenv("WARPSMITH_STORE", store, 1);
    *state = p;
    return 0;
}

static int teardown(void **state)
{
    struct place *p = *state;
    folder_remove(p->folder, NULL);
    free(p);
    return 0;
}

/* Starts warpsmith with a line of arguments; stdout and stderr go to FOLDER/NAME. */
static pid_t start(const struct place *p, const char *name, const char *line)
{
    auto_free char *log = xprintf("%s/%s", p->folder, name);
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        char *args[OPTIMIZE_ARGS_MAX + 2] = { "warpsmith" };
        size_t n = 1;
        char *copy = xstrdup(line);
        for (char *w = strtok(copy, " "); w && n <= OPTIMIZE_ARGS_MAX; w = strtok(NULL, " ")) {
            args[n++] = str_prefix(w, "HERE/") ? xprintf("%s/%s", p->folder, w + 5) : w;
        }
        if (!freopen(log, "w", stdout) || dup2(1, 2) < 0) {
            _exit(126);
        }
        execv(WS_BIN_DIR "/warpsmith", args);
        _exit(127);
    }
    return pid;
}

static int wait_for(pid_t pid)
{
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static char *read_here(const struct place *p, const char *name)
{
    auto_free char *path = xprintf("%s/%s", p->folder, name);
    char *text = NULL;
    struct err err = { 0 };
    if (file_read(path, OPTIMIZE_OUTPUT_MAX, &text, NULL, &err) < 0) {
        fail_msg("%s", err_text(&err));
    }
    return text;
}

static void expect_exit(const struct place *p, const char *log, int code, int expected)
{
    if (code != expected) {
        auto_free char *text = read_here(p, log);
        fail_msg("exit %d, expected %d:\n%s", code, expected, text);
    }
}

static json_t *read_json(const struct place *p, const char *name)
{
    auto_free char *text = read_here(p, name);
    json_t *json = json_loads(text, 0, NULL);
    assert_non_null(json);
    return json;
}

static void expect_text(const struct place *p, const char *name, const char *wanted)
{
    auto_free char *text = read_here(p, name);
    if (!strstr(text, wanted)) {
        fail_msg("%s doesn't say \"%s\":\n%.2000s", name, wanted, text);
    }
}

static void test_main_job(void **state)
{
    struct place *p = *state;
    int code = wait_for(start(p, "log", "optimize column_sum --gpu sim --steps 1 --tune 2 --out HERE/out "
                                        "--json HERE/result.json"));
    expect_exit(p, "log", code, 0);
    json_t *json = read_json(p, "result.json");
    assert_true(json_is_true(json_object_get(json, "modelled")));
    assert_string_equal(json_string_value(json_object_get(json, "status")), "done");
    assert_int_equal(json_integer_value(json_object_get(json, "attempts")), 2);
    const json_t *best = json_object_get(json, "best");
    assert_true(json_number_value(json_object_get(best, "median_us")) > 0);
    assert_true(json_number_value(json_object_get(best, "speedup")) >= 1);
    json_decref(json);
    json = read_json(p, "out/best/verdict.json");
    assert_string_equal(json_string_value(json_object_get(json, "status")), "accepted");
    json_decref(json);
    json = read_json(p, "out/best/plan.json");
    assert_true(json_is_array(json_object_get(json, "launches")));
    json_decref(json);
    expect_text(p, "out/best/kernel.cu", "__global__");
    expect_text(p, "out/best/kernel.ptx", ".entry");
    expect_text(p, "out/best/column_sum.py", "def column_sum(");
    expect_text(p, "out/best/c/launch.c", "column_sum_launch(");
    expect_text(p, "out/report.html", "modelled");
    expect_text(p, "log", "modelled, not measured");

    /* The best stands on its own, and gets the same modelled time again. */
    code = wait_for(start(p, "log", "eval column_sum HERE/out/best --gpu sim --json HERE/again.json"));
    expect_exit(p, "log", code, 0);
    code = wait_for(start(p, "log", "memory show --json HERE/memory.json"));
    expect_exit(p, "log", code, 0);
    expect_text(p, "memory.json", "\"n\"");
    code = wait_for(start(p, "log", "report"));
    expect_exit(p, "log", code, 0);
    expect_text(p, "log", "done");
}

/* The campaign's id, from the first line of its output. */
static char *campaign_id(const struct place *p, const char *log)
{
    auto_free char *text = read_here(p, log);
    char id[64];
    return sscanf(text, "campaign %63s", id) == 1 ? xstrdup(id) : NULL;
}

static void test_interrupt_and_resume(void **state)
{
    struct place *p = *state;
    pid_t pid = start(p, "log", "optimize column_sum --gpu sim --steps 2 --tune 0 --out HERE/out");
    char *id = NULL;
    for (int i = 0; i < 600 && !id; i++) {
        usleep(100000);
        id = campaign_id(p, "log");
    }
    assert_non_null(id);
    usleep(300000);
    kill(pid, SIGINT);
    int code = wait_for(pid);
    expect_exit(p, "log", code, 1);
    auto_free char *hint = xprintf("warpsmith resume %s", id);
    expect_text(p, "log", hint);
    auto_free char *line = xprintf("resume %s --gpu sim --out HERE/out --json HERE/result.json", id);
    code = wait_for(start(p, "log", line));
    expect_exit(p, "log", code, 0);
    json_t *json = read_json(p, "result.json");
    assert_int_equal(json_integer_value(json_object_get(json, "attempts")), 3);
    json_decref(json);
    free(id);
}

static void test_two_campaigns_in_one_store(void **state)
{
    struct place *p = *state;
    pid_t a = start(p, "log-a", "optimize column_sum --gpu sim --steps 0 --tune 0 --out HERE/a");
    pid_t b = start(p, "log-b", "optimize layernorm --gpu sim --steps 0 --tune 0 --out HERE/b");
    int code_a = wait_for(a), code_b = wait_for(b);
    expect_exit(p, "log-a", code_a, 0);
    expect_exit(p, "log-b", code_b, 0);
    expect_text(p, "a/report.html", "column_sum");
    expect_text(p, "b/report.html", "layernorm");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_main_job, setup, teardown),
        cmocka_unit_test_setup_teardown(test_interrupt_and_resume, setup, teardown),
        cmocka_unit_test_setup_teardown(test_two_campaigns_in_one_store, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
