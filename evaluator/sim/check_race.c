/* SPDX-License-Identifier: MIT */
#include "evaluator/sim/exec_state.h"

int race_prepare(struct exec_scratch *x)
{
    (void)x;
    return 0;
}

void race_free(struct race_state *race)
{
    (void)race;
}

void race_block_start(struct exec_scratch *x)
{
    (void)x;
}

void race_barrier(struct exec_scratch *x, uint32_t warps)
{
    (void)x, (void)warps;
}

int race_access(struct exec_scratch *x, struct warp *w, const struct insn *in,
                const struct access *a)
{
    (void)x, (void)w, (void)in, (void)a;
    return 0;
}
