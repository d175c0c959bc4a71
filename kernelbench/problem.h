#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * KernelBench's problems: Python files of a checkout that the user has, DIR/levelN/ID_Name.py (or
 * DIR/KernelBench/levelN/...). Nothing of them ships with us; each is pinned by the hash of its file.
 *
 * A problem becomes a task with what the oracle (oracle.py, PyTorch) says of it: one shape, the
 * problem's own, so the task is `specialise`; sizes are plain numbers, and whole numbers that the
 * file names are symbols besides. Inputs are any reals: upstream's are uniform in [0, 1), which hides
 * what a zero-mean input shows. An element may be off by 1e-4 of itself and of the output's RMS.
 */
#include <jansson.h>
#include "base/arena.h"
#include "base/err.h"
#include "base/id.h"
#include "kernelbench/task.h"

enum { PROBLEM_LEVELS = 4 };

struct problem {
    int level, id;
    const char *name; /* "19_ReLU" */
    const char *path;
    const char *family; /* "activation", by the words of its name */
    struct id hash;     /* of the file */
    const char *unreadable; /* why the file can't be read: it has no hash then; or NULL */
};

/*
 * The problems of a checkout, by level, then id. `levels` and `ids` are lists like "1-3,7"; NULL: the
 * levels 1 to 3, all ids. ERR_NOTFOUND: no such folder, or nothing in it that was asked for; ERR_INVALID:
 * two files have one number, by which results are kept; ERR_UNSUPPORTED for level 4, whose models must be
 * downloaded. A file that can't be read is a problem that says so.
 */
int problem_find(const char *suite, const char *levels, const char *ids, struct arena *arena,
                 struct problem **ret, size_t *ret_n, struct err *err);

/*
 * `described` is the oracle's answer; it is foreign, and checked member by member. ERR_UNSUPPORTED
 * where the oracle says that no candidate can be judged, or where there's more than a task can hold.
 */
int problem_task(const struct problem *problem, const json_t *described, struct task **ret,
                 struct err *err);

/* The task's document alone, as task.json has it; the caller's. */
int problem_document(const struct problem *problem, const json_t *described, json_t **ret,
                     struct err *err);
/* The task of such a document, which may have been changed meanwhile (mapping.h). */
int problem_document_task(const struct problem *problem, const json_t *document, struct task **ret,
                          struct err *err);

/* Is `n` in "1-3,7"? ERR_INVALID says what can't be read. NULL is all. */
int problem_listed(const char *list, int n, bool *ret, struct err *err);
