/* SPDX-License-Identifier: MIT */
/*
 * A provider of language models on loopback that behaves as told, or badly on purpose:
 *
 *   fake_llm [--latency MS] [--script NAME,NAME,...] [--chaos SEED:PERCENT] [--crowd N]
 *            [--answer FILE]... [--log FILE] [--port N]
 *
 * Says "port N" on stdout and serves until stdin ends or it is killed. Requests follow the script in
 * the order in which they come; its last name stays. Chaos spoils a share of them; with more than N at
 * once, a crowd, all further ones get 429. Of several answers a call gets the one that the hash of its
 * body picks, so the same question has the same answer. The log has a line for each request as it
 * comes, and one for each answer as it goes: {"event":"asked","key":...}, {"event":"answered",...}.
 */
#include "base/file.h"
#include "base/jwrite.h"
#include "base/rng.h"
#include "base/util.h"
#include "tests/fake_llm_reply.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

enum { SCRIPT_MAX = 64, ANSWERS_MAX = 64, REQUEST_MAX = 80 << 20, PIECE = 65536 };
enum { DRIP_MS = 20, LATE_MS = 1500 };

struct server {
    uv_loop_t loop;
    uv_tcp_t tcp;
    uv_pipe_t parent;
    uint64_t latency_ms, requests, chaos_percent, port, crowd, busy;
    struct rng chaos;
    const char *script[SCRIPT_MAX];
    size_t n_script, n_answers;
    char *answers[ANSWERS_MAX];
    int log_fd;
};

struct conn {
    struct server *server;
    uv_tcp_t tcp;
    uv_timer_t timer;
    uv_write_t write;
    struct buf in;
    struct fake_answer answer;
    char *key;
    size_t sent, open; /* open handles */
    bool busy, closing;
    char chunk[PIECE + 16];
};

static void log_event(struct server *s, const char *event, const struct conn *c, const char *behaviour,
                      bool has_key)
{
    if (s->log_fd < 0) {
        return;
    }
    auto_buf struct buf line;
    struct jwriter w = { .out = &line };
    buf_init(&line, 1 << 20);
    jwrite_open(&w, NULL, '{');
    jwrite_string(&w, "event", event);
    jwrite_string(&w, "key", c->key ? c->key : "");
    jwrite_string(&w, "behaviour", behaviour);
    jwrite_bool(&w, "authorized", has_key);
    jwrite_close(&w, '}');
    buf_puts(&line, "\n");
    if (write(s->log_fd, line.at, line.len) < 0) {
        perror("log");
    }
}

static void on_closed(uv_handle_t *handle)
{
    struct conn *c = handle->data;
    if (--c->open == 0) {
        buf_done(&c->in);
        buf_done(&c->answer.bytes);
        free(c->key);
        free(c);
    }
}

static void conn_close(struct conn *c, bool reset)
{
    if (c->closing) {
        return;
    }
    c->closing = true;
    c->server->busy -= c->busy;
    if (!reset || uv_tcp_close_reset(&c->tcp, on_closed) < 0) {
        uv_close((uv_handle_t *)&c->tcp, on_closed);
    }
    uv_close((uv_handle_t *)&c->timer, on_closed);
}

static void serve(struct conn *c);

static void on_drip(uv_timer_t *timer);
static void on_rest(uv_timer_t *timer);
static void on_written(uv_write_t *write, int status)
{
    struct conn *c = write->data;
    if (status < 0 || c->closing) {
        conn_close(c, false);
        return;
    }
    switch (c->answer.pace) {
    case FAKE_PACE_CUT:
        conn_close(c, false);
        return;
    case FAKE_PACE_STALL:
        return;
    case FAKE_PACE_DRIP:
        if (c->sent < c->answer.bytes.len) {
            uv_timer_start(&c->timer, on_drip, DRIP_MS, 0);
            return;
        }
        break;
    case FAKE_PACE_LATE:
        if (c->sent < c->answer.bytes.len) {
            uv_timer_start(&c->timer, on_rest, LATE_MS, 0);
            return;
        }
        break;
    case FAKE_PACE_PIECES:
        if (c->answer.repeat-- > 0) {
            int n = snprintf(c->chunk, sizeof(c->chunk), "%x\r\n", PIECE - 16);
            memset(c->chunk + n, ' ', PIECE - 16);
            memcpy(c->chunk + n + PIECE - 16, "\r\n", 2);
            uv_buf_t b = uv_buf_init(c->chunk, (unsigned)(n + PIECE - 14));
            uv_write(&c->write, (uv_stream_t *)&c->tcp, &b, 1, on_written);
            return;
        }
        conn_close(c, false);
        return;
    default:
        break;
    }
    log_event(c->server, "answered", c, "", false);
    buf_done(&c->answer.bytes);
    free(c->key);
    c->key = NULL;
    c->busy = false;
    c->server->busy--;
    serve(c);
}

