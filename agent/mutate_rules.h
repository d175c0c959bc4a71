#pragma once
/* SPDX-License-Identifier: MIT */
/* The parts of mutate.c: rules by what they change. */
#include "agent/mtext.h"

/* Loops, conditions, barriers, atomics, statements. */
void mutate_structure(struct mtext *t);
/* Operators, indices, terms, constants, casts, identities. */
void mutate_values(struct mtext *t);
/* Rounding of what is loaded, computed and added up. */
void mutate_precision(struct mtext *t, const char *precision);
/* What a rounding mutant needs in front of its source; NULL for a mutant that doesn't round. */
const char *mutate_prelude(const char *with);
/* Grids, arguments and memsets of the plan. */
void mutate_plan(const char *source, const char *plan, struct mutants *to);
