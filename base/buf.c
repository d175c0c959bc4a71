/* SPDX-License-Identifier: MIT */
#include "base/buf.h"
#include "base/util.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BUF_FIRST = 256 }; /* bytes: most small texts then never move */

void buf_init(struct buf *buf, size_t cap)
{
    *buf = (struct buf) { .cap = cap };
}

void buf_done(struct buf *buf)
{
    free(buf->at);
    *buf = (struct buf) { .cap = buf->cap };
}

static int buf_reserve(struct buf *buf, size_t more)
{
    if (buf->failed) {
        return buf->failed;
    }
    if (more > buf->cap || buf->len > buf->cap - more) {
        return buf->failed = ERR_TOOBIG;
    }
    size_t need = buf->len + more + 1;
    if (need <= buf->room) {
        return 0;
    }
    size_t room = MAX(need, MIN(MAX((size_t)BUF_FIRST, buf->room * 2), buf->cap + 1));
    char *at = realloc(buf->at, room);
    if (!at) {
        return buf->failed = -ENOMEM;
    }
    buf->at = at;
    buf->room = room;
    return 0;
}

int buf_add(struct buf *buf, const void *bytes, size_t n)
{
    int r = buf_reserve(buf, n);
    if (r < 0) {
        return r;
    }
    if (n) {
        memcpy(buf->at + buf->len, bytes, n);
    }
    buf->len += n;
    buf->at[buf->len] = '\0';
    return 0;
}

char *buf_room(struct buf *buf, size_t n)
{
    return buf_reserve(buf, n) < 0 ? NULL : buf->at + buf->len;
}

void buf_wrote(struct buf *buf, size_t n)
{
    require(buf->room - buf->len > n);
    buf->len += n;
    buf->at[buf->len] = '\0';
}

int buf_puts(struct buf *buf, const char *s)
{
    return buf_add(buf, s, strlen(s));
}

int buf_printf(struct buf *buf, const char *format, ...)
{
    char *s = NULL;
    va_list args;
    va_start(args, format);
    int n = vasprintf(&s, format, args);
    va_end(args);
    if (n < 0) {
        return buf->failed = -ENOMEM;
    }
    int r = buf_add(buf, s, (size_t)n);
    free(s);
    return r;
}

void buf_shift(struct buf *buf, size_t n)
{
    require(n <= buf->len);
    if (n) {
        memmove(buf->at, buf->at + n, buf->len - n + 1);
        buf->len -= n;
    }
}

char *buf_take(struct buf *buf)
{
    if (!buf->at) {
        buf_add(buf, "", 0);
    }
    char *at = buf->at;
    *buf = (struct buf) { .cap = buf->cap };
    return at;
}
