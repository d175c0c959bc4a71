/* SPDX-License-Identifier: MIT */
#include "base/arena.h"
#include "base/util.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ARENA_CHUNK = 16 * 1024, ARENA_ALIGN = _Alignof(max_align_t) };

struct chunk {
    struct chunk *next;
    size_t used, size;
    _Alignas(max_align_t) char bytes[];
};

struct arena {
    struct chunk *chunks;
    size_t used;
};

struct arena *arena_new(void)
{
    return xcalloc(1, sizeof(struct arena));
}

void arena_free(struct arena *arena)
{
    if (!arena) {
        return;
    }
    for (struct chunk *c = arena->chunks; c;) {
        struct chunk *next = c->next;
        free(c);
        c = next;
    }
    free(arena);
}

void cleanup_arena(struct arena **arena)
{
    arena_free(*arena);
}

/* Room for one piece alone, cleared, behind the chunk that is being filled. */
static void *take_large(struct arena *arena, size_t bytes)
{
    struct chunk *c = xcalloc(1, sizeof(*c) + bytes);
    c->used = c->size = bytes;
    struct chunk **at = arena->chunks ? &arena->chunks->next : &arena->chunks;
    c->next = *at;
    *at = c;
    return c->bytes;
}

/* Not cleared: most of a chunk is never given out, and a string is overwritten at once. */
static void *take(struct arena *arena, size_t bytes)
{
    struct chunk *c = arena->chunks;
    if (!c || c->size - c->used < bytes) {
        c = xrealloc(NULL, 1, sizeof(*c) + ARENA_CHUNK);
        *c = (struct chunk) { .next = arena->chunks, .size = ARENA_CHUNK };
        arena->chunks = c;
    }
    void *p = c->bytes + c->used;
    c->used += bytes;
    return p;
}

static size_t round_up(struct arena *arena, size_t bytes)
{
    require(bytes < SIZE_MAX / 2);
    bytes = (bytes + ARENA_ALIGN - 1) / ARENA_ALIGN * ARENA_ALIGN;
    arena->used += bytes;
    return bytes;
}

void *arena_alloc(struct arena *arena, size_t n, size_t size)
{
    size_t bytes;
    require(!__builtin_mul_overflow(n, size, &bytes));
    bytes = round_up(arena, bytes);
    return bytes > ARENA_CHUNK ? take_large(arena, bytes) : memset(take(arena, bytes), 0, bytes);
}

char *arena_strndup(struct arena *arena, const char *s, size_t n)
{
    require(n < SIZE_MAX / 2);
    size_t bytes = round_up(arena, n + 1);
    char *copy = bytes > ARENA_CHUNK ? take_large(arena, bytes) : take(arena, bytes);
    memcpy(copy, s, n);
    copy[n] = '\0';
    return copy;
}

char *arena_strdup(struct arena *arena, const char *s)
{
    return arena_strndup(arena, s, strlen(s));
}

char *arena_printf(struct arena *arena, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    require(n >= 0);
    char *s = arena_alloc(arena, (size_t)n + 1, 1);
    vsnprintf(s, (size_t)n + 1, format, again);
    va_end(again);
    return s;
}

size_t arena_used(const struct arena *arena)
{
    return arena->used;
}
