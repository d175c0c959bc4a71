/* SPDX-License-Identifier: MIT */
/* What a store says of folders that it can't or mustn't use. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>
#include "base/file.h"
#include "base/util.h"
#include "store_rig.h"

struct place {
    char path[64], data[96];
};

static int setup(void **state)
{
    struct place *place = xcalloc(1, sizeof(*place));
    strcpy(place->path, "/tmp/warpsmith-open-XXXXXX");
    require(mkdtemp(place->path) != NULL);
    snprintf(place->data, sizeof(place->data), "%s/data.mdb", place->path);
    *state = place;
    return 0;
}

static int teardown(void **state)
{
    struct place *place = *state;
    require(folder_remove(place->path, NULL) == 0);
    free(place);
    return 0;
}

static int try_open(const char *path, bool read_only, struct err *err)
{
    struct store *store = NULL;
    struct store_options options = {.read_only = read_only};
    *err = (struct err){0};
    int r = store_open(path, &options, &store, err);
    if (r == 0) {
        store_close(store);
    } else {
        assert_null(store);
        assert_int_equal(err->code, r);
        assert_non_null(strstr(err->text, path)); /* every error says which store */
    }
    return r;
}

static void makes_folders(void **state)
{
    struct place *place = *state;
    char deep[128];
    struct err err;
    snprintf(deep, sizeof(deep), "%s/a/b", place->path);
    assert_int_equal(try_open(deep, false, &err), 0);
    assert_int_equal(try_open(deep, true, &err), 0);
    struct stat st;
    snprintf(deep, sizeof(deep), "%s/a/b/data.mdb", place->path);
    assert_int_equal(stat(deep, &st), 0);
    assert_int_equal(st.st_mode & 077, 0); /* prompts and kernels are nobody else's business */
}

static void reading_makes_nothing(void **state)
{
    struct place *place = *state;
    char missing[128];
    struct err err;
    snprintf(missing, sizeof(missing), "%s/missing", place->path);
    assert_int_equal(try_open(missing, true, &err), ERR_NOTFOUND);
    assert_false(file_exists(missing));
    assert_int_equal(try_open(place->path, true, &err), ERR_NOTFOUND);
    assert_false(file_exists(place->data));
}

static void reading_only(void **state)
{
    struct place *place = *state;
    struct err err;
    struct store *store;
    struct store_options options = {0};
    assert_int_equal(store_open(place->path, &options, &store, &err), 0);
    struct store_batch *batch = store_batch_new();
    store_batch_put(batch, STORE_DB_TASKS, "k", "v", 1);
    assert_int_equal(store_commit(store, batch, &err), 0);
    store_close(store);

    options.read_only = true;
    assert_int_equal(store_open(place->path, &options, &store, &err), 0);
    auto_arena struct arena *arena = arena_new();
    const void *at;
    size_t len;
    assert_int_equal(store_get(store, STORE_DB_TASKS, "k", arena, &at, &len, &err), 0);
    batch = store_batch_new();
    store_batch_put(batch, STORE_DB_TASKS, "k", "w", 1);
    assert_int_equal(store_commit(store, batch, &err), -EROFS);
    assert_non_null(strstr(err.text, "reading only"));
    store_close(store);
}

static void garbage(void **state)
{
    struct place *place = *state;
    static const size_t sizes[] = {1, 100, 4096, 8192, 100000};
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        auto_free char *junk = xcalloc(sizes[i], 1);
        memset(junk, 'j', sizes[i]);
        struct err err;
        assert_int_equal(file_write(place->data, junk, sizes[i], NULL), 0);
        assert_int_equal(try_open(place->path, false, &err), ERR_INVALID);
        assert_non_null(strstr(err.text, "not a store"));
        assert_int_equal(try_open(place->path, true, &err), ERR_INVALID);
    }
}

static void a_file_in_the_way(void **state)
{
    struct place *place = *state;
    struct err err;
    assert_int_equal(file_write(place->data, "x", 1, NULL), 0);
    assert_int_equal(try_open(place->data, false, &err), -ENOTDIR);
}

