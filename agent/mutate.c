/* SPDX-License-Identifier: MIT */
#include "agent/mutate.h"
#include "agent/mutate_rules.h"
#include "base/rng.h"
#include "base/util.h"

#include <stdlib.h>
#include <string.h>

const char *mutate_class_name(enum mutate_class kind)
{
    static const char *const names[] = {
#define X(name, text) [MUTATE_CLASS_##name] = text,
        MUTATE_CLASS_LIST(X)
#undef X
    };
    return (size_t)kind < ARRAY_LEN(names) ? names[kind] : "?";
}

void mutate_all(const char *source, const char *plan, const char *precision, struct arena *arena,
                struct mutants *ret)
{
    struct mtext text;
    *ret = (struct mutants) { .arena = arena };
    mtext_read(&text, source, ret);
    mutate_structure(&text);
    mutate_values(&text);
    mutate_precision(&text, precision);
    free(text.tokens);
    mutate_plan(source, plan, ret);
}

char *mutate_source(const char *source, const struct mutant *m, struct arena *arena)
{
    if (!m->with) {
        return arena_strdup(arena, source);
    }
    const char *prelude = mutate_prelude(m->with);
    return arena_printf(arena, "%s%.*s%s%s", prelude ? prelude : "", (int)m->at, source, m->with,
                        source + m->at + m->len);
}

size_t mutate_pick(const struct mutants *all, uint64_t seed, size_t most, size_t *ret_index)
{
    size_t n = 0;
    auto_free bool *taken = xcalloc(all->n + 1, sizeof(*taken));
    struct rng rng;
    rng_init(&rng, seed, all->n, 0);
    for (bool any = true; any && n < most;) {
        any = false;
        for (int turn = 0; turn <= MUTATE_CLASSES && n < most; turn++) {
            enum mutate_class kind = turn == MUTATE_CLASSES ? MUTATE_CLASS_PRECISION
                                                            : (enum mutate_class)turn;
            size_t left = 0;
            for (size_t i = 0; i < all->n; i++) {
                left += all->at[i].kind == kind && !taken[i];
            }
            if (left == 0) {
                continue;
            }
            size_t skip = rng_below(&rng, left), i = 0;
            while (all->at[i].kind != kind || taken[i] || skip-- > 0) {
                i++;
            }
            taken[i] = true;
            ret_index[n++] = i;
            any = true;
        }
    }
    return n;
}
