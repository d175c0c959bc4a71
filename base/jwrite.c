/* SPDX-License-Identifier: MIT */
#include "base/jwrite.h"
#include "base/util.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEYS_FEW = 32 };

/* The decimal digits of a number, most significant first, without a NUL. */
static size_t digits_of(uint64_t value, char ret[20])
{
    char back[20];
    size_t n = 0;
    do {
        back[n++] = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    for (size_t i = 0; i < n; i++) {
        ret[i] = back[n - 1 - i];
    }
    return n;
}

/*
 * |value| as m / 10^k with m up to 10^15 and k at most 22, if there are such: both are exact doubles
 * then, so their quotient is the double nearest to the decimal that is printed (Clinger 1990), and
 * whoever reads it gets `value` again. One k is enough: a number of fewer digits ends in zeros there.
 */
static bool as_decimal(double value, uint64_t *ret_m, int *ret_k)
{
    static const double powers[] = {
        1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
        1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
    };
    size_t k = 0;
    while (k + 1 < ARRAY_LEN(powers) && value * powers[k + 1] < 1e15) {
        k++;
    }
    double m = rint(value * powers[k]);
    if (!(m <= 1e15 && m / powers[k] == value)) {
        return false;
    }
    *ret_m = (uint64_t)m;
    *ret_k = (int)k;
    return true;
}

size_t json_real_text(double value, char ret[JSON_REAL_MAX])
{
    uint64_t m;
    int k;
    require(isfinite(value));
    if (!as_decimal(fabs(value), &m, &k)) {
        int n = snprintf(ret, JSON_REAL_MAX, "%.17g", value);
        if (!strpbrk(ret, ".e")) {
            n += snprintf(ret + n, JSON_REAL_MAX - (size_t)n, ".0");
        }
        return (size_t)n;
    }
    while (k > 0 && m % 10 == 0) {
        m /= 10;
        k--;
    }
    char digits[20];
    size_t n = digits_of(m, digits), at = 0, places = (size_t)k;
    if (signbit(value)) {
        ret[at++] = '-';
    }
    size_t whole = n > places ? n - places : 0;
    memcpy(ret + at, digits, whole);
    at += whole;
    if (whole == 0) {
        ret[at++] = '0';
    }
    ret[at++] = '.';
    for (size_t zeros = places > n ? places - n : 0; zeros > 0; zeros--) {
        ret[at++] = '0';
    }
    memcpy(ret + at, digits + whole, n - whole);
    at += n - whole;
    if (places == 0) {
        ret[at++] = '0';
    }
    ret[at] = '\0';
    return at;
}

static void write_integer(int64_t value, struct buf *out)
{
    char text[21];
    size_t sign = value < 0;
    text[0] = '-';
    size_t n = digits_of(sign ? 0 - (uint64_t)value : (uint64_t)value, text + sign);
    buf_add(out, text, sign + n);
}

static bool is_plain(const char *s, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)s[i];
        if (c < 0x20 || c >= 0x80 || c == '"' || c == '\\') {
            return false;
        }
    }
    return true;
}

/* One character that can't stand as it is: escaped, or what isn't UTF-8 replaced. */
static void write_odd(unsigned char c, struct buf *out)
{
    static const char short_for[] = "\bb\ff\nn\rr\tt\"\"\\\\";
    const char *at = c ? strchr(short_for, c) : NULL;
    if (c >= 0x80) {
        buf_add(out, "?", 1);
    } else if (at) {
        buf_printf(out, "\\%c", at[1]);
    } else {
        buf_printf(out, "\\u%04X", c);
    }
}

static void write_escaped(const char *s, size_t len, struct buf *out)
{
    size_t plain = 0; /* where the bytes that haven't been copied yet begin */
    buf_add(out, "\"", 1);
    for (size_t i = 0; i < len;) {
        size_t n = utf8_len(s + i, len - i);
        if (n > 1 || (n == 1 && is_plain(s + i, 1))) {
            i += n;
            continue;
        }
        buf_add(out, s + plain, i - plain);
        write_odd((unsigned char)s[i], out);
        plain = ++i;
    }
    buf_add(out, s + plain, len - plain);
    buf_add(out, "\"", 1);
}

/* The string in quotes, and what follows it: "" or ":". */
static void write_string(const char *s, size_t len, const char *then, struct buf *out)
{
    size_t more = strlen(then);
    char *at = is_plain(s, len) ? buf_room(out, len + 2 + more) : NULL;
    if (!at) {
        write_escaped(s, len, out);
        buf_add(out, then, more);
        return;
    }
    at[0] = '"';
    memcpy(at + 1, s, len);
    at[len + 1] = '"';
    memcpy(at + len + 2, then, more);
    buf_wrote(out, len + 2 + more);
}

