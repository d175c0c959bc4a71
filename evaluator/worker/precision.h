#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * Which precision did a candidate compute in? The error of each element is taken to the oracle's
 * value after rounding to the output's type, so that the rounding that nobody can avoid is gone,
 * and its root mean square over the tensor is held against what a correct algorithm gives.
 *
 * With unit roundoffs u32 = 2^-24 of sums and u of the declared precision, sums of L terms and R
 * values (operands or intermediates) rounded to the declared precision, the error before the last
 * rounding is, relative to the outputs' size,
 *
 *     s = u32 (16 + 2 sqrt(L) + L/16 where tensor cores sum) + 1.3 sqrt(R) u
 *
 * Rounding errors of a sum grow with sqrt(L) and not with L: Higham, Accuracy and Stability of
 * Numerical Algorithms, 2nd ed., section 4.2, and Higham and Mary, A New Approach to Probabilistic
 * Rounding Error Analysis, SISC 41(5), 2019, theorem 2.4; one after the other in zero-mean data it
 * is 0.3 u32 sqrt(L), and 16 u32 are left to the functions around it (an ex2.approx of a large
 * argument costs 5). Tensor cores cut instead of rounding, a step of 16 terms each: Fasi, Higham,
 * Mikaitis, Pranesh, Numerical behavior of NVIDIA tensor cores, PeerJ CS 7:e330, 2021. An operand
 * rounded to nearest is off by 0.41 u; 1.3 leaves a factor of 3.2 to that and of 2.5 to the next type,
 * since some are a factor of 8 apart. After rounding to an output type of roundoff o only values near
 * a tie differ: the mean square is s^2 + 2 s o.
 *
 * The outputs' size is their RMS, what honest roundings grow with, while a lower precision's error
 * grows with their spread: where an offset makes the first much larger than the second, the rule sees
 * little, and the verdict says so. It is applied under the task's own inputs, zero-mean in domain
 * "real"; others stretch exponents and cancellations further than the formula knows.
 */
#include <stddef.h>
#include "kernelbench/dtype.h"

struct precision_rule {
    const char *declared; /* "f32", ... */
    enum dtype output;
    double terms;     /* L */
    double roundings; /* R */
};

/* Unit roundoff of a precision or dtype by name; 0 for integers and unknown names. */
double precision_unit(const char *name);

/* Largest RMS error over n elements whose RMS is `size`; INFINITY where the rule says nothing. */
double precision_limit(const struct precision_rule *rule, double size, size_t n);

/* The lower precision that such an error looks like ("tf32 or f16"), NULL if none. `error` and
 * `spread` (standard deviation of the outputs) in the same unit. */
const char *precision_like(const struct precision_rule *rule, double error, double spread);

/* RMS error, relative to the spread, that the next lower precision would show; 0 if there is none. */
double precision_next(const struct precision_rule *rule);
