/* SPDX-License-Identifier: MIT */
/*
 * The command line as a user sees it: each tests/cases/cli/NAME.case is one call with the exit code
 * and the texts that must, or ("not:") must not, come. CASES in its arguments is the cases' folder.
 */
#include "base/buf.h"
#include "base/file.h"
#include "base/util.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CLI_ARGS_MAX = 32, CLI_OUTPUT_MAX = 1 << 20 };

struct outcome {
    int exit_code;
    char *out, *err;
};

static void exec_warpsmith(char *line, const char *out, const char *err)
{
    char *args[CLI_ARGS_MAX + 2] = { "warpsmith" };
    size_t n = 1;
    for (char *word = strtok(line, " "); word && n <= CLI_ARGS_MAX; word = strtok(NULL, " ")) {
        args[n++] = str_prefix(word, "CASES/") ? xprintf(WS_SOURCE_DIR "/tests/cases/%s", word + 6)
                                               : word;
    }
    if (!freopen(out, "w", stdout) || !freopen(err, "w", stderr)) {
        _exit(126);
    }
    execv(WS_BIN_DIR "/warpsmith", args);
    _exit(127);
}

static void run(const char *line, const char *folder, struct outcome *ret)
{
    auto_free char *out = xprintf("%s/out", folder), *err = xprintf("%s/err", folder);
    auto_free char *copy = xstrdup(line);
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        exec_warpsmith(copy, out, err);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    ret->exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
    assert_int_equal(file_read(out, CLI_OUTPUT_MAX, &ret->out, NULL, NULL), 0);
    assert_int_equal(file_read(err, CLI_OUTPUT_MAX, &ret->err, NULL, NULL), 0);
}

/* One line of a case against the outcome; false with a reason printed. */
static bool holds(const char *line, const struct outcome *o)
{
    bool good = true;
    if (str_prefix(line, "exit: ")) {
        good = o->exit_code == atoi(line + 6);
    } else if (str_prefix(line, "stdout: ")) {
        good = strstr(o->out, line + 8) != NULL;
    } else if (str_prefix(line, "stderr: ")) {
        good = strstr(o->err, line + 8) != NULL;
    } else if (str_prefix(line, "not: ")) {
        good = !strstr(o->out, line + 5) && !strstr(o->err, line + 5);
    } else if (*line && !str_prefix(line, "args:")) {
        printf("not a line of a case: %s\n", line);
        return false;
    }
    if (!good) {
        printf("expected %s\n  exit %d\n  stdout %s\n  stderr %s\n", line, o->exit_code, o->out,
               o->err);
    }
    return good;
}

static bool run_case(const char *path, const char *folder)
{
    auto_free char *text = NULL;
    assert_int_equal(file_read(path, 65536, &text, NULL, NULL), 0);
    if (!str_prefix(text, "args: ")) {
        return false;
    }
    char *rest = strchr(text, '\n');
    *rest++ = '\0';
    struct outcome outcome;
    run(text + 6, folder, &outcome);
    bool good = true;
    for (char *line = strtok(rest, "\n"); line; line = strtok(NULL, "\n")) {
        good = holds(line, &outcome) && good;
    }
    free(outcome.out);
    free(outcome.err);
    return good;
}

static void test_cases(void **state)
{
    (void)state;
    char folder[] = "/tmp/warpsmith-cli-XXXXXX";
    assert_non_null(mkdtemp(folder));
    auto_free char *store = xprintf("%s/store", folder);
    setenv("WARPSMITH_STORE", store, 1);
    struct dirent **found = NULL;
    int n = scandir(WS_SOURCE_DIR "/tests/cases/cli", &found, NULL, alphasort), failed = 0, ran = 0;
    for (int i = 0; i < n; i++) {
        const char *name = found[i]->d_name;
        if (name[0] != '.') {
            auto_free char *path = xprintf(WS_SOURCE_DIR "/tests/cases/cli/%s", name);
            ran++;
            if (!run_case(path, folder)) {
                printf("case %s failed\n", name);
                failed++;
            }
        }
        free(found[i]);
    }
    free(found);
    folder_remove(folder, NULL);
    assert_true(ran >= 20);
    assert_int_equal(failed, 0);
}

/* Under a quota on files' sizes (ulimit -f) the file is named, and the program isn't killed. */
static void test_quota(void **state)
{
    (void)state;
    char folder[] = "/tmp/warpsmith-cli-XXXXXX";
    assert_non_null(mkdtemp(folder));
    auto_free char *results = xprintf("%s/results", folder), *json = xprintf("%s/score.json", folder);
    assert_int_equal(folder_make(results, NULL), 0);
    auto_free char *shell = xprintf("ulimit -f 0; " WS_BIN_DIR "/warpsmith kernelbench score --out %s --json %s 2>&1 "
                                    "| grep -q 'score.json: File too large'", folder, json);
    int status = system(shell);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    folder_remove(folder, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_cases), cmocka_unit_test(test_quota) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
