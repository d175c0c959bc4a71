#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * Errors as values. A function returns 0 or a negative code: a negated errno, or one of the codes
 * below (-1001 and down). The text travels beside it in a `struct err` owned by the operation and
 * is wrapped on the way up, so that the last reader sees where and why:
 * "task softmax: launches[0].grid[0]: division by zero".
 *
 * Every `struct err *` parameter may be NULL: the code is returned all the same.
 * One foreign code space has one mapper, beside the one file that includes the foreign header.
 */

#define ERR_LIST(X)                                                                                \
    X(BUG, -1001, "internal error")                                                                \
    X(INVALID, -1002, "invalid input")                                                             \
    X(TOOBIG, -1003, "over a limit")                                                               \
    X(NOTFOUND, -1004, "not found")                                                                \
    X(EXISTS, -1005, "exists already")                                                             \
    X(TIMEOUT, -1006, "out of time")                                                               \
    X(CANCELED, -1007, "canceled")                                                                 \
    X(CRASH, -1008, "a worker died")                                                               \
    X(UNSUPPORTED, -1009, "not supported here")                                                    \
    X(BUSY, -1010, "in use")                                                                       \
    X(FULL, -1011, "no room left")                                                                 \
    X(VERSION, -1012, "another version")                                                           \
    X(PROTOCOL, -1013, "protocol violated")                                                        \
    X(DEVICE, -1014, "device error")                                                               \
    X(ENVIRONMENT, -1015, "this machine lacks something")

enum err_code {
#define X(name, value, text) ERR_##name = value,
    ERR_LIST(X)
#undef X
};

struct err {
    int code;
    char text[2048];
};

/* Records code and text, returns code. */
int err_set(struct err *err, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4), cold));

/* Puts "prefix: " before the text and returns the code that is there. */
int err_wrap(struct err *err, const char *format, ...) __attribute__((format(printf, 2, 3), cold));

/* A short text for any code of ours or errno's; never NULL. */
const char *err_name(int code);

/* The text if there is one, else the code's name. */
const char *err_text(const struct err *err);
