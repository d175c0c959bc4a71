/* SPDX-License-Identifier: MIT */
#include "agent/recording.h"
#include "base/file.h"
#include "base/jread.h"
#include "base/util.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct reader {
    const char *path, *home;
    struct store *store;
    struct store_batch *batch;
    struct recording *to;
    size_t line, queued;
};

/* A relative path without any step upwards: the record is foreign. */
static bool safe(const char *path)
{
    return *path && path[0] != '/' && !strstr(path, "..") && strlen(path) < 200;
}

static int read_file(struct reader *r, const json_t *line, struct err *err)
{
    const char *path = "";
    const json_t *text = json_object_get(line, "text");
    int code = jread_string(line, "path", true, NULL, &path, err);
    if (code < 0) {
        return code;
    }
    if (!safe(path) || !json_is_string(text)) {
        return err_set(err, ERR_INVALID, "\"%.100s\" isn't a file of a record", path);
    }
    auto_free char *to = xprintf("%s/%s", r->home, path);
    auto_free char *folder = xstrdup(to);
    *strrchr(folder, '/') = '\0';
    code = folder_make(folder, err);
    return code < 0 ? code
                    : file_write(to, json_string_value(text), json_string_length(text), err);
}

static int flush(struct reader *r, struct err *err)
{
    struct store_batch *batch = r->batch;
    r->batch = NULL;
    r->queued = 0;
    return batch ? store_commit(r->store, batch, err) : 0;
}

static int read_record(struct reader *r, const json_t *line, struct err *err)
{
    enum { GROUP = 256 };
    const char *name = "", *key = "";
    json_t *value = json_object_get(line, "value");
    const json_t *raw = json_object_get(line, "text");
    int code = jread_string(line, "db", true, NULL, &name, err);
    code = code < 0 ? code : jread_string(line, "key", true, NULL, &key, err);
    if (code < 0 || (!value && !json_is_string(raw))) {
        return code < 0 ? code : err_set(err, ERR_INVALID, "neither value nor text");
    }
    json_t *kept = str_eq(name, "choices") ? r->to->choices
        : str_eq(name, "attempts")         ? r->to->attempts
        : str_eq(name, "devices")          ? r->to->devices
                                           : NULL;
    if (kept && value) {
        json_object_set(kept, key, value);
        return 0;
    }
    for (int db = 0; db < STORE_DB_COUNT; db++) {
        if (str_eq(name, store_db_name((enum store_db)db))) {
            auto_free char *text = value ? json_canonical(value) : xstrdup(json_string_value(raw));
            r->batch = r->batch ? r->batch : store_batch_new();
            store_batch_put(r->batch, (enum store_db)db, key, text, strlen(text));
            return ++r->queued >= GROUP ? flush(r, err) : 0;
        }
    }
    return err_set(err, ERR_INVALID, "there is no database \"%.40s\"", name);
}

static int read_head(struct reader *r, const json_t *line, struct err *err)
{
    const char *campaign = "";
    int64_t format = 0;
    const json_t *tasks = NULL;
    int code = jread_int(line, "format", true, 0, INT64_MAX, NULL, &format, err);
    if (code == 0 && format != RECORDING_FORMAT) {
        return err_set(err, ERR_VERSION, "it has format %lld, this program reads %d",
                       (long long)format, RECORDING_FORMAT);
    }
    code = code < 0 ? code : jread_string(line, "campaign", true, NULL, &campaign, err);
    code = code < 0 ? code : jread_array(line, "tasks", true, 4096, NULL, &tasks, err);
    code = code < 0 ? code : jread_bool(line, "start", true, NULL, &r->to->start, err);
    code = code < 0 ? code : jread_bool(line, "baseline", true, NULL, &r->to->baseline, err);
    for (size_t i = 0; code == 0 && i < json_array_size(tasks); i++) {
        const char *name = json_string_value(json_array_get(tasks, i));
        if (!name || !safe(name) || strchr(name, '/')) {
            code = err_set(err, ERR_INVALID, "tasks[%zu] isn't a name", i);
        }
    }
    if (code == 0 && !r->to->campaign) {
        r->to->campaign = xstrdup(campaign);
        r->to->home = xstrdup(r->home);
        r->to->tasks = json_deep_copy(tasks);
    }
    return code;
}

static int read_line(struct reader *r, const char *text, size_t len, struct err *err)
{
    json_t *line = NULL;
    const char *kind = "";
    int code = jread_parse(text, len, &line, err);
    code = code < 0 ? code : jread_string(line, "kind", true, NULL, &kind, err);
    if (code == 0 && r->line == 1 && !str_eq(kind, "recording")) {
        code = err_set(err, ERR_INVALID, "it isn't a campaign's record");
    }
    if (code == 0) {
        code = str_eq(kind, "recording") ? read_head(r, line, err)
            : str_eq(kind, "file")       ? read_file(r, line, err)
            : str_eq(kind, "record")     ? read_record(r, line, err)
                                         : 0;
    }
    json_decref(line);
    return code;
}

int recording_read(const char *path, const char *home, struct store *store, struct recording *ret,
                   struct err *err)
{
    FILE *in = fopen(path, "re");
    if (!in) {
        return err_set(err, -errno, "%s: %s", path, strerror(errno));
    }
    *ret = (struct recording) { .choices = json_object(), .attempts = json_object(),
                                .devices = json_object() };
    struct reader r = { .path = path, .home = home, .store = store, .to = ret };
    char *text = NULL;
    size_t room = 0;
    ssize_t len;
    int code = 0;
    while (code == 0 && (len = getline(&text, &room, in)) > 0) {
        r.line++;
        code = len > RECORDING_LINE_MAX ? err_set(err, ERR_TOOBIG, "the line is too long")
                                        : read_line(&r, text, (size_t)len, err);
        if (code < 0) {
            err_wrap(err, "%s: line %zu", path, r.line);
        }
    }
    code = code < 0 ? code : flush(&r, err);
    if (code == 0 && !ret->campaign) {
        code = err_set(err, ERR_INVALID, "%s: it isn't a campaign's record", path);
    }
    store_batch_free(r.batch);
    free(text);
    fclose(in);
    if (code < 0) {
        recording_done(ret);
    }
    return code;
}

void recording_done(struct recording *r)
{
    free(r->campaign);
    free(r->home);
    json_decref(r->tasks);
    json_decref(r->choices);
    json_decref(r->attempts);
    json_decref(r->devices);
    *r = (struct recording) { 0 };
}
