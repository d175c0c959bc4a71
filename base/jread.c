/* SPDX-License-Identifier: MIT */
#include "base/jread.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/util.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int jread_parse(const char *text, size_t len, json_t **ret, struct err *err)
{
    json_error_t why;
    json_t *value = json_loadb(text, len, JSON_REJECT_DUPLICATES, &why);
    if (!value) {
        return err_set(err, ERR_INVALID, "line %d, column %d: %s", why.line, why.column, why.text);
    }
    *ret = value;
    return 0;
}

int jread_file(const char *path, json_t **ret, struct err *err)
{
    return jread_file_most(path, JREAD_TEXT_MAX, ret, err);
}

int jread_file_most(const char *path, size_t most, json_t **ret, struct err *err)
{
    auto_free char *text = NULL;
    size_t len;
    int r = file_read(path, most, &text, &len, err);
    if (r < 0) {
        return r;
    }
    r = jread_parse(text, len, ret, err);
    if (r < 0) {
        err_wrap(err, "%s", path);
    }
    return r;
}

static void path_text(const struct jpath *at, struct buf *out)
{
    if (!at) {
        return;
    }
    path_text(at->up, out);
    if (at->key) {
        buf_printf(out, "%s%s", out->len ? "." : "", at->key);
    } else {
        buf_printf(out, "[%zu]", at->index);
    }
}

void jread_path(const struct jpath *at, char *ret, size_t size)
{
    auto_buf struct buf path;
    buf_init(&path, 4096);
    path_text(at, &path);
    snprintf(ret, size, "%s", path.len ? path.at : "");
}

int jread_fail(const struct jpath *at, struct err *err, const char *format, ...)
{
    char text[sizeof(err->text)];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    auto_buf struct buf path;
    buf_init(&path, 512);
    path_text(at, &path);
    return err_set(err, ERR_INVALID, "%s%s%s", path.len ? path.at : "", path.len ? ": " : "", text);
}

const char *jread_kind(const json_t *value)
{
    switch (value ? json_typeof(value) : JSON_NULL) {
    case JSON_OBJECT: return "an object";
    case JSON_ARRAY: return "an array";
    case JSON_STRING: return "a string";
    case JSON_INTEGER: return "an integer";
    case JSON_REAL: return "a real number";
    case JSON_TRUE: return "true";
    case JSON_FALSE: return "false";
    default: return "null";
    }
}

int jread_object(const json_t *value, const struct jpath *at, const char *const *known, size_t n,
                 struct err *err)
{
    if (!json_is_object(value)) {
        return jread_fail(at, err, "expected an object, got %s", jread_kind(value));
    }
    const char *key;
    json_t *member;
    json_object_foreach((json_t *)(uintptr_t)value, key, member)
    {
        size_t i = 0;
        while (i < n && !str_eq(known[i], key)) {
            i++;
        }
        if (i < n) {
            continue;
        }
        const char *near = suggest(key, known, n);
        struct jpath here = { at, key, 0 };
        return near ? jread_fail(&here, err, "unknown key, did you mean \"%s\"?", near)
                    : jread_fail(&here, err, "unknown key");
    }
    return 0;
}

/* 1: there; 0: absent and that's fine; negative: error. */
static int member(const json_t *object, const char *key, bool required, const struct jpath *at,
                  const json_t **ret, struct err *err)
{
    const json_t *value = json_object_get(object, key);
    if (!value && required) {
        return jread_fail(at, err, "the key \"%s\" is missing", key);
    }
    *ret = value;
    return value != NULL;
}

int jread_string(const json_t *object, const char *key, bool required, const struct jpath *at,
                 const char **ret, struct err *err)
{
    const json_t *value = NULL;
    int r = member(object, key, required, at, &value, err);
    if (r <= 0) {
        return r;
    }
    if (!json_is_string(value)) {
        struct jpath here = { at, key, 0 };
        return jread_fail(&here, err, "expected a string, got %s", jread_kind(value));
    }
    *ret = json_string_value(value);
    return 0;
}

int jread_int(const json_t *object, const char *key, bool required, int64_t lo, int64_t hi,
              const struct jpath *at, int64_t *ret, struct err *err)
{
    const json_t *value = NULL;
    int r = member(object, key, required, at, &value, err);
    if (r <= 0) {
        return r;
    }
    struct jpath here = { at, key, 0 };
    if (!json_is_integer(value)) {
        return jread_fail(&here, err, "expected an integer, got %s", jread_kind(value));
    }
    int64_t v = json_integer_value(value);
    if (v < lo || v > hi) {
        return jread_fail(&here, err, "%lld is outside %lld..%lld", (long long)v, (long long)lo,
                          (long long)hi);
    }
    *ret = v;
    return 0;
}

