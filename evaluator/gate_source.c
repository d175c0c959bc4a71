/* SPDX-License-Identifier: MIT */
/*
 * The gate's kernels travel inside the agent as text: they are compiled for the device that is
 * found at run time, by the same compile worker as everything else.
 */
#include "evaluator/evaluator_internal.h"

__asm__(".section .rodata\n"
        ".type gate_source_text, @object\n"
        "gate_source_text:\n"
        ".incbin \"" WS_GATE_SOURCE "\"\n"
        ".byte 0\n"
        ".previous\n");

extern const char gate_source_text[];

const char *gate_source(void)
{
    return gate_source_text;
}
