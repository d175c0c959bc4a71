/* SPDX-License-Identifier: MIT */
/*
 * `warpsmith tune --replay` with a model and a page, as a user sees it, on the shipped space: questions
 * through a spool, the same command again, what is said where nobody can be asked, and report.html.
 */
#include "base/file.h"
#include "base/jread.h"
#include "base/util.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utime.h>
#include <cmocka.h>

enum { OUTPUT_MAX = 8 << 20 };
#define SPACE WS_SOURCE_DIR "/kernels/spaces/matmul_05_pipeline.H200.json.gz"
#define CONFIGS "{\"configs\":[{\"STAGES\":3},{\"STAGES\":4},{\"BM\":3}]}"

struct fixture {
    char folder[64];
    char *out, *err; /* of the last call */
};

static int setup(void **state)
{
    struct fixture *f = xcalloc(1, sizeof(*f));
    snprintf(f->folder, sizeof(f->folder), "/tmp/warpsmith-ask-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    unsetenv("OPENAI_API_KEY");
    setenv("WARPSMITH_WORKER", WS_BIN_DIR "/fake_worker", 1);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    folder_remove(f->folder, NULL);
    free(f->out);
    free(f->err);
    free(f);
    return 0;
}

/* In the fixture's folder; `words` are the shell's. */
static int call(struct fixture *f, const char *words)
{
    auto_free char *out = xprintf("%s/out", f->folder), *err = xprintf("%s/err", f->folder);
    auto_free char *line = xprintf("cd %s && " WS_BIN_DIR "/warpsmith %s --store store > out 2> err",
                                   f->folder, words);
    free(f->out);
    free(f->err);
    f->out = f->err = NULL;
    int status = system(line);
    assert_int_equal(file_read(out, OUTPUT_MAX, &f->out, NULL, NULL), 0);
    assert_int_equal(file_read(err, OUTPUT_MAX, &f->err, NULL, NULL), 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void assert_says(const char *text, const char *part)
{
    if (!strstr(text, part)) {
        fail_msg("\"%s\" isn't in: %s", part, text);
    }
}

/* Every question of the spool; returns how many there were. */
static size_t answer_all(struct fixture *f, const char *text)
{
    struct utimbuf old = { 1000000000, 1000000000 };
    auto_free char *questions = xprintf("%s/spool/out", f->folder);
    DIR *dir = opendir(questions);
    assert_non_null(dir);
    size_t n = 0;
    for (struct dirent *e; (e = readdir(dir));) {
        size_t len = strlen(e->d_name);
        if (len < 6 || strcmp(e->d_name + len - 5, ".json") != 0) {
            continue;
        }
        auto_free char *path
            = xprintf("%s/spool/in/%.*s.txt", f->folder, (int)(len - 5), e->d_name);
        assert_int_equal(file_write(path, text, strlen(text), NULL), 0);
        assert_int_equal(utime(path, &old), 0); /* old enough to be believed at once */
        n++;
    }
    closedir(dir);
    return n;
}

#define SEARCH "tune --replay " SPACE " --algorithm hybrid --evals 40 --seeds 2 --llm spool:spool --no-wait"

static void test_spool(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(call(f, SEARCH), 0);
    assert_says(f->err, "2 of 2 searches: a reply is awaited in spool/in");
    assert_string_equal(f->out, "");
    assert_int_equal(answer_all(f, CONFIGS), 2);
    assert_int_equal(call(f, SEARCH " --out page --json result.json"), 0);
    assert_says(f->out, "hybrid, 2 searches");
    assert_null(strstr(f->out, "without the model"));
    auto_free char *path = xprintf("%s/result.json", f->folder);
    json_t *json = NULL;
    assert_int_equal(jread_file(path, &json, NULL), 0);
    assert_int_equal(json_array_size(json_object_get(json, "notes")), 2);
    assert_string_equal(json_string_value(json_array_get(json_object_get(json, "notes"), 0)), "");
    json_decref(json);
    auto_free char *page_path = xprintf("%s/page/report.html", f->folder), *page = NULL;
    assert_int_equal(file_read(page_path, OUTPUT_MAX, &page, NULL, NULL), 0);
    static const char *const parts[] = { "recorded, not measured now", "Fastest configs", "2 searches",
                                         ">optimum<", "component 2", "which parameters mattered" };
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        assert_says(page, parts[i]);
    }
    assert_int_equal(call(f, "ledger --json -"), 0);
    assert_says(f->out, "\"calls\": 2");
}

/* What it was asked is a tuning, not a campaign. */
static void test_resume(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(call(f, SEARCH), 0);
    assert_int_equal(call(f, "report"), 0);
    char id[14] = "";
    snprintf(id, sizeof(id), "%s", f->out);
    assert_int_equal(id[0], 't');
    auto_free char *resume = xprintf("resume %s --gpu 0", id);
    assert_int_equal(call(f, resume), 2);
    assert_says(f->err, "is a tuning: give its command again");
}

static void test_nobody_to_ask(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(call(f, "tune --replay " SPACE " --algorithm llm --evals 30 --seeds 2"), 0);
    assert_says(f->out, "no model was asked (--llm)");
    assert_int_equal(call(f, "tune --replay " SPACE " --algorithm llm --evals 30 --seeds 2 --llm openai:m"), 0);
    assert_says(f->out, "search 2: asked for configs, round 0: openai needs a key");
    assert_int_equal(call(f, "tune --replay " SPACE " --evals 30 --seeds 1 --llm openai:m"), 0);
    assert_says(f->out, "hybrid, 1 search");
    assert_int_equal(call(f, "tune --replay " SPACE " --algorithm rank --llm openai:m"), 2);
    assert_says(f->err, "rank asks no model");
    assert_int_equal(call(f, "tune --replay " SPACE " --algorithm llm --llm oracle"), 2);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = { T(test_spool), T(test_resume), T(test_nobody_to_ask) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
