#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * A seeded generator (xoshiro256**, Blackman & Vigna 2018, seeded by splitmix64) for every decision
 * that must be the same in a replay. Keyed by up to three numbers, say (seed, task, step), so that
 * a decision doesn't depend on how many were drawn before it. Not for secrets: see id.h.
 */
#include <stddef.h>
#include <stdint.h>

struct rng {
    uint64_t s[4];
};

void rng_init(struct rng *rng, uint64_t seed, uint64_t stream, uint64_t step);
uint64_t rng_u64(struct rng *rng);
/* Uniform in [0, n), without bias; n > 0. */
uint64_t rng_below(struct rng *rng, uint64_t n);
/* Uniform in [0, 1) with 53 bits. */
double rng_unit(struct rng *rng);
/* Standard normal. */
double rng_normal(struct rng *rng);
/* A 64-bit key of a string (FNV-1a through splitmix), for `stream`. */
uint64_t rng_key(const char *s);
