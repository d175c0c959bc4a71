#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * Files: read whole with a cap, written whole or not at all (a temporary file beside the target,
 * fsync, rename), folders made with their parents, and where the program's own data lies.
 */
#include <stdbool.h>
#include <stddef.h>
#include "base/buf.h"
#include "base/err.h"

/* Reads a file of at most `cap` bytes; the caller frees *ret_text, which ends in NUL. */
int file_read(const char *path, size_t cap, char **ret_text, size_t *ret_len, struct err *err);
int file_write(const char *path, const void *bytes, size_t len, struct err *err);
int file_copy(const char *from, const char *to, size_t cap, struct err *err);

/* mkdir -p; fine if it is there. */
int folder_make(const char *path, struct err *err);
/* Removes a folder and what is in it (never follows links). */
int folder_remove(const char *path, struct err *err);
bool file_exists(const char *path);

/*
 * Where data that ships with the program lies ("kernels/softmax"): $WARPSMITH_HOME, else beside the
 * program's own file (bin/../share/warpsmith of an installed copy or a bundle, bin/.. of a build
 * whose source it was told at build time). The caller frees *ret_path.
 */
int file_find_shipped(const char *name, char **ret_path, struct err *err);
/* A program or library of ours ("warpsmith-worker", "libwarpsim.so"): beside this program. */
int file_find_program(const char *name, char **ret_path, struct err *err);
