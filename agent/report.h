#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * report.html of a campaign, made from the store alone: one self-contained page (no script from
 * elsewhere, no font, no network) with the speedup curve, the walk through the graph, the tuner's
 * samples, the diff against the start, and the proof.
 */
#include "base/err.h"
#include "memory/store.h"

int report_write(struct store *store, const char *campaign, const char *path, struct err *err);
