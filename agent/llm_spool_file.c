/* SPDX-License-Identifier: MIT */
#include "agent/llm_spool_file.h"
#include "base/file.h"
#include "base/util.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = 64 << 20 };
static const double young_s = 1, broken_s = 5; /* since the last change of a file */

int spool_file_folder(const char *path, int *ret_fd, struct err *err)
{
    int r = folder_make(path, err);
    if (r < 0) {
        return r;
    }
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0) {
        r = err_set(err, -errno, "%s: %s", path, strerror(errno));
    } else if (st.st_mode & 002) {
        r = err_set(err, ERR_ENVIRONMENT, "%s: everybody may write here (mode %04o), so anybody could "
                    "answer for the model: chmod o-w it", path, (unsigned)(st.st_mode & 07777));
    } else if (access(path, R_OK | W_OK | X_OK) < 0) {
        r = err_set(err, -errno, "%s: %s", path, strerror(errno));
    }
    if ((r < 0 || !ret_fd) && fd >= 0) {
        close(fd);
    } else if (r == 0) {
        *ret_fd = fd;
    }
    return r;
}

void spool_file_close(int fd)
{
    close(fd);
}

int spool_file_line(const struct llm_request *request, const char *model, struct buf *ret)
{
    struct llm_shape shape = { .model = model ? model : "", .max_tokens = request->max_tokens,
                               .temperature = request->temperature };
    auto_buf struct buf body;
    buf_init(&body, LINE_MAX_BYTES);
    buf_init(ret, LINE_MAX_BYTES);
    if (llm_openai.body(request, &shape, &body) < 0) {
        return ERR_TOOBIG;
    }
    struct jwriter w = { .out = ret };
    jwrite_open(&w, NULL, '{');
    jwrite_string(&w, "custom_id", request->key);
    jwrite_string(&w, "method", "POST");
    jwrite_string(&w, "url", llm_openai.path);
    jwrite_json(&w, "body", body.at);
    jwrite_close(&w, '}');
    return buf_puts(ret, "\n");
}

int spool_file_put(const char *folder, const char *path, const char *bytes, size_t len,
                   struct err *err)
{
    int r = file_write(path, bytes, len, err);
    auto_close int fd = r < 0 ? -1 : open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (r == 0 && (fd < 0 || fsync(fd) < 0)) {
        r = err_set(err, -errno, "%s: %s", folder, strerror(errno));
    }
    return r;
}

/* Plain text: NULs and what isn't UTF-8 couldn't be kept in a record as they are. */
static enum spool_state read_plain(const char *bytes, size_t len, struct arena *arena,
                                   struct llm_answer *ret, struct err *err)
{
    if (strspn(len ? bytes : "", " \t\r\n") == len) {
        err_set(err, ERR_PROTOCOL, "the file is empty");
        return SPOOL_BAD;
    }
    char *text = arena_alloc(arena, len + 1, 1);
    for (size_t i = 0; i < len;) {
        size_t n = utf8_len(bytes + i, len - i);
        if (!bytes[i] || !n) {
            text[i++] = '?';
            continue;
        }
        memcpy(text + i, bytes + i, n);
        i += n;
    }
    *ret = (struct llm_answer) { .text = text, .len = len, .stop = LLM_STOP_END, .model = "",
                                 .id = "" };
    return SPOOL_ANSWER;
}

/* The answer inside the lines that batch interfaces write; the line itself if it isn't one. NULL: it
 * says that the request failed. */
static const json_t *unwrap(const json_t *json)
{
    const json_t *response = json_object_get(json, "response"); /* OpenAI */
    const json_t *result = json_object_get(json, "result");     /* Anthropic */
    if (json_is_object(response)) {
        return json_object_get(response, "body");
    }
    if (json_is_object(result)) {
        return json_object_get(result, "message");
    }
    return json_object_get(json, "custom_id") ? NULL : json;
}

static enum spool_state refuse(const json_t *json, const json_t *body, struct err *err)
{
    struct llm_problem p;
    const json_t *result = json_object_get(json, "result");
    const json_t *deep = json_object_get(result, "error"); /* {"type":"error","error":{...}} */
    if (!(body && llm_wire_problem(body, &p)) && !llm_wire_problem(json, &p)
        && !llm_wire_problem(deep, &p) && !llm_wire_problem(result, &p)) {
        err_set(err, ERR_PROTOCOL, "neither an answer nor an error; expected a line of a batch's "
                "output, a chat completion or an Anthropic message");
        return SPOOL_BAD;
    }
    err_set(err, ERR_PROTOCOL, "the reply says that there is no answer: %s%s%s",
            p.code[0] ? p.code : p.type, p.code[0] || p.type[0] ? ": " : "", p.message);
    return SPOOL_REFUSED;
}

