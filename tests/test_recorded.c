/* SPDX-License-Identifier: MIT */
/* Recorded files of both formats, and what is wrong with bad ones. */
#include "agent/tune/recorded.h"
#include "agent/tune/tune_config.h"
#include "agent/tune/tune_replay.h"
#include "base/file.h"
#include "base/util.h"

#include <glob.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

/* Two of six configs aren't there, one fails, one value is never used. */
static const char cache_text[]
    = "{\"device_name\": \"A device\", \"kernel_name\": \"sum\", \"problem_size\": 1024,"
      " \"tune_params_keys\": [\"block\", \"mode\", \"fast\", \"fixed\"],"
      " \"tune_params\": {\"block\": [128, 32, 64, 7], \"mode\": [\"a\", \"b\"], \"fast\": [0, 1], \"fixed\": [15]},"
      " \"objective\": \"time\", \"cache\": {"
      "\"32,a\": {\"block\": 32, \"mode\": \"a\", \"fast\": 0, \"fixed\": 15, \"time\": 4.0, \"times\": [3, 5, 4]},"
      "\"128,b\": {\"block\": 128, \"mode\": \"b\", \"fast\": 1, \"fixed\": 15, \"time\": 2.0, \"times\": [40, 20]},"
      "\"64,b\": {\"block\": 64, \"mode\": \"b\", \"fast\": 0, \"fixed\": 15, \"time\": \"RuntimeFailedConfig\"},"
      "\"64,a\": {\"block\": 64, \"mode\": \"a\", \"fast\": 0, \"fixed\": 15, \"time\": \"InvalidConfig\"},"
      "\"32,b\": {\"block\": 32, \"mode\": \"b\", \"fast\": 0, \"fixed\": 15, \"time\": 8}}}";

static const char t4_text[]
    = "{\"schema_version\": \"1.0.0\", \"metadata\": {\"kernel\": \"sum\", \"device\": \"A device\"},"
      " \"results\": ["
      "{\"configuration\": {\"block\": 32, \"mode\": \"a\"}, \"times\": {\"runtimes\": [3, 5]},"
      " \"invalidity\": \"correct\", \"correctness\": 1, \"measurements\": ["
      "{\"name\": \"GFLOP/s\", \"value\": 7}, {\"name\": \"time\", \"value\": 4.5, \"unit\": \"ms\"}]},"
      "{\"configuration\": {\"block\": 64, \"mode\": \"a\"}, \"times\": {\"runtimes\": [3, 5]},"
      " \"invalidity\": \"correct\", \"correctness\": 1},"
      "{\"configuration\": {\"mode\": \"b\", \"block\": 64}, \"times\": {}, \"invalidity\": \"compile\","
      " \"correctness\": 1},"
      "{\"configuration\": {\"block\": 32, \"mode\": \"b\"}, \"times\": {}, \"invalidity\": \"constraints\","
      " \"correctness\": 1}]}";

#define CACHE(entries)                                                                             \
    "{\"tune_params_keys\": [\"a\", \"b\"], \"tune_params\": {\"a\": [1, 2], \"b\": [\"x\"]}, \"cache\": {" entries "}}"
#define T4(entries) "{\"results\": [" entries "]}"
#define GOOD_T4 "{\"configuration\": {\"a\": 1}, \"invalidity\": \"correct\", \"times\": {\"runtimes\": [1]}}"

static struct recorded *parse(const char *text)
{
    struct recorded *recorded = NULL;
    struct err err = { 0 };
    if (recorded_parse(text, strlen(text), &recorded, &err) < 0) {
        fail_msg("%s", err_text(&err));
    }
    return recorded;
}

