/* SPDX-License-Identifier: MIT */
/*
 * Questions and answers as files, for GPU nodes without a network, batch interfaces, or a person.
 *
 *   DIR/out/KEY.json   the request, one line in the batch format of OpenAI: cat DIR/out/\*.json is a batch
 *   DIR/in/KEY.json    the answer: a line of a batch's output, a chat completion, an Anthropic message
 *   DIR/in/KEY.txt     the answer: the text alone
 *
 * Whoever answers writes beside and renames, so that no half file is read. It is tolerated all the same:
 * a young text is left alone for a second, a young JSON file that doesn't parse for some more. A file
 * that can't be an answer is renamed to KEY.bad and said in the log, and the call goes on waiting. A
 * request that is there already isn't written again, and an answer that is there is used at once.
 */
#include "agent/llm_internal.h"
#include "agent/llm_spool_file.h"
#include "base/file.h"
#include "base/util.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    POLL_MS = 1000,  /* some file systems tell nobody of changes */
    SETTLE_MS = 20,  /* a rename comes as several events */
};

struct spool {
    struct llm *llm;
    char *out, *in;
    int in_fd;
    struct llm_link calls;
    uv_timer_t timer;
    uv_fs_event_t event;
    size_t handles, n_soon; /* n_soon: replies that lie there, but may not be whole yet */
    bool settling;          /* the timer is set for a change that was just seen */
};

/* A request on its way to the disk: fsync takes milliseconds, so not on the loop. */
struct spool_write {
    uv_work_t work;
    struct llm *llm;
    struct llm_call *call; /* NULL: cancelled meanwhile */
    char *path, *folder;
    struct buf line;
    struct err err;
    int code;
};

/* True if the call ended. */
static bool look(struct spool *s, struct llm_call *call, bool *ret_soon)
{
    struct llm_answer answer;
    struct err err = { 0 };
    struct spool_found found;
    spool_file_find(s->in_fd, call->request.key, s->llm->options.reply_max, call->arena, &answer,
                    &found, &err);
    *ret_soon = found.state == SPOOL_YOUNG;
    switch (found.state) {
    case SPOOL_NOTHING:
    case SPOOL_YOUNG:
        return false;
    case SPOOL_BAD:
        log_line(s->llm->options.log, LOG_LEVEL_WARN, "llm", "%s/%s: %s; renamed to %s.bad, still "
                 "waiting", s->in, found.name, err_text(&err), call->request.key);
        return false;
    case SPOOL_REFUSED:
        llm_call_fail(call, ERR_PROTOCOL, false, err_text(&err));
        return true;
    case SPOOL_ANSWER:
        call->reply.tries = 1;
        llm_call_answer(call, &answer);
        return true;
    }
    return false;
}

static void look_at_all(struct spool *s)
{
    struct llm_link *next;
    s->n_soon = 0;
    for (struct llm_link *l = s->calls.next; l != &s->calls; l = next) {
        next = l->next;
        bool soon = false;
        look(s, container_of(l, struct llm_call, wait), &soon);
        s->n_soon += soon;
    }
    if (llm_link_empty(&s->calls)) {
        uv_timer_stop(&s->timer);
    }
}

static void on_timer(uv_timer_t *timer)
{
    struct spool *s = timer->data;
    s->settling = false;
    uv_timer_start(timer, on_timer, POLL_MS, 0);
    look_at_all(s);
}

/* Not put off by further changes: they may never end. */
static void look_soon(struct spool *s)
{
    if (!s->settling) {
        s->settling = true;
        uv_timer_start(&s->timer, on_timer, SETTLE_MS, 0);
    }
}

static void on_event(uv_fs_event_t *event, const char *name, int events, int status)
{
    struct spool *s = event->data;
    (void)name;
    (void)events;
    if (status >= 0 && !llm_link_empty(&s->calls)) {
        look_soon(s);
    }
}

static void wait_for(struct spool *s, struct llm_call *call)
{
    llm_link_add(&s->calls, &call->wait);
    if (!uv_is_active((uv_handle_t *)&s->timer)) {
        look_soon(s);
    }
}

