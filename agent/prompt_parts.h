#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * Inside the builder of prompts: text from outside made harmless (prompt_text.c), what the parts
 * say (prompt_parts.c, prompt_history.c).
 * Everything lives in the arena.
 */
#include "agent/prompt.h"
#include "base/buf.h"

enum { PROMPT_TEXT_MAX = 16 << 20 };

/* Bytes that carry a token, about. */
#define PROMPT_BYTES_PER_TOKEN 3.5

/* Without control bytes, invisible and direction-changing characters; what isn't UTF-8 becomes "?". */
char *prompt_clean(struct arena *arena, const char *text, size_t len);
/* The same on one line of at most `most` bytes. */
char *prompt_line(struct arena *arena, const char *text, size_t most);
/* Whole lines from the beginning and the end where `text` has more than `most` bytes, and a mark
 * between them that says how much is missing. */
const char *prompt_cut(struct arena *arena, const char *text, size_t most);
/* Adds text between fences that are longer than any run of their mark inside. */
void prompt_fence(struct buf *out, const char *tag, const char *text);

/* Two texts with an empty line between, if the first ends its line. */
const char *prompt_join(struct arena *arena, const char *a, const char *b);

/* A part that may be cut: how long it would be, its share of the whole, what it may be. */
struct prompt_share {
    size_t size, share, most;
};
/* Fills `most`: nobody loses a byte while the sum fits; else shares, and what some leave unused
 * goes to those that want more. */
void prompt_divide(struct prompt_share *shares, size_t n, size_t bytes);

/* prompt_run.c: who is who in the run */
bool prompt_accepted(const struct prompt_tried *tried); /* NULL: no */
const struct prompt_tried *prompt_find_tried(const struct prompt_input *input, int64_t seq);
/* An attempt that is faster than the parent, the fastest there is; NULL: the parent is. */
const struct prompt_tried *prompt_best(const struct prompt_input *input);
/* Would the example show what the question doesn't hold yet? */
bool prompt_example_is_new(const struct prompt_input *input);

const char *prompt_device(const struct prompt_input *input, struct arena *arena, struct err *err);
char *prompt_task(const struct task *task, struct arena *arena);
/* Without tags; its keys in the contract's order, whatever order they came in. */
char *prompt_plan(const struct plan *plan, struct arena *arena);
/* Of the parent's; there is one. */
char *prompt_verdict(const struct prompt_input *input, struct arena *arena);
char *prompt_direction(const struct prompt_input *input, struct arena *arena);
/* NULL: memory is ignored in this step, or knows none. */
char *prompt_strategies(const struct prompt_input *input, struct arena *arena);
/* NULL: nothing was tried. */
char *prompt_tried(const struct prompt_input *input, struct arena *arena);
char *prompt_goal(const struct prompt_input *input, struct arena *arena);
/* What becomes of the plan's space in this run. */
char *prompt_tuner(const struct prompt_input *input, struct arena *arena);
