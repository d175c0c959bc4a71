/* SPDX-License-Identifier: MIT */
#include "base/frame.h"
#include "base/util.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void put(unsigned char *at, uint64_t value, int bytes)
{
    for (int i = 0; i < bytes; i++) {
        at[i] = (unsigned char)(value >> (8 * i));
    }
}

static uint64_t get(const unsigned char *at, int bytes)
{
    uint64_t value = 0;
    for (int i = 0; i < bytes; i++) {
        value |= (uint64_t)at[i] << (8 * i);
    }
    return value;
}

void frame_header(const struct frame *frame, unsigned char ret[FRAME_HEADER])
{
    put(ret, FRAME_MAGIC, 4);
    put(ret + 4, FRAME_VERSION, 2);
    put(ret + 6, frame->type, 2);
    put(ret + 8, frame->id, 8);
    put(ret + 16, frame->json_len, 4);
    put(ret + 20, 0, 4);
    put(ret + 24, frame->blob_len, 8);
}

static int parse_header(const unsigned char *h, struct frame *ret, struct err *err)
{
    uint64_t type = get(h + 6, 2), json_len = get(h + 16, 4), blob_len = get(h + 24, 8);
    if (get(h, 4) != FRAME_MAGIC) {
        return err_set(err, ERR_PROTOCOL, "not a frame (magic %08llx)",
                       (unsigned long long)get(h, 4));
    }
    if (get(h + 4, 2) != FRAME_VERSION) {
        return err_set(err, ERR_PROTOCOL, "frame version %llu, this program speaks %d",
                       (unsigned long long)get(h + 4, 2), FRAME_VERSION);
    }
    if (type < FRAME_TYPE_HELLO || type > FRAME_TYPE_ANSWER) {
        return err_set(err, ERR_PROTOCOL, "unknown frame type %llu", (unsigned long long)type);
    }
    if (json_len > FRAME_JSON_MAX || blob_len > FRAME_BLOB_MAX) {
        return err_set(err, ERR_PROTOCOL, "frame too large (json %llu, blob %llu bytes)",
                       (unsigned long long)json_len, (unsigned long long)blob_len);
    }
    *ret = (struct frame) { .type = (enum frame_type)type, .id = get(h + 8, 8),
                            .json_len = json_len, .blob_len = blob_len };
    return 0;
}

int64_t frame_parse(const char *at, size_t len, struct frame *ret, struct err *err)
{
    if (len < FRAME_HEADER) {
        return 0;
    }
    struct frame f;
    int r = parse_header((const unsigned char *)at, &f, err);
    if (r < 0) {
        return r;
    }
    size_t whole = FRAME_HEADER + f.json_len + f.blob_len;
    if (len < whole) {
        return 0;
    }
    f.json = at + FRAME_HEADER;
    f.blob = f.json + f.json_len;
    *ret = f;
    return (int64_t)whole;
}

/* 1: all read; 0: the stream ended before the first byte; negative: error. */
static int read_all(int fd, char *at, size_t len)
{
    size_t done = 0;
    while (done < len) {
        ssize_t n = read(fd, at + done, len - done);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return -errno;
        }
        if (n == 0) {
            return done ? ERR_PROTOCOL : 0;
        }
        done += (size_t)n;
    }
    return 1;
}

int frame_read(int fd, struct frame *ret, struct err *err)
{
    unsigned char header[FRAME_HEADER];
    int r = read_all(fd, (char *)header, sizeof(header));
    if (r == 0) {
        return err_set(err, ERR_NOTFOUND, "end of stream");
    }
    struct frame f;
    if (r > 0) {
        r = parse_header(header, &f, err);
        if (r < 0) {
            return r;
        }
        f.owned = malloc(f.json_len + f.blob_len + 1);
        if (!f.owned) {
            return err_set(err, -ENOMEM, "no memory for a frame of %zu bytes",
                           f.json_len + f.blob_len);
        }
        r = f.json_len + f.blob_len ? read_all(fd, f.owned, f.json_len + f.blob_len) : 1;
        if (r <= 0) {
            free(f.owned);
        }
    }
    if (r <= 0) {
        return err_set(err, r ? r : ERR_PROTOCOL, "the stream broke inside a frame");
    }
    f.owned[f.json_len + f.blob_len] = '\0';
    f.json = f.owned;
    f.blob = f.owned + f.json_len;
    *ret = f;
    return 0;
}

static int write_all(int fd, const void *bytes, size_t len)
{
    const char *at = bytes;
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

int frame_write(int fd, const struct frame *frame, struct err *err)
{
    unsigned char header[FRAME_HEADER];
    if (frame->json_len > FRAME_JSON_MAX || frame->blob_len > FRAME_BLOB_MAX) {
        return err_set(err, ERR_TOOBIG, "a frame too large to send (json %zu, blob %zu bytes)",
                       frame->json_len, frame->blob_len);
    }
    frame_header(frame, header);
    int r = write_all(fd, header, sizeof(header));
    if (r == 0) {
        r = write_all(fd, frame->json, frame->json_len);
    }
    if (r == 0) {
        r = write_all(fd, frame->blob, frame->blob_len);
    }
    return r < 0 ? err_set(err, r, "writing a frame: %s", strerror(-r)) : 0;
}
