#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * Shared by pool.c (queue, jobs, deadlines) and pool_worker.c (one process: spawn, frames, death).
 */
#include "base/buf.h"
#include "base/frame.h"
#include "evaluator/pool.h"

enum {
    POOL_LOG_MAX = 16 << 10, /* last bytes of a worker's stderr that are kept */
    POOL_GROUP_MOST = 32,    /* jobs of a group in a row while others wait */
    POOL_TERM_MS = 200,      /* from SIGTERM to SIGKILL */
    POOL_START_TRIES = 4,
    POOL_REQUEUES = 2, /* of a job that was sent to a worker just about to end */
    POOL_BACKOFF_MS = 50,
    POOL_BACKOFF_MAX_MS = 5000,
};

/* What a job says. Shared: a write may still be under way when its ticket has ended. */
struct pool_payload {
    int refs;
    char *json, *blob;
    size_t json_len, blob_len;
};

struct pool_ticket {
    struct pool *pool;
    struct pool_ticket *next;
    struct pool_worker *worker; /* NULL while queued */
    uint64_t id;
    struct pool_payload *payload;
    uint64_t deadline_ms, sent_ns, group;
    bool is_setup, begun; /* begun: the worker has said something about it */
    int requeued;
    pool_done_cb done;
    pool_ask_cb ask; /* NULL: it may not */
    bool asking;     /* the worker waits for an answer */
    void *ud;
};

enum worker_state {
    WORKER_STATE_DOWN,     /* no process; may wait for its back-off */
    WORKER_STATE_STARTING, /* until hello */
    WORKER_STATE_IDLE,
    WORKER_STATE_BUSY,
    WORKER_STATE_DYING,    /* killed or ended, not all handles closed yet */
};

struct pool_worker {
    struct pool *pool;
    size_t index;
    enum worker_state state;
    uv_process_t process;
    uv_pipe_t proto, log;
    uv_timer_t timer; /* start limit, deadline, SIGKILL, back-off: never two at once */
    int open;         /* handles of this process not closed yet (not the timer) */
    bool started;               /* ever; the others wait until they are needed */
    bool exited, killed, ready; /* ready: setup done */
    int64_t exit_status;
    int term_signal;
    struct pool_ticket *job;
    struct buf input;
    char chunk[65536];
    char log_tail[POOL_LOG_MAX];
    size_t log_len;
    char phase[64];
    unsigned failures; /* in a row, for the back-off */
    uint64_t group;    /* of its last job, and how many jobs of it there were in a row */
    unsigned in_row;
};

struct pool {
    uv_loop_t *loop;
    char *name, *program;
    char **args, **env;
    size_t n_workers;
    uint64_t start_ms, next_id;
    int passed;
    bool group;
    struct log log;
    struct pool_worker *workers;
    struct pool_ticket *head, *tail;
    json_t *hello;
    char *failure;
    struct pool_payload *setup; /* NULL: none */
    uint64_t setup_deadline_ms;
    bool closing;
    uv_timer_t kick; /* serves a submit on the next loop turn */
    size_t timers_open;
};

/* pool_worker.c */
void worker_start(struct pool_worker *worker);
void worker_send(struct pool_worker *worker, struct pool_ticket *ticket);
/* Takes over the caller's share of `payload`. */
void worker_answer(struct pool_worker *worker, struct pool_payload *payload);
void worker_kill(struct pool_worker *worker);

/* pool.c */
struct pool_payload *payload_ref(struct pool_payload *payload);
void payload_drop(struct pool_payload *payload); /* NULL is fine */
void pool_pump(struct pool *pool);
void pool_frame(struct pool_worker *worker, const struct frame *frame);
void pool_lost(struct pool_worker *worker, int code, const char *why);
void pool_deadline(struct pool_worker *worker);
void pool_worker_gone(struct pool_worker *worker);
void pool_maybe_free(struct pool *pool);