static void somebody_elses_database(void **state)
{
    struct place *place = *state;
    struct err err;
    store_rig_raw(place->path, "songs", "k", "v", 1);
    assert_int_equal(try_open(place->path, false, &err), ERR_INVALID);
    assert_non_null(strstr(err.text, "another program"));
}

static void newer_format(void **state)
{
    struct place *place = *state;
    struct err err;
    assert_int_equal(try_open(place->path, false, &err), 0);
    store_rig_raw(place->path, "meta", "format", "2", 1);
    assert_int_equal(try_open(place->path, false, &err), ERR_VERSION);
    assert_non_null(strstr(err.text, "format 2"));
    assert_int_equal(try_open(place->path, true, &err), ERR_VERSION);
    store_rig_raw(place->path, "meta", "format", "1", 1);
    assert_int_equal(try_open(place->path, false, &err), 0);
}

static void damaged_meta(void **state)
{
    struct place *place = *state;
    static const char *const bad[] = {"", "one", "1x", "111111111111111111111111111111"};
    struct err err;
    assert_int_equal(try_open(place->path, false, &err), 0);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        store_rig_raw(place->path, "meta", "format", bad[i], strlen(bad[i]));
        assert_int_equal(try_open(place->path, false, &err), ERR_INVALID);
        assert_non_null(strstr(err.text, "meta"));
    }
}

/* A store from before some databases existed is completed; read as it is, they are empty. */
static void fewer_databases(void **state)
{
    struct place *place = *state;
    struct err err;
    store_rig_raw(place->path, "meta", "format", "1", 1);
    store_rig_raw(place->path, "meta", "origin", "0123456789abcdef", 16);
    struct store *store;
    struct store_options options = {.read_only = true};
    assert_int_equal(store_open(place->path, &options, &store, &err), 0);
    auto_arena struct arena *arena = arena_new();
    const void *at;
    size_t len;
    struct store_item *items;
    assert_int_equal(store_get(store, STORE_DB_NODES, "k", arena, &at, &len, &err), ERR_NOTFOUND);
    assert_int_equal(store_scan(store, STORE_DB_NODES, "", NULL, 9, arena, &items, &len, &err), 0);
    assert_int_equal(len, 0);
    store_close(store);
    options.read_only = false;
    assert_int_equal(store_open(place->path, &options, &store, &err), 0);
    assert_string_equal(store_origin(store), "0123456789abcdef");
    struct store_batch *batch = store_batch_new();
    store_batch_put(batch, STORE_DB_NODES, "k", "v", 1);
    assert_int_equal(store_commit(store, batch, &err), 0);
    store_close(store);
}

static void origins_differ_and_stay(void **state)
{
    struct place *place = *state;
    char other[128], first[32];
    struct err err;
    struct store *a, *b;
    struct store_options options = {0};
    snprintf(other, sizeof(other), "%s/other", place->path);
    assert_int_equal(store_open(place->path, &options, &a, &err), 0);
    assert_int_equal(store_open(other, &options, &b, &err), 0);
    assert_int_equal(strlen(store_origin(a)), 16);
    assert_string_not_equal(store_origin(a), store_origin(b));
    strcpy(first, store_origin(a));
    store_close(a);
    store_close(b);
    assert_int_equal(store_open(place->path, &options, &a, &err), 0);
    assert_string_equal(store_origin(a), first);
    store_close(a);
}

/* As an ordinary user, in a folder of root's. */
static void no_permission(void **state)
{
    struct place *place = *state;
    if (geteuid() != 0) {
        chmod(place->path, 0555);
    } else {
        chmod(place->path, 0755);
    }
    pid_t pid = fork();
    if (pid == 0) {
        if (geteuid() == 0 && (setgid(65534) < 0 || setuid(65534) < 0)) {
            _exit(3);
        }
        struct err err;
        struct store *store;
        struct store_options options = {0};
        int r = store_open(place->path, &options, &store, &err);
        _exit(r == -EACCES && strstr(err.text, "--store") ? 0 : 1);
    }
    assert_int_equal(store_rig_reap(pid), 0);
    chmod(place->path, 0755);
}

