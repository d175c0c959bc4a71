#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * An arena: many small allocations with one lifetime, freed whole. One campaign, one document, one
 * request has one arena. Memory is zeroed. Allocation never fails (it aborts), so sizes that come
 * from outside are checked by the caller first. Not thread-safe.
 */
#include <stddef.h>

struct arena;

struct arena *arena_new(void);
void arena_free(struct arena *arena); /* NULL is fine */

/* For cleanup attributes: auto_arena struct arena *a = arena_new(); */
void cleanup_arena(struct arena **arena);
#define auto_arena __attribute__((cleanup(cleanup_arena)))

/* n * size zeroed bytes, aligned for any type. */
void *arena_alloc(struct arena *arena, size_t n, size_t size);
char *arena_strdup(struct arena *arena, const char *s);
char *arena_strndup(struct arena *arena, const char *s, size_t n);
char *arena_printf(struct arena *arena, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Bytes handed out so far, for limits and figures. */
size_t arena_used(const struct arena *arena);
