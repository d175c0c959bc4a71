/* SPDX-License-Identifier: MIT */
#include "evaluator/sim/decode.h"
const struct decode_entry decode_matrix_table[] = {{NULL, NULL}};
