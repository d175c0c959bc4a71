#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * What models cost, in USD per million tokens, from a file:
 *
 *   {"format": 1, "as_of": "2026-11-21", "models": [
 *     {"name": "claude-sonnet-4-5", "in": 3, "cached": 0.3, "written": 3.75, "out": 15} ]}
 *
 * "cached" is input read from the provider's cache and "written" input put there; both count as "in"
 * where they are absent. "in_max" bounds the prompts that a price holds for. A name stands for itself
 * and its dated forms (NAME-20250929, NAME-2025-08-07, NAME-latest, NAME@...), never for a longer name:
 * models of one family differ in price by tens.
 */
#include <stdbool.h>
#include "agent/llm.h"

struct llm_price {
    bool known;
    double in, cached, written, out;
    int64_t in_max; /* tokens of a prompt; 0: any */
    char from[64];  /* "shipped prices of DATE", "the prices given" */
};

/* Looks in `file` (may be NULL), then in the shipped table. Not found: 0, known false. */
int llm_price_find(const char *file, const char *model, struct llm_price *ret, struct err *err);

/* NAN if no price holds for it. */
double llm_price_of(const struct llm_price *price, const struct llm_usage *usage);
/* The most that so many bytes of prompt and so many tokens of answer can cost. */
double llm_price_worst(const struct llm_price *price, int64_t in, int64_t out);
