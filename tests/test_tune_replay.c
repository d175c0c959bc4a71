/* SPDX-License-Identifier: MIT */
/* Searches on a recorded space, in the library and by the command, on a landscape made here. */
#include "agent/tune/tune_config.h"
#include "agent/tune/tune_replay.h"
#include "base/file.h"
#include "base/util.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

enum { BLOCKS = 5, TILES = 8, WAYS = 3, CONFIGS_MAX = BLOCKS * TILES * WAYS * 2, EVALS = 60 };

static const double digits = 1e-8; /* what JSON for people keeps */

struct fixture {
    char folder[40];
    char *path; /* the space as T4 */
    struct recorded *recorded;
};

/* Milliseconds: a valley along BLOCK * TILE = 256, deeper for one WAY, with a hill per parity. */
static double time_of(int block, int tile, int way, int fast)
{
    double off = log2(block * tile / 256.);
    return 1 + off * off + 0.3 * ((way + 1) % WAYS) + 0.1 * (tile % 2) - 0.2 * (fast && block < 128);
}

/* Too large blocks fail; too much work a block isn't allowed. */
static size_t make_samples(struct recorded_sample *ret)
{
    static const char *const ways[WAYS] = { "row", "column", "tile" };
    size_t n = 0;
    for (int i = 0; i < CONFIGS_MAX; i++) {
        int block = 32 << (i / (TILES * WAYS * 2)), tile = 1 + i / (WAYS * 2) % TILES;
        int way = i / 2 % WAYS, fast = i % 2;
        if (block * tile > 1024) {
            continue;
        }
        bool fails = block == 512 && fast;
        ret[n++] = (struct recorded_sample) {
            .config = json_pack("{s:i, s:i, s:s, s:i}", "BLOCK", block, "TILE", tile, "WAY", ways[way],
                                "FAST", fast),
            .status = fails ? RECORDED_RUNTIME : RECORDED_CORRECT,
            .time = time_of(block, tile, way, fast),
        };
    }
    return n;
}

/* Three single timings each, 10 % apart. */
static void write_space(struct fixture *f)
{
    const struct recorded *r = f->recorded;
    struct recorded_entry entries[CONFIGS_MAX];
    double single[CONFIGS_MAX][3];
    for (size_t i = 0; i < r->space->n_listed; i++) {
        for (int k = 0; k < 3; k++) {
            single[i][k] = r->times[i] * (0.9 + 0.1 * k);
        }
        entries[i] = (struct recorded_entry) {
            .config = r->space->listed + i * r->space->n, .status = r->status[i],
            .time_ms = r->times[i], .n_single = isnan(r->times[i]) ? 0 : 3, .single_ms = single[i],
        };
    }
    const struct recorded_about about = { .kernel = "made", .device = "none" };
    assert_int_equal(recorded_write_t4(f->path, r->space, &about, entries, r->space->n_listed, NULL), 0);
}

