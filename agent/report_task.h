#pragma once
/* SPDX-License-Identifier: MIT */
/* One task's section of the report, from the store. */
#include "agent/plot.h"
#include "base/err.h"
#include "memory/store.h"

int report_task(struct store *store, const char *campaign, const char *task, struct buf *out,
                struct err *err);
