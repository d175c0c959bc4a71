/* SPDX-License-Identifier: MIT */
#include "agent/command.h"
#include "base/file.h"
#include "base/util.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int output_json(const char *file, json_t *json, struct err *err)
{
    auto_free char *text = json_dumps(json, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
    json_decref(json);
    require(text != NULL);
    auto_free char *line = xprintf("%s\n", text);
    if (!str_eq(file, "-")) {
        return file_write(file, line, strlen(line), err);
    }
    if (fputs(line, stdout) == EOF || fflush(stdout) == EOF) {
        return err_set(err, -EIO, "stdout can't be written");
    }
    return 0;
}
