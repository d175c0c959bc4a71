#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * The L1 that one block sees: 128-byte lines of four sectors, eight ways, least recently used out.
 * Loads only; stores go past it. Other blocks of the SM are accounted for by its size alone.
 */
#include <stdbool.h>
#include <stdint.h>

struct l1;

struct l1 *l1_new(void);
void l1_free(struct l1 *l1); /* NULL is fine */

/* Empties it and sets its size. */
void l1_reset(struct l1 *l1, uint64_t bytes);

/* A load of the sector at addr: was it there? It is from now on. */
bool l1_load(struct l1 *l1, uint64_t addr);
