#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * What a campaign hands over for one task: OUT/best/ with kernel.cu, plan.json, verdict.json, and
 * the compiled image for the device (kernel.cubin, or kernel.ptx where the device is simulated).
 */
#include "agent/campaign.h"

/* Compiles (from the cache, as a rule) and writes, exports included (export.h); runs the loop meanwhile. */
int best_write(struct session *session, const struct task *task,
               const struct candidate *candidate, const struct verdict *verdict,
               const char *folder, struct err *err);

/* Judges it once more, untimed, and under a sanitizer: FOLDER/sanitizer.json is that verdict, and one
 * line of it goes to `say`. `ret_clean`: nothing was found (also where there is no sanitizer). */
int best_sanitize(struct session *session, const struct task *task,
                  const struct candidate *candidate, const char *folder, FILE *say,
                  bool *ret_clean, struct err *err);
