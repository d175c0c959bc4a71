/* SPDX-License-Identifier: MIT */
#include "agent/mutate_rules.h"
#include "base/util.h"

#include <stdlib.h>
#include <string.h>

/* The i-th ; inside the brackets of a for, as indices of tokens; false if it has none. */
static bool for_parts(const struct mtext *t, size_t open, size_t ret_semicolon[2])
{
    size_t found = 0, close = t->tokens[open].mate;
    for (size_t i = open + 1; i < close; i++) {
        if (mtext_among(t, i, "( [ {") && t->tokens[i].mate > i) {
            i = t->tokens[i].mate;
        } else if (mtext_is(t, i, ";") && found < 2) {
            ret_semicolon[found++] = i;
        }
    }
    return found == 2;
}

/* A loop that is unrolled by request runs over registers, mostly: a step more than the array has is
 * undefined or guarded, and the compiler drops it. */
static bool is_unrolled(const struct mtext *t, size_t at)
{
    size_t from = at ? t->tokens[at - 1].at : 0;
    for (size_t i = from; i < t->tokens[at].at; i++) {
        if (str_prefix(t->source + i, "#pragma unroll")) {
            return true;
        }
    }
    return false;
}

/* The bounds in a loop's condition, from token `from` to before `end`. */
static void bound_rules(struct mtext *t, size_t from, size_t end, bool unrolled)
{
    for (size_t i = from; i < end; i++) {
        size_t last = i + 1;
        while (last + 1 < end && !mtext_among(t, last + 1, "&& || ;")) {
            last++;
        }
        if (last >= end) {
            continue;
        }
        if (mtext_is(t, i, "<")) {
            /* How the kernels call the extents of arrays in registers. */
            if (!unrolled && !mtext_among(t, i + 1, "VEC CHUNKS UNROLL")) {
                mtext_note(t, MUTATE_CLASS_LOOP, i, i, "<=");
            }
            mtext_note(t, MUTATE_CLASS_TAIL, i + 1, last, "(%s) - 1");
        } else if (mtext_is(t, i, "<=")) {
            mtext_note(t, MUTATE_CLASS_LOOP, i, i, "<");
        } else if (mtext_is(t, i, ">") && mtext_is(t, i + 1, "0")) {
            mtext_note(t, MUTATE_CLASS_TERM, i + 1, i + 1, "1"); /* a tree without its last level */
        }
    }
}

static void loop_rules(struct mtext *t, size_t at)
{
    size_t open = at + 1, semicolon[2];
    if (!mtext_is(t, open, "(") || !for_parts(t, open, semicolon)) {
        return;
    }
    /* A tree of xor shuffles from 17 down still meets every lane once, as from 16. */
    bool halves = false;
    for (size_t i = semicolon[1] + 1; i < t->tokens[open].mate; i++) {
        halves = halves || mtext_among(t, i, "/= *= >>= <<=");
    }
    for (size_t i = open + 1; i < semicolon[0] && !halves; i++) {
        if (mtext_is(t, i, "=") && i + 1 < semicolon[0]) {
            size_t end = mtext_expression_end(t, i + 1);
            mtext_note(t, MUTATE_CLASS_LOOP, i + 1, end, "(%s) + 1");
        }
    }
    bound_rules(t, semicolon[0] + 1, semicolon[1], is_unrolled(t, at));
    for (size_t i = semicolon[1] + 1; i < t->tokens[open].mate; i++) {
        if (mtext_is(t, i, "+=")) {
            size_t end = mtext_expression_end(t, i + 1);
            mtext_note(t, MUTATE_CLASS_STRIDE, i + 1, end, "2 * (%s)");
            mtext_note(t, MUTATE_CLASS_STRIDE, i + 1, end, "(%s) + 1");
        } else if (mtext_is(t, i, "/=") && mtext_is(t, i + 1, "2")) {
            mtext_note(t, MUTATE_CLASS_STRIDE, i + 1, i + 1, "4");
        }
    }
}

