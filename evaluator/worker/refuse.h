#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * What a compiled candidate may not do, read from the PTX that the compiler made of it (what the
 * image consists of, whatever the source's macros, templates and string pieces looked like).
 * Pure: text in, findings out. The agent decides with the plan at hand (evaluator/judge_refuse.c).
 *
 * Refused is what the gate can't make harmless otherwise: work that goes on past the timed launches
 * (dependent launches that the plan doesn't declare, the device runtime), memory that outlives a run
 * without being a buffer of the plan (the device heap, managed memory), symbols from elsewhere,
 * %gridid (it counts launches), memory-mapped I/O, and text that this reader and ptxas might read
 * differently (backslashes, lines that begin with '#').
 *
 * Declared dependent launches are harmless: the first launch of a run never overlaps what is before,
 * and an event recorded after a dependent launch waits for the one before it, too, even where the
 * dependent one ended long ago (measured on an H200 with a primary of 2 ms: 2.006 ms between the
 * events, its output there, while the secondary had seen none of it).
 *
 * Allowed, because the gate takes the advantage away, but remarked on: L2 policies (persisting lines
 * are reset and the L2 is flushed before each timed run), discards, clocks, performance counters and
 * sleeps (timed outputs are checked at random), printing (to /dev/null; one that doesn't end meets
 * the deadline). Allowed without a word: trap, brkpt, assert, setmaxnreg, clusters and mapa, cluster
 * launch control, multimem, tensor maps changed on the device (each address they reach is subject to
 * the mappings), system-wide fences and atomics, %envreg (cooperative groups read it), indirect calls.
 */
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

enum { REFUSE_FINDINGS_MAX = 32, REFUSE_NAME_MAX = 96 };

#define REFUSE_LEVEL_LIST(X)                                                                       \
    X(REMARK, "remark") X(PROGRAMMATIC, "programmatic") X(NEVER, "never")

/* PROGRAMMATIC: refused unless the plan declares dependent launches around the kernel. */
enum refuse_level {
#define X(name, text) REFUSE_LEVEL_##name,
    REFUSE_LEVEL_LIST(X)
#undef X
};

struct refuse_finding {
    const char *rule;              /* a short name, static */
    const char *reason;            /* what is wrong with it and what to do, static */
    enum refuse_level level;
    unsigned line, source_line;    /* in the PTX; in kernel.cu, 0: not known */
    char where[REFUSE_NAME_MAX];   /* kernel or device function, "" outside */
    bool entry;                    /* a kernel */
    char text[REFUSE_NAME_MAX];    /* the word found, printable */
};

/* At most one finding a rule and function, at most REFUSE_FINDINGS_MAX in all: refusals before remarks,
 * and if even these are too many, the last is a refusal for that. Returns how many. */
size_t refuse_scan(const char *ptx, size_t len, struct refuse_finding *ret);

/* [{"rule", "level", "reason", "line", "source_line", "where", "entry", "text"}, ...]; the caller
 * owns it. */
json_t *refuse_json(const struct refuse_finding *findings, size_t n);
