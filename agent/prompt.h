#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * What a language model is asked: a system message (the contract), one user message (the state of
 * the run) and, after a bad reply or a failed candidate, the turns that follow. Parts stand in a
 * fixed order with the stable ones first, so that providers can cache them: contract, device, task
 * and reference, parent with its verdict, direction, strategies, worked example, what was tried.
 *
 * The same input gives the same bytes. Every part has a share of the budget of tokens (estimated as
 * bytes / 3.5) and is cut in its middle where it is over, with a mark that says how much is missing.
 * Text from outside (sources, logs, replies, invented strategies) is framed by fences that it can't
 * close, and loses its control bytes. The wording lives in agent/prompts/, built into the program:
 * {{name}} stands for a value, {{?name}} ... {{/name}} for a part that may be absent.
 *
 * Pointers of an input must live until prompt_build returns; the prompt lives in the arena.
 */
#include "evaluator/evaluator.h"
#include "graph/choice.h"
#include "graph/htg.h"

enum {
    PROMPT_TURNS_MAX = 8,
    PROMPT_MESSAGES_MAX = 2 + 2 * PROMPT_TURNS_MAX,
    PROMPT_BUDGET = 48000, /* tokens, without a budget of the caller's */
    PROMPT_BUDGET_MIN = 4000,
};

/* A kernel that won with the strategy that is proposed first. */
struct prompt_example {
    const char *strategy, *about; /* id; "softmax on sm_90, 2.31x its parent", from measured facts */
    const struct candidate *candidate;
};

/* One attempt of this task's run, oldest first. */
struct prompt_tried {
    int64_t seq, parent; /* parent's seq; -1: none */
    const char *direction, *strategy, *title; /* "" where there is none */
    const struct verdict *verdict;            /* NULL: no candidate came of it, see `why` */
    const char *why;
    bool same; /* the same candidate as an earlier attempt */
    struct id id;                      /* zeros: no candidate */
    const struct candidate *candidate; /* NULL: not at hand any more */
    const char *values, *tuning; /* as prompt_values has them; what a tuner found, a line; or NULL */
};

/* A reply and what became of it: the reader's correction request, or a failed candidate's verdict. */
struct prompt_turn {
    const char *reply;
    size_t reply_len;
    const char *correction;        /* reply.h's request, or NULL */
    const struct verdict *verdict; /* of the candidate that the reply held; used without correction */
};

struct prompt_input {
    const struct task *task;
    const struct device_info *device;
    const struct htg *htg;
    const struct choice *choice; /* direction and strategies; choice->recall false: no strategies */
    const struct candidate *parent;       /* NULL: there is no kernel yet that is right, or none at all */
    const struct verdict *parent_verdict;
    int64_t parent_seq;
    const char *parent_direction, *parent_strategy; /* "" for the start */
    const struct candidate *baseline; /* NULL: the parent's speedup isn't explained */
    const struct prompt_example *example; /* NULL: none */
    const struct prompt_tried *tried;
    size_t n_tried;
    const struct prompt_turn *turns; /* oldest first */
    size_t n_turns;
    int64_t budget_tokens; /* 0: PROMPT_BUDGET */
    int64_t sample, samples; /* this is sample 0 .. samples-1 of one choice; samples < 2: the only */
    int64_t tune_budget;     /* configs that are measured of a candidate; 0: none, nothing is tuned */
};

struct prompt_message {
    const char *role; /* "system", "user", "assistant" */
    const char *text;
};

struct prompt {
    struct prompt_message messages[PROMPT_MESSAGES_MAX];
    size_t n;
    size_t stable;   /* bytes of messages[1] that don't change over the steps of this task */
    int64_t tokens;  /* estimate of all messages */
    char id[ID_HEX]; /* BLAKE2b-256 over roles and texts */
};

/*
 * ERR_INVALID: a template is damaged, or the input lacks what no prompt can do without;
 * ERR_TOOBIG: over the budget even when cut.
 */
int prompt_build(const struct prompt_input *input, struct arena *arena, struct prompt *ret,
                 struct err *err);

/* "BLOCK=256 VEC=4": what is tunable, with its values; "": nothing is. */
char *prompt_values(const struct plan *plan, struct arena *arena);
/* All messages as one text, for people: `eval --prompt`, logs. */
char *prompt_text(const struct prompt *prompt, struct arena *arena);
