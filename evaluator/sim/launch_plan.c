/* SPDX-License-Identifier: MIT */
#include "evaluator/sim/launch_plan.h"

#include <stdlib.h>

#include "base/util.h"

static int by_first(const void *a, const void *b)
{
    const struct launch_unit *x = a, *y = b;
    return x->first < y->first ? -1 : x->first > y->first;
}

/* Appends a unit, cut where it would meet one that is there already. */
static void add(struct launch_unit *units, size_t *n, uint64_t blocks, struct launch_unit u)
{
    for (size_t i = 0; i < *n; i++) {
        uint64_t start = units[i].first, end = start + units[i].n;
        if (u.first >= start && u.first < end) {
            if (u.n <= end - u.first)
                return;
            u.n -= end - u.first;
            u.first = end;
        } else if (u.first < start && start - u.first < u.n) {
            u.n = start - u.first;
        }
    }
    if (u.first >= blocks)
        return;
    u.n = MIN(u.n, blocks - u.first);
    units[(*n)++] = u;
}

/* Every block, in groups. */
static size_t all_blocks(uint64_t blocks, uint32_t group, struct launch_unit *units)
{
    size_t n = 0;
    for (uint64_t at = 0; at < blocks; at += units[n - 1].n) {
        uint64_t len = at ? MIN((uint64_t)group, blocks - at) : 1;
        units[n++] = (struct launch_unit){at, len, true, true};
    }
    return n;
}

/* The middle of each of `spread` equal shares of the grid: every block has the same chance to be
 * seen, whatever grows along the grid. */
static void spread_groups(uint64_t blocks, uint64_t spread, uint32_t group,
                          struct launch_unit *units, size_t *n)
{
    for (uint64_t i = 0; i < spread; i++) {
        uint64_t middle = (uint64_t)((unsigned __int128)blocks * (2 * i + 1) / (2 * spread));
        uint64_t first = middle > group / 2 ? middle - group / 2 : 0;
        first = MIN(first, blocks - MIN((uint64_t)group, blocks));
        add(units, n, blocks, (struct launch_unit){first, group, true, true});
    }
}

void launch_plan_sample(const uint32_t grid[3], uint64_t want, uint32_t group,
                        struct launch_unit **ret_units, size_t *ret_n)
{
    uint64_t row = grid[0], plane = row * grid[1], blocks = plane * grid[2];
    const uint64_t probes[] = {1, row, plane, blocks - 1};
    struct launch_unit *units = xcalloc(MIN(want, blocks) + 8, sizeof(*units));
    size_t n = 0;

    if (blocks <= want) {
        n = all_blocks(blocks, group, units);
    } else if (want <= 2 * ARRAY_LEN(probes)) {
        add(units, &n, blocks, (struct launch_unit){0, 1, true, true});
        spread_groups(blocks, want - 1, 1, units, &n);
    } else {
        add(units, &n, blocks, (struct launch_unit){0, 1, true, false});
        for (size_t i = 0; i < ARRAY_LEN(probes); i++)
            add(units, &n, blocks, (struct launch_unit){probes[i], 1, true, false});
        spread_groups(blocks, MAX((want - n) / group, (uint64_t)1), group, units, &n);
    }
    qsort(units, n, sizeof(*units), by_first);
    *ret_units = units;
    *ret_n = n;
}

void launch_plan_fill(uint64_t blocks, const struct launch_unit *sample, size_t n_sample,
                      struct launch_unit **ret_units, size_t *ret_n)
{
    /* Pieces small enough to share out evenly, and few enough to keep a result for each. */
    uint64_t piece = MAX(blocks / 2048, (uint64_t)1);
    struct launch_unit *units = xcalloc(blocks / piece + 2 * n_sample + 2, sizeof(*units));
    uint64_t at = 0;
    size_t n = 0;

    for (size_t i = 0; i <= n_sample; i++) {
        uint64_t end = i < n_sample ? sample[i].first : blocks;
        for (; at < end; at += units[n - 1].n)
            units[n++] = (struct launch_unit){.first = at, .n = MIN(piece, end - at)};
        if (i < n_sample) {
            units[n++] = sample[i];
            at += sample[i].n;
        }
    }
    *ret_units = units;
    *ret_n = n;
}
