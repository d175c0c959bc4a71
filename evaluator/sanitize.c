/* SPDX-License-Identifier: MIT */
#include "evaluator/sanitize.h"
#include "base/file.h"
#include "base/frame.h"
#include "base/util.h"
#include "evaluator/environment.h"
#include "evaluator/sanitize_log.h"
#include "evaluator/toolkit.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TOOL_MS = 120000, GATE_MS = 60000, LOG_MAX_BYTES = 16 << 20 };

static const char *const tools[] = { "memcheck", "racecheck", "initcheck", "synccheck" };

struct sanitize {
    struct judgement *j; /* NULL: nobody waits any more */
    struct compile_ticket *gate;
    char *program, *log;
    struct buf jobs;  /* both frames, as they are sent to each worker */
    struct buf reply; /* what this worker said */
    struct buf text, done; /* findings; names of the tools that went through */
    int errors;
    size_t tool;
    uv_process_t process;
    uv_pipe_t pipe;
    uv_timer_t timer;
    uv_write_t write;
    uv_shutdown_t shut;
    int open; /* handles of this tool's process that aren't closed yet */
    bool timed_out;
    char chunk[16384];
};

static void start_tool(struct sanitize *s);

static void free_all(struct sanitize *s)
{
    if (s->log) {
        unlink(s->log);
    }
    free(s->program);
    free(s->log);
    buf_done(&s->jobs);
    buf_done(&s->reply);
    buf_done(&s->text);
    buf_done(&s->done);
    free(s);
}

static void give(struct judgement *j, const char *tool, int errors, const char *text)
{
    struct verdict *v = &j->verdict;
    v->sanitizer = (struct verdict_sanitizer) { arena_strdup(j->arena, tool), errors,
                                                arena_strdup(j->arena, text) };
    if (errors) {
        v->status = VERDICT_STATUS_INCORRECT;
        v->phase = "sanitize";
        v->detail = v->sanitizer.text;
        judge_end(j);
    } else {
        judge_accepted(j);
    }
}

/* All through, or no use in going on (`why`). */
static void end(struct sanitize *s, const char *why)
{
    struct judgement *j = s->j;
    auto_free char *text = xprintf("%s%s%s", s->text.len ? s->text.at : "",
                                   s->text.len && why ? "\n" : "", why ? why : "");
    auto_free char *names = xstrdup(s->done.len ? s->done.at : "not available");
    int errors = s->errors;
    if (j) {
        j->sanitize = NULL;
    }
    free_all(s);
    if (j) {
        give(j, names, errors, text);
    }
}

/* The worker's own words, where a job failed: the last result that isn't ok. */
static void reply_error(const struct sanitize *s, char *ret, size_t size)
{
    size_t at = 0;
    struct frame frame;
    int64_t used;
    ret[0] = '\0';
    while (at < s->reply.len
           && (used = frame_parse(s->reply.at + at, s->reply.len - at, &frame, NULL)) > 0) {
        json_t *json = json_loadb(frame.json, frame.json_len, 0, NULL);
        const char *error = json_string_value(json_object_get(json, "error"));
        if (error) {
            snprintf(ret, size, "%.500s", error);
        }
        json_decref(json);
        at += (size_t)used;
    }
}

/* A tool's process has ended: its log, then the next. */
static void tool_ended(struct sanitize *s)
{
    const char *tool = tools[s->tool];
    auto_free char *text = NULL;
    size_t len = 0;
    struct sanitize_log log = { 0 };
    char error[512];
    reply_error(s, error, sizeof(error));
    if (file_read(s->log, LOG_MAX_BYTES, &text, &len, NULL) == 0) {
        sanitize_log_read(text, len, tool, &s->text, &log);
    }
    s->errors += log.errors;
    if (log.complete) {
        buf_printf(&s->done, "%s%s", s->done.len ? ", " : "", tool);
    }
    if (!log.complete || (error[0] && !log.errors)) {
        buf_printf(&s->text, "%s%s didn't go through: %s", s->text.len ? "\n" : "", tool,
                   s->timed_out     ? "it took too long"
                   : log.problem[0] ? log.problem
                   : error[0]       ? error
                                    : "it left no summary in its log");
    }
    s->tool++;
    if (!s->j || s->tool == ARRAY_LEN(tools)) {
        end(s, NULL);
    } else {
        start_tool(s);
    }
}

