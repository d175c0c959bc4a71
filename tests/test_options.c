/* SPDX-License-Identifier: MIT */
/* The command line: what each option may be, and what is said of what it may not. */
#include "agent/options.h"
#include "base/buf.h"
#include "base/util.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

enum { WORDS_MAX = 16 };

static const struct command command = {
    .name = "try",
    .usage = "try TASK [options]",
    .help = "Tries.",
    .takes = "gpu store json seed steps jobs runs deadline until-sol tune fresh quiet verbose",
    .args_min = 1,
    .args_max = 2,
};

/* A command line and its words, which the options point into. */
struct line {
    char text[512];
    char *words[WORDS_MAX];
    int n;
    struct options options;
    char said[2048]; /* on stderr */
};

/* Calls `parse` with stderr caught. */
static int parse(struct line *l, const struct command *c, const char *text)
{
    *l = (struct line) { 0 };
    snprintf(l->text, sizeof(l->text), "%s", text);
    for (char *word = strtok(l->text, " "); word; word = strtok(NULL, " ")) {
        assert_true(l->n < WORDS_MAX);
        l->words[l->n++] = str_eq(word, "EMPTY") ? word + strlen(word) : word;
    }
    FILE *file = tmpfile();
    assert_non_null(file);
    fflush(stderr);
    int kept = dup(STDERR_FILENO);
    dup2(fileno(file), STDERR_FILENO);
    int r = options_parse(c, l->n, l->words, &l->options);
    fflush(stderr);
    dup2(kept, STDERR_FILENO);
    close(kept);
    rewind(file);
    size_t n = fread(l->said, 1, sizeof(l->said) - 1, file);
    l->said[n] = '\0';
    fclose(file);
    return r;
}

static void test_defaults(void **state)
{
    (void)state;
    struct line l;
    setenv("WARPSMITH_STORE", "/somewhere", 1);
    assert_int_equal(parse(&l, &command, "softmax"), 0);
    const struct options *o = &l.options;
    assert_string_equal(o->gpu, "auto");
    assert_string_equal(o->llm, "offline");
    assert_string_equal(o->store, "/somewhere");
    assert_int_equal(o->seed, 1);
    assert_int_equal(o->steps, -1);
    assert_int_equal(o->tune_budget, -1);
    assert_int_equal(o->runs, -1);
    assert_int_equal(o->jobs, 0);
    assert_null(o->json);
    assert_false(o->fresh || o->quiet || o->verbose || o->help);
    assert_null(o->log.out);
    assert_int_equal(o->n_args, 1);
    assert_string_equal(o->args[0], "softmax");
    assert_string_equal(l.said, "");
    options_done(&l.options);
}

/* Where the store is, with less and less to go by. */
static void test_store_place(void **state)
{
    (void)state;
    struct line l;
    static const struct {
        const char *store, *data, *home, *want;
    } cases[] = {
        { "/s", "/d", "/h", "/s" },
        { "", "/d", "/h", "/d/warpsmith/store" },
        { NULL, "", "/h", "/h/.local/share/warpsmith/store" },
        { NULL, NULL, NULL, "warpsmith-store" },
    };
    const char *names[] = { "WARPSMITH_STORE", "XDG_DATA_HOME", "HOME" };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const char *values[] = { cases[i].store, cases[i].data, cases[i].home };
        for (size_t k = 0; k < ARRAY_LEN(names); k++) {
            if (values[k]) {
                setenv(names[k], values[k], 1);
            } else {
                unsetenv(names[k]);
            }
        }
        assert_int_equal(parse(&l, &command, "t"), 0);
        assert_string_equal(l.options.store, cases[i].want);
        options_done(&l.options);
        assert_int_equal(parse(&l, &command, "t --store /mine"), 0);
        assert_string_equal(l.options.store, "/mine");
        options_done(&l.options);
        options_done(&l.options); /* twice is fine */
    }
    setenv("WARPSMITH_STORE", "/somewhere", 1);
}

static void test_values(void **state)
{
    (void)state;
    struct line l;
    assert_int_equal(parse(&l, &command, "--gpu=sim:h200 a --seed 7 --steps 0 --deadline 0.5 b "
                                         "--until-sol 1 --fresh --verbose --jobs=256 --tune 1e6"),
                     ERR_INVALID); /* whole numbers have no exponent */
    options_done(&l.options);
    assert_int_equal(parse(&l, &command, "--gpu=sim:h200 a --seed 7 --steps 0 --deadline 0.5 b "
                                         "--until-sol 1 --fresh --verbose --jobs=256 --json -"),
                     0);
    const struct options *o = &l.options;
    assert_string_equal(o->gpu, "sim:h200");
    assert_int_equal(o->seed, 7);
    assert_int_equal(o->steps, 0);
    assert_true(o->deadline_s == 0.5 && o->until_sol == 1);
    assert_true(o->fresh && o->verbose && !o->quiet);
    assert_ptr_equal(o->log.out, stderr);
    assert_int_equal(o->jobs, 256);
    assert_string_equal(o->json, "-");
    assert_int_equal(o->n_args, 2);
    assert_string_equal(o->args[0], "a");
    assert_string_equal(o->args[1], "b");
    options_done(&l.options);
    assert_int_equal(parse(&l, &command, "--seed 1 --seed 2 t"), 0);
    assert_int_equal(l.options.seed, 2); /* the last one counts */
    options_done(&l.options);
}

