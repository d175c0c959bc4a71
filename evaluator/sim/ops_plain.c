/* SPDX-License-Identifier: MIT */
/* The vector operations for any processor, see ops_vector.h. Flags: exec.cmake. */
#include <stddef.h>
#define OPS_TABLE ops_table_plain
#include "evaluator/sim/ops_vector.h"
