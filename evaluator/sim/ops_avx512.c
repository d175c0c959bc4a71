/* SPDX-License-Identifier: MIT */
/* The vector operations for processors with AVX512, see ops_vector.h. Flags: exec.cmake. */
#include <stddef.h>
#define OPS_TABLE ops_table_avx512
#include "evaluator/sim/ops_vector.h"
