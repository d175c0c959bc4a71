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

static void run_file(struct gate_bench *bench, const char *name)
{
    struct gate_case one;
    auto_free char *path = xprintf("%s/tests/cases/gate/%s", WS_SOURCE_DIR, name);
    gate_case_load(path, &one);
    struct gate_request request = { .source = one.source, .plan = one.plan };
    json_t *verdict = gate_judge(bench, &request);
    if (!verdict) {
        fail_msg("%s: the worker died", name);
    }
    printf("%s: %s: %s\n", name, text(verdict, "status"), text(verdict, "detail"));
    if (!str_eq(text(verdict, "status"), one.expect)
        || (one.detail && !strstr(text(verdict, "detail"), one.detail))) {
        fail_msg("%s: expected %s (%s), got %s: %s", name, one.expect,
                 one.detail ? one.detail : "", text(verdict, "status"), text(verdict, "detail"));
    }
    bool broken = str_eq(text(verdict, "status"), "launch_error");
    json_decref(verdict);
    gate_case_done(&one);
    if (broken) {
        gate_bench_restart_device(bench, driver);
    }
}

static void test_cases(void **state)
{
    struct dirent **names;
    int n = scandir(WS_SOURCE_DIR "/tests/cases/gate", &names, NULL, alphasort);
    assert_true(n > 0);
    int done = 0;
    for (int i = 0; i < n; i++) {
        size_t len = strlen(names[i]->d_name);
        if (len > 3 && str_eq(names[i]->d_name + len - 3, ".cu")) {
            run_file(*state, names[i]->d_name);
            done++;
        }
        free(names[i]);
    }
    free(names);
    assert_true(done > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