static int setup(void **state)
{
    struct fixture *f = xcalloc(1, sizeof(*f));
    struct recorded_sample samples[CONFIGS_MAX];
    size_t n = make_samples(samples);
    strcpy(f->folder, "/tmp/warpsmith-replay-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    f->path = xprintf("%s/space.json.gz", f->folder);
    assert_int_equal(recorded_build(samples, n, &f->recorded, NULL), 0);
    for (size_t i = 0; i < n; i++) {
        json_decref((json_t *)(uintptr_t)samples[i].config);
    }
    write_space(f);
    recorded_free(f->recorded);
    assert_int_equal(recorded_read(f->path, &f->recorded, NULL), 0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    folder_remove(f->folder, NULL);
    recorded_free(f->recorded);
    free(f->path);
    free(f);
    return 0;
}

/* --- The library --- */

static struct tune_replay_run run_once(const struct fixture *f, struct tune_replay_options options)
{
    struct tune_replay_run run;
    struct err err = { 0 };
    if (tune_replay(f->recorded, &options, &run, &err) < 0) {
        fail_msg("%s", err_text(&err));
    }
    return run;
}

/* The curve is the best by the recorded means so far, whatever the algorithm and the batch. */
static void check_run(const struct fixture *f, const struct tune_replay_run *run)
{
    const struct tune_space *space = f->recorded->space;
    double best = INFINITY;
    size_t failed = 0;
    assert_true(run->n <= EVALS);
    for (size_t i = 0; i < run->n; i++) {
        int64_t row = tune_space_find(space, run->configs + i * space->n);
        assert_true(row >= 0);
        double time = f->recorded->times[row];
        assert_true(run->times[i] == time || (isnan(run->times[i]) && isnan(time)));
        failed += isnan(time);
        best = time < best ? time : best;
        assert_true(run->curve[i] == (isinf(best) ? 0 : f->recorded->optimum / best));
        for (size_t k = 0; k < i; k++) {
            assert_memory_not_equal(run->configs + i * space->n, run->configs + k * space->n,
                                    space->n * sizeof(*run->configs));
        }
    }
    assert_int_equal(run->n_failed, failed);
    assert_true(run->score == run->curve[run->n - 1] && run->time == best);
}

static void test_runs(void **state)
{
    const struct fixture *f = *state;
    for (const char *const *name = tuner_algorithms(); *name; name++) {
        for (size_t batch = 1; batch <= 16; batch += 5) {
            struct tune_replay_run run = run_once(
                f, (struct tune_replay_options) {
                       .tuner = { .algorithm = *name, .budget = EVALS, .seed = batch },
                       .batch = batch, .unlisted = batch == 6 && !str_eq(*name, "exhaustive") });
            if (run.n > 0) { /* `prior` has nothing to propose */
                check_run(f, &run);
            }
            assert_true(run.n == EVALS || str_eq(*name, "prior"));
            assert_string_equal(run.algorithm, *name);
            tune_replay_done(&run);
        }
    }
}

/* What was told is a recorded share of the mean, and the best told is what is judged. */
static void test_noise(void **state)
{
    const struct fixture *f = *state;
    struct tune_replay_run run = run_once(
        f, (struct tune_replay_options) { .tuner = { .algorithm = "random", .budget = EVALS, .seed = 1 },
                                          .noise = true });
    double best = INFINITY;
    size_t off = 0, row = 0;
    for (size_t i = 0; i < run.n; i++) {
        size_t at = (size_t)tune_space_find(f->recorded->space, run.configs + i * f->recorded->space->n);
        double share = run.times[i] / f->recorded->times[at];
        assert_true(isnan(share) || fabs(share - 0.9) < 1e-9 || fabs(share - 1) < 1e-9
                    || fabs(share - 1.1) < 1e-9);
        off += !isnan(share) && fabs(share - 1) > 1e-9;
        row = run.times[i] < best ? at : row;
        best = run.times[i] < best ? run.times[i] : best;
        assert_true(isinf(best) || run.curve[i] == f->recorded->optimum / f->recorded->times[row]);
    }
    assert_true(off > EVALS / 3);
    assert_int_equal(run.best, row);
    tune_replay_done(&run);
}

static void test_reach(void **state)
{
    (void)state;
    double curve[] = { 0, 0.5, 0.5, 0.96 };
    const struct tune_replay_run run = { .n = 4, .curve = curve };
    assert_int_equal(tune_replay_reach(&run, 0.4), 2);
    assert_int_equal(tune_replay_reach(&run, 0.96), 4);
    assert_int_equal(tune_replay_reach(&run, 0.97), SIZE_MAX);
}

/* Threads change nothing; a job that fails says so and leaves the others alone. */
static void test_many(void **state)
{
    const struct fixture *f = *state;
    struct tune_replay_job jobs[2][9];
    memset(jobs, 0, sizeof(jobs));
    for (size_t t = 0; t < 2; t++) {
        for (size_t i = 0; i < 9; i++) {
            jobs[t][i].recorded = f->recorded;
            jobs[t][i].options.tuner = (struct tuner_options) {
                .algorithm = i == 4 ? "none such" : i % 2 ? "genetic" : "rank", .budget = EVALS, .seed = i };
        }
        tune_replay_many(jobs[t], 9, t ? 4 : 1);
    }
    for (size_t i = 0; i < 9; i++) {
        const struct tune_replay_run *a = &jobs[0][i].run, *b = &jobs[1][i].run;
        assert_int_equal(jobs[0][i].code, i == 4 ? ERR_INVALID : 0);
        assert_int_equal(jobs[1][i].code, jobs[0][i].code);
        if (i == 4) {
            assert_non_null(strstr(err_text(&jobs[1][i].err), "none such"));
            continue;
        }
        assert_int_equal(a->n, b->n);
        assert_memory_equal(a->configs, b->configs,
                            a->n * f->recorded->space->n * sizeof(*a->configs));
        tune_replay_done(&jobs[0][i].run);
        tune_replay_done(&jobs[1][i].run);
    }
}

/* --- The command --- */

/* Runs warpsmith with the options after the file; its exit code, stdout and stderr in one. */
static int warpsmith(const struct fixture *f, const char *args, char **ret_text)
{
    auto_free char *out = xprintf("%s/out", f->folder);
    auto_free char *line = xprintf("cd '%s' && '%s/warpsmith' %s >'%s' 2>&1", f->folder, WS_BIN_DIR,
                                   args, out);
    int status = system(line);
    size_t len;
    assert_int_equal(file_read(out, 1 << 22, ret_text, &len, NULL), 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static json_t *warpsmith_json(const struct fixture *f, const char *args)
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
    const struct fixture *f = *state;
    json_t *json = warpsmith_json(f, "tune --replay space.json.gz --algorithm genetic --evals 50 --seeds 4 "
                                     "--seed 7 --json -");
    json_t *curves = json_object_get(json, "curves");
    double worst = 1, sum = 0;
    assert_string_equal(json_string_value(json_object_get(json, "algorithm")), "genetic");
    assert_int_equal(json_array_size(curves), 4);
    for (size_t i = 0; i < 4; i++) {
        struct tune_replay_run run = run_once(f, (struct tune_replay_options) {
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
    const struct fixture *f = *state;
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
    const struct fixture *f = *state;
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
    const struct fixture *f = *state;
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
    const struct fixture *f = *state;
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
        cmocka_unit_test(test_runs), cmocka_unit_test(test_noise), cmocka_unit_test(test_reach),
        cmocka_unit_test(test_many), cmocka_unit_test(test_json),  cmocka_unit_test(test_pin),
        cmocka_unit_test(test_table), cmocka_unit_test(test_said), cmocka_unit_test(test_bench),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
