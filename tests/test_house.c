/* SPDX-License-Identifier: MIT */
/*
 * House rules that the compiler doesn't know, read off the source: includes point down only, a
 * foreign library is included in its one or two files, files stay readable, every folder is
 * introduced. The rules are plain functions, tried on lines that break them before the tree is.
 */
#include "base/buf.h"
#include "base/file.h"
#include "base/util.h"

#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { LINES_MAX = 600, README_LINES_MAX = 30, FILE_MAX = 4 << 20 };

static const char *const folders[] = { "base",      "graph", "kernelbench", "memory",
                                       "evaluator", "agent", "kernels",     "tests" };

/* Who may include whom: a folder and the folders that its files may name. */
static const struct {
    const char *folder, *may[8];
} layers[] = {
    { "base/", { "base/" } },
    { "graph/", { "base/", "graph/" } },
    { "kernelbench/", { "base/", "kernelbench/" } },
    { "memory/", { "base/", "graph/", "kernelbench/", "memory/" } },
    { "evaluator/", { "base/", "graph/", "kernelbench/", "evaluator/" } },
    { "agent/", { "base/", "graph/", "kernelbench/", "memory/", "evaluator/", "agent/" } },
};

/* A foreign header and the beginnings of the paths of the files that may include it. */
static const struct {
    const char *header, *may[4];
} foreign[] = {
    { "lmdb.h", { "memory/store" } },
    { "curl/curl.h", { "agent/http" } },
    { "microhttpd.h", { "agent/api" } },
    { "cuda.h", { "evaluator/worker/", "evaluator/sim/" } },
    { "nvrtc.h", { "evaluator/worker/", "evaluator/sim/" } },
    { "uv.h", { "memory/", "evaluator/", "agent/" } },
    { "seccomp.h", { "evaluator/worker/" } },
    { "sodium.h", { "base/id.c" } },
    { "zlib.h", { "agent/tune/recorded_file.c", "agent/export_python.c" } },
};

static bool begins_with_any(const char *text, const char *const *prefixes, size_t n)
{
    for (size_t i = 0; i < n && prefixes[i]; i++) {
        if (str_prefix(text, prefixes[i])) {
            return true;
        }
    }
    return false;
}

/* Tests stand above everything and may include anything. */
static bool include_ok(const char *path, const char *header)
{
    if (str_prefix(path, "tests/")) {
        return true;
    }
    for (size_t i = 0; i < ARRAY_LEN(foreign); i++) {
        if (str_eq(header, foreign[i].header)
            && !begins_with_any(path, foreign[i].may, ARRAY_LEN(foreign[i].may))) {
            return false;
        }
    }
    bool ours = false;
    for (size_t i = 0; i < ARRAY_LEN(folders); i++) {
        size_t len = strlen(folders[i]);
        ours = ours || (str_prefix(header, folders[i]) && header[len] == '/');
    }
    for (size_t i = 0; ours && i < ARRAY_LEN(layers); i++) {
        if (str_prefix(path, layers[i].folder)) {
            return begins_with_any(header, layers[i].may, ARRAY_LEN(layers[i].may));
        }
    }
    return true;
}

/* The header that a line includes, or NULL; `ret` has room for the line. */
static const char *included(const char *line, char *ret)
{
    line += strspn(line, " \t");
    if (*line++ != '#') {
        return NULL;
    }
    line += strspn(line, " \t");
    if (!str_prefix(line, "include")) {
        return NULL;
    }
    line += strlen("include");
    line += strspn(line, " \t");
    if (*line != '"' && *line != '<') {
        return NULL;
    }
    size_t n = strcspn(line + 1, "\">");
    memcpy(ret, line + 1, n);
    ret[n] = '\0';
    return ret;
}

/* `require` works in every build and says where; assert vanishes with NDEBUG. */
static bool has_raw_assert(const char *line)
{
    if (line[strspn(line, " ")] == '"') {
        return false; /* CUDA source that a test compiles */
    }
    for (const char *at = line; (at = strstr(at, "assert")); at += strlen("assert")) {
        bool word = at == line || !strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                          "0123456789_", at[-1]);
        const char *after = at + strlen("assert");
        if (word && after[strspn(after, " ")] == '(') {
            return true;
        }
    }
    return false;
}

/* Appends the faults of one file to `out`. */
static void check_file(const char *path, char *text, struct buf *out)
{
    size_t lines = 0;
    if (!strstr(text, "SPDX-License-Identifier: MIT")) {
        buf_printf(out, "%s: no SPDX line\n", path);
    }
    char *save = NULL;
    for (const char *c = text; (c = strchr(c, '\n')); c++) {
        lines++;
    }
    for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        auto_free char *room = xcalloc(strlen(line) + 1, 1);
        const char *name = included(line, room);
        if (name && !include_ok(path, name)) {
            buf_printf(out, "%s: may not include %s\n", path, name);
        }
        if (has_raw_assert(line)) {
            buf_printf(out, "%s: raw assert, use require: %s\n", path, line);
        }
        if (str_prefix(line, "typedef struct")) {
            buf_printf(out, "%s: a typedef of a struct: %s\n", path, line);
        }
    }
    if (lines > LINES_MAX) {
        buf_printf(out, "%s: %zu lines, %d at most\n", path, lines, LINES_MAX);
    }
}

static size_t check_tree(const char *pattern, struct buf *out)
{
    auto_free char *full = xprintf(WS_SOURCE_DIR "/%s", pattern);
    glob_t found;
    if (glob(full, 0, NULL, &found) != 0) {
        return 0;
    }
    for (size_t i = 0; i < found.gl_pathc; i++) {
        auto_free char *text = NULL;
        assert_int_equal(file_read(found.gl_pathv[i], FILE_MAX, &text, NULL, NULL), 0);
        check_file(found.gl_pathv[i] + strlen(WS_SOURCE_DIR "/"), text, out);
    }
    size_t n = found.gl_pathc;
    globfree(&found);
    return n;
}

