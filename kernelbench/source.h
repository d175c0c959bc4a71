#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * A cheap look at CUDA source, to say early and precisely what the loader would only call "named
 * symbol not found". It doesn't parse C++: where macros may build a name (##) it keeps quiet.
 * Internal to this folder.
 */
#include <stddef.h>
#include "base/err.h"
#include "kernelbench/plan.h"

enum { SOURCE_MAX = 1 << 20 };

/* Fails if `len` bytes can't be device source at all: empty, too long, a NUL inside. */
int source_check_text(const char *source, size_t len, const char *file, struct err *err);

/* Fails if a kernel that the plan launches can't be in the source; the plan stands at `at`. */
int source_check_kernels(const char *source, const char *file, const struct plan *plan,
                         const struct jpath *at, struct err *err);
