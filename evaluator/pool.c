/* SPDX-License-Identifier: MIT */
/* The queue of a pool: which job goes to which worker, and how each one ends. */
#include "base/util.h"
#include "evaluator/environment.h"
#include "evaluator/pool_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Takes over `json`, copies the blob. */
static struct pool_payload *payload_new(char *json, const void *blob, size_t blob_len)
{
    struct pool_payload *payload = xcalloc(1, sizeof(*payload));
    payload->refs = 1;
    payload->json = json;
    payload->json_len = strlen(json);
    payload->blob = xrealloc(NULL, blob_len, 1);
    payload->blob_len = blob_len;
    if (blob_len) {
        memcpy(payload->blob, blob, blob_len);
    }
    return payload;
}

struct pool_payload *payload_ref(struct pool_payload *payload)
{
    payload->refs++;
    return payload;
}

void payload_drop(struct pool_payload *payload)
{
    if (payload && --payload->refs == 0) {
        free(payload->json);
        free(payload->blob);
        free(payload);
    }
}

static void ticket_free(struct pool_ticket *t)
{
    payload_drop(t->payload);
    free(t);
}

/* Ends a ticket: the callback last, since it may submit again. */
static void ticket_end(struct pool_ticket *t, const struct pool_result *result)
{
    if (t->done) {
        t->done(t->ud, result);
    }
    ticket_free(t);
}

/* Takes over the caller's share of `payload`. */
static struct pool_ticket *ticket_new(struct pool *pool, struct pool_payload *payload,
                                      uint64_t deadline_ms)
{
    struct pool_ticket *t = xcalloc(1, sizeof(*t));
    t->pool = pool;
    t->id = ++pool->next_id;
    t->payload = payload;
    t->deadline_ms = deadline_ms;
    return t;
}

/* A job that its worker never began goes back to the head of the queue: the worker was ending. */
static bool requeue(struct pool_ticket *t, int code)
{
    struct pool *pool = t->pool;
    if (code != ERR_CRASH || t->begun || t->is_setup || t->requeued >= POOL_REQUEUES
        || pool->closing || pool->failure) {
        return false;
    }
    t->requeued++;
    t->worker = NULL;
    t->next = pool->head;
    pool->head = t;
    pool->tail = pool->tail ? pool->tail : t;
    return true;
}

/* Ends the job of a worker that can't finish it. */
static void job_failed(struct pool_worker *w, int code, const char *why)
{
    struct pool_ticket *t = w->job;
    if (!t) {
        return;
    }
    w->job = NULL;
    if (requeue(t, code)) {
        return;
    }
    char phase[sizeof(w->phase)];
    memcpy(phase, w->phase, sizeof(phase));
    struct pool_result result = { .code = code, .error = why, .phase = phase,
                                  .seconds = (double)(clock_ns() - t->sent_ns) * 1e-9 };
    if (!t->is_setup) {
        ticket_end(t, &result);
    } else {
        ticket_free(t);
    }
}

void pool_lost(struct pool_worker *w, int code, const char *why)
{
    if (w->killed) {
        return;
    }
    struct pool *pool = w->pool;
    char text[POOL_LOG_MAX + 512];
    size_t tail = MIN(w->log_len, (size_t)2000);
    snprintf(text, sizeof(text), "the %s worker was lost: %s%s%s", pool->name, why,
             tail ? "; its last words: " : "", w->log_tail + (w->log_len - tail));
    log_line(&pool->log, LOG_LEVEL_INFO, "pool", "worker=%zu %s", w->index, text);
    bool was_starting = w->state == WORKER_STATE_STARTING || (w->job && w->job->is_setup)
        || code == ERR_ENVIRONMENT;
    if (w->exit_status != 0 || w->term_signal || code != ERR_CRASH || was_starting) {
        w->failures++;
    }
    if (was_starting && w->failures >= POOL_START_TRIES && !pool->failure) {
        pool->failure = xstrdup(text);
    }
    job_failed(w, code, text);
}

void pool_deadline(struct pool_worker *w)
{
    char why[128];
    snprintf(why, sizeof(why), "no result within %.1f s", (double)w->job->deadline_ms * 1e-3);
    log_line(&w->pool->log, LOG_LEVEL_INFO, "pool", "worker=%zu phase=%s %s", w->index, w->phase,
             why);
    bool setup = w->job->is_setup;
    if (setup) {
        pool_lost(w, ERR_TIMEOUT, why);
    }
    /* Killed first, so that the callback finds a worker that takes nothing new. */
    struct pool_ticket *t = w->job;
    worker_kill(w);
    if (t && !setup) {
        job_failed(w, ERR_TIMEOUT, why);
    }
    pool_pump(w->pool);
}

