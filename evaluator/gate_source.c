/* SPDX-License-Identifier: MIT */
/*
 * The gate's kernels, and those that measure ceilings, travel inside the agent as text: they are
 * compiled for the device that is found at run time, by the same compile worker as everything else.
 */
#include "base/embed.h"
#include "evaluator/evaluator_internal.h"

EMBED_TEXT(gate_source_text, WS_GATE_SOURCE);
EMBED_TEXT(peaks_source_text, WS_PEAKS_SOURCE);

const char *gate_source(void)
{
    return gate_source_text;
}

const char *peaks_source(void)
{
    return peaks_source_text;
}
