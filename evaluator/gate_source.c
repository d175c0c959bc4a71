/* SPDX-License-Identifier: MIT */
/*
 * The gate's kernels travel inside the agent as text: they are compiled for the device that is
 * found at run time, by the same compile worker as everything else.
 */
#include "base/embed.h"
#include "evaluator/evaluator_internal.h"

EMBED_TEXT(gate_source_text, WS_GATE_SOURCE);

const char *gate_source(void)
{
    return gate_source_text;
}