static void got_hello(struct pool_worker *w, json_t *json)
{
    struct pool *pool = w->pool;
    const char *problem = json_string_value(json_object_get(json, "error"));
    if (problem) {
        free(pool->failure);
        pool->failure = xstrdup(problem);
        worker_kill(w);
        pool_pump(pool);
        return;
    }
    if (!pool->hello) {
        pool->hello = json_incref(json);
    }
    uv_timer_stop(&w->timer);
    w->state = WORKER_STATE_IDLE;
    pool_pump(pool);
}

static void got_result(struct pool_worker *w, const struct frame *frame, json_t *json)
{
    struct pool_ticket *t = w->job;
    w->job = NULL;
    uv_timer_stop(&w->timer);
    if (w->state == WORKER_STATE_BUSY) {
        w->state = WORKER_STATE_IDLE;
    }
    w->failures = 0;
    struct pool_result result = { .phase = w->phase, .json = json, .blob = frame->blob,
                                  .blob_len = frame->blob_len,
                                  .seconds = (double)(clock_ns() - t->sent_ns) * 1e-9 };
    if (t->is_setup) {
        w->ready = json_is_true(json_object_get(json, "ok"));
        if (!w->ready && !w->pool->failure) {
            const char *why = json_string_value(json_object_get(json, "error"));
            w->pool->failure = xprintf("the %s worker can't be set up: %s", w->pool->name,
                                       why ? why : "it doesn't say why");
        }
        ticket_free(t);
    } else {
        ticket_end(t, &result);
    }
    pool_pump(w->pool);
}

static void got_question(struct pool_worker *w, const json_t *json)
{
    struct pool_ticket *t = w->job;
    t->begun = t->asking = true;
    uv_timer_stop(&w->timer);
    t->ask(t->ud, json);
}

void pool_frame(struct pool_worker *w, const struct frame *frame)
{
    json_t *json = json_loadb(frame->json, frame->json_len, 0, NULL);
    if (!json_is_object(json)) {
        pool_lost(w, ERR_PROTOCOL, "it sent something that isn't a JSON object");
        worker_kill(w);
    } else if (frame->type == FRAME_TYPE_HELLO && w->state == WORKER_STATE_STARTING) {
        got_hello(w, json);
    } else if (frame->type == FRAME_TYPE_PROGRESS && w->job && frame->id == w->job->id) {
        w->job->begun = true;
        const char *phase = json_string_value(json_object_get(json, "phase"));
        const char *shape = json_string_value(json_object_get(json, "shape"));
        snprintf(w->phase, sizeof(w->phase), "%s%s%s", phase ? phase : "", shape ? " " : "",
                 shape ? shape : "");
        log_line(&w->pool->log, LOG_LEVEL_INFO, "pool", "worker=%zu at=%.3f phase=%s", w->index,
                 (double)(clock_ns() - w->job->sent_ns) * 1e-9, w->phase);
    } else if (frame->type == FRAME_TYPE_ASK && w->job && frame->id == w->job->id && w->job->ask
               && !w->job->asking) {
        got_question(w, json);
    } else if (frame->type == FRAME_TYPE_RESULT && w->job && frame->id == w->job->id) {
        got_result(w, frame, json);
    } else {
        pool_lost(w, ERR_PROTOCOL, "it sent a frame that nobody waits for");
        worker_kill(w);
    }
    json_decref(json);
}

static void on_back_off(uv_timer_t *timer)
{
    struct pool_worker *w = timer->data;
    worker_start(w);
}

void pool_worker_gone(struct pool_worker *w)
{
    struct pool *pool = w->pool;
    job_failed(w, ERR_CRASH, "the worker ended");
    w->state = WORKER_STATE_DOWN;
    if (pool->closing) {
        pool_maybe_free(pool);
        return;
    }
    if (!pool->failure) {
        uint64_t wait = w->failures
            ? MIN((uint64_t)POOL_BACKOFF_MAX_MS, (uint64_t)POOL_BACKOFF_MS << MIN(w->failures, 10u))
            : 0;
        uv_timer_start(&w->timer, on_back_off, wait, 0);
    }
    pool_pump(pool);
}

