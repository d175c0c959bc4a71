/* SPDX-License-Identifier: MIT */
#include "evaluator/sim/exec_state.h"

int run_matrix(struct exec_scratch *x, struct warp *w, const struct insn *in, uint32_t mask)
{
    return fault_at(x, w, in, (unsigned)__builtin_ctz(mask), EXEC_FAULT_ILLEGAL, 0, "not yet");
}
