/* SPDX-License-Identifier: MIT */
#include "memory/record_codec.h"
#include "base/buf.h"
#include "base/jread.h"
#include "base/util.h"

#include <float.h>
#include <math.h>
#include <string.h>

enum { KEYS_MAX = 48 };

/* Bytes of the sequence at s if it is UTF-8 that JSON may hold, else 0. */
static size_t utf8_run(const unsigned char *s)
{
    if (s[0] < 0x80) {
        return 1;
    }
    size_t n = s[0] >= 0xc2 && s[0] < 0xe0   ? 2
               : s[0] >= 0xe0 && s[0] < 0xf0 ? 3
               : s[0] >= 0xf0 && s[0] < 0xf5 ? 4
                                             : 0;
    for (size_t i = 1; i < n; i++) {
        if ((s[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    bool overlong = (s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xf0 && s[1] < 0x90);
    bool surrogate = s[0] == 0xed && s[1] >= 0xa0;
    return overlong || surrogate || (s[0] == 0xf4 && s[1] >= 0x90) ? 0 : n;
}

json_t *record_text(const char *s)
{
    json_t *text = json_string(s);
    if (text) {
        return text;
    }
    auto_buf struct buf fixed;
    buf_init(&fixed, 3 * strlen(s) + 1);
    while (*s) {
        size_t n = utf8_run((const unsigned char *)s);
        buf_add(&fixed, n ? s : "\xef\xbf\xbd", n ? n : 3);
        s += n ? n : 1;
    }
    text = json_stringn(fixed.at, fixed.len);
    require(text != NULL);
    return text;
}

static int encode_one(const struct field *field, const void *record, json_t *to, struct err *err)
{
    const char *at = (const char *)record + field->at;
    const char *text;
    int64_t integer;
    double real;
    bool flag;
    switch (field->kind) {
    case FIELD_KIND_TEXT:
        memcpy(&text, at, sizeof(text));
        if (text && *text) {
            json_object_set_new(to, field->name, record_text(text));
        } else if (field->required) {
            return err_set(err, ERR_INVALID, "%s: it is empty", field->name);
        }
        break;
    case FIELD_KIND_INT:
        memcpy(&integer, at, sizeof(integer));
        if (integer) {
            json_object_set_new(to, field->name, json_integer(integer));
        }
        break;
    case FIELD_KIND_REAL:
        memcpy(&real, at, sizeof(real));
        if (!isfinite(real)) {
            return err_set(err, ERR_INVALID, "%s: %g isn't finite", field->name, real);
        }
        if (real != 0) {
            json_object_set_new(to, field->name, json_real(real));
        }
        break;
    case FIELD_KIND_BOOL:
        memcpy(&flag, at, sizeof(flag));
        if (flag) {
            json_object_set_new(to, field->name, json_true());
        }
        break;
    }
    return 0;
}

int record_encode(const struct field *fields, size_t n, const void *record, json_t **ret,
                  struct err *err)
{
    json_t *json = json_object();
    require(json != NULL);
    json_object_set_new(json, "format", json_integer(RECORD_FORMAT));
    for (size_t i = 0; i < n; i++) {
        int r = encode_one(&fields[i], record, json, err);
        if (r < 0) {
            json_decref(json);
            return r;
        }
    }
    *ret = json;
    return 0;
}

int record_open(const char *text, size_t len, const struct field *fields, size_t n,
                const char *const *more, size_t n_more, json_t **ret, struct err *err)
{
    json_auto_t *json = NULL;
    int r = jread_parse(text, len, &json, err);
    if (r < 0) {
        return r;
    }
    int64_t format = 0;
    r = jread_int(json, "format", true, 1, INT64_MAX, NULL, &format, err);
    if (r == 0 && format > RECORD_FORMAT) {
        return err_set(err, ERR_VERSION, "written by a newer program (format %lld)",
                       (long long)format);
    }
    const char *known[KEYS_MAX] = {"format"};
    require(n + n_more < KEYS_MAX);
    for (size_t i = 0; i < n; i++) {
        known[1 + i] = fields[i].name;
    }
    for (size_t i = 0; i < n_more; i++) {
        known[1 + n + i] = more[i];
    }
    r = r < 0 ? r : jread_object(json, NULL, known, 1 + n + n_more, err);
    if (r == 0) {
        *ret = json_incref(json);
    }
    return r;
}

static int decode_one(const json_t *json, const struct field *field, struct arena *arena, char *at,
                      struct err *err)
{
    const char *text = "";
    int64_t integer = 0;
    double real = 0;
    bool flag = false;
    int r = 0;
    switch (field->kind) {
    case FIELD_KIND_TEXT:
        r = jread_string(json, field->name, field->required, NULL, &text, err);
        if (r == 0) {
            text = *text ? arena_strdup(arena, text) : "";
            memcpy(at, &text, sizeof(text));
        }
        break;
    case FIELD_KIND_INT:
        r = jread_int(json, field->name, false, INT64_MIN, INT64_MAX, NULL, &integer, err);
        memcpy(at, &integer, sizeof(integer));
        break;
    case FIELD_KIND_REAL:
        r = jread_real(json, field->name, false, -DBL_MAX, DBL_MAX, NULL, &real, err);
        memcpy(at, &real, sizeof(real));
        break;
    case FIELD_KIND_BOOL:
        r = jread_bool(json, field->name, false, NULL, &flag, err);
        memcpy(at, &flag, sizeof(flag));
        break;
    }
    return r;
}

int record_decode(const json_t *json, const struct field *fields, size_t n, struct arena *arena,
                  void *ret, struct err *err)
{
    for (size_t i = 0; i < n; i++) {
        int r = decode_one(json, &fields[i], arena, (char *)ret + fields[i].at, err);
        if (r < 0) {
            return r;
        }
    }
    return 0;
}