static void test_cache(void **state)
{
    (void)state;
    struct recorded *r = parse(cache_text);
    const struct tune_space *s = r->space;
    assert_string_equal(r->kernel, "sum");
    assert_string_equal(r->device, "A device");
    assert_int_equal(s->n, 3); /* "fixed" has one value */
    assert_string_equal(s->params[0].name, "block");
    assert_int_equal(s->params[0].kind, TUNE_POW2); /* 7 is never used */
    assert_int_equal(s->params[0].n, 3);
    assert_string_equal(s->params[0].texts[2], "128");
    assert_int_equal(s->params[1].kind, TUNE_CHOICE);
    assert_int_equal(s->params[2].kind, TUNE_BOOL);
    assert_int_equal(s->n_listed, 4); /* the invalid one isn't a config */
    const uint16_t expected[] = { 0, 0, 0, 2, 1, 1, 1, 1, 0, 0, 1, 0 };
    assert_memory_equal(s->listed, expected, sizeof(expected));
    assert_true(r->times[0] == 4 && r->times[1] == 2 && isnan(r->times[2]) && r->times[3] == 8);
    assert_int_equal(r->status[2], RECORDED_RUNTIME);
    assert_int_equal(r->n_failed, 1);
    assert_int_equal(r->best, 1);
    assert_true(r->optimum == 2);
    const uint16_t invalid[] = { 1, 0, 0 };
    assert_int_equal(tune_space_allows(s, invalid), 0);
    recorded_free(r);
}

static void test_t4(void **state)
{
    (void)state;
    struct recorded *r = parse(t4_text);
    assert_string_equal(r->kernel, "sum");
    assert_int_equal(r->space->n_listed, 3);
    assert_true(r->times[0] == 4.5 && r->times[1] == 4 && isnan(r->times[2]));
    assert_int_equal(r->status[2], RECORDED_COMPILE);
    assert_int_equal(r->best, 1);
    recorded_free(r);
}

/* Some tuners write all values in quotes. */
static void test_quoted(void **state)
{
    (void)state;
    struct recorded *r = parse(T4(
        "{\"configuration\": {\"a\": \"64\", \"b\": \"1\", \"c\": \"2\"}, \"invalidity\": \"correct\","
        " \"times\": {\"runtimes\": [2]}},"
        "{\"configuration\": {\"a\": \"8\", \"b\": \"1.0\", \"c\": \"x\"}, \"invalidity\": \"correct\","
        " \"times\": {\"runtimes\": [1]}}"));
    assert_int_equal(r->space->params[0].kind, TUNE_POW2);
    assert_true(r->space->params[0].values[0] == 8);
    assert_int_equal(r->space->params[1].kind, TUNE_CHOICE); /* different words, one number */
    assert_int_equal(r->space->params[2].kind, TUNE_CHOICE);
    recorded_free(r);
}

/* Single timings are shares of their own mean: 20 and 40 of a mean of 2 are 1.33 and 2.67. */
static void test_noise(void **state)
{
    (void)state;
    struct recorded *r = parse(cache_text);
    struct rng rng;
    bool low = false, high = false;
    rng_init(&rng, 1, 2, 3);
    for (int i = 0; i < 100; i++) {
        double time = recorded_noisy(r, 1, &rng);
        low = low || fabs(time - 4. / 3) < 1e-9;
        high = high || fabs(time - 8. / 3) < 1e-9;
        assert_true(fabs(time - 4. / 3) < 1e-9 || fabs(time - 8. / 3) < 1e-9);
    }
    assert_true(low && high);
    assert_true(isnan(recorded_noisy(r, 2, &rng)));
    assert_true(recorded_noisy(r, 3, &rng) == 8); /* has none */
    recorded_free(r);
}

/* --- What is wrong with a file --- */

