/* SPDX-License-Identifier: MIT */
#include "tests/cases.h"
#include "base/file.h"
#include "base/jread.h"
#include "base/util.h"

#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

void cases_merge(json_t *to, const json_t *patch)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)patch, key, value)
    {
        json_t *old = json_object_get(to, key);
        if (json_is_null(value)) {
            json_object_del(to, key);
        } else if (json_is_object(value) && json_is_object(old)) {
            cases_merge(old, value);
        } else {
            json_object_set(to, key, value);
        }
    }
}

char *cases_base(const char *kind)
{
    auto_free char *path = xprintf(WS_SOURCE_DIR "/tests/cases/%s/base.json", kind);
    char *text = NULL;
    assert_int_equal(file_read(path, JREAD_TEXT_MAX, &text, NULL, NULL), 0);
    return text;
}

static char *document(const char *kind, const json_t *the_case)
{
    const json_t *text = json_object_get(the_case, "text");
    if (text) {
        return xstrdup(json_string_value(text));
    }
    auto_free char *base = cases_base(kind);
    json_t *doc = NULL;
    assert_int_equal(jread_parse(base, strlen(base), &doc, NULL), 0);
    cases_merge(doc, json_object_get(the_case, "merge"));
    char *merged = json_dumps(doc, JSON_INDENT(1));
    json_decref(doc);
    return merged;
}

/* 1 if the case went wrong. */
static size_t run_one(const char *kind, const char *path, cases_run *run)
{
    struct err err = { 0 };
    json_t *the_case = NULL;
    if (jread_file(path, &the_case, &err) < 0) {
        print_error("%s\n", err_text(&err));
        return 1;
    }
    auto_free char *text = document(kind, the_case);
    const char *want = json_string_value(json_object_get(the_case, "error"));
    int code = run(the_case, text, strlen(text), &err);
    int silent = run(the_case, text, strlen(text), NULL);
    size_t wrong = 0;
    if (code == 0 ? want != NULL : !str_eq(want, err_text(&err))) {
        print_error("%s\n   got: %s\n  want: %s\n", path, code < 0 ? err_text(&err) : "no error",
                    want ? want : "no error");
        wrong = 1;
    } else if (silent != code || (code < 0 && err.code != code)) {
        print_error("%s: code %d, recorded %d, without a struct err %d\n", path, code, err.code,
                    silent);
        wrong = 1;
    }
    json_decref(the_case);
    return wrong;
}

size_t cases_all(const char *kind, cases_run *run)
{
    auto_free char *pattern = xprintf(WS_SOURCE_DIR "/tests/cases/%s/*.json", kind);
    glob_t found;
    assert_int_equal(glob(pattern, 0, NULL, &found), 0);
    size_t n = 0, wrong = 0;
    for (size_t i = 0; i < found.gl_pathc; i++) {
        if (!strstr(found.gl_pathv[i], "/base.json")) {
            wrong += run_one(kind, found.gl_pathv[i], run);
            n++;
        }
    }
    globfree(&found);
    assert_int_equal(wrong, 0);
    return n;
}
