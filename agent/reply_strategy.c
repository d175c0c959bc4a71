/* SPDX-License-Identifier: MIT */
#include "agent/reply_parts.h"
#include "base/util.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

/* Marks of emphasis, lists and quotation around what was meant. */
static bool is_decoration(char c)
{
    return isspace((unsigned char)c) || strchr("*_`#>\"'", c);
}

static char *trimmed(const char *text, size_t len, struct arena *arena)
{
    while (len && is_decoration(*text)) {
        text++;
        len--;
    }
    while (len && is_decoration(text[len - 1])) {
        len--;
    }
    return arena_strndup(arena, text, len);
}

/* "**Strategy:** `x`" gives "x"; NULL if the line isn't one. */
static char *line_value(const char *line, size_t len, const char *key, struct arena *arena)
{
    while (len && (is_decoration(*line) || *line == '-')) {
        line++;
        len--;
    }
    size_t n = strlen(key);
    if (len <= n || strncasecmp(line, key, n) != 0) {
        return NULL;
    }
    line += n;
    len -= n;
    while (len && is_decoration(*line)) {
        line++;
        len--;
    }
    if (!len || (*line != ':' && *line != '=')) {
        return NULL;
    }
    char *value = trimmed(line + 1, len - 1, arena);
    return *value ? value : NULL;
}

/* The line that the prose holds; NULL: none, or several that differ (and a note). */
static const char *find_line(const struct reply_pieces *pieces, const char *key,
                             struct reply_notes *notes)
{
    const char *found = NULL, *end = pieces->prose + pieces->prose_len;
    for (const char *at = pieces->prose; at < end;) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        size_t len = stop ? (size_t)(stop - at) : (size_t)(end - at);
        const char *value = line_value(at, len, key, notes->arena);
        if (value && found && !str_eq(found, value)) {
            reply_note(notes, "several %s lines disagree: none is credited", key);
            return "";
        }
        found = value ? value : found;
        at += MIN(len + 1, (size_t)(end - at));
    }
    return found;
}

/* "Row in registers", "row_in_registers" -> "row-in-registers". */
static char *as_id(const char *text, struct arena *arena)
{
    char *id = arena_strdup(arena, text), *to = id;
    for (const char *c = text; *c; c++) {
        if (isalnum((unsigned char)*c)) {
            *to++ = (char)tolower((unsigned char)*c);
        } else if (to > id && to[-1] != '-') {
            *to++ = '-';
        }
    }
    while (to > id && to[-1] == '-') {
        to--;
    }
    *to = '\0';
    return id;
}

static const char *known_as(const struct htg *htg, const char *text, struct arena *arena)
{
    int index = htg_find_strategy(htg, text);
    const char *id = as_id(text, arena);
    index = index >= 0 ? index : htg_find_strategy(htg, id);
    if (index >= 0) {
        return htg_strategy(htg, (size_t)index)->id;
    }
    for (size_t i = 0; i < htg_strategies(htg); i++) {
        const struct htg_strategy *strategy = htg_strategy(htg, i);
        if (str_eq(as_id(strategy->title, arena), id)) {
            return strategy->id;
        }
    }
    return NULL;
}

static void unknown(const struct htg *htg, const char *text, struct reply_notes *notes)
{
    const char *known[HTG_STRATEGIES_MAX];
    size_t n = htg_strategies(htg);
    for (size_t i = 0; i < n; i++) {
        known[i] = htg_strategy(htg, i)->id;
    }
    const char *near = suggest(text, known, n);
    reply_note(notes, "\"%.64s\" is no strategy that is known%s%s%s: none is credited", text,
               near ? " (\"" : "", near ? near : "", near ? "\" is near)" : "");
}

/* "x", "x, y", "x (because ...)": the first id counts, and what follows is said. */
static void take_id(const char *value, const struct htg *htg, struct reply_notes *notes,
                    struct reply *ret)
{
    size_t n = 0;
    while (isalnum((unsigned char)value[n]) || value[n] == '-' || value[n] == '_') {
        n++;
    }
    const char *first = arena_strndup(notes->arena, value, MIN(n, (size_t)HTG_ID_MAX));
    const char *rest = value + n;
    if (!htg) {
        ret->strategy = as_id(first, notes->arena);
        return;
    }
    const char *id = known_as(htg, value, notes->arena);
    if (!id) {
        id = known_as(htg, first, notes->arena);
        if (id && rest[strspn(rest, " .`*\"'")]) {
            reply_note(notes, "of the strategy line only \"%s\" counts", id);
        }
    }
    if (id) {
        ret->strategy = id;
    } else {
        unknown(htg, first, notes);
    }
}

static char *one_line(const char *text, size_t len, size_t most, struct arena *arena)
{
    char *out = trimmed(text, len, arena);
    size_t n = 0;
    for (char *c = out; *c; c++) {
        *c = (unsigned char)*c < 0x20 || *c == 0x7f ? ' ' : *c;
    }
    while (out[n]) { /* never cut inside a character */
        size_t step = utf8_len(out + n, strlen(out + n));
        step = step ? step : 1;
        if (n + step > most) {
            break;
        }
        n += step;
    }
    out[n] = '\0';
    return out;
}

/* "new: short name: one sentence" */
static void take_new(const char *value, const struct htg *htg, struct reply_notes *notes,
                     struct reply *ret)
{
    const char *colon = strchr(value, ':');
    size_t len = colon ? (size_t)(colon - value) : strlen(value);
    const char *title = one_line(value, len, REPLY_TITLE_MAX, notes->arena);
    const char *summary
        = colon ? one_line(colon + 1, strlen(colon + 1), REPLY_SUMMARY_MAX, notes->arena) : "";
    const char *id = htg ? known_as(htg, title, notes->arena) : NULL;
    if (!as_id(title, notes->arena)[0]) {
        reply_note(notes, "a new strategy without a name: none is credited");
        return;
    }
    if (id) {
        reply_note(notes, "the new strategy \"%s\" is known as %s", title, id);
        ret->strategy = id;
        return;
    }
    if (!*summary) {
        reply_note(notes, "the new strategy has no sentence that says what it does");
    }
    ret->invented = true;
    ret->title = title;
    ret->summary = summary;
}

/* An id, or a title in its words; a sentence that begins so names none. */
static const char *named_direction(const struct reply_pieces *pieces, struct reply_notes *notes)
{
    const char *value = find_line(pieces, "direction", notes);
    const char *id = value ? as_id(value, notes->arena) : "";
    return strlen(id) < HTG_ID_MAX ? id : "";
}

/* "new:", "New :" */
static bool is_new(const char *value)
{
    size_t n = strcspn(value, ": ");
    return n == 3 && strncasecmp(value, "new", n) == 0 && value[n + strspn(value + n, " ")] == ':';
}

void reply_strategy(const struct reply_pieces *pieces, const char *line, const char *tag,
                    const struct htg *htg, struct reply_notes *notes, struct reply *ret)
{
    const char *value = line ? line : find_line(pieces, "strategy", notes);
    if (!value && tag && *tag) {
        reply_note(notes, "no strategy line; the plan's own tag was taken");
        value = tag;
    }
    if (!value) {
        reply_note(notes, "no strategy line: none is credited");
    } else if (is_new(value)) {
        take_new(strchr(value, ':') + 1, htg, notes, ret);
    } else if (*value) {
        take_id(value, htg, notes, ret);
    }
    ret->direction = named_direction(pieces, notes);
}
