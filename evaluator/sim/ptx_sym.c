/* SPDX-License-Identifier: MIT */
#include "evaluator/sim/ptx_parser.h"

#include <string.h>

void *ptx_grow(struct arena *arena, void *array, size_t n, size_t *cap, size_t size)
{
    if (n < *cap)
        return array;
    size_t more = *cap ? *cap * 2 : 16;
    void *wider = arena_alloc(arena, more, size);
    if (n)
        memcpy(wider, array, n * size);
    *cap = more;
    return wider;
}

static size_t bucket_of(const char *name, size_t len)
{
    uint32_t h = 2166136261u;
    for (size_t i = 0; i < len; i++)
        h = (h ^ (uint8_t)name[i]) * 16777619u;
    return h % PTX_SYM_BUCKETS;
}

struct sym *sym_find(const struct ptx_parser *p, const char *name, size_t len)
{
    for (struct sym *s = p->buckets[bucket_of(name, len)]; s; s = s->next)
        if (s->len == len && !memcmp(s->name, name, len))
            return s;
    return NULL;
}

struct sym *sym_add(struct ptx_parser *p, enum sym_kind kind, const char *name, size_t len)
{
    struct sym **bucket = &p->buckets[bucket_of(name, len)];
    struct sym *s = arena_alloc(p->arena, 1, sizeof(*s));
    s->name = arena_strndup(p->arena, name, len);
    s->len = len;
    s->kind = kind;
    s->depth = p->depth;
    s->next = *bucket;
    s->before = p->last_sym;
    *bucket = p->last_sym = s;
    return s;
}

/* Symbols leave in the reverse of the order they came, so each is first in its bucket. */
void sym_leave(struct ptx_parser *p, uint32_t depth)
{
    while (p->last_sym && p->last_sym->depth > depth) {
        struct sym *s = p->last_sym;
        p->buckets[bucket_of(s->name, s->len)] = s->next;
        p->last_sym = s->before;
    }
}

int64_t sym_reg(const struct ptx_parser *p, const char *name, size_t len)
{
    struct sym *s = sym_find(p, name, len);
    if (s && s->kind == SYM_REG)
        return s->index;
    size_t stem = len;
    uint64_t number = 0, scale = 1;
    while (stem > 0 && len - stem < 7 && name[stem - 1] >= '0' && name[stem - 1] <= '9') {
        stem--;
        number += (uint64_t)(name[stem] - '0') * scale;
        scale *= 10;
        if (name[stem] == '0' && stem + 1 < len)
            continue; /* %r08 isn't a register of %r<..> */
        s = sym_find(p, name, stem);
        if (s && s->kind == SYM_RANGE && number < s->count)
            return (int64_t)s->index + (int64_t)number;
    }
    return -1;
}
