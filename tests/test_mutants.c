/* SPDX-License-Identifier: MIT */
/*
 * A seeded twentieth of the mutants, on the simulator, where the default shape isn't checked and
 * what only shows there survives: the bar is lower than on a GPU. No honest kernel is rejected.
 * Sanitizers make the evaluator several times slower, so they get a sixtieth.
 */
#include "base/file.h"
#include "base/util.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#ifdef __SANITIZE_ADDRESS__
#define PART "7/60"
enum { KILLED_LEAST = 90, DIFFER_LEAST = 12 };
#else
#define PART "7/20"
enum { KILLED_LEAST = 90, DIFFER_LEAST = 40 };
#endif

/* The value of the first figure whose name begins so. */
static double figure(const json_t *report, const char *name)
{
    const char *key;
    json_t *value;
    json_object_foreach(json_object_get(report, "figures"), key, value)
    {
        if (str_prefix(key, name)) {
            return json_number_value(json_object_get(value, "value"));
        }
    }
    fail_msg("no figure \"%s\"", name);
    return 0;
}

static void test_twentieth(void **state)
{
    (void)state;
    char folder[] = "/tmp/warpsmith-mutants-XXXXXX";
    assert_non_null(mkdtemp(folder));
    auto_free char *path = xprintf("%s/figures.json", folder);
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        execl(WS_BIN_DIR "/warpsmith", "warpsmith", "bench", "mutants", "--gpu", "sim", "--runs",
              "1100", PART, "--json", path, NULL);
        _exit(127);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) <= 1);
    json_t *report = json_load_file(path, 0, NULL);
    folder_remove(folder, NULL);
    assert_non_null(report);
    assert_true(figure(report, "really differ") >= DIFFER_LEAST);
    assert_true(figure(report, "killed: all") >= KILLED_LEAST);
    assert_true(figure(report, "honest kernels rejected") == 0);
    json_decref(report);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_twentieth) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
