/* SPDX-License-Identifier: MIT */
/* The vector operations for processors with AVX2, see ops_vector.h. Flags: exec.cmake. */
#include <stddef.h>
#define OPS_TABLE ops_table_avx2
#include "evaluator/sim/ops_vector.h"
