#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * The tensors and scalars of a task's document. Internal to this folder; task.c calls these in
 * order. Each reads its members of the document into `task`; a fault is ERR_INVALID with the path.
 */
#include <jansson.h>
#include "kernelbench/task.h"

/* "inputs", "weights", "inout", "outputs". */
int task_tensors(const json_t *doc, struct task *task, struct err *err);
/* "scalars". */
int task_scalars(const json_t *doc, struct task *task, struct err *err);
/* "alias", once tensors are known. */
int task_aliases(const json_t *doc, struct task *task, struct err *err);
/* Once shapes are known too: sizes positive everywhere, names distinct, aliases of one size. */
int task_check(const struct task *task, struct err *err);