static void test_bad(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int code;
        const char *error;
    } cases[] = {
        { "", ERR_INVALID, "line 1, column 0: '[' or '{' expected near end of file" },
        { "[1]", ERR_INVALID, "neither \"cache\" (Kernel Tuner) nor \"results\" (T4) is in it" },
        { "{\"cache\": {}}", ERR_INVALID, "the key \"tune_params_keys\" is missing" },
        { CACHE(""), ERR_NOTFOUND, "holds no config" },
        { CACHE("\"1,x\": {\"a\": 1, \"b\": \"x\", \"time\": \"RuntimeFailedConfig\"}"), ERR_NOTFOUND,
          "none of its 1 configs ran" },
        { CACHE("\"1,x\": {\"a\": 1, \"b\": \"x\", \"time\": -3}"), ERR_INVALID,
          "cache.1,x.time: -3 is not a time" },
        { CACHE("\"1,x\": {\"a\": 1, \"b\": \"x\", \"time\": 0}"), ERR_INVALID,
          "cache.1,x.time: 0 is not a time" },
        { CACHE("\"1,x\": {\"a\": 1, \"b\": \"x\", \"time\": NaN}"), ERR_INVALID,
          "line 1, column 122: invalid token near 'NaN'" },
        { CACHE("\"1,x\": {\"a\": 1, \"b\": \"x\", \"time\": null}"), ERR_INVALID,
          "cache.1,x.time: expected a time, got null" },
        { CACHE("\"1,x\": {\"a\": 1, \"b\": \"x\", \"time\": \"ok\"}"), ERR_INVALID,
          "cache.1,x.time: expected a time, CompilationFailedConfig, RuntimeFailedConfig or InvalidConfig" },
        { CACHE("\"1,x\": {\"a\": 1, \"b\": \"x\"}"), ERR_INVALID,
          "cache.1,x: the key \"time\" is missing" },
        { CACHE("\"1,x\": {\"a\": 1, \"b\": \"x\", \"time\": 1, \"times\": [2, \"3\"]}"), ERR_INVALID,
          "cache.1,x.times[1]: expected a time, got a string" },
        { CACHE("\"1\": {\"a\": 1, \"time\": 1}"), ERR_INVALID, "cache.1: the parameter \"b\" is missing" },
        { CACHE("\"3,x\": {\"a\": 3, \"b\": \"x\", \"time\": 1}"), ERR_INVALID,
          "cache.3,x.a: 3 is not among tune_params.a" },
        { CACHE("\"1,y\": {\"a\": 1, \"b\": \"y\", \"time\": 1}"), ERR_INVALID,
          "cache.1,y.b: y is not among tune_params.b" },
        { CACHE("\"1,x\": {\"a\": [1], \"b\": \"x\", \"time\": 1}"), ERR_INVALID,
          "cache.1,x.a: expected a number, true, false or a word of 256 bytes at most, got an array" },
        { CACHE("\"1,x\": {\"a\": 1, \"b\": \"x\", \"time\": 1}, \"x\": {\"a\": 1.0, \"b\": \"x\", \"time\": 2}"),
          ERR_EXISTS, "config 1 is config 0 again" },
        { CACHE("\"1,x\": {\"time\": 1}, \"1,x\": {\"time\": 2}"), ERR_INVALID,
          "line 1, column 110: duplicate object key near '\"1,x\"'" },
        { "{\"tune_params_keys\": [\"a\", \"a\"], \"tune_params\": {\"a\": [1]}, \"cache\": {}}", ERR_INVALID,
          "tune_params_keys[1]: the parameter \"a\" stands there twice" },
        { "{\"tune_params_keys\": [\"c\"], \"tune_params\": {\"a\": [1]}, \"cache\": {}}", ERR_INVALID,
          "tune_params_keys[0]: tune_params has no list \"c\"" },
        { "{\"tune_params_keys\": [], \"tune_params\": {}, \"cache\": []}", ERR_INVALID,
          "cache: expected an object, got an array" },
        { T4(""), ERR_NOTFOUND, "holds no config" },
        { T4("7"), ERR_INVALID, "results[0].configuration: expected an object, got null" },
        { T4("{\"configuration\": {\"a\": 1}}"), ERR_INVALID,
          "results[0]: the key \"invalidity\" is missing" },
        { T4("{\"configuration\": {\"a\": 1}, \"invalidity\": \"bad\"}"), ERR_INVALID,
          "results[0].invalidity: expected correct, compile, runtime, correctness, timeout or constraints" },
        { T4("{\"configuration\": {\"a\": 1}, \"invalidity\": \"correct\"}"), ERR_INVALID,
          "results[0]: correct, but neither a measurement \"time\" nor runtimes are there" },
        { T4(GOOD_T4 ", {\"configuration\": {\"a\": 1, \"b\": 2}, \"invalidity\": \"compile\"}"), ERR_INVALID,
          "results[1].configuration: 2 parameters, 1 in those before" },
        { T4(GOOD_T4 ", {\"configuration\": {\"b\": 2}, \"invalidity\": \"compile\"}"), ERR_INVALID,
          "results[1].configuration: the parameter \"a\" is missing" },
        { T4(GOOD_T4 ", " GOOD_T4), ERR_EXISTS, "config 1 is config 0 again" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct recorded *recorded = NULL;
        struct err err = { 0 };
        assert_int_equal(recorded_parse(cases[i].text, strlen(cases[i].text), &recorded, &err),
                         cases[i].code);
        assert_string_equal(err_text(&err), cases[i].error);
        assert_null(recorded);
        assert_int_equal(recorded_parse(cases[i].text, strlen(cases[i].text), &recorded, NULL),
                         cases[i].code);
    }
}