static void on_closed(uv_handle_t *handle)
{
    struct sanitize *s = handle->data;
    if (--s->open == 0) {
        tool_ended(s);
    }
}

static void close_one(uv_handle_t *handle)
{
    if (!uv_is_closing(handle)) {
        uv_close(handle, on_closed);
    }
}

static void on_exit_status(uv_process_t *process, int64_t status, int signal_number)
{
    struct sanitize *s = process->data;
    (void)status;
    (void)signal_number;
    close_one((uv_handle_t *)&s->process);
    close_one((uv_handle_t *)&s->timer);
    close_one((uv_handle_t *)&s->pipe); /* what the worker said before has been read or is lost */
}

static void on_timer(uv_timer_t *timer)
{
    struct sanitize *s = timer->data;
    s->timed_out = true;
    uv_process_kill(&s->process, SIGKILL);
}

static void on_alloc(uv_handle_t *handle, size_t size, uv_buf_t *buf)
{
    (void)size;
    struct sanitize *s = handle->data;
    *buf = uv_buf_init(s->chunk, sizeof(s->chunk));
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct sanitize *s = stream->data;
    if (n > 0) {
        buf_add(&s->reply, buf->base, (size_t)n); /* over its cap: the rest isn't kept */
    } else if (n < 0) {
        uv_read_stop(stream);
    }
}

static void on_written(uv_write_t *write, int status)
{
    (void)write;
    (void)status; /* a worker that is gone shows by its exit */
}

static void on_shut(uv_shutdown_t *shut, int status)
{
    (void)shut;
    (void)status;
}

static void begin_talk(struct sanitize *s)
{
    uv_buf_t bytes = uv_buf_init(s->jobs.at, (unsigned)s->jobs.len);
    uv_read_start((uv_stream_t *)&s->pipe, on_alloc, on_read);
    uv_write(&s->write, (uv_stream_t *)&s->pipe, &bytes, 1, on_written);
    /* The worker ends by itself after the jobs, and so the tool writes its summary. */
    uv_shutdown(&s->shut, (uv_stream_t *)&s->pipe, on_shut);
    uv_timer_start(&s->timer, on_timer, TOOL_MS, 0);
}

static void start_tool(struct sanitize *s)
{
    const struct evaluator *ev = s->j->ev;
    const char *args[] = { s->program, "--tool", tools[s->tool], "--log-file", s->log,
                           "--print-limit", "100", "--report-api-errors", "no",
                           "--show-backtrace", "no", ev->worker, "sanitize", "--driver",
                           ev->driver ? ev->driver : "libcuda.so.1", "--gpu", ev->index, NULL };
    const char *const extra[] = { ev->env_device, NULL };
    char **env = environment_for_worker(extra);
    uv_pipe_init(ev->loop, &s->pipe, 0);
    uv_timer_init(ev->loop, &s->timer);
    s->pipe.data = s->timer.data = s->process.data = s;
    s->open = 3;
    s->timed_out = false;
    s->reply.len = 0;
    uv_stdio_container_t stdio[4] = {
        { .flags = UV_IGNORE }, { .flags = UV_IGNORE }, { .flags = UV_IGNORE },
        { .flags = UV_CREATE_PIPE | UV_READABLE_PIPE | UV_WRITABLE_PIPE,
          .data.stream = (uv_stream_t *)&s->pipe },
    };
    uv_process_options_t options = { .exit_cb = on_exit_status, .file = s->program,
                                     .args = (char **)(uintptr_t)args, .env = env,
                                     .stdio = stdio, .stdio_count = 4 };
    int r = uv_spawn(ev->loop, &s->process, &options);
    environment_free(env);
    if (r == 0) {
        begin_talk(s);
    } else {
        on_exit_status(&s->process, 0, 0);
    }
}

static void add_frame(struct buf *out, const char *json, size_t json_len, const void *blob,
                      size_t blob_len, uint64_t id)
{
    struct frame frame = { .type = FRAME_TYPE_JOB, .id = id, .json_len = json_len,
                           .blob_len = blob_len };
    unsigned char header[FRAME_HEADER];
    frame_header(&frame, header);
    buf_add(out, header, sizeof(header));
    buf_add(out, json, json_len);
    buf_add(out, blob, blob_len);
}

