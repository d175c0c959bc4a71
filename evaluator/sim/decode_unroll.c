/* SPDX-License-Identifier: MIT */
/*
 * Looks at loops. Marks where blocks begin, and how many turns of a loop ptxas makes one block of.
 * What it does was read off its output for the shipped kernels (sm_90a, CUDA 13.0): a loop of a
 * single block of up to some fifty instructions is unrolled four times (also one that the compiler
 * before it unrolled) if its end depends on a register that each turn changes by a constant.
 * The few instructions that an `if` guards become predicated ones, scheduled with what is around
 * them.
 */
#include "evaluator/sim/decode.h"

#include <stdlib.h>

#include "base/util.h"

enum { UNROLL_MAX = 48, UNROLL_TURNS = 4, CONVERT_MAX = 12 }; /* instructions, turns */

/* r += constant */
static bool steps(const struct exec_program *p, const struct insn *in, uint32_t ref)
{
    const uint32_t *r = p->refs + in->refs;
    if (in->kind != INSN_OP || in->n_dst != 1 || in->n_src != 2 || r[0] != ref)
        return false;
    return (r[1] == ref && r[2] & REF_CONST) || (r[2] == ref && r[1] & REF_CONST);
}

static bool counted(const struct exec_program *p, const struct block *b, uint16_t pred)
{
    const struct insn *first = &p->insns[b->first], *end = first + b->n;
    for (const struct insn *test = first; test < end; test++) {
        if (test->kind != INSN_SETP || test->p[0] != pred)
            continue;
        for (unsigned k = test->n_dst; k < test->n_dst + test->n_src; k++)
            for (const struct insn *in = first; in < end; in++)
                if (steps(p, in, p->refs[test->refs + k]))
                    return true;
    }
    return false;
}

static bool loops_to_itself(const struct exec_program *p, uint32_t b)
{
    const struct insn *last = &p->insns[p->blocks[b].first + p->blocks[b].n - 1];
    return last->kind == INSN_BRANCH && (last->target[0] == b || last->target[1] == b);
}

/* A small loop that asks memory again and again may wait for another block. */
static bool asks_again(const struct exec_program *p, const struct block *b)
{
    for (uint32_t i = b->first; i < b->first + b->n; i++) {
        const struct insn *in = &p->insns[i];
        if ((in->kind == INSN_LD && in->flags && in->space != PTX_SHARED) ||
            (in->kind == INSN_ATOM && in->n_dst && in->space != PTX_SHARED))
            return true;
    }
    return false;
}

static uint32_t weight_of(const struct exec_program *p, const struct block *b)
{
    uint32_t weight = 0;
    for (uint32_t i = b->first; i < b->first + b->n; i++)
        weight += p->insns[i].weight + p->insns[i].weight_sfu;
    return weight;
}

/* Follows an arm of a branch through small blocks that nothing else leads to, up to where it meets
 * other ways; false where it does something else. Marks its blocks when told to. */
static bool follow_arm(struct exec_program *p, const uint32_t *preds, uint32_t *at, bool mark)
{
    for (unsigned steps = 0; steps < 4 && preds[*at] == 1; steps++) {
        const struct block *b = &p->blocks[*at];
        const struct insn *last = &p->insns[b->first + b->n - 1];
        if (last->kind != INSN_JUMP || weight_of(p, b) > CONVERT_MAX)
            return false;
        if (mark)
            p->insns[b->first].turns = 0;
        *at = last->target[0];
    }
    return preds[*at] == 2;
}

/* Both arms of the branch meet in one place that nothing else leads to. */
static void convert_if(struct exec_program *p, const uint32_t *preds, const struct insn *from)
{
    uint32_t x = from->target[0], y = from->target[1];
    if (!follow_arm(p, preds, &x, false) || !follow_arm(p, preds, &y, false) || x != y)
        return;
    for (unsigned k = 0; k < 2; k++) {
        uint32_t at = from->target[k];
        follow_arm(p, preds, &at, true);
    }
    p->insns[p->blocks[x].first].turns = 0;
}

static void convert_ifs(struct exec_program *p)
{
    uint32_t *preds = xcalloc(p->n_blocks + 1, sizeof(*preds));
    for (uint32_t b = 0; b < p->n_blocks; b++) {
        const struct insn *last = &p->insns[p->blocks[b].first + p->blocks[b].n - 1];
        if (last->kind == INSN_JUMP || last->kind == INSN_BRANCH)
            preds[last->target[0]]++;
        if (last->kind == INSN_BRANCH)
            preds[last->target[1]]++;
    }
    for (uint32_t b = 0; b < p->n_blocks; b++) {
        const struct insn *last = &p->insns[p->blocks[b].first + p->blocks[b].n - 1];
        if (last->kind == INSN_BRANCH)
            convert_if(p, preds, last);
    }
    free(preds);
}

void decode_unroll(struct exec_program *p)
{
    for (uint32_t b = 0; b < p->n_blocks; b++) {
        const struct block *block = &p->blocks[b];
        const struct insn *last = &p->insns[block->first + block->n - 1];
        p->insns[block->first].turns = 1;
        if (!loops_to_itself(p, b))
            continue;
        p->spins = p->spins || asks_again(p, block);
        if (weight_of(p, block) <= UNROLL_MAX && counted(p, block, last->p[0]))
            p->insns[block->first].turns = UNROLL_TURNS;
    }
    convert_ifs(p);
}
