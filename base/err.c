/* SPDX-License-Identifier: MIT */
#include "base/err.h"

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
    char old[sizeof(err->text)];
    va_list args;
    va_start(args, format);
    vsnprintf(prefix, sizeof(prefix), format, args);
    va_end(args);
    memcpy(old, err->text, sizeof(old));
    int n = snprintf(err->text, sizeof(err->text), "%s: ", prefix);
    snprintf(err->text + n, sizeof(err->text) - (size_t)n, "%s", old);
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