static void on_gate(void *ud, int code, const struct image *image, const char *error)
{
    struct sanitize *s = ud;
    static const char setup[] = "{\"kind\":\"setup\"}";
    s->gate = NULL;
    if (code < 0 || !image->ok) {
        end(s, code < 0 ? error : image->log);
        return;
    }
    auto_buf struct buf job;
    buf_init(&job, FRAME_JSON_MAX);
    judge_write_job(s->j, "sanitize", &job);
    add_frame(&s->jobs, setup, sizeof(setup) - 1, image->bytes, image->len, 1);
    add_frame(&s->jobs, job.at, job.len, s->j->blob.at, s->j->blob.len, 2);
    char path[] = "/tmp/warpsmith-sanitize-XXXXXX";
    int fd = mkstemp(path);
    if (fd < 0 || job.failed || s->jobs.failed) {
        end(s, fd < 0 ? "no log can be made in /tmp" : "the job is too large");
        return;
    }
    close(fd);
    s->log = xstrdup(path);
    start_tool(s);
}

/* $WARPSMITH_SANITIZER, else the toolkit's, else the one on the path. NULL: there's none. */
char *evaluator_sanitizer(void)
{
    const char *named = getenv("WARPSMITH_SANITIZER");
    if (named && *named) {
        return xstrdup(named);
    }
    auto_free char *include = NULL;
    auto_buf struct buf places;
    buf_init(&places, 1 << 16);
    if (toolkit_include(&include, NULL) == 0) {
        buf_printf(&places, "%.*s/bin:", (int)(strlen(include) - strlen("/include")), include);
    }
    const char *path = getenv("PATH");
    buf_printf(&places, "/usr/local/cuda/bin:%s", path ? path : "");
    char *rest = places.at;
    for (char *place; rest && (place = strsep(&rest, ":"));) {
        auto_free char *program = xprintf("%s/compute-sanitizer", place);
        if (access(program, X_OK) == 0) {
            return xstrdup(program);
        }
    }
    return NULL;
}

static void on_simulated(void *ud, const struct pool_result *result)
{
    struct judgement *j = ud;
    j->job = NULL;
    if (j->over) {
        return;
    }
    const char *error = json_string_value(json_object_get(result->json, "error"));
    bool found = result->code == 0 && error;
    auto_free char *text = xprintf("%s%s", found ? "simulator: " : "",
                                   found                ? error
                                   : result->code < 0 ? result->error
                                                        : "");
    give(j, "simulator", found, text);
}

static void simulate(struct judgement *j)
{
    struct buf job;
    buf_init(&job, FRAME_JSON_MAX);
    judge_write_job(j, "sanitize", &job);
    j->job = pool_submit(j->ev->device_pool, buf_take(&job), j->blob.at, j->blob.len,
                         judge_deadline(j), on_simulated, j);
}

void sanitize_start(struct judgement *j)
{
    const char *named = getenv("WARPSMITH_SANITIZER");
    if (j->ev->device.modelled && !(named && *named)) {
        simulate(j);
        return;
    }
    char *program = evaluator_sanitizer();
    if (!program) {
        give(j, "not available", 0, "compute-sanitizer wasn't found in the CUDA Toolkit or on the "
             "path; install cuda-sanitizer of NVIDIA's toolkit, or name it in WARPSMITH_SANITIZER");
        return;
    }
    struct sanitize *s = xcalloc(1, sizeof(*s));
    s->j = j;
    s->program = program;
    buf_init(&s->jobs, 2 * (size_t)FRAME_BLOB_MAX);
    buf_init(&s->reply, 1 << 20);
    buf_init(&s->text, 1 << 16);
    buf_init(&s->done, 1024);
    j->sanitize = s;
    struct compile_request gate = { .name = "gate.cu", .source = gate_source(),
                                    .deadline_ms = GATE_MS };
    /* NULL where on_gate was called in here, and `s` may be gone then. */
    struct compile_ticket *ticket = compiler_get(j->ev->compiler, &gate, on_gate, s);
    if (ticket) {
        s->gate = ticket;
    }
}

void sanitize_stop(struct judgement *j)
{
    struct sanitize *s = j->sanitize;
    if (!s) {
        return;
    }
    j->sanitize = NULL;
    s->j = NULL;
    if (s->open) {
        uv_process_kill(&s->process, SIGKILL);
    } else {
        compile_cancel(s->gate);
        free_all(s);
    }
}
