/* SPDX-License-Identifier: MIT */
/* `warpsmith tune --replay` and `bench tuner` as a user calls them, on a space made by a formula. */
#include "agent/tune/tune_config.h"
#include "agent/tune/tune_replay.h"
#include "base/file.h"
#include "base/util.h"
#include "tests/tune_made.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <cmocka.h>

static const double digits = 1e-8; /* what JSON for people keeps */

/* Runs warpsmith with the options after the file; its exit code, stdout and stderr in one. */
static int warpsmith(const struct tune_made *f, const char *args, char **ret_text)
{
    auto_free char *out = xprintf("%s/out", f->folder);
    auto_free char *line = xprintf("cd '%s' && '%s/warpsmith' %s >'%s' 2>&1", f->folder, WS_BIN_DIR,
                                   args, out);
    int status = system(line);
    size_t len;
    assert_int_equal(file_read(out, 1 << 22, ret_text, &len, NULL), 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static json_t *warpsmith_json(const struct tune_made *f, const char *args)
{
    auto_free char *text = NULL;
    json_t *json = NULL;
    struct err err = { 0 };
    assert_int_equal(warpsmith(f, args, &text), 0);
    if (jread_parse(text, strlen(text), &json, &err) < 0) {
        fail_msg("%s in %s", err_text(&err), text);
    }
    return json;
}

static double number(const json_t *json, const char *a, const char *b)
{
    const json_t *value = json_object_get(json, a);
    value = b ? json_object_get(value, b) : value;
    assert_true(json_is_number(value));
    return json_number_value(value);
}

static void test_json(void **state)
{
    const struct tune_made *f = *state;
    json_t *json = warpsmith_json(f, "tune --replay space.json.gz --algorithm genetic --evals 50 --seeds 4 "
                                     "--seed 7 --json -");
    json_t *curves = json_object_get(json, "curves");
    double worst = 1, sum = 0;
    assert_string_equal(json_string_value(json_object_get(json, "algorithm")), "genetic");
    assert_int_equal(json_array_size(curves), 4);
    for (size_t i = 0; i < 4; i++) {
        struct tune_replay_run run = tune_made_run(f, (struct tune_replay_options) {
            .tuner = { .algorithm = "genetic", .budget = 50, .seed = 7 + i } });
        const json_t *curve = json_array_get(curves, i);
        assert_int_equal(json_array_size(curve), run.n);
        for (size_t k = 0; k < run.n; k++) {
            assert_true(fabs(json_number_value(json_array_get(curve, k)) - run.curve[k]) < digits);
        }
        sum += run.score;
        worst = run.score < worst ? run.score : worst;
        tune_replay_done(&run);
    }
    assert_true(fabs(number(json, "score", "mean") - sum / 4) < digits);
    assert_true(fabs(number(json, "score", "worst") - worst) < digits);
    assert_true(fabs(number(json, "space", "optimum") - f->recorded->optimum) < digits);
    assert_true(number(json, "evals", NULL) == 50 && number(json, "seeds", NULL) == 4);
    const json_t *best = json_object_get(json, "best");
    uint16_t config[TUNE_PARAMS_MAX];
    assert_int_equal(tune_config_read(f->recorded->space, json_object_get(best, "config"), NULL, config,
                                      NULL), 0);
    assert_true(fabs(f->recorded->times[tune_space_find(f->recorded->space, config)]
                     - number(best, "time", NULL)) < digits);
    json_decref(json);
}

/* The optimum pinned is found at once. */
static void test_pin(void **state)
{
    const struct tune_made *f = *state;
    auto_free char *path = xprintf("%s/pin.json", f->folder);
    const struct tune_space *space = f->recorded->space;
    json_t *config = tune_config_json(space, space->listed + f->recorded->best * space->n);
    auto_free char *text = json_compact(config);
    json_decref(config);
    assert_int_equal(file_write(path, text, strlen(text), NULL), 0);
    json_t *json = warpsmith_json(f, "tune --replay space.json.gz --evals 1 --seeds 2 --pin pin.json --json -");
    assert_true(number(json, "score", "worst") == 1);
    json_decref(json);
}

static void test_table(void **state)
{
    const struct tune_made *f = *state;
    auto_free char *text = NULL;
    assert_int_equal(warpsmith(f, "tune --replay space.json.gz --algorithm random --evals 1000 --seeds 2",
                               &text), 0);
    assert_non_null(strstr(text, "made on none: "));
    assert_non_null(strstr(text, "1000  1.0000  1.0000"));
    assert_non_null(strstr(text, "with nothing more to try"));
    assert_non_null(strstr(text, "best: BLOCK="));
}

static void test_said(void **state)
{
    const struct tune_made *f = *state;
    static const struct {
        const char *args, *text;
    } cases[] = {
        { "tune", "see warpsmith tune --help" },
        { "tune --replay none.json", "none.json" },
        { "tune --replay space.json.gz softmax", "not from \"softmax\"" },
        { "tune --replay space.json.gz --algorithm genetics", "no tuning algorithm \"genetics\"" },
        { "tune --replay space.json.gz --algorithm genetic --flags x=1", "no flag \"x\"" },
        { "tune --replay space.json.gz --seeds 0", "--seeds 0: expected a whole number from 1" },
        { "tune --replay space.json.gz --pin '{\"BLOK\": 1}'", "--pin: BLOK: unknown key, did you mean \"BLOCK\"?" },
        { "tune --replay space.json.gz --pin '{\"BLOCK\": 512, \"TILE\": 8, \"WAY\": \"row\", \"FAST\": 0}'",
          "the constraints forbid this config" },
        { "bench tuner", "name folders of recorded spaces" },
        { "bench tuner .", "no *.json" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        auto_free char *text = NULL, *folder = xprintf("%s/empty", f->folder);
        assert_int_equal(folder_make(folder, NULL), 0);
        const char *args = str_eq(cases[i].args, "bench tuner .") ? "bench tuner empty" : cases[i].args;
        assert_int_equal(warpsmith(f, args, &text), 2);
        if (!strstr(text, cases[i].text)) {
            fail_msg("%s: %s", args, text);
        }
    }
}

/* Every figure of the bench is there; whether a bar is reached on so small a space is not the point. */
static void test_bench(void **state)
{
    const struct tune_made *f = *state;
    auto_free char *text = NULL;
    json_t *json = NULL;
    int code = warpsmith(f, "bench tuner space.json.gz --seeds 1 --json -", &text);
    assert_true(code == 0 || code == 1);
    assert_int_equal(jread_parse(text, strlen(text), &json, NULL), 0);
    const json_t *figures = json_object_get(json, "figures");
    assert_true(number(json_object_get(figures, "auto @200, mean"), "bar", NULL) == 0.98);
    assert_true(number(json_object_get(figures, "random @400, worst seed"), "value", NULL) == 1);
    assert_true(number(json_object_get(figures, "space.json.gz, genetic @400 mean"), "value", NULL) == 1);
    json_decref(json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json), cmocka_unit_test(test_pin), cmocka_unit_test(test_table),
        cmocka_unit_test(test_said), cmocka_unit_test(test_bench),
    };
    return cmocka_run_group_tests(tests, tune_made_setup, tune_made_teardown);
}
