#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * Does the graph know this idea under another name? A strategy that a model named is held against
 * those of its direction by the words of both: lower case, plural and -ing taken off, common words
 * left out, each word weighed by how rare it is among all strategies (Sparck Jones 1972).
 *
 * likeness = 0.5 cosine(title, title) + 0.5 share of the new text's weight that the other's whole
 * text contains. It knows words and no meanings: half of the paraphrases in tests/test_graph_like.c
 * reach HTG_LIKE_LEAST, no new idea there does; quotas hold back what slips through.
 */
#include "graph/htg.h"

#define HTG_LIKE_LEAST 0.45

struct htg_idea {
    const char *direction, *title, *text;
};

/* The most alike strategy of the direction, retired ones too, or -1 if none reaches `least`. */
int htg_find_like(const struct htg *htg, const struct htg_idea *idea, double least);
/* Of one pair, 0..1. */
double htg_likeness(const struct htg *htg, const struct htg_idea *idea, size_t strategy);
