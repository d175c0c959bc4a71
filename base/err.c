/* SPDX-License-Identifier: MIT */
#include "base/err.h"
#include "base/util.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int err_set(struct err *err, int code, const char *format, ...)
{
    if (!err) {
        return code;
    }
    va_list args;
    va_start(args, format);
    vsnprintf(err->text, sizeof(err->text), format, args);
    va_end(args);
    err->code = code;
    return code;
}

int err_wrap(struct err *err, const char *format, ...)
{
    if (!err) {
        return ERR_BUG;
    }
    char prefix[512];
    va_list args;
    va_start(args, format);
    int written = vsnprintf(prefix, sizeof(prefix) - 2, format, args);
    va_end(args);
    size_t n = MIN((size_t)MAX(written, 0), sizeof(prefix) - 3);
    memcpy(prefix + n, ": ", 2);
    n += 2;
    size_t kept = MIN(strlen(err->text), sizeof(err->text) - 1 - n);
    memmove(err->text + n, err->text, kept);
    memcpy(err->text, prefix, n);
    err->text[n + kept] = '\0';
    return err->code;
}

const char *err_name(int code)
{
    switch (code) {
#define X(name, value, text)                                                                       \
    case ERR_##name:                                                                               \
        return text;
        ERR_LIST(X)
#undef X
    case 0:
        return "success";
    default:
        return code < 0 && code > -1000 ? strerror(-code) : "unknown error";
    }
}

const char *err_text(const struct err *err)
{
    return err->text[0] ? err->text : err_name(err->code);
}