static void on_drip(uv_timer_t *timer)
{
    struct conn *c = timer->data;
    uv_buf_t b = uv_buf_init(c->answer.bytes.at + c->sent++, 1);
    uv_write(&c->write, (uv_stream_t *)&c->tcp, &b, 1, on_written);
}

static void on_rest(uv_timer_t *timer)
{
    struct conn *c = timer->data;
    uv_buf_t b = uv_buf_init(c->answer.bytes.at + c->sent, (unsigned)(c->answer.bytes.len - c->sent));
    c->sent = c->answer.bytes.len;
    uv_write(&c->write, (uv_stream_t *)&c->tcp, &b, 1, on_written);
}

static void on_due(uv_timer_t *timer)
{
    struct conn *c = timer->data;
    if (c->answer.pace == FAKE_PACE_RESET) {
        conn_close(c, true);
    } else if (c->answer.pace != FAKE_PACE_SILENT) {
        size_t n = c->answer.pace == FAKE_PACE_DRIP ? 1
            : c->answer.pace == FAKE_PACE_LATE
            ? (size_t)(strstr(c->answer.bytes.at, "\r\n\r\n") - c->answer.bytes.at) + 4
            : c->answer.bytes.len;
        uv_buf_t b = uv_buf_init(c->answer.bytes.at, (unsigned)n);
        c->sent = n;
        uv_write(&c->write, (uv_stream_t *)&c->tcp, &b, 1, on_written);
    }
}

/* The value of a header as a copy, or NULL. */
static char *header(const char *head, const char *name)
{
    size_t n = strlen(name);
    for (const char *line = head; (line = strchr(line, '\n')); ) {
        line++;
        if (strncasecmp(line, name, n) == 0 && line[n] == ':') {
            const char *at = line + n + 1 + strspn(line + n + 1, " ");
            return strndup(at, strcspn(at, "\r\n"));
        }
    }
    return NULL;
}

static const char *behaviour_of(struct server *s)
{
    static const char *const spoils[] = { "429", "500", "503", "cut", "reset", "truncated", "502" };
    if (s->crowd && s->busy > s->crowd) {
        return "429";
    }
    if (rng_below(&s->chaos, 100) < s->chaos_percent) {
        return spoils[rng_below(&s->chaos, ARRAY_LEN(spoils))];
    }
    return s->n_script ? s->script[MIN(s->requests, s->n_script) - 1] : "ok";
}

static void answer_request(struct conn *c, const char *head, const char *body, size_t body_len)
{
    struct server *s = c->server;
    auto_free char *path = strndup(strchrnul(head, ' ') + 1, strcspn(strchrnul(head, ' ') + 1, " "));
    auto_free char *bearer = header(head, "authorization"), *api_key = header(head, "x-api-key");
    s->requests++;
    s->busy++;
    c->key = header(head, "idempotency-key");
    size_t pick = s->n_answers ? rng_key(body) % s->n_answers : 0;
    struct fake_question q = { .path = path, .key = c->key ? c->key : "", .body = body,
                               .body_len = body_len, .number = s->requests,
                               .text = s->n_answers ? s->answers[pick] : "an answer" };
    const char *behaviour = behaviour_of(s);
    log_event(s, "asked", c, behaviour, bearer || api_key);
    c->busy = true;
    if (!fake_answer_make(behaviour, &q, &c->answer)) {
        fprintf(stderr, "fake_llm: no behaviour %s\n", behaviour);
        exit(2);
    }
    uv_timer_start(&c->timer, on_due, s->latency_ms, 0);
}

/* A whole request that lies there is answered, one at a time. */
static void serve(struct conn *c)
{
    char *end = c->in.len ? memmem(c->in.at, c->in.len, "\r\n\r\n", 4) : NULL;
    if (c->busy || !end) {
        return;
    }
    size_t head_len = (size_t)(end - c->in.at) + 4;
    auto_free char *head = strndup(c->in.at, head_len);
    auto_free char *length = header(head, "content-length");
    size_t body_len = length ? (size_t)strtoul(length, NULL, 10) : 0;
    if (c->in.len < head_len + body_len) {
        return;
    }
    auto_free char *body = strndup(c->in.at + head_len, body_len);
    buf_shift(&c->in, head_len + body_len);
    answer_request(c, head, body, body_len);
}

