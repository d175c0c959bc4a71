/* SPDX-License-Identifier: MIT */
#include "evaluator/sim/l1.h"

#include <stdlib.h>
#include <string.h>

#include "base/util.h"

#define L1_WAYS 8
#define L1_MAX_SETS 1024

struct line {
    uint64_t tag;
    uint32_t used;
    uint32_t valid; /* a bit a sector */
};

struct l1 {
    uint32_t n_sets, tick;
    struct line lines[L1_MAX_SETS * L1_WAYS];
};

struct l1 *l1_new(void)
{
    return xcalloc(1, sizeof(struct l1));
}

void l1_free(struct l1 *l1)
{
    free(l1);
}

void l1_reset(struct l1 *l1, uint64_t bytes)
{
    uint64_t sets = bytes / (128 * L1_WAYS);
    l1->n_sets = (uint32_t)MIN(MAX(sets, (uint64_t)1), (uint64_t)L1_MAX_SETS);
    l1->tick = 0;
    memset(l1->lines, 0, (size_t)l1->n_sets * L1_WAYS * sizeof(l1->lines[0]));
}

bool l1_load(struct l1 *l1, uint64_t addr)
{
    uint64_t tag = addr >> 7;
    uint32_t bit = 1u << (addr >> 5 & 3);
    uint32_t set_index = (uint32_t)((tag * 0x9e3779b97f4a7c15ull >> 32) % l1->n_sets);
    struct line *set = &l1->lines[(size_t)set_index * L1_WAYS], *oldest = set;

    l1->tick++;
    for (unsigned i = 0; i < L1_WAYS; i++) {
        if (set[i].tag == tag) {
            bool hit = set[i].valid & bit;
            set[i].valid |= bit;
            set[i].used = l1->tick;
            return hit;
        }
        if (set[i].used < oldest->used)
            oldest = &set[i];
    }
    *oldest = (struct line){.tag = tag, .used = l1->tick, .valid = bit};
    return false;
}
