/* SPDX-License-Identifier: MIT */
#include "agent/llm_wire.h"
#include "base/util.h"

#include <stdio.h>
#include <string.h>

enum { COUNT_MAX = 1000000000 }; /* tokens that any one answer may speak of */

void llm_wire_quote(const char *bytes, size_t len, char *ret, size_t size)
{
    size_t n = 0;
    bool space = false;
    for (size_t i = 0; i < len && n + 5 < size;) {
        size_t step = utf8_len(bytes + i, len - i);
        unsigned char c = (unsigned char)bytes[i];
        if (step == 0 || c <= ' ' || c == 127) {
            space = n > 0;
            i++;
            continue;
        }
        if (space) {
            ret[n++] = ' ';
            space = false;
        }
        memcpy(ret + n, bytes + i, step);
        n += step;
        i += step;
    }
    ret[n] = '\0';
}

int llm_wire_parse(const char *body, size_t len, json_t **ret, struct err *err)
{
    json_error_t error;
    json_t *json = json_loadb(body, len, JSON_ALLOW_NUL, &error);
    if (!json) {
        char said[120], began[100];
        llm_wire_quote(error.text, strlen(error.text), said, sizeof(said));
        llm_wire_quote(body, MIN(len, (size_t)80), began, sizeof(began));
        return err_set(err, ERR_PROTOCOL, "the body isn't JSON (%s, byte %d of %zu): \"%s\"", said,
                       error.position, len, began);
    }
    if (!json_is_object(json)) {
        json_decref(json);
        return err_set(err, ERR_PROTOCOL, "the body isn't a JSON object");
    }
    *ret = json;
    return 0;
}

static void quote_member(const json_t *object, const char *key, char *ret, size_t size)
{
    const json_t *value = json_object_get(object, key);
    if (json_is_string(value)) {
        llm_wire_quote(json_string_value(value), json_string_length(value), ret, size);
    } else if (json_is_integer(value)) {
        snprintf(ret, size, "%lld", (long long)json_integer_value(value));
    }
}

bool llm_wire_problem(const json_t *body, struct llm_problem *ret)
{
    const json_t *error = json_object_get(body, "error");
    *ret = (struct llm_problem) { .message = "" };
    if (json_is_object(error)) {
        quote_member(error, "message", ret->message, sizeof(ret->message));
        quote_member(error, "type", ret->type, sizeof(ret->type));
        quote_member(error, "code", ret->code, sizeof(ret->code));
        quote_member(error, "param", ret->param, sizeof(ret->param));
        return true;
    }
    if (json_is_string(error)) { /* smaller servers say it in one string */
        quote_member(body, "error", ret->message, sizeof(ret->message));
        return true;
    }
    if (json_is_string(json_object_get(body, "object"))
        && str_eq(json_string_value(json_object_get(body, "object")), "error")) {
        quote_member(body, "message", ret->message, sizeof(ret->message)); /* older vLLM */
        quote_member(body, "type", ret->type, sizeof(ret->type));
        quote_member(body, "code", ret->code, sizeof(ret->code));
        return true;
    }
    const json_t *detail = json_object_get(body, "detail"); /* FastAPI */
    if (json_is_string(detail)) {
        quote_member(body, "detail", ret->message, sizeof(ret->message));
        return true;
    }
    return false;
}

/* Is the problem that this parameter isn't taken? Providers say so in a code, or in words only. */
static bool refuses(const struct llm_problem *p, const char *name)
{
    static const char *const words[] = { "upported", "ecognized", "not support", "deprecated",
                                         "not permitted", "xtra inputs", "unknown", "Unknown",
                                         "not allowed", "may only be set", "only the default" };
    const char *at = strstr(p->message, name);
    bool whole = at && (at == p->message || at[-1] != '_') && at[strlen(name)] != '_';
    bool named = str_eq(p->param, name) || whole;
    bool coded = str_eq(p->code, "unsupported_parameter") || str_eq(p->code, "unsupported_value")
        || str_eq(p->code, "unknown_parameter");
    for (size_t i = 0; named && !coded && i < ARRAY_LEN(words); i++) {
        coded = strstr(p->message, words[i]);
    }
    return named && coded;
}

bool llm_wire_reshape(const struct llm_problem *p, struct llm_shape *shape)
{
    if (shape->temperature == shape->temperature && !shape->temperature_refused
        && refuses(p, "temperature")) {
        return shape->temperature_refused = true;
    }
    /* The refused one may be named beside the one to use: `param` decides, then what we sent. */
    const char *sent = shape->old_max_tokens ? "max_tokens" : "max_completion_tokens";
    const char *other = shape->old_max_tokens ? "max_completion_tokens" : "max_tokens";
    if (!str_eq(p->param, other) && refuses(p, sent)) {
        shape->old_max_tokens = !shape->old_max_tokens;
        return true;
    }
    return false;
}

/* A copy without NULs, which C strings can't hold. */
static char *copy_text(struct arena *arena, const json_t *value)
{
    size_t len = json_string_length(value);
    char *copy = arena_strndup(arena, "", 0);
    if (len) {
        copy = arena_alloc(arena, len + 1, 1);
        memcpy(copy, json_string_value(value), len);
        for (char *c = copy; (c = memchr(c, '\0', (size_t)(copy + len - c))); c++) {
            *c = '?';
        }
    }
    return copy;
}

const char *llm_wire_string(const json_t *object, const char *key, struct arena *arena)
{
    const json_t *value = json_object_get(object, key);
    if (!json_is_string(value)) {
        return "";
    }
    char text[256];
    llm_wire_quote(json_string_value(value), json_string_length(value), text, sizeof(text));
    return arena_strdup(arena, text);
}

int llm_wire_text(const json_t *content, struct arena *arena, const char **ret, size_t *ret_len,
                  struct err *err)
{
    if (json_is_string(content)) {
        *ret = copy_text(arena, content);
        *ret_len = strlen(*ret);
        return 0;
    }
    if (!json_is_array(content)) {
        return err_set(err, ERR_PROTOCOL, "content: expected a string or an array, got %s",
                       jread_kind(content));
    }
    size_t total = 0, i, at = 0;
    const json_t *piece;
    for (int pass = 0; pass < 2; pass++) { /* measured, then copied */
        char *text = pass ? arena_alloc(arena, total + 1, 1) : NULL;
        json_array_foreach(content, i, piece) {
            const json_t *type = json_object_get(piece, "type"), *value = json_object_get(piece, "text");
            if (!json_is_string(type) || !str_eq(json_string_value(type), "text")
                || !json_is_string(value)) {
                continue; /* thinking, say */
            }
            size_t len = json_string_length(value);
            if (!pass) {
                total += len;
            } else if (len) {
                memcpy(text + at, copy_text(arena, value), len);
                at += len;
            }
        }
        *ret = pass ? text : *ret;
    }
    *ret_len = total;
    return 0;
}

bool llm_wire_count(const json_t *object, const char *key, int64_t *ret)
{
    const json_t *value = json_object_get(object, key);
    *ret = 0;
    if (!value || json_is_null(value)) {
        return true;
    }
    if (!json_is_integer(value) || json_integer_value(value) < 0
        || json_integer_value(value) > COUNT_MAX) {
        return false;
    }
    *ret = json_integer_value(value);
    return true;
}
