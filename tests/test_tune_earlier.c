/* SPDX-License-Identifier: MIT */
/* Recorded spaces of a folder as earlier tunings: which count, and that what they say arrives. */
#include "agent/tune_earlier.h"
#include "base/file.h"
#include "base/util.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

/* Eight blocks by three tiles; the fastest is (best, 1). */
static void write_space(const char *folder, const char *name, int best)
{
    char *path = xprintf("%s/%s", folder, name);
    char text[8192];
    size_t n = (size_t)snprintf(text, sizeof(text),
                                "{\"device_name\": \"d\", \"kernel_name\": \"k\", \"tune_params_keys\": "
                                "[\"block\", \"tile\"], \"tune_params\": {\"block\": [1,2,4,8,16,32,64,128], "
                                "\"tile\": [1,2,3]}, \"objective\": \"time\", \"cache\": {");
    for (int b = 0; b < 8; b++) {
        for (int t = 1; t <= 3; t++) {
            int time = 10 + 3 * abs(b - best) + 2 * t;
            n += (size_t)snprintf(text + n, sizeof(text) - n,
                                  "%s\"%d,%d\": {\"block\": %d, \"tile\": %d, \"time\": %d}",
                                  b + t > 1 ? ", " : "", 1 << b, t, 1 << b, t, time);
        }
    }
    n += (size_t)snprintf(text + n, sizeof(text) - n, "}}");
    assert_true(n < sizeof(text));
    assert_int_equal(file_write(path, text, n, NULL), 0);
    free(path);
}

static void test_other_devices_count(void **state)
{
    (void)state;
    char folder[] = "/tmp/warpsmith-earlier-XXXXXX";
    assert_non_null(mkdtemp(folder));
    write_space(folder, "k.A100.json", 1);
    write_space(folder, "k.A4000.json", 6);
    write_space(folder, "k.A6000.json", 6);
    write_space(folder, "other.A4000.json", 0);
    struct tune_earlier_space spaces[TUNE_EARLIER_MAX], here;
    size_t n = 0;
    assert_int_equal(tune_earlier_folder(folder, NULL, NULL, spaces, &n, NULL), 0);
    assert_int_equal(n, 4);
    assert_string_equal(spaces[0].kernel, "k");
    assert_string_equal(spaces[0].device, "A100");
    assert_true(spaces[0].place.sm_count == 108);
    struct prior *prior;
    assert_int_equal(tune_earlier_prior(folder, spaces[0].path, &prior, &here, NULL), 0);
    assert_int_equal(prior_tunings(prior), 2); /* neither its own nor another kernel's */
    const struct tune_space *space = spaces[0].recorded->space;
    struct prior_guide *guide = prior_guide_new(prior, &here.place, space, 1);
    uint16_t config[2];
    assert_int_equal(prior_guide_next(guide, NULL, 0, 1, config), 1);
    assert_string_equal(space->params[0].texts[config[0]], "64"); /* the others' best, not its own */
    assert_string_equal(space->params[1].texts[config[1]], "1");
    prior_guide_free(guide);
    prior_free(prior);
    tune_earlier_done(&here);
    for (size_t i = 0; i < n; i++) {
        tune_earlier_done(&spaces[i]);
    }
    folder_remove(folder, NULL);
}

static void test_what_is_wrong_is_said(void **state)
{
    (void)state;
    char folder[] = "/tmp/warpsmith-earlier-XXXXXX";
    assert_non_null(mkdtemp(folder));
    struct tune_earlier_space spaces[TUNE_EARLIER_MAX], here;
    struct prior *prior;
    struct err err = { 0 };
    size_t n = 0;
    assert_int_equal(tune_earlier_folder(folder, NULL, NULL, spaces, &n, &err), ERR_NOTFOUND);
    assert_non_null(strstr(err.text, "no recorded spaces"));
    write_space(folder, "k.A100.json", 1);
    assert_int_equal(tune_earlier_prior(folder, "/elsewhere/k.A100.json.gz", &prior, &here, &err),
                     ERR_NOTFOUND);
    assert_non_null(strstr(err.text, "of other devices of k"));
    assert_int_equal(tune_earlier_prior(folder, "/elsewhere/space.json", &prior, &here, &err),
                     ERR_INVALID);
    assert_non_null(strstr(err.text, "KERNEL.DEVICE.json.gz"));
    char *path = xprintf("%s/k.B.json", folder);
    assert_int_equal(file_write(path, "{\"cache\": ", 10, NULL), 0); /* cut */
    assert_true(tune_earlier_folder(folder, NULL, NULL, spaces, &n, &err) < 0);
    assert_non_null(strstr(err.text, "k.B.json"));
    assert_int_equal(n, 1); /* what was read before stays the caller's */
    tune_earlier_done(&spaces[0]);
    free(path);
    folder_remove(folder, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_other_devices_count),
        cmocka_unit_test(test_what_is_wrong_is_said),
    };
    return cmocka_run_group_tests_name("tune_earlier", tests, NULL, NULL);
}
