#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * A growing byte buffer with a hard cap, for everything whose size is decided outside: replies,
 * logs, frames, generated pages. Reaching the cap is an error that sticks (`failed`), so a writer
 * may append many pieces and check once. The bytes are always followed by a NUL that isn't counted.
 */
#include <stdbool.h>
#include <stddef.h>
#include "base/err.h"

struct buf {
    char *at;
    size_t len, room, cap;
    int failed; /* 0, ERR_TOOBIG or -ENOMEM */
};

void buf_init(struct buf *buf, size_t cap);
void buf_done(struct buf *buf); /* frees the bytes; may be called twice */
#define auto_buf __attribute__((cleanup(buf_done)))

int buf_add(struct buf *buf, const void *bytes, size_t n);
int buf_puts(struct buf *buf, const char *s);
int buf_printf(struct buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Where n more bytes may be written, to be counted with buf_wrote; NULL if they don't fit. */
char *buf_room(struct buf *buf, size_t n);
void buf_wrote(struct buf *buf, size_t n);

/* Drops the first n bytes. */
void buf_shift(struct buf *buf, size_t n);
/* Hands the bytes to the caller (free()) and leaves the buffer empty. */
char *buf_take(struct buf *buf);
