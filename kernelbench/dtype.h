#pragma once
/* SPDX-License-Identifier: MIT */
/* Element types by their names in documents. Sizes in bytes. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum dtype {
    DTYPE_F64, DTYPE_F32, DTYPE_F16, DTYPE_BF16, DTYPE_F8E4M3, DTYPE_F8E5M2, DTYPE_I64, DTYPE_I32,
    DTYPE_I16, DTYPE_I8, DTYPE_U8, DTYPE_BOOL
};

/* false if the name is unknown; reserved names (tf32, f4e2m1, ...) are unknown too. */
bool dtype_parse(const char *name, enum dtype *ret);
const char *dtype_name(enum dtype dtype);
size_t dtype_size(enum dtype dtype);
bool dtype_is_float(enum dtype dtype);
/* A number in its own type's bits, as a kernel's parameter has them: rounded to nearest even, whole
 * numbers cut. false: there is no such parameter. */
bool dtype_bits(enum dtype dtype, double value, uint64_t *ret);
