/* SPDX-License-Identifier: MIT */
#include "tests/kernelbench_rig.h"
#include "base/file.h"
#include "base/jread.h"
#include "base/util.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

int kernelbench_rig_setup(void **state)
{
    static char folder[] = "/tmp/ws_kernelbench_rig_XXXXXX";
    assert_non_null(mkdtemp(folder));
    auto_free char *store = xprintf("%s/store", folder);
    setenv("WARPSMITH_STORE", store, 1);
    setenv("WARPSMITH_PYTHON", "/usr/bin/python3", 0);
    *state = folder;
    return 0;
}

int kernelbench_rig_teardown(void **state)
{
    return folder_remove(*state, NULL);
}

int kernelbench_rig_run(const char *args, char **ret_output)
{
    auto_free char *line = xprintf("%s/warpsmith kernelbench run --suite " CASES "%s 2>&1", WS_BIN_DIR, args);
    FILE *pipe = popen(line, "r");
    struct buf out;
    char chunk[4096];
    size_t n;
    assert_non_null(pipe);
    buf_init(&out, 1 << 20);
    while ((n = fread(chunk, 1, sizeof(chunk), pipe)) > 0) {
        buf_add(&out, chunk, n);
    }
    int status = pclose(pipe);
    *ret_output = out.len ? buf_take(&out) : xstrdup("");
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

json_t *kernelbench_rig_json(const char *args)
{
    char *output = NULL;
    json_t *json = NULL;
    if (kernelbench_rig_run(args, &output) != 0 || jread_parse(output, strlen(output), &json, NULL) < 0) {
        fail_msg("%s: %s", args, output);
    }
    free(output);
    return json;
}

json_t *kernelbench_rig_result(const char *out, const char *name)
{
    auto_free char *file = xprintf("%s/results/%s.json", out, name);
    json_t *result = NULL;
    assert_int_equal(jread_file(file, &result, NULL), 0);
    return result;
}

const char *kernelbench_rig_text(const json_t *json, const char *key)
{
    const char *text = json_string_value(json_object_get(json, key));
    return text ? text : "";
}

int64_t kernelbench_rig_whole(const json_t *json, const char *key)
{
    return json_integer_value(json_object_get(json, key));
}
