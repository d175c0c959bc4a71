#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * What the benches of whole campaigns share: many tasks of one kind, and how much memory a process
 * holds. The tasks are copies of gelu under names of their own, in folders that the bench removes.
 */
#include "agent/bench.h"

/* FOLDER/task0000 and so on; the caller frees each path. */
int bench_write_tasks(const char *folder, char **ret_paths, size_t n, struct err *err);
/* Resident memory of a process (0: this one) without pages of files: what lies in the cache of the
 * store's file is nobody's. */
double bench_resident_mib(int pid);
