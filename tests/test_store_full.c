/* SPDX-License-Identifier: MIT */
/*
 * A full disk: a tmpfs of 24 MB in a mount namespace of a child's own (needs root), and a limit on
 * the size of files (needs nothing). Writing stops with a clear error, reading goes on, nothing
 * that was acknowledged is lost, and writing goes on when there is room again.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <unistd.h>
#include "base/file.h"
#include "base/util.h"
#include "memory/verify.h"
#include "store_rig.h"

enum { NO_MOUNT = 77, RECORD = 200000 };

static char junk[RECORD];

static int put(struct store *store, int i, struct err *err)
{
    char key[32];
    snprintf(key, sizeof(key), "%06d", i);
    memcpy(junk, key, 6);
    struct store_batch *batch = store_batch_new();
    store_batch_put(batch, STORE_DB_COMPILED, key, junk, RECORD);
    store_batch_counter_add(batch, "n", 1);
    return store_commit(store, batch, err);
}

static void check_all(struct store *store, int n)
{
    for (int i = 0; i < n; i++) {
        auto_arena struct arena *arena = arena_new();
        char key[32];
        const void *at;
        size_t len;
        snprintf(key, sizeof(key), "%06d", i);
        require(store_get(store, STORE_DB_COMPILED, key, arena, &at, &len, NULL) == 0);
        require(len == RECORD && memcmp(at, key, 6) == 0);
    }
    int64_t counted;
    require(store_counter(store, "n", &counted, NULL) == 0);
    require(counted == n);
    auto_arena struct arena *arena = arena_new();
    struct verify_report report;
    require(store_verify(store, arena, &report, NULL) == 0);
    require(report.n_problems == 0);
}

static int fill_until_full(struct store *store, int from, struct err *err)
{
    int r = 0, i = from;
    while (r == 0 && i < 1000) {
        r = put(store, i, err);
        i += r == 0;
    }
    require(r == ERR_FULL);
    require(strstr(err->text, "no room left on the disk") != NULL);
    return i;
}

static void make_junk(void)
{
    uint32_t x = 7;
    for (size_t i = 0; i < RECORD; i++) {
        x = x * 1664525 + 1013904223;
        junk[i] = (char)(x >> 24);
    }
}

static int on_a_small_disk(const char *path)
{
    if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("none", path, "tmpfs", 0, "size=24m") < 0) {
        return NO_MOUNT;
    }
    auto_free char *folder = xprintf("%s/store", path);
    auto_free char *ballast = xprintf("%s/ballast", path);
    int fd = open(ballast, O_WRONLY | O_CREAT, 0600);
    require(posix_fallocate(fd, 0, 10 << 20) == 0);
    close(fd);
    struct store *store;
    struct err err;
    struct store_options options = {0};
    require(store_open(folder, &options, &store, &err) == 0);
    require(!store_full(store));
    int n = fill_until_full(store, 0, &err);
    require(n > 10);
    require(store_full(store));
    check_all(store, n);
    require(put(store, n, &err) == ERR_FULL);
    struct store_batch *small = store_batch_new();
    store_batch_counter_add(small, "small", 1);
    require(store_commit(store, small, &err) == ERR_FULL); /* no new work, also what would fit */
    store_close(store);

    require(store_open(folder, &options, &store, &err) == 0); /* opens on a full disk */
    check_all(store, n);
    require(put(store, n, &err) == ERR_FULL);
    unlink(ballast);
    require(!store_full(store));
    require(put(store, n, &err) == 0);
    check_all(store, n + 1);
    n = fill_until_full(store, n + 1, &err);
    check_all(store, n);
    store_close(store);

    /* A disk with no room at all: a new store is refused, not a SIGBUS on its lock file. */
    fd = open(ballast, O_WRONLY | O_CREAT, 0600);
    ssize_t w = 1;
    while (w > 0) {
        w = write(fd, junk, 4096);
    }
    close(fd);
    auto_free char *another = xprintf("%s/another", path);
    store = NULL;
    require(store_open(another, &options, &store, &err) == ERR_FULL && !store);
    return 0;
}

static int under_a_size_limit(const char *path)
{
    signal(SIGXFSZ, SIG_IGN);
    struct store *store;
    struct err err;
    struct store_options options = {0};
    require(store_open(path, &options, &store, &err) == 0);
    struct rlimit limit = {5000000, 5000000};
    require(setrlimit(RLIMIT_FSIZE, &limit) == 0);
    int r = 0, n = 0;
    while (r == 0 && n < 100) {
        r = put(store, n, &err);
        n += r == 0;
    }
    require(r < 0 && n > 3 && n < 30);
    check_all(store, n);
    store_close(store);
    require(store_open(path, &options, &store, &err) == 0);
    check_all(store, n);
    store_close(store);
    return 0;
}

static void run(const char *mode)
{
    char path[] = "/tmp/warpsmith-full-XXXXXX";
    assert_non_null(mkdtemp(path));
    int out;
    int code = store_rig_reap(store_rig_spawn(mode, path, "", &out));
    close(out);
    folder_remove(path, NULL);
    if (code == NO_MOUNT) {
        print_message("a small disk can't be mounted here: not tested\n");
        skip();
    }
    assert_int_equal(code, 0);
}

static void small_disk(void **state)
{
    (void)state;
    run("disk");
}

static void size_limit(void **state)
{
    (void)state;
    run("limit");
}

int main(int argc, char **argv)
{
    if (argc == 4 && str_eq(argv[0], "child")) {
        make_junk();
        return str_eq(argv[1], "disk") ? on_a_small_disk(argv[2]) : under_a_size_limit(argv[2]);
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_disk),
        cmocka_unit_test(size_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
