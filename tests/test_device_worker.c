/* SPDX-License-Identifier: MIT */
/* The real device worker on the simulator: every case under tests/cases/gate, and the protocol. */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/util.h"
#include "tests/gate_case.h"

static const char driver[] = WS_BIN_DIR "/libwarpsim.so";

static int start(void **state)
{
    struct gate_bench *bench = xcalloc(1, sizeof(*bench));
    gate_bench_start(bench, getenv("WS_TEST_DRIVER") ? getenv("WS_TEST_DRIVER") : driver);
    *state = bench;
    return 0;
}

static int stop(void **state)
{
    gate_bench_stop(*state);
    free(*state);
    return 0;
}

static const char *text(const json_t *verdict, const char *key)
{
    const char *value = json_string_value(json_object_get(verdict, key));
    return value ? value : "";
}

/* Is `status` one of "a|b"? */
static bool one_of(const char *status, const char *list)
{
    const char *hit = strstr(list, status);
    size_t n = strlen(status);
    return hit && n && (hit == list || hit[-1] == '|') && (!hit[n] || hit[n] == '|');
}

/* Goes on after a failure, so that one run shows them all. */
static bool run_file(struct gate_bench *bench, const char *name)
{
    bool failed = false;
    struct gate_case one;
    auto_free char *path = xprintf("%s/tests/cases/gate/%s", WS_SOURCE_DIR, name);
    gate_case_load(path, &one);
    struct candidate *candidate = gate_candidate(one.plan, one.source);
    struct gate_request request = { .candidate = candidate };
    json_t *verdict = gate_judge(bench, &request);
    candidate_free(candidate);
    if (!verdict) {
        print_error("%s: the worker died\n", name);
        gate_case_done(&one);
        gate_bench_restart_device(bench);
        return false;
    }
    if (getenv("WS_TEST_VERBOSE")) {
        printf("%s: %s in %s: %s\n", name, text(verdict, "status"), text(verdict, "phase"),
               text(verdict, "detail"));
    }
    if (!one_of(text(verdict, "status"), one.expect)
        || (one.detail && !strstr(text(verdict, "detail"), one.detail))
        || (one.simulated && bench->modelled && !strstr(text(verdict, "detail"), one.simulated))) {
        print_error("%s: expected %s (%s), got %s: %s\n", name, one.expect,
                    one.detail ? one.detail : "", text(verdict, "status"),
                    text(verdict, "detail"));
        failed = true;
    }
    bool broken = str_eq(text(verdict, "status"), "launch_error");
    json_decref(verdict);
    gate_case_done(&one);
    if (broken) {
        gate_bench_restart_device(bench);
    }
    return !failed;
}

static void test_cases(void **state)
{
    struct dirent **names;
    int n = scandir(WS_SOURCE_DIR "/tests/cases/gate", &names, NULL, alphasort);
    assert_true(n > 0);
    int done = 0, right = 0;
    for (int i = 0; i < n; i++) {
        size_t len = strlen(names[i]->d_name);
        if (len > 3 && str_eq(names[i]->d_name + len - 3, ".cu")) {
            done++;
            right += run_file(*state, names[i]->d_name);
        }
        free(names[i]);
    }
    free(names);
    assert_int_equal(right, done);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