static struct pool_ticket *setup_ticket(struct pool *pool)
{
    struct pool_ticket *t
        = ticket_new(pool, payload_ref(pool->setup), pool->setup_deadline_ms);
    t->is_setup = true;
    return t;
}

static void fail_queue(struct pool *pool, int code, const char *why)
{
    struct pool_ticket *t = pool->head;
    pool->head = pool->tail = NULL;
    while (t) {
        struct pool_ticket *next = t->next;
        ticket_end(t, &(struct pool_result) { .code = code, .error = why, .phase = "" });
        t = next;
    }
}

/* A process more for every job that waits: few jobs need few, and starting them costs the machine. */
static void start_more(struct pool *pool)
{
    const struct pool_ticket *waiting = pool->head;
    for (size_t i = 0; i < pool->n_workers; i++) {
        waiting = waiting && pool->workers[i].state == WORKER_STATE_STARTING ? waiting->next
                                                                              : waiting;
    }
    for (size_t i = 0; i < pool->n_workers && waiting; i++) {
        if (!pool->workers[i].started) {
            waiting = waiting->next;
            worker_start(&pool->workers[i]);
        }
    }
}

/* The first that waits, or the first of the group that the worker is at. */
static struct pool_ticket *take(struct pool *pool, struct pool_worker *w)
{
    struct pool_ticket **at = &pool->head, *before = NULL, *t;
    while (w->group && w->in_row < POOL_GROUP_MOST && *at && (*at)->group != w->group) {
        before = *at;
        at = &(*at)->next;
    }
    if (!*at) {
        at = &pool->head;
        before = NULL;
    }
    t = *at;
    *at = t->next;
    pool->tail = pool->tail == t ? before : pool->tail;
    t->next = NULL;
    w->in_row = t->group == w->group ? w->in_row + 1 : 1;
    w->group = t->group;
    return t;
}

void pool_pump(struct pool *pool)
{
    if (pool->closing) {
        return;
    }
    if (pool->failure) {
        fail_queue(pool, ERR_ENVIRONMENT, pool->failure);
        return;
    }
    for (size_t i = 0; i < pool->n_workers; i++) {
        struct pool_worker *w = &pool->workers[i];
        if (w->state != WORKER_STATE_IDLE || w->exited) {
            continue;
        }
        if (!w->ready && pool->setup) {
            worker_send(w, setup_ticket(pool));
        } else if (pool->head) {
            worker_send(w, take(pool, w));
        }
    }
    start_more(pool);
}

static char **strings_join(const char *const *a, const char *const *b)
{
    size_t n = 0, m = 0;
    while (a[n]) {
        n++;
    }
    while (b[m]) {
        m++;
    }
    char **all = xcalloc(n + m + 1, sizeof(char *));
    for (size_t i = 0; i < n + m; i++) {
        all[i] = xstrdup(i < n ? a[i] : b[i - n]);
    }
    return all;
}

int pool_new(uv_loop_t *loop, const struct pool_options *options, struct pool **ret,
             struct err *err)
{
    if (options->workers < 1 || options->workers > 256) {
        return err_set(err, ERR_INVALID, "%zu %s workers: there may be 1 to 256", options->workers,
                       options->name);
    }
    struct pool *pool = xcalloc(1, sizeof(*pool));
    pool->loop = loop;
    pool->name = xstrdup(options->name);
    pool->program = xstrdup(options->program);
    pool->n_workers = options->workers;
    pool->start_ms = options->start_ms;
    pool->passed = options->passed;
    pool->group = options->group;
    if (options->log) {
        pool->log = *options->log;
    }
    const char *const first[] = { options->program, NULL };
    pool->args = strings_join(first, options->args);
    pool->env = environment_for_worker(options->env);
    uv_timer_init(loop, &pool->kick);
    pool->kick.data = pool;
    pool->timers_open = 1;
    pool->workers = xcalloc(pool->n_workers, sizeof(*pool->workers));
    for (size_t i = 0; i < pool->n_workers; i++) {
        struct pool_worker *w = &pool->workers[i];
        w->pool = pool;
        w->index = i;
        uv_timer_init(loop, &w->timer);
        w->timer.data = w;
        pool->timers_open++;
    }
    worker_start(&pool->workers[0]);
    *ret = pool;
    return 0;
}

void pool_set_setup(struct pool *pool, char *json, const void *blob, size_t blob_len,
                    uint64_t deadline_ms)
{
    payload_drop(pool->setup);
    pool->setup = payload_new(json, blob, blob_len);
    pool->setup_deadline_ms = deadline_ms;
    pool_pump(pool);
}