static enum spool_state read_json(const json_t *json, const char *key, struct arena *arena,
                                  struct llm_answer *ret, struct err *err)
{
    const json_t *id = json_object_get(json, "custom_id");
    if (json_is_string(id) && !str_eq(json_string_value(id), key)) {
        char other[80];
        llm_wire_quote(json_string_value(id), json_string_length(id), other, sizeof(other));
        err_set(err, ERR_PROTOCOL, "it answers \"%s\", not this call", other);
        return SPOOL_BAD;
    }
    const json_t *body = unwrap(json);
    const struct llm_wire *wire = json_object_get(body, "choices") ? &llm_openai
        : json_object_get(body, "content")                        ? &llm_anthropic
                                                                  : NULL;
    if (!wire) {
        return refuse(json, body, err);
    }
    return wire->read(body, arena, ret, err) < 0 ? SPOOL_BAD : SPOOL_ANSWER;
}

enum spool_state spool_file_read(const char *bytes, size_t len, bool plain, const char *key,
                                 struct arena *arena, struct llm_answer *ret, struct err *err)
{
    if (plain) {
        return read_plain(bytes, len, arena, ret, err);
    }
    json_t *json = NULL;
    if (llm_wire_parse(bytes, len, &json, err) < 0) {
        return SPOOL_BAD;
    }
    enum spool_state state = read_json(json, key, arena, ret, err);
    json_decref(json);
    return state;
}

/* Opens a reply file that is safe to read; -1: none, or *ret_bad. */
static int open_reply(int in_fd, const char *name, size_t cap, struct stat *st, bool *ret_bad,
                      struct err *err)
{
    int fd = openat(in_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    *ret_bad = fd < 0 && errno == ELOOP;
    if (*ret_bad) {
        err_set(err, ERR_INVALID, "a symbolic link, which isn't followed");
    }
    if (fd < 0) {
        return -1;
    }
    if (fstat(fd, st) < 0 || !S_ISREG(st->st_mode)) {
        err_set(err, ERR_INVALID, "not a file");
        *ret_bad = true;
    } else if (st->st_size > (off_t)cap) {
        err_set(err, ERR_TOOBIG, "%lld bytes, %zu at most", (long long)st->st_size, cap);
        *ret_bad = true;
    }
    if (*ret_bad) {
        close(fd);
        return -1;
    }
    return fd;
}

static int read_all(int fd, struct buf *out)
{
    for (;;) {
        char *room = buf_room(out, MIN((size_t)65536, out->cap - out->len));
        ssize_t n = room ? read(fd, room, MIN((size_t)65536, out->cap - out->len)) : -1;
        if (n < 0 && room && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return n < 0 ? -1 : 0;
        }
        buf_wrote(out, (size_t)n);
        if (out->len == out->cap) {
            return 0;
        }
    }
}

static double age_s(const struct stat *st)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    double age = difftime(now.tv_sec, st->st_mtim.tv_sec)
        + (double)(now.tv_nsec - st->st_mtim.tv_nsec) / 1e9;
    return age < 0 ? INFINITY : age; /* a clock that goes ahead mustn't keep a file young for ever */
}

static void set_aside(int in_fd, const char *key, struct spool_found *found)
{
    char bad[LLM_KEY_MAX + 8];
    snprintf(bad, sizeof(bad), "%s.bad", key);
    found->state = SPOOL_BAD;
    renameat(in_fd, found->name, in_fd, bad);
}

static void find_one(int in_fd, const char *key, bool plain, size_t cap, struct arena *arena,
                     struct llm_answer *ret_answer, struct spool_found *ret, struct err *err)
{
    struct stat st;
    bool bad;
    auto_buf struct buf bytes;
    buf_init(&bytes, cap);
    ret->state = SPOOL_NOTHING;
    snprintf(ret->name, sizeof(ret->name), "%s.%s", key, plain ? "txt" : "json");
    auto_close int fd = open_reply(in_fd, ret->name, cap, &st, &bad, err);
    if (bad) {
        set_aside(in_fd, key, ret);
    }
    if (fd < 0) {
        return;
    }
    double age = age_s(&st);
    if (plain && age < young_s) {
        ret->state = SPOOL_YOUNG;
    } else if (read_all(fd, &bytes) < 0) {
        ret->state = SPOOL_YOUNG; /* a network's file system in trouble: later */
    } else {
        ret->state = spool_file_read(bytes.at ? bytes.at : "", bytes.len, plain, key, arena, ret_answer,
                                     err);
        if (ret->state == SPOOL_BAD && age < broken_s) {
            ret->state = SPOOL_YOUNG;
        } else if (ret->state == SPOOL_BAD) {
            set_aside(in_fd, key, ret);
        }
    }
}

void spool_file_find(int in_fd, const char *key, size_t cap, struct arena *arena,
                     struct llm_answer *ret_answer, struct spool_found *ret, struct err *err)
{
    find_one(in_fd, key, false, cap, arena, ret_answer, ret, err);
    if (ret->state == SPOOL_NOTHING) {
        find_one(in_fd, key, true, cap, arena, ret_answer, ret, err);
    }
}