static void on_room(uv_handle_t *handle, size_t wanted, uv_buf_t *ret)
{
    struct conn *c = handle->data;
    (void)wanted;
    char *room = buf_room(&c->in, PIECE);
    *ret = uv_buf_init(room, room ? PIECE : 0);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *b)
{
    struct conn *c = stream->data;
    (void)b;
    if (n < 0) {
        conn_close(c, false);
    } else if (n > 0) {
        buf_wrote(&c->in, (size_t)n);
        serve(c);
    }
}

static void on_connection(uv_stream_t *stream, int status)
{
    struct server *s = stream->data;
    struct conn *c = xcalloc(1, sizeof(*c));
    c->server = s;
    c->open = 2;
    buf_init(&c->in, REQUEST_MAX);
    uv_tcp_init(&s->loop, &c->tcp);
    uv_timer_init(&s->loop, &c->timer);
    c->tcp.data = c->timer.data = c->write.data = c;
    if (status < 0 || uv_accept(stream, (uv_stream_t *)&c->tcp) < 0) {
        conn_close(c, false);
        return;
    }
    uv_tcp_nodelay(&c->tcp, 1);
    uv_read_start((uv_stream_t *)&c->tcp, on_room, on_read);
}

static void on_parent(uv_stream_t *stream, ssize_t n, const uv_buf_t *b)
{
    (void)stream;
    free(b->base);
    if (n < 0) {
        exit(0);
    }
}

static void on_parent_room(uv_handle_t *handle, size_t wanted, uv_buf_t *ret)
{
    (void)handle;
    *ret = uv_buf_init(xcalloc(1, wanted), (unsigned)wanted);
}

static void parse(struct server *s, int argc, char **argv)
{
    for (int i = 1; i + 1 < argc; i += 2) {
        char *value = argv[i + 1];
        if (str_eq(argv[i], "--latency")) {
            s->latency_ms = strtoul(value, NULL, 10);
        } else if (str_eq(argv[i], "--port")) {
            s->port = strtoul(value, NULL, 10);
        } else if (str_eq(argv[i], "--crowd")) {
            s->crowd = strtoul(value, NULL, 10);
        } else if (str_eq(argv[i], "--script")) {
            for (char *name = strtok(value, ","); name && s->n_script < SCRIPT_MAX;
                 name = strtok(NULL, ",")) {
                s->script[s->n_script++] = name;
            }
        } else if (str_eq(argv[i], "--chaos")) {
            rng_init(&s->chaos, strtoul(value, &value, 10), 0, 0);
            s->chaos_percent = *value ? strtoul(value + 1, NULL, 10) : 0;
        } else if (str_eq(argv[i], "--log")) {
            s->log_fd = open(value, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
        } else if (str_eq(argv[i], "--answer") && s->n_answers < ANSWERS_MAX) {
            struct err err = { 0 };
            if (file_read(value, 16 << 20, &s->answers[s->n_answers++], NULL, &err) < 0) {
                fprintf(stderr, "fake_llm: %s\n", err_text(&err));
                exit(2);
            }
        }
    }
}

int main(int argc, char **argv)
{
    struct server *s = xcalloc(1, sizeof(*s));
    struct sockaddr_in address;
    int len = sizeof(address);
    signal(SIGPIPE, SIG_IGN);
    s->log_fd = -1;
    rng_init(&s->chaos, 1, 0, 0);
    parse(s, argc, argv);
    uv_loop_init(&s->loop);
    uv_tcp_init(&s->loop, &s->tcp);
    uv_pipe_init(&s->loop, &s->parent, 0);
    s->tcp.data = s;
    uv_ip4_addr("127.0.0.1", (int)s->port, &address);
    if (uv_tcp_bind(&s->tcp, (const struct sockaddr *)&address, 0) < 0
        || uv_listen((uv_stream_t *)&s->tcp, 4096, on_connection) < 0
        || uv_tcp_getsockname(&s->tcp, (struct sockaddr *)&address, &len) < 0) {
        fprintf(stderr, "fake_llm: can't listen\n");
        return 2;
    }
    struct stat st; /* a file or a terminal is no parent */
    if (fstat(STDIN_FILENO, &st) == 0 && S_ISFIFO(st.st_mode)
        && uv_pipe_open(&s->parent, STDIN_FILENO) == 0) {
        uv_read_start((uv_stream_t *)&s->parent, on_parent_room, on_parent);
    }
    printf("port %d\n", ntohs(address.sin_port));
    fflush(stdout);
    return uv_run(&s->loop, UV_RUN_DEFAULT);
}
