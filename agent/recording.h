#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * A campaign's record: everything it was decided by, in one file of JSON lines, so that it can be run
 * again with no model, no GPU and no store, on any machine.
 *
 *   {"kind":"recording","format":1,"campaign":ID,"tasks":[NAME...],"start":BOOL,"baseline":BOOL}
 *   {"kind":"file","path":"kernelbench/tasks/softmax/task.json","text":"..."}   what the program ships with
 *   {"kind":"record","db":"verdicts","key":"...","value":{...}}                 as it lies in the store
 *                                                                               ("text": not JSON)
 *   {"kind":"call",...}                                                         as llm_record.h has it
 *
 * Files are those of the program that writes the record: seed memory, tasks, the start (for `offline`
 * all variants of the family). The `call` lines make the same file good for `--llm replay:FILE`.
 */
#include "base/err.h"
#include "memory/store.h"

#include <jansson.h>

enum { RECORDING_FORMAT = 1, RECORDING_LINE_MAX = 64 << 20 };

/* ERR_NOTFOUND: no such campaign; ERR_INVALID: what ships isn't what the campaign began with. */
int recording_write(struct store *store, const char *campaign, const char *path, struct err *err);

struct recording {
    char *campaign, *home;
    bool start, baseline;
    json_t *tasks;             /* names */
    json_t *choices, *attempts; /* by key: what a replay must come to */
    json_t *devices;           /* by key: the device, and the memory at the start and after resumes */
};

/*
 * Reads a record: files go under `home` (laid out as the program's own folders), everything that was
 * found from outside (candidates, verdicts, samples, calls) into the store, the decisions into `ret`.
 */
int recording_read(const char *path, const char *home, struct store *store, struct recording *ret,
                   struct err *err);
void recording_done(struct recording *recording);