/* Whatever is cut off a good file, plain or gzip, it is refused. */
static void test_cut(void **state)
{
    (void)state;
    char path[] = "/tmp/warpsmith-recorded-XXXXXX.gz";
    auto_close int fd = mkstemps(path, 3);
    assert_true(fd >= 0);
    auto_free char *packed = NULL;
    size_t len, n = strlen(cache_text);
    struct recorded *recorded = NULL;
    assert_int_equal(recorded_write(path, cache_text, n, NULL), 0);
    assert_int_equal(file_read(path, 1 << 20, &packed, &len, NULL), 0);
    assert_true(len < n);
    for (size_t i = 0; i < n; i++) {
        assert_true(recorded_parse(cache_text, i, &recorded, NULL) < 0);
    }
    for (size_t i = 0; i < len; i++) {
        struct err err = { 0 };
        assert_true(recorded_parse(packed, i, &recorded, &err) < 0);
        assert_true(i < 2 || strstr(err_text(&err), "is it cut?"));
    }
    assert_null(recorded);
    assert_int_equal(recorded_parse(packed, len, &recorded, NULL), 0);
    recorded_free(recorded);
    packed[len / 2] ^= 0x55;
    struct err err = { 0 };
    assert_true(recorded_read(path, &recorded, &err) == 0);
    recorded_free(recorded);
    assert_true(recorded_parse(packed, len, &recorded, &err) < 0);
    unlink(path);
    assert_int_equal(recorded_read(path, &recorded, &err), -2 /* ENOENT */);
    assert_non_null(strstr(err_text(&err), path));
}

/* 300 MiB of blanks in 300 kB, and more values than a parser should be asked to hold. */
static void test_too_much(void **state)
{
    (void)state;
    size_t len = (size_t)RECORDED_VALUES_MAX + 100;
    auto_free char *many = xcalloc(len + 1, 1);
    struct recorded *recorded = NULL;
    struct err err = { 0 };
    memset(many, ',', len);
    assert_int_equal(recorded_parse(many, len, &recorded, &err), ERR_TOOBIG);
    assert_string_equal(err_text(&err), "more than 8388608 values");

    char path[] = "/tmp/warpsmith-recorded-XXXXXX.gz";
    auto_close int fd = mkstemps(path, 3);
    assert_true(fd >= 0);
    enum { PART = 10 << 20 };
    auto_free char *blank = xcalloc(PART, 1), *packed = NULL;
    size_t one;
    memset(blank, ' ', PART);
    assert_int_equal(recorded_write(path, blank, PART, NULL), 0);
    assert_int_equal(file_read(path, 1 << 20, &packed, &one, NULL), 0);
    unlink(path);
    auto_free char *bomb = xcalloc(30, one);
    for (size_t i = 0; i < 30; i++) {
        memcpy(bomb + i * one, packed, one); /* members of one file */
    }
    assert_int_equal(recorded_parse(bomb, 30 * one, &recorded, &err), ERR_TOOBIG);
    assert_string_equal(err_text(&err), "inflates to more than 256 MiB");
    assert_null(recorded);
    bomb[one] = 'x';
    assert_int_equal(recorded_parse(bomb, 2 * one, &recorded, &err), ERR_INVALID);
    assert_non_null(strstr(err_text(&err), "bytes that aren't gzip follow its end"));
}

/* --- Written and read again --- */

static void check_same(const struct recorded *a, const struct recorded *b)
{
    assert_true(id_eq(&a->space->id, &b->space->id));
    assert_int_equal(a->space->n_listed, b->space->n_listed);
    assert_int_equal(a->first[a->space->n_listed], b->first[b->space->n_listed]);
    for (size_t i = 0; i < a->space->n_listed; i++) {
        assert_true(a->times[i] == b->times[i] || (isnan(a->times[i]) && isnan(b->times[i])));
        assert_int_equal(a->status[i], b->status[i]);
    }
    for (size_t i = 0; i < a->first[a->space->n_listed]; i++) {
        assert_true(a->single[i] == b->single[i]);
    }
    assert_string_equal(a->kernel, b->kernel);
    assert_string_equal(a->device, b->device);
}

