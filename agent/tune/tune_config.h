#pragma once
/* SPDX-License-Identifier: MIT */
/* Configs as people and files write them: {"BLOCK": 256, "VEC": 4}, and BLOCK=256 VEC=4 in tables. */
#include "agent/tune/tune_space.h"
#include "base/buf.h"
#include "base/jread.h"

/* Parameters that aren't named take the space's own value. ERR_INVALID: no such parameter, value, or
   none given and the space has no own; ERR_NOTFOUND: the constraints forbid it. */
int tune_config_read(const struct tune_space *space, const json_t *object, const struct jpath *at,
                     uint16_t *ret_config, struct err *err);
/* A list of such objects, or one; row by row, the caller frees. */
int tune_config_read_all(const struct tune_space *space, const json_t *list, uint16_t **ret,
                         size_t *ret_n, struct err *err);
json_t *tune_config_json(const struct tune_space *space, const uint16_t *config);
void tune_config_text(const struct tune_space *space, const uint16_t *config, struct buf *out);