int jread_real(const json_t *object, const char *key, bool required, double lo, double hi,
               const struct jpath *at, double *ret, struct err *err)
{
    const json_t *value = NULL;
    int r = member(object, key, required, at, &value, err);
    if (r <= 0) {
        return r;
    }
    struct jpath here = { at, key, 0 };
    if (!json_is_number(value)) {
        return jread_fail(&here, err, "expected a number, got %s", jread_kind(value));
    }
    double v = json_number_value(value);
    if (!(v >= lo && v <= hi)) {
        return jread_fail(&here, err, "%g is outside %g..%g", v, lo, hi);
    }
    *ret = v;
    return 0;
}

int jread_bool(const json_t *object, const char *key, bool required, const struct jpath *at,
               bool *ret, struct err *err)
{
    const json_t *value = NULL;
    int r = member(object, key, required, at, &value, err);
    if (r <= 0) {
        return r;
    }
    if (!json_is_boolean(value)) {
        struct jpath here = { at, key, 0 };
        return jread_fail(&here, err, "expected true or false, got %s", jread_kind(value));
    }
    *ret = json_is_true(value);
    return 0;
}

int jread_array(const json_t *object, const char *key, bool required, size_t most,
                const struct jpath *at, const json_t **ret, struct err *err)
{
    const json_t *value = NULL;
    int r = member(object, key, required, at, &value, err);
    if (r <= 0) {
        return r;
    }
    struct jpath here = { at, key, 0 };
    if (!json_is_array(value)) {
        return jread_fail(&here, err, "expected an array, got %s", jread_kind(value));
    }
    if (json_array_size(value) > most) {
        return jread_fail(&here, err, "%zu elements, %zu at most", json_array_size(value), most);
    }
    *ret = value;
    return 0;
}

json_t *json_text(const char *bytes, size_t len)
{
    auto_free char *text = xcalloc(len + 1, 1);
    for (size_t i = 0; i < len;) {
        size_t n = utf8_len(bytes + i, len - i);
        if (n == 0 || bytes[i] == '\0') {
            text[i++] = '?';
            continue;
        }
        memcpy(text + i, bytes + i, n);
        i += n;
    }
    json_t *value = json_stringn(text, len);
    require(value != NULL);
    return value;
}

static void pretty(const json_t *value, size_t indent, size_t room, struct buf *out)
{
    auto_free char *line = json_dumps(value, JSON_ENCODE_ANY);
    require(line != NULL);
    if (strlen(line) <= room || (!json_is_object(value) && !json_is_array(value))) {
        buf_puts(out, line);
        return;
    }
    enum { WIDTH = 96, STEP = 2 };
    bool object = json_is_object(value);
    size_t inner = indent + STEP, left = inner < WIDTH ? WIDTH - inner : 0;
    buf_puts(out, object ? "{" : "[");
    void *at = json_object_iter((json_t *)(uintptr_t)value);
    size_t n = object ? json_object_size(value) : json_array_size(value);
    for (size_t i = 0; i < n; i++) {
        buf_printf(out, "%s\n%*s", i ? "," : "", (int)inner, "");
        if (object) {
            json_t *name = json_string(json_object_iter_key(at));
            auto_free char *key = json_dumps(name, JSON_ENCODE_ANY);
            json_decref(name);
            buf_printf(out, "%s: ", key);
            size_t used = strlen(key) + STEP;
            pretty(json_object_iter_value(at), inner, left > used ? left - used : 0, out);
            at = json_object_iter_next((json_t *)(uintptr_t)value, at);
        } else {
            pretty(json_array_get(value, i), inner, left, out);
        }
    }
    buf_printf(out, "\n%*s%s", (int)indent, "", object ? "}" : "]");
}

char *json_pretty(const json_t *value)
{
    struct buf out;
    buf_init(&out, SIZE_MAX);
    pretty(value, 0, json_is_object(value) || json_is_array(value) ? 0 : SIZE_MAX, &out);
    buf_puts(&out, "\n");
    require(!out.failed);
    return buf_take(&out);
}