static void on_kick(uv_timer_t *timer)
{
    pool_pump(timer->data);
}

struct pool_ticket *pool_submit(struct pool *pool, char *json, const void *blob, size_t blob_len,
                                uint64_t deadline_ms, pool_done_cb done, void *ud)
{
    struct pool_ticket *t = ticket_new(pool, payload_new(json, blob, blob_len), deadline_ms);
    t->done = done;
    t->ud = ud;
    if (pool->tail) {
        pool->tail->next = t;
    } else {
        pool->head = t;
    }
    pool->tail = t;
    /* Not from inside the submit: the caller doesn't have the ticket yet. */
    uv_timer_start(&pool->kick, on_kick, 0, 0);
    return t;
}

void pool_group(struct pool_ticket *t, uint64_t group)
{
    t->group = group;
}

void pool_on_ask(struct pool_ticket *t, pool_ask_cb ask)
{
    t->ask = ask;
}

void pool_answer(struct pool_ticket *t, char *json)
{
    struct pool_payload *payload = payload_new(json, "", 0);
    if (t->worker && t->asking) {
        t->asking = false;
        worker_answer(t->worker, payload);
    } else {
        payload_drop(payload);
    }
}

void pool_cancel(struct pool_ticket *t)
{
    struct pool *pool = t->pool;
    struct pool_result result = { .code = ERR_CANCELED, .error = "canceled", .phase = "" };
    if (t->worker) {
        struct pool_worker *w = t->worker;
        w->job = NULL;
        worker_kill(w);
    } else {
        struct pool_ticket **at = &pool->head, *before = NULL;
        while (*at != t) {
            before = *at;
            at = &(*at)->next;
        }
        *at = t->next;
        pool->tail = pool->tail == t ? before : pool->tail;
    }
    ticket_end(t, &result);
}

const json_t *pool_hello(const struct pool *pool)
{
    return pool->hello;
}

const char *pool_failure(const struct pool *pool)
{
    return pool->failure;
}

size_t pool_workers(const struct pool *pool)
{
    return pool->n_workers;
}

int pool_worker_pid(const struct pool *pool, size_t index)
{
    const struct pool_worker *w = &pool->workers[index];
    bool running = w->state != WORKER_STATE_DOWN && w->state != WORKER_STATE_DYING;
    return running ? uv_process_get_pid(&w->process) : 0;
}

static void strings_free(char **strings)
{
    for (char **s = strings; s && *s; s++) {
        free(*s);
    }
    free(strings);
}

static void pool_free(struct pool *pool)
{
    strings_free(pool->args);
    environment_free(pool->env);
    free(pool->workers);
    free(pool->name);
    free(pool->program);
    free(pool->failure);
    payload_drop(pool->setup);
    json_decref(pool->hello);
    free(pool);
}

static void timer_closed(struct pool *pool)
{
    if (--pool->timers_open == 0) {
        pool_free(pool);
    }
}

static void on_kick_closed(uv_handle_t *handle)
{
    timer_closed(handle->data);
}

static void on_timer_closed(uv_handle_t *handle)
{
    timer_closed(((struct pool_worker *)handle->data)->pool);
}

void pool_maybe_free(struct pool *pool)
{
    for (size_t i = 0; i < pool->n_workers; i++) {
        if (pool->workers[i].state != WORKER_STATE_DOWN) {
            return;
        }
    }
    uv_close((uv_handle_t *)&pool->kick, on_kick_closed);
    for (size_t i = 0; i < pool->n_workers; i++) {
        uv_close((uv_handle_t *)&pool->workers[i].timer, on_timer_closed);
    }
}

void pool_close(struct pool *pool)
{
    if (!pool || pool->closing) {
        return;
    }
    pool->closing = true;
    fail_queue(pool, ERR_CANCELED, "the pool is closing");
    for (size_t i = 0; i < pool->n_workers; i++) {
        struct pool_worker *w = &pool->workers[i];
        if (w->state == WORKER_STATE_DOWN) {
            uv_timer_stop(&w->timer);
            continue;
        }
        struct pool_ticket *t = w->job;
        w->job = NULL;
        worker_kill(w);
        if (t && !t->is_setup) {
            ticket_end(t, &(struct pool_result) { .code = ERR_CANCELED, .error = "canceled",
                                                  .phase = w->phase });
        } else if (t) {
            ticket_free(t);
        }
    }
    pool_maybe_free(pool);
}
