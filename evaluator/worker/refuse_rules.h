#pragma once
/* SPDX-License-Identifier: MIT */
/* The table behind refuse.h: what is looked for, where, and what is said of it. Part of refuse.c. */
#include "evaluator/worker/refuse.h"

/* Where a pattern is looked for. A pattern that ends in '*' matches by its beginning. */
enum place {
    PLACE_OPCODE,   /* an instruction: any word, up to its first dot */
    PLACE_PART,     /* anything between two dots of any word: .mmio, .L2::evict_last */
    PLACE_REGISTER, /* a special register */
    PLACE_EXTERN,   /* a function declared .extern, where it is used */
    PLACE_TEXT,     /* found by the reader itself */
};

struct refuse_rule {
    const char *name;
    enum place place;
    const char *pattern;
    enum refuse_level level;
    const char *reason;
};

/* The first that matches counts; ends with one whose name is NULL. */
extern const struct refuse_rule refuse_rules[];
/* In place of findings that there is no room for. */
extern const struct refuse_rule refuse_crowded;
