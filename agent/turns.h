#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * Work that is ready, a slice at a time: a commit settles hundreds of batches at once, and what waited
 * for them must not keep the loop from its sockets and workers. Pieces run in the order they were
 * added, TURNS_SLICE_MS to a turn of the loop, at least one.
 */
#include <uv.h>

enum { TURNS_SLICE_MS = 4 };

struct turns;

/* Embedded in whatever waits; zeroed before its first use. */
struct turn {
    struct turns *turns; /* NULL: not waiting */
    struct turn *next, **at;
    void (*fn)(void *ud);
    void *ud;
};

struct turns *turns_new(uv_loop_t *loop);
/* What still waits is forgotten. NULL is fine. */
void turns_free(struct turns *turns);
void turns_add(struct turns *turns, struct turn *turn, void (*fn)(void *ud), void *ud);
/* No harm if it doesn't wait. */
void turns_remove(struct turn *turn);
