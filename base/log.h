#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * Log lines in logfmt on stderr: `level=info module=pool worker=3 msg="respawned"`. Only programs
 * (agent commands and the worker's main) log above debug; libraries return errors. A `struct log`
 * is passed in; NULL logs nothing.
 */
#include <stdio.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

struct log {
    FILE *out;
    enum log_level level;
};

/* "error".."debug"; returns ERR_INVALID for anything else. */
int log_level_parse(const char *name, enum log_level *ret);

void log_line(const struct log *log, enum log_level level, const char *module, const char *format,
              ...) __attribute__((format(printf, 4, 5)));
