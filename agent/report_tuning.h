#pragma once
/* SPDX-License-Identifier: MIT */
/* What the report shows of one attempt's tuning: its pictures (tune_picture.h), from the samples alone. */
#include <jansson.h>
#include <stdbool.h>
#include "base/buf.h"

/* `tuning`: an attempt's extra.tuning, {"algorithm", "samples": [{"config", "status", "us"}...], ...}, or
   NULL. `title` says whose. Nothing is written where nothing was tuned. */
void report_tuning(struct buf *out, const json_t *tuning, const char *title, bool modelled);
