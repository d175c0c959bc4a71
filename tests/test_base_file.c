/* SPDX-License-Identifier: MIT */
#include "base/file.h"
#include "base/util.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

static int setup(void **state)
{
    char name[] = "/tmp/test_file_XXXXXX";
    *state = mkdtemp(name) ? xstrdup(name) : NULL;
    return *state ? 0 : -1;
}

static int teardown(void **state)
{
    int r = folder_remove(*state, NULL);
    free(*state);
    return r;
}

static void test_read_write(void **state)
{
    auto_free char *path = xprintf("%s/data", (char *)*state);
    auto_free char *text = NULL;
    size_t len = 77;
    struct err err = { 0 };
    assert_int_equal(file_read(path, 10, &text, &len, &err), -ENOENT);
    assert_null(text);
    assert_int_equal(len, 77);
    assert_int_equal(file_write(path, "a\0b\nc", 5, NULL), 0);
    assert_int_equal(file_read(path, 5, &text, &len, NULL), 0);
    assert_int_equal(len, 5);
    assert_memory_equal(text, "a\0b\nc", 6);
    auto_free char *other = NULL;
    assert_int_equal(file_read(path, 4, &other, &len, &err), ERR_TOOBIG);
    auto_free char *want = xprintf("%s: larger than the limit of 4 bytes", path);
    assert_string_equal(err_text(&err), want);
    assert_null(other);
    assert_int_equal(file_write(path, "", 0, NULL), 0);
    assert_int_equal(file_read(path, 0, &other, NULL, NULL), 0);
    assert_string_equal(other, "");
}

/* A write that can't finish leaves the old file and no scraps. */
static void test_write_fails(void **state)
{
    auto_free char *target = xprintf("%s/folder", (char *)*state);
    assert_int_equal(folder_make(target, NULL), 0);
    struct err err = { 0 };
    assert_int_equal(file_write(target, "x", 1, &err), -EISDIR);
    auto_free char *scrap = xprintf("%s.%ld.tmp", target, (long)getpid());
    assert_false(file_exists(scrap));
    auto_free char *missing = xprintf("%s/none/data", (char *)*state);
    assert_int_equal(file_write(missing, "x", 1, &err), -ENOENT);
    auto_free char *text = NULL;
    assert_int_equal(file_read(target, 10, &text, NULL, &err), ERR_INVALID);
}

static void test_copy(void **state)
{
    auto_free char *from = xprintf("%s/from", (char *)*state);
    auto_free char *to = xprintf("%s/to", (char *)*state);
    auto_free char *text = NULL;
    size_t len;
    assert_int_equal(file_write(from, "12345", 5, NULL), 0);
    assert_int_equal(file_copy(from, to, 4, NULL), ERR_TOOBIG);
    assert_false(file_exists(to));
    assert_int_equal(file_copy(from, to, 5, NULL), 0);
    assert_int_equal(file_read(to, 5, &text, &len, NULL), 0);
    assert_string_equal(text, "12345");
}

static void test_folders(void **state)
{
    auto_free char *deep = xprintf("%s/a/b/c/", (char *)*state);
    assert_int_equal(folder_make(deep, NULL), 0);
    assert_true(file_exists(deep));
    assert_int_equal(folder_make(deep, NULL), 0);
    auto_free char *file = xprintf("%s/file", (char *)*state);
    assert_int_equal(file_write(file, "x", 1, NULL), 0);
    auto_free char *below = xprintf("%s/d", file);
    assert_true(folder_make(below, NULL) == -ENOTDIR);
    assert_int_equal(folder_make(file, NULL), -ENOTDIR);
    assert_int_equal(folder_make("/", NULL), 0);
}

/* Links are removed, never followed. */
static void test_remove(void **state)
{
    auto_free char *folder = xprintf("%s/doomed/inner", (char *)*state);
    auto_free char *top = xprintf("%s/doomed", (char *)*state);
    auto_free char *kept = xprintf("%s/kept", (char *)*state);
    auto_free char *inside = xprintf("%s/file", kept);
    auto_free char *link = xprintf("%s/link", folder);
    assert_int_equal(folder_make(folder, NULL), 0);
    assert_int_equal(folder_make(kept, NULL), 0);
    assert_int_equal(file_write(inside, "x", 1, NULL), 0);
    assert_int_equal(symlink(kept, link), 0);
    assert_int_equal(folder_remove(top, NULL), 0);
    assert_false(file_exists(top));
    assert_true(file_exists(inside));
    assert_int_equal(folder_remove(top, NULL), -ENOENT);
}

static void test_find(void **state)
{
    struct err err = { 0 };
    char *path = NULL;
    setenv("WARPSMITH_HOME", *state, 1);
    auto_free char *mine = xprintf("%s/kernels", (char *)*state);
    assert_int_equal(folder_make(mine, NULL), 0);
    assert_int_equal(file_find_shipped("kernels", &path, NULL), 0);
    assert_string_equal(path, mine);
    free(path);
    path = NULL;
    unsetenv("WARPSMITH_HOME");
    assert_int_equal(file_find_shipped("kernelbench/tasks", &path, NULL), 0);
    assert_true(file_exists(path));
    free(path);
    path = NULL;
    assert_int_equal(file_find_shipped("no-such-thing", &path, &err), ERR_NOTFOUND);
    assert_non_null(strstr(err_text(&err), "WARPSMITH_HOME"));
    assert_int_equal(file_find_program("test_base_file", &path, NULL), 0);
    assert_true(file_exists(path));
    free(path);
    path = NULL;
    assert_int_equal(file_find_program("no-such-thing", &path, &err), ERR_NOTFOUND);
    assert_null(path);
}

#define WITH_FOLDER(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FOLDER(test_read_write), WITH_FOLDER(test_write_fails), WITH_FOLDER(test_copy),
        WITH_FOLDER(test_folders),    WITH_FOLDER(test_remove),      WITH_FOLDER(test_find),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
