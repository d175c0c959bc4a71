/* SPDX-License-Identifier: MIT */
#include "memory/campaign_lock.h"
#include "base/arena.h"
#include "base/file.h"
#include "base/util.h"
#include "memory/record.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

struct campaign_lock {
    char *path;
    int fd;
};

static int busy(int fd, const char *campaign, struct err *err)
{
    char holder[192];
    ssize_t n = pread(fd, holder, sizeof(holder) - 1, 0);
    holder[n > 0 ? n : 0] = '\0';
    holder[strcspn(holder, "\n")] = '\0';
    return err_set(err, ERR_BUSY, "campaign %s: it is being run by %s; wait for it, or stop it",
                   campaign, *holder ? holder : "another process");
}

/* The holder before us removes the file while it holds it, so what we locked may be gone. */
static bool still_there(int fd, const char *path)
{
    struct stat ours, named;
    return fstat(fd, &ours) == 0 && stat(path, &named) == 0 && ours.st_ino == named.st_ino &&
           ours.st_dev == named.st_dev;
}

/* 1: locked a file that is no more, try again. */
static int try_lock(const char *path, const char *campaign, int *ret_fd, struct err *err)
{
    auto_close int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) {
        return err_set(err, -errno, "%s: %s", path, strerror(errno));
    }
    if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        return errno == EWOULDBLOCK ? busy(fd, campaign, err)
                                    : err_set(err, -errno, "%s: %s", path, strerror(errno));
    }
    if (!still_there(fd, path)) {
        return 1;
    }
    char host[128] = "";
    gethostname(host, sizeof(host) - 1);
    auto_free char *holder = xprintf("process %ld on %s\n", (long)getpid(), host);
    if (ftruncate(fd, 0) < 0 || pwrite(fd, holder, strlen(holder), 0) < 0) {
        return err_set(err, -errno, "%s: %s", path, strerror(errno));
    }
    *ret_fd = fd;
    fd = -1;
    return 0;
}

int campaign_lock_take(const char *store, const char *campaign, struct campaign_lock **ret,
                       struct err *err)
{
    auto_arena struct arena *arena = arena_new();
    const char *name = record_key(arena, &campaign, 1);
    if (!*name || strlen(name) > 200) {
        return err_set(err, ERR_INVALID, "campaign \"%.64s\": an id of 1 to 200 bytes, please",
                       campaign);
    }
    auto_free char *folder = xprintf("%s/locks", store);
    auto_free char *path = xprintf("%s/%s.lock", folder, name);
    int fd = -1, r = folder_make(folder, err);
    while (r == 0 && (r = try_lock(path, campaign, &fd, err)) == 1) {
        r = 0;
    }
    if (r < 0) {
        return r;
    }
    struct campaign_lock *lock = xcalloc(1, sizeof(*lock));
    lock->path = xstrdup(path);
    lock->fd = fd;
    *ret = lock;
    return 0;
}

void campaign_lock_drop(struct campaign_lock *lock)
{
    if (lock) {
        unlink(lock->path);
        close(lock->fd);
        free(lock->path);
        free(lock);
    }
}
