#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * A small space for tests that need one: BLOCK {64, 128, 256, 512, 1024}, VEC {1, 2, 4}, UNROLL 1..8,
 * STAGED {0, 1}, MODE {"plain", "swizzled"}; BLOCK*VEC <= 2048; own: 256, 1, 1, 0, plain.
 */
#include "agent/tune/tune_space.h"

/* Freed by tune_space_free. Listed: 448 of 480 configs are allowed. */
struct tune_space *tune_rig_space(bool own);
/* A made-up time in microseconds, best at BLOCK 512, VEC 4, UNROLL 4, STAGED 1, swizzled; UNROLL 8 fails. */
double tune_rig_time(const struct tune_space *space, const uint16_t *config);
