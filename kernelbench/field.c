/* SPDX-License-Identifier: MIT */
#include "kernelbench/field.h"
#include "base/util.h"

#include <ctype.h>
#include <string.h>

/* Words that C++17, CUDA's device code or the expressions have taken. */
static const char *const taken[] = {
    "alignas", "alignof", "and", "and_eq", "asm", "auto", "bitand", "bitor", "bool", "break",
    "case", "catch", "char", "char16_t", "char32_t", "class", "compl", "const", "const_cast",
    "constexpr", "continue", "decltype", "default", "delete", "do", "double", "dynamic_cast",
    "else", "enum", "explicit", "export", "extern", "false", "float", "for", "friend", "goto", "if",
    "inline", "int", "long", "mutable", "namespace", "new", "noexcept", "not", "not_eq", "nullptr",
    "operator", "or", "or_eq", "private", "protected", "public", "register", "reinterpret_cast",
    "return", "short", "signed", "sizeof", "static", "static_assert", "static_cast", "struct",
    "switch", "template", "this", "thread_local", "throw", "true", "try", "typedef", "typeid",
    "typename", "union", "unsigned", "using", "virtual", "void", "volatile", "wchar_t", "while",
    "xor", "xor_eq", "threadIdx", "blockIdx", "blockDim", "gridDim", "warpSize", "defined",
    "min", "max", "ceildiv", "pow2ceil", "sm_count", "max_shared",
};

bool field_is_identifier(const char *text)
{
    if (!isalpha((unsigned char)text[0]) && text[0] != '_') {
        return false;
    }
    while (isalnum((unsigned char)*text) || *text == '_') {
        text++;
    }
    return *text == '\0';
}

int field_name(const char *name, const char *what, const struct jpath *at, struct err *err)
{
    if (!field_is_identifier(name)) {
        return jread_fail(at, err, "\"%.64s\" can't name %s: only letters, digits and \"_\", and "
                                   "no digit first", name, what);
    }
    if (strlen(name) > FIELD_NAME_MAX) {
        return jread_fail(at, err, "a name of more than %d characters", FIELD_NAME_MAX);
    }
    if (name[0] == '_' && (name[1] == '_' || isupper((unsigned char)name[1]))) {
        return jread_fail(at, err, "\"%s\" can't name %s: names that start so belong to the "
                                   "compiler", name, what);
    }
    for (size_t i = 0; i < ARRAY_LEN(taken); i++) {
        if (str_eq(name, taken[i])) {
            return jread_fail(at, err, "\"%s\" can't name %s: the word is reserved", name, what);
        }
    }
    return 0;
}

int field_named(const json_t *object, const char *key, const char *what, const struct jpath *at,
                struct arena *arena, const char **ret, struct err *err)
{
    const char *name = NULL;
    int r = jread_string(object, key, true, at, &name, err);
    if (r < 0) {
        return r;
    }
    struct jpath here = { at, key, 0 };
    r = field_name(name, what, &here, err);
    if (r == 0) {
        *ret = arena_strdup(arena, name);
    }
    return r;
}

int field_slug(const json_t *object, const char *key, const struct jpath *at, struct arena *arena,
               const char **ret, struct err *err)
{
    const char *text = NULL;
    int r = jread_string(object, key, true, at, &text, err);
    if (r < 0) {
        return r;
    }
    struct jpath here = { at, key, 0 };
    size_t n = 0;
    while (isalnum((unsigned char)text[n]) || (n && text[n] && strchr("_.-", text[n]))) {
        n++;
    }
    if (n == 0 || text[n]) {
        return jread_fail(&here, err, "\"%.64s\": only letters, digits and \"_.-\", and a letter "
                                      "or digit first", text);
    }
    if (n > FIELD_NAME_MAX) {
        return jread_fail(&here, err, "a name of more than %d characters", FIELD_NAME_MAX);
    }
    *ret = arena_strdup(arena, text);
    return 0;
}

int field_object(const json_t *object, const char *key, bool required, size_t most,
                 const struct jpath *at, json_t **ret, struct err *err)
{
    json_t *value = json_object_get(object, key);
    if (!value) {
        return required ? jread_fail(at, err, "the key \"%s\" is missing", key) : 0;
    }
    struct jpath here = { at, key, 0 };
    if (!json_is_object(value)) {
        return jread_fail(&here, err, "expected an object, got %s", jread_kind(value));
    }
    if (json_object_size(value) > most) {
        return jread_fail(&here, err, "%zu members, %zu at most", json_object_size(value), most);
    }
    *ret = value;
    return 0;
}

int field_value(const json_t *value, const struct jpath *at, int64_t *ret, struct err *err)
{
    if (json_is_integer(value)) {
        *ret = json_integer_value(value);
        return 0;
    }
    if (json_is_boolean(value)) {
        *ret = json_is_true(value);
        return 0;
    }
    return jread_fail(at, err, "expected an integer, got %s", jread_kind(value));
}

int field_expr(const json_t *value, const struct jpath *at, struct arena *arena, struct expr **ret,
               struct err *err)
{
    if (json_is_integer(value)) {
        *ret = expr_constant(arena, json_integer_value(value));
        return 0;
    }
    if (!json_is_string(value)) {
        return jread_fail(at, err, "expected an integer or an expression, got %s",
                          jread_kind(value));
    }
    struct err why = { 0 };
    if (expr_parse(arena, json_string_value(value), ret, &why) < 0) {
        return jread_fail(at, err, "%s", err_text(&why));
    }
    return 0;
}

int field_exprs(const json_t *object, const char *key, size_t least, size_t most,
                const struct jpath *at, struct arena *arena, struct expr **ret, size_t *ret_n,
                struct err *err)
{
    const json_t *list = NULL;
    int r = jread_array(object, key, least > 0, most, at, &list, err);
    if (r < 0 || !list) {
        return r;
    }
    struct jpath here = { at, key, 0 };
    size_t n = json_array_size(list);
    if (n < least) {
        return jread_fail(&here, err, "%zu elements, %zu at least", n, least);
    }
    for (size_t i = 0; i < n; i++) {
        struct jpath element = { &here, NULL, i };
        r = field_expr(json_array_get(list, i), &element, arena, &ret[i], err);
        if (r < 0) {
            return r;
        }
    }
    *ret_n = n;
    return 0;
}

int field_dtype(const json_t *object, const char *key, const struct jpath *at, enum dtype *ret,
                struct err *err)
{
    const char *name = NULL;
    int r = jread_string(object, key, true, at, &name, err);
    if (r == 0 && !dtype_parse(name, ret)) {
        struct jpath here = { at, key, 0 };
        r = jread_fail(&here, err, "unknown element type \"%.32s\"; there are f64 f32 f16 bf16 "
                                   "f8e4m3 f8e5m2 i64 i32 i16 i8 u8 bool", name);
    }
    return r;
}
