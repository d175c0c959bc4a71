/* SPDX-License-Identifier: MIT */
#include "base/file.h"
#include "base/util.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int file_read(const char *path, size_t cap, char **ret_text, size_t *ret_len, struct err *err)
{
    auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return err_set(err, -errno, "%s: %s", path, strerror(errno));
    }
    struct stat st;
    if (fstat(fd, &st) == 0 && !S_ISREG(st.st_mode) && !S_ISFIFO(st.st_mode)
        && !S_ISCHR(st.st_mode)) {
        return err_set(err, ERR_INVALID, "%s: not a file", path);
    }
    auto_buf struct buf buf;
    buf_init(&buf, cap);
    char piece[65536];
    for (;;) {
        ssize_t n = read(fd, piece, sizeof(piece));
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return err_set(err, -errno, "%s: %s", path, strerror(errno));
        }
        if (n == 0) {
            break;
        }
        if (buf_add(&buf, piece, (size_t)n) < 0) {
            return err_set(err, buf.failed, "%s: larger than the limit of %zu bytes", path, cap);
        }
    }
    size_t len = buf.len;
    *ret_text = buf_take(&buf);
    if (ret_len) {
        *ret_len = len;
    }
    return 0;
}

static int write_all(int fd, const char *at, size_t len)
{
    while (len) {
        ssize_t n = write(fd, at, len);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return -errno;
        }
        at += n;
        len -= (size_t)n;
    }
    return 0;
}

int file_write(const char *path, const void *bytes, size_t len, struct err *err)
{
    auto_free char *temporary = xprintf("%s.%ld.tmp", path, (long)getpid());
    auto_close int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0) {
        return err_set(err, -errno, "%s: %s", path, strerror(errno));
    }
    int r = write_all(fd, bytes, len);
    if (r == 0 && fsync(fd) < 0) {
        r = -errno;
    }
    if (r == 0 && rename(temporary, path) < 0) {
        r = -errno;
    }
    if (r < 0) {
        unlink(temporary);
        return err_set(err, r, "%s: %s", path, strerror(-r));
    }
    return 0;
}

int file_copy(const char *from, const char *to, size_t cap, struct err *err)
{
    auto_free char *text = NULL;
    size_t len;
    int r = file_read(from, cap, &text, &len, err);
    return r < 0 ? r : file_write(to, text, len, err);
}

int folder_make(const char *path, struct err *err)
{
    auto_free char *copy = xstrdup(path);
    for (char *c = copy + 1; *copy; c++) {
        bool end = *c == '\0';
        if (*c != '/' && !end) {
            continue;
        }
        *c = '\0';
        struct stat st;
        if (mkdir(copy, 0777) < 0
            && (errno != EEXIST || stat(copy, &st) < 0 || !S_ISDIR(st.st_mode))) {
            int code = errno == EEXIST ? ENOTDIR : errno;
            return err_set(err, -code, "%s: can't make this folder: %s", copy, strerror(code));
        }
        if (end) {
            break;
        }
        *c = '/';
    }
    return 0;
}

int folder_remove(const char *path, struct err *err)
{
    DIR *dir = opendir(path);
    if (!dir) {
        return err_set(err, -errno, "%s: %s", path, strerror(errno));
    }
    int r = 0;
    struct dirent *entry;
    while (r == 0 && (entry = readdir(dir))) {
        if (str_eq(entry->d_name, ".") || str_eq(entry->d_name, "..")) {
            continue;
        }
        auto_free char *child = xprintf("%s/%s", path, entry->d_name);
        struct stat st;
        if (lstat(child, &st) == 0 && S_ISDIR(st.st_mode)) {
            r = folder_remove(child, err);
        } else if (unlink(child) < 0) {
            r = err_set(err, -errno, "%s: %s", child, strerror(errno));
        }
    }
    closedir(dir);
    if (r == 0 && rmdir(path) < 0) {
        r = err_set(err, -errno, "%s: %s", path, strerror(errno));
    }
    return r;
}

bool file_exists(const char *path)
{
    return access(path, F_OK) == 0;
}

/* The folder that holds this program's own file. */
static char *program_folder(void)
{
    char path[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);
    if (n <= 0) {
        return xstrdup(".");
    }
    path[n] = '\0';
    char *slash = strrchr(path, '/');
    *(slash ? slash : path) = '\0';
    return xstrdup(path);
}

int file_find_shipped(const char *name, char **ret_path, struct err *err)
{
    auto_free char *folder = program_folder();
    const char *home = getenv("WARPSMITH_HOME");
    char *tried[3] = {
        home && *home ? xprintf("%s/%s", home, name) : NULL,
        xprintf("%s/../share/warpsmith/%s", folder, name),
        xprintf("%s/%s", WS_SOURCE_DIR, name),
    };
    int r = ERR_NOTFOUND;
    for (size_t i = 0; i < ARRAY_LEN(tried); i++) {
        if (r < 0 && tried[i] && file_exists(tried[i])) {
            *ret_path = xstrdup(tried[i]);
            r = 0;
        }
    }
    if (r < 0) {
        err_set(err, r,
                "%s: not found in %s%s%s and %s; set WARPSMITH_HOME to the folder that holds it",
                name, tried[0] ? tried[0] : "", tried[0] ? ", " : "", tried[1], tried[2]);
    }
    for (size_t i = 0; i < ARRAY_LEN(tried); i++) {
        free(tried[i]);
    }
    return r;
}

int file_find_program(const char *name, char **ret_path, struct err *err)
{
    auto_free char *folder = program_folder();
    const char *const places[] = { ".", "../lib", "../lib/warpsmith", "../bin" };
    for (size_t i = 0; i < ARRAY_LEN(places); i++) {
        auto_free char *path = xprintf("%s/%s/%s", folder, places[i], name);
        if (file_exists(path)) {
            *ret_path = xstrdup(path);
            return 0;
        }
    }
    return err_set(err, ERR_NOTFOUND,
                   "%s: not found beside this program in %s; build it, or install the whole bundle",
                   name, folder);
}