static void cut_short(void **state)
{
    struct place *place = *state;
    struct store *store;
    struct store_options options = {0};
    struct err err;
    char key[32], value[3000];
    for (size_t i = 0; i < sizeof(value); i++) {
        value[i] = (char)(i * i * 31 + i / 7);
    }
    assert_int_equal(store_open(place->path, &options, &store, &err), 0);
    for (int i = 0; i < 50; i++) {
        struct store_batch *batch = store_batch_new();
        for (int j = 0; j < 20; j++) {
            snprintf(key, sizeof(key), "%d/%d", i, j);
            memcpy(value, key, strlen(key));
            store_batch_put(batch, STORE_DB_COMPILED, key, value, sizeof(value));
        }
        assert_int_equal(store_commit(store, batch, &err), 0);
    }
    store_close(store);
    struct stat st;
    assert_int_equal(stat(place->data, &st), 0);
    assert_int_equal(truncate(place->data, st.st_size / 2), 0);
    assert_int_equal(try_open(place->path, true, &err), ERR_INVALID);
    assert_non_null(strstr(err.text, "cut short"));
    /* Opened for writing it is filled with zeros, and reading says what is lost. */
    int bad = 0, r = store_open(place->path, &options, &store, &err);
    for (int i = 0; i < 50 && r == 0; i++) {
        auto_arena struct arena *arena = arena_new();
        const void *at;
        size_t len;
        snprintf(key, sizeof(key), "%d/7", i);
        bad += store_get(store, STORE_DB_COMPILED, key, arena, &at, &len, &err) < 0;
    }
    assert_true(r < 0 || bad > 0);
    if (r == 0) {
        store_close(store);
    }
}

/* The linker puts this in the place of statfs(2): what kind of file system a folder is on. */
static long pretended_magic;
int __wrap_statfs(const char *path, struct statfs *ret);
int __wrap_statfs(const char *path, struct statfs *ret)
{
    memset(ret, 0, sizeof(*ret));
    ret->f_type = pretended_magic;
    return access(path, F_OK);
}

static void network_disks(void **state)
{
    struct place *place = *state;
    struct err err;
    pretended_magic = 0x6969;
    assert_int_equal(try_open(place->path, false, &err), ERR_UNSUPPORTED);
    assert_non_null(strstr(err.text, "NFS"));
    assert_non_null(strstr(err.text, "--store"));
    assert_false(file_exists(place->data));
    pretended_magic = (long)(int)0xff534d42; /* CIFS, sign-extended as some machines do */
    assert_int_equal(try_open(place->path, false, &err), ERR_UNSUPPORTED);
    struct store *store;
    struct store_options options = {.any_filesystem = true};
    assert_int_equal(store_open(place->path, &options, &store, &err), 0);
    store_close(store);
    pretended_magic = 0;
    assert_int_equal(try_open(place->path, false, &err), 0);
}

/* A worker must not inherit the database. */
static void closed_on_exec(void **state)
{
    struct place *place = *state;
    struct store *store;
    struct store_options options = {0};
    assert_int_equal(store_open(place->path, &options, &store, NULL), 0);
    DIR *dir = opendir("/proc/self/fd");
    struct dirent *entry;
    int found = 0;
    while ((entry = readdir(dir))) {
        char link[300], target[300];
        snprintf(link, sizeof(link), "/proc/self/fd/%s", entry->d_name);
        ssize_t n = readlink(link, target, sizeof(target) - 1);
        target[n > 0 ? n : 0] = '\0';
        if (str_prefix(target, place->path)) {
            found++;
            assert_true(fcntl(atoi(entry->d_name), F_GETFD) & FD_CLOEXEC);
        }
    }
    closedir(dir);
    assert_true(found >= 2);
    store_close(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define IN_PLACE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
        IN_PLACE(makes_folders),     IN_PLACE(reading_makes_nothing),
        IN_PLACE(reading_only),      IN_PLACE(garbage),
        IN_PLACE(a_file_in_the_way), IN_PLACE(somebody_elses_database),
        IN_PLACE(newer_format),      IN_PLACE(damaged_meta),
        IN_PLACE(fewer_databases),   IN_PLACE(origins_differ_and_stay),
        IN_PLACE(no_permission),     IN_PLACE(cut_short),
        IN_PLACE(network_disks),     IN_PLACE(closed_on_exec),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
