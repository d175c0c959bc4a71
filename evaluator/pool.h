#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * A pool of worker processes of one role on a libuv loop. A worker has one job at a time; the queue
 * and every deadline are here, in the parent. A worker that dies, breaks the protocol or outlives a
 * deadline is killed (SIGTERM, then SIGKILL) and replaced with back-off; the job it had ends with
 * ERR_CRASH, ERR_PROTOCOL or ERR_TIMEOUT and the phase it had reached.
 *
 * The first worker starts at once, another whenever a job waits and none is on its way.
 * A worker is gone when its exit was reported *and* both pipes reached their end.
 * Everything runs on the loop's thread. Callbacks may submit new jobs, never close the pool.
 */
#include <jansson.h>
#include <stdbool.h>
#include <uv.h>
#include "base/err.h"
#include "base/log.h"

struct pool;
struct pool_ticket;

struct pool_options {
    const char *name;        /* for messages: "compile", "device" */
    const char *program;     /* path of warpsmith-worker */
    const char *const *args; /* after argv[0], NULL-terminated */
    const char *const *env;  /* extra "NAME=value", NULL-terminated; NULL: none (environment.h) */
    size_t workers;
    int passed;              /* a descriptor of ours that every worker gets as its 4; 0: none */
    bool group;              /* each has a session of its own; what it started and left ends with it */
    uint64_t start_ms;       /* how long a worker may take until its hello */
    const struct log *log;   /* NULL: silent */
};

struct pool_result {
    int code;          /* 0, or ERR_TIMEOUT, ERR_CRASH, ERR_PROTOCOL, ERR_CANCELED, ERR_ENVIRONMENT */
    const char *error; /* what happened, for code < 0 */
    const char *phase; /* last progress, "" if none */
    const json_t *json; /* of the result frame; borrowed, NULL for code < 0 */
    const void *blob;
    size_t blob_len;
    double seconds; /* from being sent to its end */
};

typedef void (*pool_done_cb)(void *ud, const struct pool_result *result);

int pool_new(uv_loop_t *loop, const struct pool_options *options, struct pool **ret,
             struct err *err);

/*
 * A job every worker gets before its first real one, and again after a respawn. `json` is an
 * object's text, which the pool frees; the blob is copied.
 */
void pool_set_setup(struct pool *pool, char *json, const void *blob, size_t blob_len,
                    uint64_t deadline_ms);

/* As above. The deadline runs from the moment a worker gets the job. */
struct pool_ticket *pool_submit(struct pool *pool, char *json, const void *blob, size_t blob_len,
                                uint64_t deadline_ms, pool_done_cb done, void *ud);

/*
 * Workers may ask in the middle of a job. The deadline rests until pool_answer (of an object's text,
 * which the pool frees) and then runs anew. Without a callback a question breaks the protocol.
 * `question` is borrowed.
 */
typedef void (*pool_ask_cb)(void *ud, const json_t *question);
void pool_on_ask(struct pool_ticket *ticket, pool_ask_cb ask);
void pool_answer(struct pool_ticket *ticket, char *json);

/* Jobs of one group (0: none) come one after the other where they can, a few dozen at most while others
 * wait: what a worker keeps for one of them serves the next. Before the next turn of the loop. */
void pool_group(struct pool_ticket *ticket, uint64_t group);

/* The callback comes with ERR_CANCELED, now; a worker that has the job is killed. */
void pool_cancel(struct pool_ticket *ticket);

/* The hello of the first worker that started; NULL before. Borrowed. */
const json_t *pool_hello(const struct pool *pool);
/* Why no worker can be started; NULL while there's hope. */
const char *pool_failure(const struct pool *pool);
size_t pool_workers(const struct pool *pool);
/* Process id of a worker (for tests and kills on purpose), 0 if it isn't running. */
int pool_worker_pid(const struct pool *pool, size_t index);

/* Cancels everything, ends the workers, and frees the pool some loop turns later. */
void pool_close(struct pool *pool);
