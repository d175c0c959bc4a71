/* SPDX-License-Identifier: MIT */
#include "agent/llm_key.h"
#include "base/util.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { KEY_MAX = 4000 };

/* Reads what is on the page now as a key: blanks around it are no part of it. */
static int settle(struct llm_key *key, size_t len, struct err *err)
{
    char *at = key->text;
    while (len && (unsigned char)at[len - 1] <= ' ') {
        at[--len] = '\0';
    }
    size_t skip = strspn(at, " \t\r\n");
    memmove(at, at + skip, len + 1 - skip);
    if (!*at) {
        return err_set(err, ERR_ENVIRONMENT, "%s: holds no key", key->from);
    }
    for (const char *c = at; *c; c++) {
        if (*c <= ' ' || *c > '~') { /* it becomes a header line */
            return err_set(err, ERR_ENVIRONMENT,
                           "%s: byte %d isn't one that a key can have; expected one line with the key",
                           key->from, (int)(c - at));
        }
    }
    return 0;
}

static int read_file(const char *path, struct llm_key *key, size_t *ret_len, struct err *err)
{
    auto_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0) {
        return err_set(err, ERR_ENVIRONMENT, "key file %s: %s", path, strerror(errno));
    }
    if (!S_ISREG(st.st_mode)) {
        return err_set(err, ERR_ENVIRONMENT, "key file %s: not a file", path);
    }
    if (st.st_mode & 077) {
        return err_set(err, ERR_ENVIRONMENT,
                       "key file %s is open to others (mode %03o): chmod 600 it first, and if others "
                       "use this machine, get a new key", path, (unsigned)(st.st_mode & 0777));
    }
    if (st.st_uid != geteuid() && st.st_uid != 0) {
        return err_set(err, ERR_ENVIRONMENT, "key file %s belongs to another user", path);
    }
    if (st.st_size > KEY_MAX) {
        return err_set(err, ERR_ENVIRONMENT, "key file %s: over %d bytes, that is no key", path,
                       KEY_MAX);
    }
    ssize_t n = read(fd, key->text, KEY_MAX);
    if (n < 0) {
        return err_set(err, ERR_ENVIRONMENT, "key file %s: %s", path, strerror(errno));
    }
    key->text[n] = '\0';
    *ret_len = (size_t)n;
    return 0;
}

int llm_key_load(const char *file, const char *variable, struct llm_key *ret, struct err *err)
{
    const char *value = getenv(variable);
    if (!file && (!value || !*value)) {
        *ret = (struct llm_key) { .text = NULL };
        return 0;
    }
    struct llm_key key = { .page = (size_t)sysconf(_SC_PAGESIZE) };
    key.text = mmap(NULL, key.page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (key.text == MAP_FAILED) {
        return err_set(err, -errno, "no page for a key: %s", strerror(errno));
    }
    madvise(key.text, key.page, MADV_DONTDUMP);
    mlock(key.text, key.page); /* not into swap, where that is allowed */
    key.from = file ? xprintf("key file %s", file) : xprintf("$%s", variable);
    size_t len = 0;
    int r = 0;
    if (file) {
        r = read_file(file, &key, &len, err);
    } else if ((len = strlen(value)) > KEY_MAX) {
        r = err_set(err, ERR_ENVIRONMENT, "$%s: over %d bytes, that is no key", variable, KEY_MAX);
    } else {
        memcpy(key.text, value, len + 1);
    }
    r = r < 0 ? r : settle(&key, len, err);
    if (r < 0) {
        llm_key_done(&key);
        return r;
    }
    *ret = key;
    return 0;
}

void llm_key_done(struct llm_key *key)
{
    if (key->text) {
        explicit_bzero(key->text, key->page);
        munmap(key->text, key->page);
    }
    free(key->from);
    *key = (struct llm_key) { .text = NULL };
}
