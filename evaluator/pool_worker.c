/* SPDX-License-Identifier: MIT */
/* One worker process: spawn, framed reading and writing, deadlines on its timer, death. */
#include "base/util.h"
#include "evaluator/pool_internal.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void on_handle_closed(uv_handle_t *handle)
{
    struct pool_worker *w = handle->data;
    if (--w->open == 0) {
        buf_done(&w->input);
        pool_worker_gone(w);
    }
}

static void close_handle(uv_handle_t *handle)
{
    if (!uv_is_closing(handle)) {
        uv_close(handle, on_handle_closed);
    }
}

static void maybe_close_process(struct pool_worker *w)
{
    if (w->exited && uv_is_closing((uv_handle_t *)&w->proto)
        && uv_is_closing((uv_handle_t *)&w->log)) {
        uv_timer_stop(&w->timer);
        close_handle((uv_handle_t *)&w->process);
    }
}

static void on_timer(uv_timer_t *timer)
{
    struct pool_worker *w = timer->data;
    if (w->exited && w->state != WORKER_STATE_DYING && w->state != WORKER_STATE_DOWN) {
        pool_lost(w, ERR_CRASH, "it exited, and something holds its pipe open");
        worker_kill(w);
        return;
    }
    switch (w->state) {
    case WORKER_STATE_DOWN:
        worker_start(w);
        break;
    case WORKER_STATE_STARTING:
        pool_lost(w, ERR_TIMEOUT, "it didn't start in time");
        worker_kill(w);
        break;
    case WORKER_STATE_BUSY:
        pool_deadline(w);
        break;
    case WORKER_STATE_DYING:
        if (!w->exited) {
            uv_process_kill(&w->process, SIGKILL);
        }
        close_handle((uv_handle_t *)&w->proto); /* a grandchild may hold the pipes */
        close_handle((uv_handle_t *)&w->log);
        maybe_close_process(w);
        break;
    case WORKER_STATE_IDLE:
        break;
    }
}

static void on_exit_status(uv_process_t *process, int64_t status, int signal_number)
{
    struct pool_worker *w = process->data;
    w->exited = true;
    w->exit_status = status;
    w->term_signal = signal_number;
    if (w->pool->group) {
        kill(-process->pid, SIGKILL);
    }
    if (!w->killed) {
        /* The pipes may still hold its last frames: they end the job, or their end does. */
        uv_timer_start(&w->timer, on_timer, 2000, 0);
    }
    maybe_close_process(w);
}

static void on_alloc(uv_handle_t *handle, size_t size, uv_buf_t *buf)
{
    (void)size;
    struct pool_worker *w = handle->data;
    *buf = uv_buf_init(w->chunk, sizeof(w->chunk));
}

static void parse_frames(struct pool_worker *w)
{
    while (w->state != WORKER_STATE_DYING && w->input.len) {
        struct frame frame;
        struct err err = { 0 };
        int64_t used = frame_parse(w->input.at, w->input.len, &frame, &err);
        if (used < 0) {
            pool_lost(w, ERR_PROTOCOL, err.text);
            worker_kill(w);
            return;
        }
        if (used == 0) {
            return;
        }
        pool_frame(w, &frame);
        buf_shift(&w->input, (size_t)used);
    }
}

static void keep_log(struct pool_worker *w, const char *bytes, size_t n)
{
    size_t len = MIN(n, sizeof(w->log_tail) - 1);
    size_t keep = MIN(w->log_len, sizeof(w->log_tail) - 1 - len);
    memmove(w->log_tail, w->log_tail + (w->log_len - keep), keep);
    memcpy(w->log_tail + keep, bytes + (n - len), len);
    w->log_len = keep + len;
    w->log_tail[w->log_len] = '\0';
}

/* Its last words may lie in the pipe still when the connection ends. */
static void drain_log(struct pool_worker *w)
{
    uv_os_fd_t fd;
    char bytes[4096];
    ssize_t n;
    if (uv_is_closing((uv_handle_t *)&w->log) || uv_fileno((uv_handle_t *)&w->log, &fd) < 0) {
        return;
    }
    for (size_t all = 0; all < POOL_LOG_MAX && (n = read(fd, bytes, sizeof(bytes))) > 0;
         all += (size_t)n) { /* libuv's pipes don't block */
        keep_log(w, bytes, (size_t)n);
    }
}

static void on_proto_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct pool_worker *w = stream->data;
    if (n > 0) {
        if (buf_add(&w->input, buf->base, (size_t)n) < 0) {
            pool_lost(w, ERR_PROTOCOL, "it sent too much");
            worker_kill(w);
            return;
        }
        parse_frames(w);
    } else if (n < 0) {
        close_handle((uv_handle_t *)stream);
        char why[128];
        if (w->exited && w->term_signal) {
            snprintf(why, sizeof(why), "it was ended by signal %d (%s)", w->term_signal,
                     strsignal(w->term_signal));
        } else {
            snprintf(why, sizeof(why), "it closed the connection");
        }
        drain_log(w);
        pool_lost(w, ERR_CRASH, why);
        worker_kill(w);
        maybe_close_process(w);
    }
}

