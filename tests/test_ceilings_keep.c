/* SPDX-License-Identifier: MIT */
/* Ceilings are measured once a device, kept in the store, and missed by nobody. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/session.h"
#include "base/file.h"
#include "base/util.h"

struct fixture {
    char folder[64], store[96];
    struct options options;
};

/* fake_worker goes by its name: "gpu" has ceilings, "gpu-refuses" can't measure them. */
static void use_worker(const struct fixture *f, const char *name)
{
    auto_free char *link = xprintf("%s/%s", f->folder, name);
    (void)!symlink(WS_BIN_DIR "/fake_worker", link);
    setenv("WARPSMITH_WORKER", link, 1);
}

static int setup(void **state)
{
    struct fixture *f = xcalloc(1, sizeof(*f));
    snprintf(f->folder, sizeof(f->folder), "/tmp/warpsmith-test-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    snprintf(f->store, sizeof(f->store), "%s/store", f->folder);
    f->options = (struct options) { .gpu = "0", .store = f->store, .jobs = 1 };
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    folder_remove(f->folder, NULL);
    free(f);
    return 0;
}

/* The copy rate that a session knows; 0: none. */
static double copy_rate(struct fixture *f, int parts)
{
    struct session s;
    struct err err = { 0 };
    if (session_open(&s, &f->options, parts, &err) < 0) {
        fail_msg("%s", err_text(&err));
    }
    const struct device_info *d = evaluator_device(s.evaluator);
    double rate = d->has_ceilings ? d->ceilings.copy : 0;
    session_close(&s);
    return rate;
}

static void test_measured_once(void **state)
{
    struct fixture *f = *state;
    use_worker(f, "gpu");
    double first = copy_rate(f, SESSION_STORE | SESSION_EVALUATOR);
    assert_true(first > 0);
    assert_true(copy_rate(f, SESSION_STORE | SESSION_EVALUATOR) == first);
    assert_true(copy_rate(f, SESSION_STORE_READ | SESSION_EVALUATOR) == first);
    /* A command that opens no store finds them there, too. */
    assert_true(copy_rate(f, SESSION_EVALUATOR) == first);
    use_worker(f, "gpu-refuses");
    assert_true(copy_rate(f, SESSION_EVALUATOR) == first);
}

static void test_a_command_without_a_store_keeps_them(void **state)
{
    struct fixture *f = *state;
    use_worker(f, "gpu");
    double first = copy_rate(f, SESSION_EVALUATOR);
    assert_true(first > 0);
    assert_true(copy_rate(f, SESSION_STORE | SESSION_EVALUATOR) == first);
    /* Where no store can be had they are measured again: another process, another number. */
    f->options.store = NULL;
    double again = copy_rate(f, SESSION_EVALUATOR);
    assert_true(again > 0 && again != first);
}

static void test_not_measured_is_no_error(void **state)
{
    struct fixture *f = *state;
    use_worker(f, "gpu-refuses");
    assert_true(copy_rate(f, SESSION_STORE | SESSION_EVALUATOR) == 0);
    use_worker(f, "gpu");
    assert_true(copy_rate(f, SESSION_STORE | SESSION_EVALUATOR) > 0);
}

static void test_a_model_is_not_measured(void **state)
{
    struct fixture *f = *state;
    setenv("WARPSMITH_WORKER", WS_BIN_DIR "/fake_worker", 1);
    assert_true(copy_rate(f, SESSION_STORE | SESSION_EVALUATOR) == 0);
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN); /* as the program does: a peer may go */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_measured_once, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_command_without_a_store_keeps_them, setup, teardown),
        cmocka_unit_test_setup_teardown(test_not_measured_is_no_error, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_model_is_not_measured, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
