#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * Inside the reader of replies: splitting a text into blocks (reply_split.c), mending what can be
 * mended in one way only (reply_mend.c), the strategy line (reply_strategy.c). Everything that is
 * returned lives in the arena. Notes are sentences for people and for the record.
 */
#include "agent/reply.h"
#include "base/arena.h"

enum { REPLY_BLOCKS_MAX = 64 };

struct reply_notes {
    struct arena *arena;
    const char *at[REPLY_NOTES_MAX];
    size_t n;
};

/* One that is there already isn't said twice; those past the cap are dropped. */
void reply_note(struct reply_notes *notes, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

struct reply_block {
    const char *tag;  /* first word after the fence, lower case; "" if there is none */
    const char *text; /* without the fence's indentation, NUL after it */
    size_t len;
    bool closed;
};

struct reply_pieces {
    struct reply_block blocks[REPLY_BLOCKS_MAX];
    size_t n;
    const char *prose; /* the lines outside of blocks */
    size_t prose_len;
};

/* Blocks between fences of three or more ` or ~; a wrapper around several is looked into. */
void reply_split(const char *text, size_t len, struct reply_notes *notes, struct reply_pieces *ret);

/* How much of the beginning is thinking aloud, in tags; or it is all thinking, and has no end. */
size_t reply_thinking(const char *text, size_t len, bool *ret_unfinished);
/* Does the code say `needle` outside of comments and string literals? */
bool reply_code_says(const char *code, const char *needle);

/* Line ends, byte order mark, bytes that are no UTF-8. */
const char *reply_mend_text(const char *text, size_t len, struct reply_notes *notes, size_t *ret_len);
/* &lt; and its like, where the whole block was written so. */
const char *reply_mend_entities(const char *text, size_t len, struct reply_notes *notes,
                                size_t *ret_len);
/*
 * JSON from what is nearly JSON: comments, trailing commas, typographic or single quotes, bare
 * words, odd spaces. NULL if something can be read in more than one way. Notes only if it returns
 * a text; the result still has to be parsed.
 */
const char *reply_mend_json(const char *text, size_t len, struct reply_notes *notes,
                            size_t *ret_len);

/* Fills strategy, invented, title, summary, direction. `tag` is the plan's own, or NULL. */
void reply_strategy(const struct reply_pieces *pieces, const char *line, const char *tag,
                    const struct htg *htg, struct reply_notes *notes, struct reply *ret);
