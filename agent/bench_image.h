#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * Are two compiled images the same program? What only says where code came from is left out: debug
 * sections of a cubin, .loc and .file lines and debug sections of PTX. Bytes that are neither are
 * compared as they are.
 */
#include <stdbool.h>
#include <stddef.h>

bool bench_image_same(const char *a, size_t a_len, const char *b, size_t b_len);
