#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * What ships with the program, found by name: tasks (kernelbench/tasks/NAME), a family's numbered
 * variants (kernels/FAMILY/NN_name), the seed memory (kernels/memory). A path of the user's own
 * works wherever a name does. An unknown name is answered with the nearest one and the list.
 */
#include "base/err.h"
#include "graph/htg.h"
#include "kernelbench/candidate.h"
#include "kernelbench/task.h"

enum { CATALOG_VARIANTS_MAX = 64, CATALOG_NAMES_MAX = 256 };

/* "softmax", or a folder with task.json. */
int catalog_task(const char *name, struct task **ret, struct err *err);

/* Does any of these need PyTorch to say what is right? Those that can't be read don't count. */
bool catalog_asks_oracle(const char *const *tasks, size_t n);

/* A folder with kernel.cu and plan.json, or "softmax/06_row_in_registers", or "06_..." of `family`. */
int catalog_candidate(const char *name, const char *family, struct candidate **ret,
                      struct err *err);

/* What a task's folder brings to begin with: FOLDER/start/NAME/, the first by name. ERR_NOTFOUND, without
 * touching `err`, if it brings nothing. */
int catalog_start(const struct task *task, struct candidate **ret, struct err *err);

struct catalog_family {
    size_t n;
    struct candidate *variants[CATALOG_VARIANTS_MAX]; /* in the order of their numbers */
};

/* A family's variants are for tasks in its words, whose tensors have its names, types and sizes: an imported
 * problem, or a task of the user's, of the same kind may have others. */
bool catalog_fits(const struct task *task, const struct candidate *variant, const struct device_facts *facts);

/* A family without variants is fine (n == 0). */
int catalog_family(const char *family, struct catalog_family *ret, struct err *err);
void catalog_family_done(struct catalog_family *family);

/* The graph as the seed memory has it. */
int catalog_memory(struct htg **ret, struct err *err);
/* The same from a folder with directions.json, strategies*.json and transitions.json. */
int catalog_memory_from(const char *folder, struct htg **ret, struct err *err);

/* Sorted names of the shipped tasks (families: false) or families; the caller frees each. */
int catalog_names(bool families, char *ret_names[CATALOG_NAMES_MAX], size_t *ret_n,
                  struct err *err);
