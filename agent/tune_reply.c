/* SPDX-License-Identifier: MIT */
#include "agent/tune_reply.h"
#include "agent/reply_parts.h"
#include "agent/tune/tune_config.h"
#include "base/jread.h"
#include "base/util.h"

#include <math.h>
#include <string.h>

/* Openings that are tried: a bound on work for text that is made of brackets. */
enum { OPENINGS_MAX = 256, SHOWN_CONFIG = 120 };

/* The configs that were found, as documents. */
struct finder {
    struct arena *arena;
    struct reply_notes *mends;
    const struct tune_space *space;
    json_t *list;  /* of the last list, or NULL */
    json_t *alone; /* objects outside of any list */
    size_t lists;
};

/* Where the bracket at `at` is closed, or NULL. Brackets in strings don't count. */
static const char *closing(const char *at, const char *end)
{
    size_t depth = 0;
    for (bool quoted = false; at < end; at++) {
        if (quoted) {
            at += *at == '\\' && at + 1 < end;
            quoted = *at != '"';
        } else if (*at == '"') {
            quoted = true;
        } else if (*at == '{' || *at == '[') {
            depth++;
        } else if ((*at == '}' || *at == ']') && --depth == 0) {
            return at;
        }
    }
    return NULL;
}

static const struct tune_param *find_param(const struct tune_space *space, const char *name)
{
    for (size_t i = 0; i < space->n; i++) {
        if (str_eq(space->params[i].name, name)) {
            return &space->params[i];
        }
    }
    return NULL;
}

static bool is_config(const struct finder *f, const json_t *json)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)json, key, value)
    {
        if (find_param(f->space, key)) {
            return true;
        }
    }
    return false;
}

/* Is it a list of configs, or a document that holds one? */
static json_t *list_of(const struct finder *f, json_t *json)
{
    json_t *list = json_object_get(json, "configs");
    if (json_is_array(list)) {
        return list;
    }
    bool objects = json_is_array(json);
    for (size_t i = 0; objects && i < json_array_size(json); i++) {
        objects = is_config(f, json_array_get(json, i));
    }
    return objects ? json : NULL;
}

/* False: nothing that holds configs. */
static bool take(struct finder *f, const char *text, size_t len)
{
    json_t *json = NULL;
    if (jread_parse(text, len, &json, NULL) < 0) {
        size_t mended_len;
        const char *mended = reply_mend_json(text, len, f->mends, &mended_len);
        if (!mended || jread_parse(mended, mended_len, &json, NULL) < 0) {
            return false;
        }
    }
    json_t *list = list_of(f, json);
    bool taken = list != NULL || is_config(f, json);
    if (list) {
        f->lists++;
        json_decref(f->list);
        f->list = json_incref(list);
    } else if (taken && json_array_size(f->alone) < TUNE_REPLY_CONFIGS) {
        json_array_append(f->alone, json);
    }
    json_decref(json);
    return taken;
}

static void look_through(struct finder *f, const char *text, size_t len)
{
    const char *end = text + len;
    int openings = 0;
    for (const char *at = text; at < end && openings < OPENINGS_MAX; at++) {
        if (*at != '{' && *at != '[') {
            continue;
        }
        openings++;
        const char *close = closing(at, end);
        if (close && take(f, at, (size_t)(close + 1 - at))) {
            at = close;
            openings = 0; /* what was read isn't looked at again */
        }
    }
}

static json_t *find_configs(struct finder *f, const char *text, size_t len)
{
    struct reply_pieces pieces;
    bool unfinished;
    text = reply_mend_text(text, len, f->mends, &len);
    size_t past = reply_thinking(text, len, &unfinished);
    text += past;
    len -= past;
    reply_split(text, len, f->mends, &pieces);
    look_through(f, pieces.prose, pieces.prose_len);
    for (size_t i = 0; i < pieces.n; i++) {
        look_through(f, pieces.blocks[i].text, pieces.blocks[i].len);
    }
    return f->list ? f->list : f->alone;
}

struct reader {
    const struct tune_reply_input *input;
    struct arena *arena;
    struct tune_reply *reply;
    uint16_t *configs;
};

