#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * Frames between the agent and its workers: a fixed 32-byte little-endian header {magic, version,
 * type, id, json length, reserved, blob length}, then JSON text, then raw bytes (a cubin, say).
 * Lengths are checked against hard caps before anything is allocated; whatever doesn't parse is
 * ERR_PROTOCOL and ends the connection.
 *
 * Two ways to read: frame_read blocks on a descriptor (the worker), frame_parse takes what has
 * arrived so far (the loop).
 */
#include <stddef.h>
#include <stdint.h>
#include "base/buf.h"
#include "base/err.h"

enum {
    FRAME_HEADER = 32,
    FRAME_MAGIC = 0x4d535057, /* "WPSM" */
    FRAME_VERSION = 1,
    FRAME_JSON_MAX = 16 << 20,
};
#define FRAME_BLOB_MAX ((uint64_t)256 << 20)

enum frame_type {
    FRAME_TYPE_HELLO = 1, /* worker -> agent, once: what it is and what it found */
    FRAME_TYPE_JOB,       /* agent -> worker */
    FRAME_TYPE_PROGRESS,  /* worker -> agent: {"phase": ...} */
    FRAME_TYPE_RESULT,    /* worker -> agent: ends the job of the same id */
    FRAME_TYPE_ASK,       /* worker -> agent: a question in the middle of that job */
    FRAME_TYPE_ANSWER,    /* agent -> worker: which waits for it */
};

/* json and blob point into the buffer that was parsed, or (frame_read) into `owned`. */
struct frame {
    enum frame_type type;
    uint64_t id;
    const char *json;
    size_t json_len;
    const void *blob;
    size_t blob_len;
    char *owned; /* free() it after frame_read */
};

/* Writes the header of a frame with these lengths. */
void frame_header(const struct frame *frame, unsigned char ret[FRAME_HEADER]);

/* Takes a frame from the start of `at`: bytes consumed, 0 if more must arrive, or ERR_PROTOCOL. */
int64_t frame_parse(const char *at, size_t len, struct frame *ret, struct err *err);

/* Blocking; ERR_NOTFOUND at a clean end of the stream, ERR_PROTOCOL in mid-frame. */
int frame_read(int fd, struct frame *ret, struct err *err);
/* ERR_TOOBIG over the caps, before anything is written. */
int frame_write(int fd, const struct frame *frame, struct err *err);
