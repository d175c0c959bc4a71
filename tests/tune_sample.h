#pragma once
/* SPDX-License-Identifier: MIT */
/* Small spaces with a known landscape, for tests of the tuner. */
#include "agent/tune/tuner.h"

/*
 * BLOCK pow2 32..1024, TILE 1..`tiles`, MODE of three words, FAST 0/1, ORDER a permutation of three;
 * allowed where BLOCK * TILE <= 2048. Listed or not; its own config is BLOCK 32, TILE 1, 0, 0, 0.
 */
struct tune_space *sample_space(uint32_t tiles, bool listed);
/* Only allowed where nothing is: FAST both 0 and 1. Not listed. */
struct tune_space *sample_space_without_configs(void);
/* What a config of sample_space takes: one optimum of 1, several hills; NAN for BLOCK 1024 in the second mode. */
double sample_time(const struct tune_space *space, const uint16_t *config);