static void pass_over(struct reader *r, const json_t *config, const char *why)
{
    struct tune_reply *reply = r->reply;
    reply->n_passed++;
    if (reply->n_notes == TUNE_REPLY_NOTES) {
        return;
    }
    auto_free char *text = json_compact(config);
    size_t cut = strlen(text) > SHOWN_CONFIG ? SHOWN_CONFIG : strlen(text);
    while (cut && ((unsigned char)text[cut] & 0xc0) == 0x80) {
        cut--;
    }
    const char *note = arena_printf(r->arena, "%.*s%s: %s", (int)cut, text, text[cut] ? "..." : "",
                                    why);
    for (size_t i = 0; i < reply->n_notes; i++) {
        if (str_eq(reply->notes[i], note)) {
            return;
        }
    }
    reply->notes[reply->n_notes++] = note;
}

/* As tune_config_read wants it: nothing left out if there is a base, numbers as numbers. */
static json_t *completed(const struct tune_reply_input *in, const json_t *config)
{
    json_t *whole = in->base ? tune_config_json(in->space, in->base) : json_object(), *value;
    const char *key;
    json_object_foreach((json_t *)(uintptr_t)config, key, value)
    {
        const struct tune_param *param = find_param(in->space, key);
        double number;
        if (json_is_null(value)) {
            continue; /* left out */
        }
        bool quoted = param && param->values && json_is_string(value)
            && str_to_f64(json_string_value(value), &number) && isfinite(number);
        json_object_set_new(whole, key, quoted ? json_real(number) : json_incref(value));
    }
    return whole;
}

/* NULL: `ret` is filled. Else why it can't be. */
static const char *read_config(struct reader *r, const json_t *json, uint16_t *ret)
{
    struct err err = { 0 };
    if (!json_is_object(json)) {
        return "a config is an object";
    }
    json_t *whole = completed(r->input, json);
    int code = tune_config_read(r->input->space, whole, NULL, ret, &err);
    json_decref(whole);
    if (code == 0) {
        return NULL;
    }
    return arena_printf(r->arena, "%.*s", TUNE_REPLY_NOTE_MAX - SHOWN_CONFIG - 8, err_text(&err));
}

static void add_config(struct reader *r, const json_t *json)
{
    const struct tune_reply_input *in = r->input;
    struct tune_reply *reply = r->reply;
    size_t n = in->space->n;
    uint16_t *config = r->configs + reply->n * n;
    const char *why = read_config(r, json, config);
    for (size_t i = 0; !why && i < reply->n; i++) {
        if (memcmp(r->configs + i * n, config, n * sizeof(*config)) == 0) {
            why = "it stands in the answer twice";
        }
    }
    if (!why && in->known && in->known(in->ud, config)) {
        why = "it was tried already";
    }
    if (!why && reply->n == in->most) {
        why = arena_printf(r->arena, "more than the %zu that were asked for", in->most);
    }
    if (why) {
        pass_over(r, json, why);
    } else {
        reply->n++;
    }
}

static const char *fault_of(struct reader *r)
{
    const struct tune_reply *reply = r->reply;
    if (reply->n) {
        return "";
    }
    if (reply->found == 0) {
        return "There is no list of configs in it that can be read.";
    }
    auto_buf struct buf text;
    buf_init(&text, TUNE_REPLY_NOTES * (TUNE_REPLY_NOTE_MAX + 8) + 64);
    buf_puts(&text, "None of its configs can be measured.");
    for (size_t i = 0; i < reply->n_notes; i++) {
        buf_printf(&text, "\n- %s", reply->notes[i]);
    }
    return arena_strdup(r->arena, text.at);
}

void tune_reply_parse(const struct tune_reply_input *input, struct arena *arena,
                      struct tune_reply *ret)
{
    struct reply_notes mends = { .arena = arena };
    struct finder f = { .arena = arena, .mends = &mends, .space = input->space,
                        .alone = json_array() };
    struct reader r = { .input = input, .arena = arena, .reply = ret };
    *ret = (struct tune_reply) { .fault = "" };
    if (input->len > TUNE_REPLY_MAX) {
        ret->fault = arena_printf(arena, "It has %zu bytes, %d are allowed.", input->len,
                                  TUNE_REPLY_MAX);
        json_decref(f.alone);
        return;
    }
    const json_t *list = find_configs(&f, input->text, input->len);
    ret->found = json_array_size(list);
    r.configs = arena_alloc(arena, (MIN(input->most, (size_t)TUNE_REPLY_CONFIGS) + 1)
                                       * MAX(input->space->n, (size_t)1), sizeof(*r.configs));
    for (size_t i = 0; i < ret->found && i < TUNE_REPLY_CONFIGS; i++) {
        add_config(&r, json_array_get(list, i));
    }
    ret->configs = r.configs;
    ret->fault = fault_of(&r);
    json_decref(f.list);
    json_decref(f.alone);
}
