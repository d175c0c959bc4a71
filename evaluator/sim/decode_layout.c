/* SPDX-License-Identifier: MIT */
/* From a stream of instructions to blocks in reverse post-order, and the program's own copy of
 * both. In that order a block comes before those it can lead to (loops aside), and the exits of a
 * loop come after its body: of a diverged warp's groups the one that stands first is the one that
 * has to catch up. */
#include "evaluator/sim/decode.h"

#include <string.h>

struct node {
    uint32_t first, n;        /* instructions of the stream */
    uint32_t succ[2], n_succ; /* blocks; for a switch the list is in the switches */
    uint32_t order;
    bool seen;
};

struct layout {
    struct decoder *d;
    struct node *nodes;
    uint32_t n_nodes;
    uint32_t *node_of; /* by instruction that leads a block; else UINT32_MAX */
    uint32_t *post;
    uint32_t n_post;
};

static bool ends_block(const struct insn *in)
{
    return in->kind == INSN_JUMP || in->kind == INSN_BRANCH || in->kind == INSN_SWITCH ||
           in->kind == INSN_EXIT;
}

static void mark_leaders(const struct decoder *d, bool *leader)
{
    leader[0] = true;
    for (size_t i = 0; i < d->n_insns; i++) {
        const struct insn *in = &d->insns[i];
        if (!ends_block(in))
            continue;
        if (i + 1 < d->n_insns)
            leader[i + 1] = true;
        if (in->kind == INSN_JUMP || in->kind == INSN_BRANCH)
            leader[in->target[0]] = true;
        if (in->kind == INSN_BRANCH)
            leader[in->target[1]] = true;
        if (in->kind == INSN_SWITCH)
            for (uint32_t k = 0; k < in->target[1]; k++)
                leader[d->switches[in->target[0] + k]] = true;
    }
}

static void find_nodes(struct layout *l)
{
    struct decoder *d = l->d;
    bool *leader = arena_alloc(d->work, d->n_insns + 1, sizeof(*leader));
    mark_leaders(d, leader);
    l->nodes = arena_alloc(d->work, d->n_insns, sizeof(*l->nodes));
    l->node_of = arena_alloc(d->work, d->n_insns + 1, sizeof(*l->node_of));
    for (size_t i = 0; i < d->n_insns; i++) {
        l->node_of[i] = UINT32_MAX;
        if (leader[i]) {
            l->node_of[i] = l->n_nodes;
            l->nodes[l->n_nodes++].first = (uint32_t)i;
        }
        l->nodes[l->n_nodes - 1].n++;
    }
    for (uint32_t b = 0; b < l->n_nodes; b++) {
        struct node *node = &l->nodes[b];
        const struct insn *last = &d->insns[node->first + node->n - 1];
        if (last->kind == INSN_JUMP || last->kind == INSN_BRANCH)
            node->succ[node->n_succ++] = l->node_of[last->target[0]];
        if (last->kind == INSN_BRANCH)
            node->succ[node->n_succ++] = l->node_of[last->target[1]];
        if (!ends_block(last) && b + 1 < l->n_nodes)
            node->succ[node->n_succ++] = b + 1;
    }
}

static uint32_t successors(const struct layout *l, const struct node *node, uint32_t i)
{
    const struct insn *last = &l->d->insns[node->first + node->n - 1];
    if (last->kind == INSN_SWITCH)
        return i < last->target[1] ? l->node_of[l->d->switches[last->target[0] + i]] : UINT32_MAX;
    return i < node->n_succ ? node->succ[i] : UINT32_MAX;
}

/* Depth first without recursion. Of a branch's ways the one that stands later in the text is walked
 * first, so that it comes later in the reverse order: compilers put a loop's body before its exit.
 */
static void walk(struct layout *l)
{
    struct decoder *d = l->d;
    uint32_t *stack = arena_alloc(d->work, l->n_nodes + 1, sizeof(*stack));
    uint32_t *next = arena_alloc(d->work, l->n_nodes + 1, sizeof(*next));
    uint32_t depth = 0;
    l->post = arena_alloc(d->work, l->n_nodes, sizeof(*l->post));
    stack[depth++] = 0;
    l->nodes[0].seen = true;
    while (depth) {
        uint32_t b = stack[depth - 1], i = next[b]++;
        struct node *node = &l->nodes[b];
        if (node->n_succ == 2 && i < 2 && node->succ[1] > node->succ[0])
            i = 1 - i;
        uint32_t to = next[b] > 2 && node->n_succ == 2 ? UINT32_MAX : successors(l, node, i);
        if (to == UINT32_MAX) {
            l->post[l->n_post++] = b;
            depth--;
        } else if (!l->nodes[to].seen) {
            l->nodes[to].seen = true;
            stack[depth++] = to;
        }
    }
    for (uint32_t k = 0; k < l->n_post; k++)
        l->nodes[l->post[k]].order = l->n_post - 1 - k;
}

static void copy_blocks(struct layout *l)
{
    struct decoder *d = l->d;
    struct exec_program *p = d->program;
    size_t n = 0;
    for (uint32_t k = 0; k < l->n_post; k++)
        n += l->nodes[l->post[k]].n + 1;
    p->insns = arena_alloc(p->arena, n, sizeof(*p->insns));
    p->blocks = arena_alloc(p->arena, l->n_post, sizeof(*p->blocks));
    for (uint32_t k = l->n_post; k-- > 0;) {
        const struct node *node = &l->nodes[l->post[k]];
        struct block *b = &p->blocks[p->n_blocks++];
        b->first = (uint32_t)p->n_insns;
        memcpy(p->insns + p->n_insns, d->insns + node->first, node->n * sizeof(*p->insns));
        p->n_insns += node->n;
        struct insn *last = &p->insns[p->n_insns - 1];
        if (last->kind == INSN_JUMP || last->kind == INSN_BRANCH)
            last->target[0] = l->nodes[l->node_of[last->target[0]]].order;
        if (last->kind == INSN_BRANCH)
            last->target[1] = l->nodes[l->node_of[last->target[1]]].order;
        if (!ends_block(last)) { /* a fall through becomes a jump that costs nothing */
            struct insn *jump = &p->insns[p->n_insns++];
            *jump = (struct insn){.kind = INSN_JUMP,
                                  .guard = PRED_NONE,
                                  .latency = LAT_NONE,
                                  .p = {PRED_NONE, PRED_NONE, PRED_NONE, PRED_NONE},
                                  .line = last->line,
                                  .loc = last->loc,
                                  .flags = 1};
            jump->target[0] = l->nodes[node->succ[0]].order;
        }
        b->n = (uint32_t)p->n_insns - b->first;
    }
}

int decode_layout(struct decoder *d)
{
    struct layout l = {.d = d};
    struct exec_program *p = d->program;
    find_nodes(&l);
    walk(&l);
    p->switch_targets = arena_alloc(p->arena, d->n_switches + 1, sizeof(*p->switch_targets));
    copy_blocks(&l);
    for (size_t i = 0; i < d->n_switches; i++) {
        uint32_t node = l.node_of[d->switches[i]];
        p->switch_targets[i] = l.nodes[node].order;
    }
    return d->failed;
}
