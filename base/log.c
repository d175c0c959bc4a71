/* SPDX-License-Identifier: MIT */
#include "base/log.h"
#include "base/err.h"
#include "base/util.h"

#include <stdarg.h>

static const char *const level_names[] = { "error", "warn", "info", "debug" };

int log_level_parse(const char *name, enum log_level *ret)
{
    for (size_t i = 0; i < ARRAY_LEN(level_names); i++) {
        if (str_eq(name, level_names[i])) {
            *ret = (enum log_level)i;
            return 0;
        }
    }
    return ERR_INVALID;
}

void log_line(const struct log *log, enum log_level level, const char *module, const char *format,
              ...)
{
    if (!log || !log->out || level > log->level) {
        return;
    }
    char text[2048];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    for (char *c = text; *c; c++) {
        if (*c == '"') {
            *c = '\'';
        } else if ((unsigned char)*c < 0x20) {
            *c = ' ';
        }
    }
    fprintf(log->out, "level=%s module=%s msg=\"%s\"\n", level_names[level], module, text);
}