static void test_end_of_options(void **state)
{
    (void)state;
    struct line l;
    assert_int_equal(parse(&l, &command, "--fresh -- --seed -h"), 0);
    assert_int_equal(l.options.n_args, 2);
    assert_string_equal(l.options.args[0], "--seed");
    assert_string_equal(l.options.args[1], "-h");
    assert_true(l.options.fresh && !l.options.help);
    options_done(&l.options);
}

/* Every mistake is answered with what to write instead. */
static void test_mistakes(void **state)
{
    (void)state;
    static const struct {
        const char *line, *says;
    } cases[] = {
        { "t --sed 1", "there is no option --sed here, did you mean --seed?; see warpsmith try --help" },
        { "t --sed=1", "did you mean --seed?" },
        { "t --xyzzy", "there is no option --xyzzy here; see" },
        { "t --out dir", "there is no option --out here" }, /* another command's */
        { "t --llm offline", "there is no option --llm here" },
        { "t --see 1", "did you mean --seed?" }, /* no prefixes */
        { "t --seed", "--seed needs S" },
        { "t --deadline", "--deadline needs SECONDS" },
        { "t --fresh=yes", "--fresh takes no value" },
        { "t --fresh=", "--fresh takes no value" },
        { "t --gpu=", "--gpu is empty" },
        { "t --store EMPTY", "--store is empty" },
        { "t --seed x", "--seed x: expected a whole number from 0 to 9e+15" },
        { "t --seed -1", "expected a whole number" },
        { "t --seed 1.5", "expected a whole number" },
        { "t --seed 99999999999999999999", "expected a whole number" },
        { "t --seed=", "expected a whole number" },
        { "t --jobs 257", "from 0 to 256" },
        { "t --runs 0", "from 1 to" },
        { "t --deadline 0", "expected a number from 0.1 to 86400" },
        { "t --deadline nan", "expected a number" },
        { "t --deadline 1s", "expected a number" },
        { "t --until-sol 1.01", "from 0 to 1" },
        { "", "usage: warpsmith try TASK [options]\nsee warpsmith try --help" },
        { "a b c", "usage: warpsmith try" },
        { "t --", NULL },
        { "t --=1", "there is no option -- here" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct line l;
        int r = parse(&l, &command, cases[i].line);
        if (r != (cases[i].says ? ERR_INVALID : 0)
            || (cases[i].says && !strstr(l.said, cases[i].says))) {
            fail_msg("\"%s\": %d \"%s\"", cases[i].line, r, l.said);
        }
        options_done(&l.options);
    }
}

/* Help wants no arguments, and lists what the command takes and nothing else. */
static void test_help(void **state)
{
    (void)state;
    struct line l;
    static const char *const lines[] = { "--help", "-h", "a b c d --help" };
    for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
        assert_int_equal(parse(&l, &command, lines[i]), 0);
        assert_true(l.options.help);
        options_done(&l.options);
    }
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    options_help(&command, out);
    fclose(out);
    assert_non_null(strstr(text, "usage: warpsmith try TASK [options]"));
    assert_non_null(strstr(text, "--seed S"));
    assert_non_null(strstr(text, "--help"));
    assert_non_null(strstr(text, "exit codes"));
    assert_null(strstr(text, "--llm"));
    assert_null(strstr(text, "--out"));
    free(text);
}

/* An option's name inside another's isn't the option. */
static void test_names_are_whole_words(void **state)
{
    (void)state;
    struct command narrow = command;
    narrow.takes = "gpu-seconds until-sol";
    struct line l;
    assert_int_equal(parse(&l, &narrow, "t --gpu sim"), ERR_INVALID);
    options_done(&l.options);
    assert_int_equal(parse(&l, &narrow, "t --gpu-seconds 5"), 0);
    assert_true(l.options.gpu_s == 5);
    assert_string_equal(l.options.gpu, "auto");
    options_done(&l.options);
}

static void test_exit_codes(void **state)
{
    (void)state;
    static const struct {
        int code, exit;
    } cases[] = {
        { ERR_INVALID, EXIT_USAGE },           { ERR_NOTFOUND, EXIT_USAGE },
        { -ENOENT, EXIT_USAGE },               { ERR_TOOBIG, EXIT_USAGE },
        { ERR_CANCELED, EXIT_NEGATIVE },       { ERR_ENVIRONMENT, EXIT_ENVIRONMENT },
        { ERR_BUSY, EXIT_ENVIRONMENT },        { ERR_FULL, EXIT_ENVIRONMENT },
        { ERR_UNSUPPORTED, EXIT_ENVIRONMENT }, { -EACCES, EXIT_ENVIRONMENT },
        { -ENOSPC, EXIT_ENVIRONMENT },         { ERR_BUG, EXIT_ENVIRONMENT },
        { ERR_CRASH, EXIT_ENVIRONMENT },       { ERR_PROTOCOL, EXIT_ENVIRONMENT },
        { ERR_TIMEOUT, EXIT_ENVIRONMENT },
    };
    fflush(stderr);
    int kept = dup(STDERR_FILENO);
    FILE *null = fopen("/dev/null", "we");
    dup2(fileno(null), STDERR_FILENO);
    int got[ARRAY_LEN(cases)];
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err err = { 0 };
        err_set(&err, cases[i].code, "what happened");
        got[i] = options_fail(&err);
    }
    fflush(stderr);
    dup2(kept, STDERR_FILENO);
    close(kept);
    fclose(null);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        if (got[i] != cases[i].exit) {
            fail_msg("%s: exit code %d", err_name(cases[i].code), got[i]);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_store_place),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_end_of_options),
        cmocka_unit_test(test_mistakes),
        cmocka_unit_test(test_help),
        cmocka_unit_test(test_names_are_whole_words),
        cmocka_unit_test(test_exit_codes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