static void on_work(uv_work_t *work)
{
    struct spool_write *w = container_of(work, struct spool_write, work);
    w->code = spool_file_put(w->folder, w->path, w->line.at, w->line.len, &w->err);
}

static void on_written(uv_work_t *work, int status)
{
    struct spool_write *w = container_of(work, struct spool_write, work);
    struct llm *llm = w->llm;
    if (w->call) {
        w->call->way = NULL;
        int code = status < 0 ? status : w->code;
        if (code < 0) {
            err_wrap(&w->err, "the request can't be put into the spool");
            llm_call_fail(w->call, code, true, err_text(&w->err));
        } else {
            wait_for(llm->state, w->call);
        }
    }
    buf_done(&w->line);
    free(w->path);
    free(w->folder);
    free(w);
    llm_handle_gone(llm);
}

static int spool_start(struct llm_call *call, struct err *err)
{
    struct llm *llm = call->llm;
    struct spool *s = llm->state;
    bool soon = false;
    if (look(s, call, &soon)) {
        return 0;
    }
    auto_free char *path = xprintf("%s/%s.json", s->out, call->request.key);
    if (file_exists(path)) {
        wait_for(s, call);
        s->n_soon += soon;
        return 0;
    }
    struct spool_write *w = xcalloc(1, sizeof(*w));
    w->llm = llm;
    w->call = call;
    w->path = xstrdup(path);
    w->folder = xstrdup(s->out);
    int r = spool_file_line(&call->request, llm->model, &w->line);
    r = r < 0 ? err_set(err, r, "call %s: too large for a spool", call->request.key)
              : uv_queue_work(llm->loop, &w->work, on_work, on_written);
    if (r < 0) {
        buf_done(&w->line);
        free(w->path);
        free(w->folder);
        free(w);
        return r;
    }
    llm->handles++;
    call->way = w;
    return 0;
}

static void spool_cancel(struct llm_call *call)
{
    struct spool_write *w = call->way;
    if (w) {
        w->call = NULL;
    }
}

static void on_closed(uv_handle_t *handle)
{
    struct spool *s = handle->data;
    if (--s->handles == 0) {
        struct llm *llm = s->llm;
        free(s->out);
        free(s->in);
        free(s);
        llm_handle_gone(llm);
    }
}

static void spool_close(struct llm *llm)
{
    struct spool *s = llm->state;
    spool_file_close(s->in_fd);
    uv_close((uv_handle_t *)&s->timer, on_closed);
    uv_close((uv_handle_t *)&s->event, on_closed);
}

/* Not those whose request is still being written. */
static size_t spool_waiting(const struct llm *llm)
{
    const struct spool *s = llm->state;
    size_t n = 0;
    for (struct llm_link *l = s->calls.next; l != &s->calls; l = l->next) {
        n++;
    }
    return n - MIN(n, s->n_soon);
}

const struct llm_way llm_way_spool = { .start = spool_start, .cancel = spool_cancel,
                                       .close = spool_close, .waiting = spool_waiting };

int llm_spool_open(struct llm *llm, const char *folder, struct err *err)
{
    auto_free char *out = xprintf("%s/out", folder), *in = xprintf("%s/in", folder);
    int in_fd = -1;
    int r = spool_file_folder(out, NULL, err);
    r = r < 0 ? r : spool_file_folder(in, &in_fd, err);
    if (r < 0) {
        return r;
    }
    struct spool *s = xcalloc(1, sizeof(*s));
    s->llm = llm;
    s->out = xstrdup(out);
    s->in = xstrdup(in);
    s->in_fd = in_fd;
    s->handles = 2;
    llm->where = xstrdup(in);
    llm_link_init(&s->calls);
    uv_timer_init(llm->loop, &s->timer);
    uv_fs_event_init(llm->loop, &s->event);
    s->timer.data = s->event.data = s;
    uv_unref((uv_handle_t *)&s->event);
    uv_fs_event_start(&s->event, on_event, in, 0); /* polling does without it */
    llm->handles++;
    llm->state = s;
    return 0;
}