static void test_tree(void **state)
{
    (void)state;
    static const char *const below[] = { "*.[ch]", "*/*.[ch]" };
    auto_buf struct buf out;
    buf_init(&out, FILE_MAX);
    size_t n = 0;
    for (size_t i = 0; i < ARRAY_LEN(folders); i++) {
        for (size_t k = 0; k < ARRAY_LEN(below); k++) {
            auto_free char *pattern = xprintf("%s/%s", folders[i], below[k]);
            n += check_tree(pattern, &out);
        }
    }
    bool clean = out.len == 0;
    if (!clean) {
        print_error("%s", out.at);
    }
    buf_done(&out);
    assert_true(clean);
    assert_true(n > 40);
}

static void test_readmes(void **state)
{
    (void)state;
    size_t wrong = 0;
    for (size_t i = 0; i < ARRAY_LEN(folders); i++) {
        auto_free char *path = xprintf(WS_SOURCE_DIR "/%s/README.md", folders[i]);
        auto_free char *text = NULL;
        struct err err = { 0 };
        if (file_read(path, FILE_MAX, &text, NULL, &err) < 0) {
            print_error("%s\n", err_text(&err));
            wrong++;
            continue;
        }
        size_t lines = 0;
        for (const char *c = text; (c = strchr(c, '\n')); c++) {
            lines++;
        }
        if (lines > README_LINES_MAX) {
            print_error("%s: %zu lines, %d at most\n", path, lines, README_LINES_MAX);
            wrong++;
        }
    }
    assert_int_equal(wrong, 0);
}

static void test_include_rule(void **state)
{
    (void)state;
    static const struct {
        const char *path, *header;
        bool ok;
    } cases[] = {
        { "base/expr.c", "base/util.h", true },
        { "base/expr.c", "graph/htg.h", false },
        { "base/expr.c", "kernelbench/task.h", false },
        { "graph/select.c", "kernelbench/task.h", false },
        { "kernelbench/task.c", "graph/htg.h", false },
        { "memory/store.c", "graph/htg.h", true },
        { "memory/store.c", "evaluator/pool.h", false },
        { "memory/store.c", "agent/run.h", false },
        { "evaluator/pool.c", "memory/store.h", false },
        { "evaluator/worker/main.c", "memory/store.h", false },
        { "evaluator/pool.c", "agent/run.h", false },
        { "agent/run.c", "memory/store.h", true },
        { "agent/run.c", "evaluator/pool.h", true },
        { "agent/run.c", "tests/sample.h", false },
        { "memory/store_env.c", "lmdb.h", true },
        { "memory/record.c", "lmdb.h", false },
        { "agent/run.c", "lmdb.h", false },
        { "agent/http_client.c", "curl/curl.h", true },
        { "agent/provider.c", "curl/curl.h", false },
        { "evaluator/worker/device.c", "cuda.h", true },
        { "evaluator/sim/driver.c", "cuda.h", true },
        { "evaluator/pool.c", "cuda.h", false },
        { "agent/run.c", "uv.h", true },
        { "graph/select.c", "uv.h", false },
        { "base/id.c", "sodium.h", true },
        { "memory/store.c", "sodium.h", false },
        { "evaluator/pool.c", "seccomp.h", false },
        { "tests/test_sim.c", "cuda.h", true },
        { "agent/run.c", "string.h", true },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        if (include_ok(cases[i].path, cases[i].header) != cases[i].ok) {
            fail_msg("%s including %s", cases[i].path, cases[i].header);
        }
    }
}

static void test_line_rules(void **state)
{
    (void)state;
    char room[128];
    assert_string_equal(included("#include <lmdb.h>", room), "lmdb.h");
    assert_string_equal(included("  #  include \"base/err.h\" /* x */", room), "base/err.h");
    assert_null(included("#define INCLUDE \"base/err.h\"", room));
    assert_null(included("/* #include <lmdb.h> */", room));
    assert_true(has_raw_assert("    ass" "ert(x);"));
    assert_true(has_raw_assert("    if (y) ass" "ert (x);"));
    assert_false(has_raw_assert("    _Static_assert(1, \"\");"));
    assert_false(has_raw_assert("    assert_true(x);"));
    assert_false(has_raw_assert("/* what we assert is true */"));
}

/* One file that breaks every rule of a file, and how often each is named. */
static void test_file_rules(void **state)
{
    (void)state;
    auto_buf struct buf text, out;
    buf_init(&text, FILE_MAX);
    buf_init(&out, FILE_MAX);
    buf_puts(&text, "#include <lmdb.h>\n\nvoid f(void) { ass" "ert(1); }\ntypedef struct x y;\n");
    for (int i = 0; i < LINES_MAX; i++) {
        buf_puts(&text, "\n");
    }
    check_file("graph/bad.h", text.at, &out);
    static const char *const want[] = {
        "graph/bad.h: no SPDX line\n",
        "graph/bad.h: may not include lmdb.h\n",
        "graph/bad.h: raw assert, use require: ",
        "graph/bad.h: a typedef of a struct: ",
        "graph/bad.h: 604 lines, 600 at most\n",
    };
    for (size_t i = 0; i < ARRAY_LEN(want); i++) {
        assert_non_null(strstr(out.at, want[i]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_include_rule), cmocka_unit_test(test_line_rules),
        cmocka_unit_test(test_file_rules),   cmocka_unit_test(test_tree),
        cmocka_unit_test(test_readmes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
