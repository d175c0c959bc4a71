/* SPDX-License-Identifier: MIT */
/* T4 results, one a line, so that a diff of two files says which configs differ. */
#include "agent/tune/recorded.h"
#include "agent/tune/tune_config.h"
#include "base/util.h"

#include <math.h>
#include <string.h>

static void write_config(const struct tune_space *space, const uint16_t *config, struct jwriter *w)
{
    json_t *object = tune_config_json(space, config);
    jwrite_tree(w, "configuration", object);
    json_decref(object);
}

static void write_entry(const struct tune_space *space, const struct recorded_entry *entry,
                        struct jwriter *w)
{
    bool correct = entry->status == RECORDED_CORRECT;
    jwrite_open(w, NULL, '{');
    write_config(space, entry->config, w);
    jwrite_open(w, "times", '{');
    jwrite_real(w, "compilation", entry->compile_ms);
    jwrite_open(w, "runtimes", '[');
    for (size_t i = 0; correct && i < entry->n_single; i++) {
        jwrite_real(w, NULL, entry->single_ms[i]);
    }
    jwrite_close(w, ']');
    jwrite_close(w, '}');
    jwrite_string(w, "invalidity", recorded_status_name(entry->status));
    jwrite_int(w, "correctness", entry->status != RECORDED_CORRECTNESS);
    jwrite_open(w, "measurements", '[');
    if (correct) {
        jwrite_open(w, NULL, '{');
        jwrite_string(w, "name", "time");
        jwrite_real(w, "value", entry->time_ms);
        jwrite_string(w, "unit", "ms");
        jwrite_close(w, '}');
    }
    jwrite_close(w, ']');
    jwrite_open(w, "objectives", '[');
    jwrite_string(w, NULL, "time");
    jwrite_close(w, ']');
    jwrite_close(w, '}');
}

static void write_about(const struct recorded_about *about, struct jwriter *w)
{
    const struct {
        const char *name, *text;
    } members[] = {
        { "kernel", about->kernel }, { "task", about->task },     { "shape", about->shape },
        { "device", about->device }, { "driver", about->driver }, { "date", about->date },
    };
    jwrite_open(w, "metadata", '{');
    jwrite_string(w, "timeunit", "milliseconds");
    for (size_t i = 0; i < ARRAY_LEN(members); i++) {
        if (members[i].text) {
            jwrite_string(w, members[i].name, members[i].text);
        }
    }
    jwrite_close(w, '}');
}

/* What couldn't be read back isn't written. */
static int check(const struct recorded_entry *entry, size_t i, struct err *err)
{
    bool correct = entry->status == RECORDED_CORRECT;
    bool fine = entry->n_single <= RECORDED_TIMES_MAX && isfinite(entry->compile_ms)
                && (!correct || (entry->time_ms > 0 && isfinite(entry->time_ms)));
    for (size_t k = 0; correct && fine && k < entry->n_single; k++) {
        fine = entry->single_ms[k] > 0 && isfinite(entry->single_ms[k]);
    }
    return fine ? 0 : err_set(err, ERR_INVALID, "config %zu: a time that isn't one", i);
}

int recorded_write_t4(const char *path, const struct tune_space *space,
                      const struct recorded_about *about, const struct recorded_entry *entries,
                      size_t n, struct err *err)
{
    auto_buf struct buf out;
    buf_init(&out, RECORDED_TEXT_MAX);
    struct jwriter w = { .out = &out };
    jwrite_open(&w, NULL, '{');
    jwrite_string(&w, "schema_version", "1.0.0");
    write_about(about, &w);
    jwrite_open(&w, "results", '[');
    for (size_t i = 0; i < n; i++) {
        int r = check(&entries[i], i, err);
        if (r < 0) {
            err_wrap(err, "%s", path);
            return r;
        }
        if (i > 0) {
            buf_puts(&out, ",");
            w.more = false;
        }
        buf_puts(&out, "\n");
        write_entry(space, &entries[i], &w);
    }
    jwrite_close(&w, ']');
    jwrite_close(&w, '}');
    buf_puts(&out, "\n");
    if (out.failed) {
        return err_set(err, out.failed, "%s: more than %d MiB", path, RECORDED_TEXT_MAX >> 20);
    }
    return recorded_write(path, out.at, out.len, err);
}
