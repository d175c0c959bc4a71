#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * Turns the sectors that a group of neighbouring blocks touched into what the cache model needs:
 * how much of a block's own re-reading its share of L1 catches, how many distinct sectors it
 * touches in each allocation and where they begin, and how fast the group's footprint grows with
 * its blocks.
 *
 * A trace object belongs to one host thread and is reused; trace_begin starts a group, trace_block
 * adds its next block. Sectors are 32 bytes; a piece is one block's share of one span of memory.
 */
#include <stddef.h>
#include <stdint.h>

struct vmem;

#define TRACE_GROUP 8   /* blocks in a group at most */
#define TRACE_PIECES 24 /* spans that a group's blocks are told apart in; more are left out */

struct trace_piece {
    uint64_t span, span_size; /* address and bytes of the allocation */
    uint64_t lo;              /* first sector touched, counted from the span's start */
    uint64_t run;             /* sectors touched in a row from there */
    uint64_t loaded, stored;  /* distinct sectors; one that is both counts in both */
    uint64_t atomic;          /* of the stored ones, those touched by atomics */
    uint64_t distinct;
    uint64_t fresh; /* of them, those that no earlier block of the group touched */
};

struct trace_block {
    uint32_t ctaid[3];
    uint32_t place;           /* in its group, from 0 */
    uint64_t index;           /* in launch order */
    uint64_t load_sectors;    /* asked for by warps */
    uint64_t l2_load_sectors; /* of them, what L1 doesn't hold */
    uint64_t l2_load_lines;   /* requests for these, of up to 128 bytes */
    uint64_t l2_store_sectors, l2_atomic_sectors;
    unsigned n_pieces;
    struct trace_piece pieces[TRACE_PIECES];
};

struct trace;

int trace_new(struct trace **ret_trace);
void trace_free(struct trace *trace); /* NULL is fine */

void trace_begin(struct trace *trace, const struct vmem *mem);

/* sectors as exec_trace gives them. Fills all of ret_block but ctaid and index. */
void trace_block(struct trace *trace, const uint64_t *sectors, size_t n,
                 struct trace_block *ret_block);