static void condition_rules(struct mtext *t, size_t at)
{
    size_t open = at + 1;
    if (!mtext_is(t, open, "(") || t->tokens[open].mate < open + 2) {
        return;
    }
    size_t close = t->tokens[open].mate;
    for (size_t i = open + 1; i < close; i++) {
        bool bound = mtext_among(t, i, "< <= > >=");
        if (bound) {
            bool leaves = mtext_is(t, close + 1, "return") || mtext_among(t, i, "> >=");
            mtext_note(t, MUTATE_CLASS_BOUNDARY, open + 1, close - 1, leaves ? "false" : "true");
            mtext_note(t, MUTATE_CLASS_BOUNDARY, i, i,
                       mtext_is(t, i, "<") ? "<=" : mtext_is(t, i, "<=") ? "<"
                           : mtext_is(t, i, ">") ? ">=" : ">");
            return;
        }
    }
}

/* "cond ? load : 0": the load whether or not. */
static void choice_rules(struct mtext *t, size_t at)
{
    size_t start = at;
    while (start > 0 && !mtext_among(t, start - 1, "= ( , return ; { [ ? :")) {
        start = mtext_among(t, start - 1, ") ]") ? t->tokens[start - 1].mate : start - 1;
    }
    for (size_t i = start; i < at; i++) {
        if (mtext_among(t, i, "( [") && t->tokens[i].mate > i) {
            i = t->tokens[i].mate;
        } else if (mtext_among(t, i, "< <=")) {
            mtext_note(t, MUTATE_CLASS_BOUNDARY, start, at - 1, "true");
            mtext_note(t, MUTATE_CLASS_BOUNDARY, i, i, mtext_is(t, i, "<") ? "<=" : "<");
            return;
        }
    }
}

static bool holds_wait(const struct mtext *t, size_t from, size_t to)
{
    for (size_t i = from; i <= to; i++) {
        const struct mtoken *token = &t->tokens[i];
        const char *hit = token->kind == MUTATE_KIND_STRING
            ? strstr(t->source + token->at, "cp.async.wait") : NULL;
        if (hit && hit < t->source + token->at + token->len) {
            return true;
        }
    }
    return false;
}

/* atomicAdd(pointer, value) as an addition that others may cut in two. */
static void atomic_rule(struct mtext *t, size_t i)
{
    size_t comma = mtext_expression_end(t, i + 2) + 1, close = t->tokens[i + 1].mate;
    if (!mtext_is(t, comma, ",") || close <= comma) {
        return;
    }
    size_t pointer = t->tokens[i + 2].at, value = t->tokens[comma + 1].at;
    auto_free char *plain
        = xprintf("*(%.*s) += (%.*s)", (int)(t->tokens[comma].at - pointer), t->source + pointer,
                  (int)(t->tokens[close].at - value), t->source + value);
    mtext_note(t, MUTATE_CLASS_RACE, i, close, plain);
}

/* A whole statement at i that ends in ;. */
static void statement_rules(struct mtext *t, size_t i)
{
    size_t end = i;
    while (end < t->n && !mtext_among(t, end, "; {")) {
        end = mtext_among(t, end, "( [") && t->tokens[end].mate > end ? t->tokens[end].mate + 1
                                                                      : end + 1;
    }
    if (end >= t->n || !mtext_is(t, end, ";") || end == i) {
        return;
    }
    if (mtext_is(t, i, "__syncthreads") || (mtext_is(t, i, "asm") && holds_wait(t, i, end))) {
        mtext_note(t, MUTATE_CLASS_BARRIER, i, end, ";");
    } else if (mtext_is(t, i, "atomicAdd") && mtext_is(t, i + 1, "(")) {
        atomic_rule(t, i);
    } else if (t->tokens[i].kind == MUTATE_KIND_NAME && !mtext_declares(t, i)) {
        size_t after = mtext_operand_end(t, i) + 1;
        if (mtext_is(t, after, "=")) {
            mtext_note(t, MUTATE_CLASS_INIT, i, end, ";");
        } else if (mtext_is(t, after, "+=")) {
            mtext_note(t, MUTATE_CLASS_TERM, after, after, "=");
            mtext_note(t, MUTATE_CLASS_TERM, i, end, ";");
        }
    }
}

void mutate_structure(struct mtext *t)
{
    for (size_t i = 0; i < t->n; i++) {
        if (t->tokens[i].macro) {
            continue;
        }
        if (mtext_is(t, i, "for")) {
            loop_rules(t, i);
        } else if (mtext_is(t, i, "if")) {
            condition_rules(t, i);
        } else if (mtext_is(t, i, "?")) {
            choice_rules(t, i);
        } else if (mtext_statement(t, i) == i && !mtext_among(t, i, "return { } ; else while do")) {
            statement_rules(t, i);
        }
    }
}