static void test_written(void **state)
{
    (void)state;
    static const char *const ends[] = { "/tmp/warpsmith-recorded-XXXXXX.json",
                                        "/tmp/warpsmith-recorded-XXXXXX.gz" };
    struct recorded *a = parse(cache_text), *b = NULL;
    struct recorded_entry entries[4];
    for (size_t i = 0; i < 4; i++) {
        entries[i] = (struct recorded_entry) {
            .config = a->space->listed + i * a->space->n, .status = a->status[i], .time_ms = a->times[i],
            .n_single = a->first[i + 1] - a->first[i], .single_ms = a->single + a->first[i],
            .compile_ms = 12.5,
        };
    }
    const struct recorded_about about = { .kernel = "sum", .device = "A device", .driver = "1.2" };
    for (size_t i = 0; i < 2; i++) {
        auto_free char *path = xstrdup(ends[i]);
        auto_close int fd = mkstemps(path, i ? 3 : 5);
        assert_true(fd >= 0);
        struct err err = { 0 };
        if (recorded_write_t4(path, a->space, &about, entries, 4, &err) < 0
            || recorded_read(path, &b, &err) < 0) {
            fail_msg("%s", err_text(&err));
        }
        check_same(a, b);
        recorded_free(b);
        entries[0].time_ms = NAN;
        assert_int_equal(recorded_write_t4(path, a->space, &about, entries, 4, &err), ERR_INVALID);
        assert_non_null(strstr(err_text(&err), "config 0: a time that isn't one"));
        entries[0].time_ms = a->times[0];
        unlink(path);
    }
    recorded_free(a);
}

/* A space of samples at hand. */
static void test_built(void **state)
{
    (void)state;
    static const char *const texts[] = { "{\"B\": 64, \"V\": 1.5}", "{\"B\": 96, \"V\": 3}", "{\"B\": 64, \"V\": 3}" };
    struct recorded_sample samples[4];
    for (size_t i = 0; i < 3; i++) {
        samples[i] = (struct recorded_sample) { json_loads(texts[i], 0, NULL), RECORDED_CORRECT, 3. - (double)i };
    }
    samples[1].status = RECORDED_TIMEOUT;
    samples[3] = samples[0];
    struct recorded *r = NULL;
    struct err err = { 0 };
    assert_int_equal(recorded_build(samples, 3, &r, &err), 0);
    assert_int_equal(r->space->n, 2);
    assert_int_equal(r->space->params[0].kind, TUNE_NUMBER);
    assert_string_equal(r->space->params[1].texts[0], "1.5");
    assert_int_equal(r->best, 2);
    assert_true(r->times[0] == 3 && isnan(r->times[1]));
    recorded_free(r);
    assert_int_equal(recorded_build(samples, 4, &r, &err), ERR_EXISTS);
    assert_int_equal(recorded_build(NULL, 0, &r, &err), ERR_NOTFOUND);
    for (size_t i = 0; i < 3; i++) {
        json_decref((json_t *)(uintptr_t)samples[i].config);
    }
}

/* What ships is whole: single timings beside every mean, and more than one config near the optimum. */
static void test_shipped(void **state)
{
    (void)state;
    glob_t found;
    assert_int_equal(glob(WS_SOURCE_DIR "/kernels/spaces/*.json.gz", 0, NULL, &found), 0);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        struct recorded *r = NULL;
        struct err err = { 0 };
        if (recorded_read(found.gl_pathv[i], &r, &err) < 0) {
            fail_msg("%s", err_text(&err));
        }
        assert_true(*r->device && *r->kernel && r->space->n_listed >= 1000);
        size_t near = 0;
        for (size_t row = 0; row < r->space->n_listed; row++) {
            assert_true(isnan(r->times[row]) || r->first[row + 1] - r->first[row] >= 5);
            near += r->times[row] < 1.1 * r->optimum;
        }
        assert_true(near > 1);
        recorded_free(r);
    }
    globfree(&found);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cache), cmocka_unit_test(test_quoted), cmocka_unit_test(test_t4),       cmocka_unit_test(test_noise),
        cmocka_unit_test(test_bad),   cmocka_unit_test(test_cut),      cmocka_unit_test(test_too_much),
        cmocka_unit_test(test_written), cmocka_unit_test(test_built), cmocka_unit_test(test_shipped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
