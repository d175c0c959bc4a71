/* SPDX-License-Identifier: MIT */
#include "base/file.h"
#include "base/util.h"
#include "evaluator/worker/seal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char prefix[] = "warpsmith-compile-";

static int put(const char *folder, const char *name, const char *text)
{
    auto_free char *path = xprintf("%s/%s", folder, name);
    auto_close int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0) {
        return -errno;
    }
    return write(fd, text, strlen(text)) == (ssize_t)strlen(text) ? 0 : -errno;
}

static bool lists(const char *folder, const char *name, const char *word)
{
    auto_free char *path = xprintf("%s/%s", folder, name);
    auto_free char *text = NULL;
    size_t len;
    if (file_read(path, 1 << 16, &text, &len, NULL) < 0) {
        return false;
    }
    char *rest = text;
    for (char *at; (at = strsep(&rest, " \n"));) {
        if (str_eq(at, word)) {
            return true;
        }
    }
    return false;
}

/* Our own cgroup's folder, from "0::/path" in /proc/self/cgroup. */
static char *own_folder(void)
{
    auto_free char *text = NULL;
    size_t len;
    if (file_read("/proc/self/cgroup", 1 << 16, &text, &len, NULL) < 0) {
        return NULL;
    }
    char *rest = text;
    for (char *line; (line = strsep(&rest, "\n"));) {
        if (str_prefix(line, "0::/")) {
            return xprintf("/sys/fs/cgroup%s", line + 3);
        }
    }
    return NULL;
}

/* A worker can't remove the cgroup that it lives in, so the next one does. */
static void sweep(const char *folder)
{
    struct dirent **found = NULL;
    int n = scandir(folder, &found, NULL, alphasort);
    for (int i = 0; i < n; i++) {
        if (str_prefix(found[i]->d_name, prefix)) {
            auto_free char *path = xprintf("%s/%s", folder, found[i]->d_name);
            rmdir(path); /* refused while a process is in it */
        }
        free(found[i]);
    }
    free(found);
}

int seal_cgroup(size_t bytes, struct err *err)
{
    auto_free char *folder = own_folder();
    if (!folder || !lists(folder, "cgroup.controllers", "memory")) {
        return err_set(err, ERR_UNSUPPORTED, "no cgroup v2 with the memory controller");
    }
    if (!lists(folder, "cgroup.subtree_control", "memory")) {
        int r = put(folder, "cgroup.subtree_control", "+memory");
        if (r < 0) {
            return err_set(err, ERR_UNSUPPORTED, "%s: no memory controller for children: %s", folder,
                           strerror(-r));
        }
    }
    sweep(folder);
    auto_free char *own = xprintf("%s/%s%d", folder, prefix, (int)getpid());
    auto_free char *most = xprintf("%zu", bytes);
    if (mkdir(own, 0755) != 0) {
        return err_set(err, ERR_UNSUPPORTED, "%s: %s", own, strerror(errno));
    }
    int r = put(own, "memory.max", most);
    put(own, "memory.swap.max", "0"); /* not there where swap isn't accounted */
    r = r < 0 ? r : put(own, "cgroup.procs", "0");
    if (r < 0) {
        rmdir(own);
        return err_set(err, ERR_UNSUPPORTED, "%s: %s", own, strerror(-r));
    }
    return 0;
}