struct member {
    const char *key;
    size_t len;
    const json_t *value;
};

static int by_key(const void *a, const void *b)
{
    return strcmp(((const struct member *)a)->key, ((const struct member *)b)->key);
}

static void sort_members(struct member *members, size_t n)
{
    if (n > KEYS_FEW) {
        qsort(members, n, sizeof(*members), by_key);
        return;
    }
    for (size_t i = 1; i < n; i++) {
        struct member moved = members[i];
        size_t k = i;
        for (; k > 0 && by_key(&members[k - 1], &moved) > 0; k--) {
            members[k] = members[k - 1];
        }
        members[k] = moved;
    }
}

static void write_object(const json_t *object, bool sorted, struct buf *out)
{
    struct member few[KEYS_FEW], *members = few;
    auto_free struct member *many = NULL;
    size_t n = json_object_size(object), i = 0;
    if (n > KEYS_FEW) {
        members = many = xcalloc(n, sizeof(*many));
    }
    void *at = json_object_iter((json_t *)(uintptr_t)object);
    for (; at; at = json_object_iter_next((json_t *)(uintptr_t)object, at)) {
        const char *key = json_object_iter_key(at);
        members[i++] = (struct member) { key, strlen(key), json_object_iter_value(at) };
    }
    if (sorted) {
        sort_members(members, n);
    }
    buf_add(out, "{", 1);
    for (i = 0; i < n; i++) {
        if (i) {
            buf_add(out, ",", 1);
        }
        write_string(members[i].key, members[i].len, ":", out);
        json_write(members[i].value, sorted, out);
    }
    buf_add(out, "}", 1);
}

static void write_array(const json_t *array, bool sorted, struct buf *out)
{
    size_t n = json_array_size(array);
    buf_add(out, "[", 1);
    for (size_t i = 0; i < n; i++) {
        if (i) {
            buf_add(out, ",", 1);
        }
        json_write(json_array_get(array, i), sorted, out);
    }
    buf_add(out, "]", 1);
}

void json_write(const json_t *value, bool sorted, struct buf *out)
{
    char number[JSON_REAL_MAX];
    switch (json_typeof(value)) {
    case JSON_OBJECT: write_object(value, sorted, out); break;
    case JSON_ARRAY: write_array(value, sorted, out); break;
    case JSON_STRING:
        write_string(json_string_value(value), json_string_length(value), "", out);
        break;
    case JSON_INTEGER: write_integer(json_integer_value(value), out); break;
    case JSON_REAL:
        buf_add(out, number, json_real_text(json_real_value(value), number));
        break;
    case JSON_TRUE: buf_add(out, "true", 4); break;
    case JSON_FALSE: buf_add(out, "false", 5); break;
    case JSON_NULL: buf_add(out, "null", 4); break;
    }
}

static char *text_of(const json_t *value, bool sorted)
{
    struct buf out;
    buf_init(&out, SIZE_MAX / 2);
    json_write(value, sorted, &out);
    require(!out.failed);
    return buf_take(&out);
}

char *json_compact(const json_t *value)
{
    return text_of(value, false);
}

char *json_canonical(const json_t *value)
{
    return text_of(value, true);
}

static void begin(struct jwriter *w, const char *key)
{
    if (w->more) {
        buf_add(w->out, ",", 1);
    }
    w->more = true;
    if (key) {
        write_string(key, strlen(key), ":", w->out);
    }
}

void jwrite_open(struct jwriter *w, const char *key, char bracket)
{
    begin(w, key);
    buf_add(w->out, &bracket, 1);
    w->more = false;
}

void jwrite_close(struct jwriter *w, char bracket)
{
    buf_add(w->out, &bracket, 1);
    w->more = true;
}

void jwrite_string(struct jwriter *w, const char *key, const char *value)
{
    begin(w, key);
    write_string(value, strlen(value), "", w->out);
}

void jwrite_int(struct jwriter *w, const char *key, int64_t value)
{
    begin(w, key);
    write_integer(value, w->out);
}

void jwrite_real(struct jwriter *w, const char *key, double value)
{
    char text[JSON_REAL_MAX];
    begin(w, key);
    buf_add(w->out, text, json_real_text(value, text));
}

void jwrite_bool(struct jwriter *w, const char *key, bool value)
{
    begin(w, key);
    buf_puts(w->out, value ? "true" : "false");
}

void jwrite_null(struct jwriter *w, const char *key)
{
    begin(w, key);
    buf_puts(w->out, "null");
}

void jwrite_tree(struct jwriter *w, const char *key, const json_t *value)
{
    begin(w, key);
    json_write(value, false, w->out);
}

void jwrite_json(struct jwriter *w, const char *key, const char *text)
{
    begin(w, key);
    buf_puts(w->out, text);
}