static void on_log_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct pool_worker *w = stream->data;
    if (n < 0) {
        close_handle((uv_handle_t *)stream);
        maybe_close_process(w);
        return;
    }
    keep_log(w, buf->base, (size_t)n);
}

static void spawn_failed(struct pool_worker *w, int r)
{
    char why[256];
    snprintf(why, sizeof(why), "can't start %s: %s", w->pool->program, uv_strerror(r));
    w->exited = true;
    close_handle((uv_handle_t *)&w->process);
    close_handle((uv_handle_t *)&w->proto);
    close_handle((uv_handle_t *)&w->log);
    pool_lost(w, ERR_ENVIRONMENT, why);
    w->state = WORKER_STATE_DYING;
}

void worker_start(struct pool_worker *w)
{
    struct pool *pool = w->pool;
    uv_pipe_init(pool->loop, &w->proto, 0);
    uv_pipe_init(pool->loop, &w->log, 0);
    w->proto.data = w->log.data = w->process.data = w;
    w->started = true;
    w->exited = w->killed = w->ready = false;
    w->term_signal = 0;
    w->exit_status = 0;
    w->log_len = 0;
    w->log_tail[0] = w->phase[0] = '\0';
    w->open = 3;
    buf_init(&w->input, FRAME_HEADER + (size_t)FRAME_JSON_MAX + FRAME_BLOB_MAX);
    uv_stdio_container_t stdio[5] = {
        { .flags = UV_IGNORE },
        { .flags = UV_IGNORE },
        { .flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE, .data.stream = (uv_stream_t *)&w->log },
        { .flags = UV_CREATE_PIPE | UV_READABLE_PIPE | UV_WRITABLE_PIPE,
          .data.stream = (uv_stream_t *)&w->proto },
        { .flags = UV_INHERIT_FD, .data.fd = pool->passed },
    };
    uv_process_options_t options = {
        .exit_cb = on_exit_status,
        .file = pool->program,
        .args = pool->args,
        .env = pool->env,
        .stdio = stdio,
        .stdio_count = pool->passed ? 5 : 4,
        .flags = pool->group ? UV_PROCESS_DETACHED : 0,
    };
    int r = uv_spawn(pool->loop, &w->process, &options);
    if (r < 0) {
        spawn_failed(w, r);
        return;
    }
    w->state = WORKER_STATE_STARTING;
    uv_timer_start(&w->timer, on_timer, pool->start_ms, 0);
    uv_read_start((uv_stream_t *)&w->proto, on_alloc, on_proto_read);
    uv_read_start((uv_stream_t *)&w->log, on_alloc, on_log_read);
}

struct send {
    uv_write_t write;
    unsigned char header[FRAME_HEADER];
    struct pool_payload *payload; /* the ticket may be gone before the write is */
};

static void on_sent(uv_write_t *write, int status)
{
    (void)status; /* a broken pipe shows itself as the end of the stream */
    struct send *send = container_of(write, struct send, write);
    payload_drop(send->payload);
    free(send);
}

/* Takes over the caller's share of the payload. */
static void write_frame(struct pool_worker *w, enum frame_type type, uint64_t id,
                        struct pool_payload *p)
{
    struct frame frame = { .type = type, .id = id, .json_len = p->json_len,
                           .blob_len = p->blob_len };
    struct send *send = xcalloc(1, sizeof(*send));
    frame_header(&frame, send->header);
    send->payload = p;
    uv_buf_t bufs[3] = { uv_buf_init((char *)send->header, FRAME_HEADER),
                         uv_buf_init(p->json, (unsigned)p->json_len),
                         uv_buf_init(p->blob, (unsigned)p->blob_len) };
    if (uv_write(&send->write, (uv_stream_t *)&w->proto, bufs, p->blob_len ? 3 : 2, on_sent) < 0) {
        on_sent(&send->write, -1);
        pool_lost(w, ERR_CRASH, "it can't be written to");
        worker_kill(w);
    }
}

void worker_send(struct pool_worker *w, struct pool_ticket *t)
{
    w->state = WORKER_STATE_BUSY;
    w->job = t;
    w->phase[0] = '\0';
    t->worker = w;
    t->sent_ns = clock_ns();
    uv_timer_start(&w->timer, on_timer, t->deadline_ms, 0);
    write_frame(w, FRAME_TYPE_JOB, t->id, payload_ref(t->payload));
}

void worker_answer(struct pool_worker *w, struct pool_payload *payload)
{
    uv_timer_start(&w->timer, on_timer, w->job->deadline_ms, 0);
    write_frame(w, FRAME_TYPE_ANSWER, w->job->id, payload);
}

void worker_kill(struct pool_worker *w)
{
    if (w->state == WORKER_STATE_DOWN || w->killed) {
        return;
    }
    w->killed = true;
    w->state = WORKER_STATE_DYING;
    if (!w->exited) {
        uv_process_kill(&w->process, SIGTERM);
    }
    uv_timer_start(&w->timer, on_timer, POOL_TERM_MS, 0);
}
