#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * Reading what a language model answered: CUDA source, plan, strategy. Tolerant about form (fences
 * of ``` or ~~~ with any tag, indentation, prose around, Windows line ends, a byte order mark,
 * thinking before the answer, one JSON object instead of blocks, entities, typographic quotes,
 * comments and trailing commas in the plan), and everything that it mended is said in a note. It
 * never guesses: where two readings are possible it asks, with a text that goes back to the model
 * as it is.
 *
 * What a block is follows from its content, not from its tag: source if it defines a kernel
 * (__global__), a plan if it is an object with "launches". Other blocks are passed over. Equal
 * blocks count once; of different ones the reader doesn't choose.
 *
 * A reply is bytes from outside: at most REPLY_MAX, source and plan as candidate.h and plan.h have
 * them. `ret` and what it points to live in the arena, but for the candidate (candidate_free).
 */
#include "graph/htg.h"
#include "kernelbench/candidate.h"

enum { REPLY_MAX = 4 << 20, REPLY_NOTES_MAX = 16, REPLY_TITLE_MAX = 120, REPLY_SUMMARY_MAX = 2000 };

#define REPLY_FAULT_LIST(X)                                                                        \
    X(NONE, "none")                                                                                \
    X(EMPTY, "empty")             /* nothing, or white space */                                    \
    X(NOT_TEXT, "not_text")       /* NUL bytes: not a text */                                      \
    X(TOO_BIG, "too_big")         /* reply, source or plan over their caps */                      \
    X(CUT, "cut")                 /* it ends in the middle of a block */                           \
    X(NO_BLOCKS, "no_blocks")     /* prose only: a question, a refusal */                          \
    X(NO_SOURCE, "no_source")                                                                      \
    X(NO_PLAN, "no_plan")                                                                          \
    X(TWO_SOURCES, "two_sources") /* that differ */                                                \
    X(TWO_PLANS, "two_plans")                                                                      \
    X(PLAN_SYNTAX, "plan_syntax") /* not JSON, and not to be mended without guessing */            \
    X(PLAN, "plan")               /* JSON, but not a plan that can work with this source */        \
    X(SOURCE, "source")           /* not device source: a main(), a host launch, a foreign format */

enum reply_fault {
#define X(name, text) REPLY_FAULT_##name,
    REPLY_FAULT_LIST(X)
#undef X
};

struct reply {
    enum reply_fault fault;
    const char *correction;      /* with a fault: the request to send back; else "" */
    struct candidate *candidate; /* NULL with a fault */
    const char *source, *plan;   /* the blocks as mended, also with a fault; NULL: not found */
    size_t source_len, plan_len;
    /*
     * The strategy: an id of the graph; or invented, with a title and a sentence; or "" if the
     * reply names none or contradicts itself: then nothing is credited (and a note says so).
     */
    const char *strategy;
    bool invented;
    const char *title, *summary; /* of an invented one; else "" */
    const char *direction; /* what a line "direction: ID" names, as an id; it may be unknown; or "" */
    const char *const *notes;    /* what was mended or passed over */
    size_t n_notes;
};

struct reply_input {
    const char *text;
    size_t len;
    bool cut;                   /* the provider says that it stopped at the limit of tokens */
    const struct htg *htg;      /* NULL: strategy ids are taken as they are */
    const struct reply *before; /* the reply that this one corrects: what it leaves out stands; NULL */
};

/* Always fills `ret`: a reply is data, so a bad one is an answer and no error. */
void reply_parse(const struct reply_input *input, struct arena *arena, struct reply *ret);
const char *reply_fault_name(enum reply_fault fault);
