/* SPDX-License-Identifier: MIT */
/* From text to candidate: clean, split, tell source from plan, mend the plan, put both together. */
#include "agent/reply_parts.h"
#include "base/jread.h"
#include "base/util.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct reader {
    const struct reply_input *input;
    struct reply *ret;
    struct reply_notes notes;
    struct reply_pieces pieces;
    const char *strategy; /* from a reply in one object; NULL: look for the line */
    bool unclosed_source, unclosed_plan;
};

const char *reply_fault_name(enum reply_fault fault)
{
    static const char *const names[] = {
#define X(name, text) text,
        REPLY_FAULT_LIST(X)
#undef X
    };
    return names[fault];
}

void reply_note(struct reply_notes *notes, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    for (size_t i = 0; i < notes->n; i++) {
        if (str_eq(notes->at[i], text)) {
            return;
        }
    }
    if (notes->n < REPLY_NOTES_MAX) {
        notes->at[notes->n++] = arena_strdup(notes->arena, text);
    }
}

/* The first fault counts. False, so that callers can return it. */
static bool fault(struct reader *r, enum reply_fault what, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static bool fault(struct reader *r, enum reply_fault what, const char *format, ...)
{
    char text[4096];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (r->ret->fault == REPLY_FAULT_NONE) {
        r->ret->fault = what;
        r->ret->correction = arena_strdup(r->notes.arena, text);
    }
    return false;
}

static bool is_blank(const char *text, size_t len)
{
    while (len && isspace((unsigned char)text[len - 1])) {
        len--;
    }
    return len == 0;
}

static bool check_bytes(struct reader *r)
{
    const struct reply_input *in = r->input;
    if (in->len > REPLY_MAX) {
        return fault(r, REPLY_FAULT_TOO_BIG, "Your reply had %zu bytes; at most %d are read. Send "
                     "only the blocks, without anything else.", in->len, REPLY_MAX);
    }
    if (is_blank(in->text, in->len)) {
        return in->cut ? fault(r, REPLY_FAULT_CUT, "Your reply reached the limit of length before "
                               "it said anything: think less, and answer.")
                       : fault(r, REPLY_FAULT_EMPTY, "Your reply was empty.");
    }
    if (memchr(in->text, '\0', in->len)) {
        return fault(r, REPLY_FAULT_NOT_TEXT, "Your reply holds NUL bytes: send plain UTF-8 text.");
    }
    return true;
}

/* Drops what a model thought aloud before its answer: drafts stand there. */
static bool skip_thinking(struct reader *r, const char **text, size_t *len)
{
    bool unfinished;
    size_t n = reply_thinking(*text, *len, &unfinished);
    if (unfinished) {
        return fault(r, REPLY_FAULT_CUT, "Your reply ended inside its thinking: answer with the two "
                                         "blocks and the strategy line.");
    }
    if (n) {
        reply_note(&r->notes, "the thinking before the answer was passed over");
    }
    *text += n;
    *len -= n;
    return true;
}

static bool take_source(struct reader *r, const char *text, size_t len, bool closed)
{
    text = reply_mend_entities(text, len, &r->notes, &len);
    if (r->ret->source && !(len == r->ret->source_len && memcmp(text, r->ret->source, len) == 0)) {
        return fault(r, REPLY_FAULT_TWO_SOURCES, "Your reply holds more than one block of CUDA "
                     "source, and they differ. Send one ```cuda block that is the whole kernel.cu.");
    }
    r->ret->source = text;
    r->ret->source_len = len;
    r->unclosed_source = !closed;
    return true;
}

static bool same_json(const char *a, size_t a_len, const char *b, size_t b_len)
{
    json_t *x = NULL, *y = NULL;
    bool same = jread_parse(a, a_len, &x, NULL) == 0 && jread_parse(b, b_len, &y, NULL) == 0
        && json_equal(x, y);
    json_decref(x);
    json_decref(y);
    return same;
}

static bool take_plan(struct reader *r, const char *text, size_t len, bool closed)
{
    text = reply_mend_entities(text, len, &r->notes, &len);
    if (r->ret->plan && !(len == r->ret->plan_len && memcmp(text, r->ret->plan, len) == 0)
        && !same_json(text, len, r->ret->plan, r->ret->plan_len)) {
        return fault(r, REPLY_FAULT_TWO_PLANS, "Your reply holds more than one plan, and they differ. "
                     "Send one ```json block.");
    }
    r->ret->plan = text;
    r->ret->plan_len = len;
    r->unclosed_plan = !closed;
    return true;
}

/* A member under any of the names that models give it; NULL if none or several are there. */
static const json_t *member(const json_t *object, const char *const *names, size_t n)
{
    const json_t *found = NULL;
    for (size_t i = 0; i < n; i++) {
        const json_t *value = json_object_get(object, names[i]);
        if (value && found) {
            return NULL;
        }
        found = value ? value : found;
    }
    return found;
}

/* {"source": "...", "plan": {...}, "strategy": "..."}: the whole reply in one object. */
static bool take_object(struct reader *r, const json_t *object)
{
    static const char *const sources[] = { "source", "kernel", "cuda", "code", "kernel.cu" };
    static const char *const plans[] = { "plan", "plan.json" };
    const json_t *source = member(object, sources, ARRAY_LEN(sources));
    const json_t *plan = member(object, plans, ARRAY_LEN(plans));
    const json_t *strategy = json_object_get(object, "strategy");
    if (!json_is_object(plan) && !json_is_string(plan)) {
        return false;
    }
    char *text = json_is_object(plan) ? json_pretty(plan) : xstrdup(json_string_value(plan));
    const char *kept = arena_strdup(r->notes.arena, text);
    cleanup_free(&text);
    reply_note(&r->notes, json_is_string(source) ? "source and plan came in one JSON object"
                                                 : "the plan stood inside another object");
    if (json_is_string(source)) {
        take_source(r, arena_strdup(r->notes.arena, json_string_value(source)),
                    json_string_length(source), true);
    }
    if (json_is_string(strategy)) {
        r->strategy = arena_strdup(r->notes.arena, json_string_value(strategy));
    }
    take_plan(r, kept, strlen(kept), true);
    return true;
}

/* An object that holds more than a plan; false: it isn't one. */
static bool try_object(struct reader *r, const char *text, size_t len)
{
    json_t *json = NULL;
    bool taken = false;
    if (jread_parse(text, len, &json, NULL) == 0 && json_is_object(json)
        && !json_object_get(json, "launches")) {
        taken = take_object(r, json);
    }
    json_decref(json);
    return taken;
}

/* Where the content begins, past comments that name the file. */
static char first_mark(const char *text)
{
    for (;;) {
        text += strspn(text, " \t\n");
        if (str_prefix(text, "//") || *text == '#') {
            text += strcspn(text, "\n");
        } else {
            return *text;
        }
    }
}

static void take_block(struct reader *r, const struct reply_block *block)
{
    const char *text = block->text;
    bool object = first_mark(text) == '{';
    if (object && try_object(r, text, block->len)) {
        return;
    }
    if (str_eq(block->tag, "diff") || str_eq(block->tag, "patch")) {
        fault(r, REPLY_FAULT_SOURCE, "Your reply holds a patch. Send the whole of kernel.cu: nothing "
                                     "is applied to the parent's source.");
    } else if (!object && strstr(text, "__global__")) {
        take_source(r, text, block->len, block->closed);
    } else if (object && strstr(text, "launches")) {
        take_plan(r, text, block->len, block->closed);
    } else if (strstr(text, "__device__")) {
        fault(r, REPLY_FAULT_TWO_SOURCES, "Your reply spreads the source over several blocks (one has "
              "__device__ functions and no kernel). Send one ```cuda block that is the whole "
              "kernel.cu.");
    } else if (!block->closed) {
        fault(r, REPLY_FAULT_CUT, "Your reply ends inside a block that was begun and not finished. "
                                  "Send it again, whole and shorter.");
    } else {
        reply_note(&r->notes, "a block that is neither source nor plan was passed over");
    }
}

/* What a correction leaves out stands as it was. */
static void complete(struct reader *r)
{
    const struct reply *before = r->input->before;
    struct reply *ret = r->ret;
    if (!before || (!ret->source && !ret->plan)) {
        return;
    }
    if (!ret->source && before->source) {
        reply_note(&r->notes, "no source in this reply: that of the one before stands");
        ret->source = arena_strndup(r->notes.arena, before->source, before->source_len);
        ret->source_len = before->source_len;
    }
    if (!ret->plan && before->plan) {
        reply_note(&r->notes, "no plan in this reply: that of the one before stands");
        ret->plan = arena_strndup(r->notes.arena, before->plan, before->plan_len);
        ret->plan_len = before->plan_len;
    }
}

static bool check_parts(struct reader *r)
{
    const struct reply *ret = r->ret;
    bool cut = r->input->cut || r->unclosed_source;
    if (ret->fault) {
        return false;
    }
    if (r->unclosed_source || (cut && (!ret->source || !ret->plan))) {
        return fault(r, REPLY_FAULT_CUT, "Your reply was cut off before it was complete%s. Send it "
                     "again, whole: fewer words around the blocks, no comments that aren't needed.",
                     r->input->cut ? " (it reached the limit of length)" : "");
    }
    if (!ret->source && !ret->plan) {
        return fault(r, REPLY_FAULT_NO_BLOCKS, "Your reply holds no block of CUDA source and no plan "
                     "(%zu blocks in all). Nothing else is read, and nobody answers questions.",
                     r->pieces.n);
    }
    if (!ret->source) {
        return fault(r, REPLY_FAULT_NO_SOURCE, "Your reply holds a plan, but no block with a "
                     "__global__ function. Send the whole of kernel.cu in one ```cuda block.");
    }
    return ret->plan
        || fault(r, REPLY_FAULT_NO_PLAN, "Your reply holds source, but no plan: no block is a JSON "
                 "object with \"launches\". Send plan.json in one ```json block.");
}

static bool check_source(struct reader *r)
{
    const char *source = r->ret->source;
    if (r->ret->source_len > CANDIDATE_SOURCE_MAX) {
        return fault(r, REPLY_FAULT_TOO_BIG, "The source has %zu bytes, at most %d are allowed.",
                     r->ret->source_len, CANDIDATE_SOURCE_MAX);
    }
    if (reply_code_says(source, "<<<")) {
        return fault(r, REPLY_FAULT_SOURCE, "The source launches a kernel with <<< >>>. It must be "
                     "device code only: launches stand in the plan, the evaluator makes them.");
    }
    if (reply_code_says(source, "int main(")) {
        return fault(r, REPLY_FAULT_SOURCE, "The source has a main function. It must be device code "
                     "only: the evaluator allocates, fills, launches and compares.");
    }
    return true;
}

/* The line that the parser complains of. */
static const char *line_of(const char *text, const struct err *err, struct arena *arena)
{
    int line = 0;
    if (sscanf(err->text, "line %d,", &line) != 1) {
        return "";
    }
    for (int i = 1; i < line && *text; i++) {
        text += strcspn(text, "\n");
        text += *text == '\n';
    }
    return arena_strndup(arena, text, MIN(strcspn(text, "\n"), (size_t)200));
}

/* "strategy" among the plan's keys is meant for the line. */
static void lift_strategy(struct reader *r, json_t *plan)
{
    const json_t *strategy = json_object_get(plan, "strategy");
    if (!json_is_string(strategy)) {
        return;
    }
    reply_note(&r->notes, "the strategy stood in the plan");
    if (!r->strategy) {
        r->strategy = arena_strdup(r->notes.arena, json_string_value(strategy));
    }
    json_object_del(plan, "strategy");
    char *text = json_pretty(plan);
    r->ret->plan = arena_strdup(r->notes.arena, text);
    r->ret->plan_len = strlen(text);
    cleanup_free(&text);
}

static bool mend_plan(struct reader *r)
{
    struct reply *ret = r->ret;
    struct err err = { 0 };
    json_t *json = NULL;
    if (ret->plan_len > PLAN_TEXT_MAX) {
        return fault(r, REPLY_FAULT_TOO_BIG, "The plan has %zu bytes, at most %d are allowed.",
                     ret->plan_len, PLAN_TEXT_MAX);
    }
    int code = jread_parse(ret->plan, ret->plan_len, &json, &err);
    if (code < 0) {
        struct reply_notes notes = r->notes;
        size_t len;
        const char *mended = reply_mend_json(ret->plan, ret->plan_len, &notes, &len);
        code = mended ? jread_parse(mended, len, &json, NULL) : code;
        if (code == 0) {
            r->notes = notes;
            ret->plan = mended;
            ret->plan_len = len;
        }
    }
    if (code == 0) {
        lift_strategy(r, json);
    }
    json_decref(json);
    if (code == 0 && r->unclosed_plan) {
        reply_note(&r->notes, "the plan's block wasn't closed, but the plan is whole");
    }
    if (code < 0 && r->unclosed_plan) {
        return fault(r, REPLY_FAULT_CUT, "Your reply was cut off inside the plan. Send it again, whole.");
    }
    return code == 0
        || fault(r, REPLY_FAULT_PLAN_SYNTAX, "The plan isn't JSON: %s. That line reads: %s",
                 err.text, line_of(ret->plan, &err, r->notes.arena));
}

static bool put_together(struct reader *r)
{
    struct reply *ret = r->ret;
    struct err err = { 0 };
    if (candidate_parse(ret->plan, ret->plan_len, ret->source, ret->source_len, &ret->candidate,
                        &err) < 0) {
        return fault(r, str_prefix(err.text, "kernel.cu") ? REPLY_FAULT_SOURCE : REPLY_FAULT_PLAN,
                     "%s%s", str_prefix(err.text, "kernel.cu") ? "" : "plan.json: ", err.text);
    }
    return true;
}

static bool read_blocks(struct reader *r, const char *text, size_t len)
{
    if (!skip_thinking(r, &text, &len)) {
        return false;
    }
    reply_split(text, len, &r->notes, &r->pieces);
    if (r->pieces.n == 0 && first_mark(text) == '{') {
        r->pieces.blocks[r->pieces.n++] = (struct reply_block) { "", text, len, true };
        r->pieces.prose_len = 0;
    }
    for (size_t i = 0; i < r->pieces.n; i++) {
        take_block(r, &r->pieces.blocks[i]);
    }
    complete(r);
    return check_parts(r) && check_source(r) && mend_plan(r);
}

void reply_parse(const struct reply_input *input, struct arena *arena, struct reply *ret)
{
    struct reader r = { .input = input, .ret = ret, .notes = { .arena = arena },
                        .pieces = { .prose = "" } };
    *ret = (struct reply) { .correction = "", .strategy = "", .title = "", .summary = "",
                            .direction = "" };
    size_t len;
    if (check_bytes(&r)) {
        const char *text = reply_mend_text(input->text, input->len, &r.notes, &len);
        if (read_blocks(&r, text, len)) {
            put_together(&r);
        }
        reply_strategy(&r.pieces, r.strategy, ret->candidate ? ret->candidate->plan->strategy : NULL,
                       input->htg, &r.notes, ret);
        const struct reply *before = input->before;
        if (!*ret->strategy && !ret->invented && before && (*before->strategy || before->invented)) {
            ret->strategy = arena_strdup(arena, before->strategy);
            ret->invented = before->invented;
            ret->title = arena_strdup(arena, before->title);
            ret->summary = arena_strdup(arena, before->summary);
            ret->direction = *ret->direction ? ret->direction : arena_strdup(arena, before->direction);
            reply_note(&r.notes, "the strategy of the reply before stands");
        }
    }
    const char **notes = arena_alloc(arena, MAX(r.notes.n, (size_t)1), sizeof(*notes));
    memcpy(notes, r.notes.at, r.notes.n * sizeof(*notes));
    ret->notes = notes;
    ret->n_notes = r.notes.n;
}
