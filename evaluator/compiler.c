/* SPDX-License-Identifier: MIT */
#include "evaluator/compiler.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/frame.h"
#include "base/jwrite.h"
#include "base/util.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { COMPILER_SLOTS = 1024, COMPILE_FILE_MAX = 64 << 20 };

struct compile_ticket {
    struct compile_ticket *next;
    struct entry *entry;
    compile_cb done;
    void *ud;
};

struct entry {
    struct compiler *compiler;
    struct entry *next; /* in its slot */
    struct image image;
    char *log;
    char *bytes;
    json_t *kernels, *findings;
    bool ready;
    int lent; /* callbacks that hold the image now: it isn't evicted */
    uint64_t used;
    struct pool_ticket *job;
    struct compile_ticket *waiting;
};

struct compiler {
    struct pool *pool;
    char *arch, *folder;
    bool ptx;
    struct entry *slots[COMPILER_SLOTS];
    size_t bytes;
    uint64_t clock;
};

struct compiler *compiler_new(struct pool *pool, const char *arch, bool ptx, const char *folder)
{
    struct compiler *c = xcalloc(1, sizeof(*c));
    c->pool = pool;
    c->arch = xstrdup(arch);
    c->ptx = ptx;
    c->folder = folder ? xstrdup(folder) : NULL;
    return c;
}

static void entry_free(struct entry *e)
{
    while (e->waiting) {
        struct compile_ticket *next = e->waiting->next;
        free(e->waiting);
        e->waiting = next;
    }
    free(e->log);
    free(e->bytes);
    json_decref(e->kernels);
    json_decref(e->findings);
    free(e);
}

void compiler_free(struct compiler *c)
{
    if (!c) {
        return;
    }
    for (size_t i = 0; i < COMPILER_SLOTS; i++) {
        while (c->slots[i]) {
            struct entry *next = c->slots[i]->next;
            entry_free(c->slots[i]);
            c->slots[i] = next;
        }
    }
    free(c->arch);
    free(c->folder);
    free(c);
}

static void image_key(const struct compiler *c, const struct compile_request *r, struct id *ret)
{
    auto_buf struct buf options;
    buf_init(&options, 1 << 20);
    for (size_t i = 0; i < r->n_options; i++) {
        buf_printf(&options, "%s\n", r->options[i]);
    }
    const json_t *hello = pool_hello(c->pool);
    const char *compiler = json_string_value(json_object_get(hello, "compiler"));
    const char *kind = c->ptx ? "ptx" : "cubin";
    const struct id_part parts[] = {
        { "image 2", 7 },
        { compiler ? compiler : "", compiler ? strlen(compiler) : 0 },
        { c->arch, strlen(c->arch) },
        { kind, strlen(kind) },
        { options.at ? options.at : "", options.len },
        { r->source, strlen(r->source) },
    };
    id_of_parts(parts, ARRAY_LEN(parts), ret);
}

static struct entry **find(struct compiler *c, const struct id *key)
{
    size_t slot = (key->bytes[0] | (size_t)key->bytes[1] << 8) % COMPILER_SLOTS;
    struct entry **at = &c->slots[slot];
    while (*at && !id_eq(&(*at)->image.key, key)) {
        at = &(*at)->next;
    }
    return at;
}

static void publish(struct entry *e)
{
    e->image.log = e->log ? e->log : "";
    e->image.bytes = e->bytes;
    e->image.kernels = e->kernels;
    e->image.findings = e->findings;
    e->ready = true;
}

/*
 * A file is three parts, the first two a line each: the hash of what follows it, as hex; JSON
 * {"seconds", "kernels", "findings", "log"}; the image.
 */
static bool parse_file(const char *text, size_t len, struct entry *e)
{
    struct id sum, is;
    char hex[ID_HEX];
    if (len < ID_HEX || text[ID_HEX - 1] != '\n') {
        return false;
    }
    memcpy(hex, text, ID_HEX - 1);
    hex[ID_HEX - 1] = '\0';
    const char *rest = text + ID_HEX, *end = text + len;
    id_of_bytes(rest, (size_t)(end - rest), &is);
    const char *line_end = memchr(rest, '\n', (size_t)(end - rest));
    if (!id_parse(hex, &sum) || !id_eq(&sum, &is) || !line_end) {
        return false;
    }
    json_t *head = json_loadb(rest, (size_t)(line_end - rest), 0, NULL);
    const char *log = json_string_value(json_object_get(head, "log"));
    e->image.len = (size_t)(end - (line_end + 1));
    e->bytes = xcalloc(e->image.len + 1, 1);
    memcpy(e->bytes, line_end + 1, e->image.len);
    e->log = xstrdup(log ? log : "");
    e->kernels = json_incref(json_object_get(head, "kernels"));
    e->findings = json_incref(json_object_get(head, "findings"));
    e->image.seconds = json_number_value(json_object_get(head, "seconds"));
    json_decref(head);
    return true;
}

static bool read_file(struct compiler *c, struct entry *e)
{
    char hex[ID_HEX];
    id_hex(&e->image.key, hex);
    auto_free char *path = xprintf("%s/%s", c->folder, hex);
    auto_free char *text = NULL;
    size_t len;
    if (file_read(path, COMPILE_FILE_MAX, &text, &len, NULL) < 0 || !parse_file(text, len, e)) {
        return false;
    }
    e->image.ok = e->image.cached = true;
    publish(e);
    return true;
}

static void file_text(const struct entry *e, struct buf *out)
{
    char hex[ID_HEX];
    struct id sum;
    auto_buf struct buf rest;
    buf_init(&rest, COMPILE_FILE_MAX);
    struct jwriter w = { &rest, false };
    jwrite_open(&w, NULL, '{');
    jwrite_real(&w, "seconds", e->image.seconds);
    if (e->kernels) {
        jwrite_tree(&w, "kernels", e->kernels);
    }
    if (e->findings) {
        jwrite_tree(&w, "findings", e->findings);
    }
    jwrite_string(&w, "log", e->image.log);
    jwrite_close(&w, '}');
    buf_puts(&rest, "\n");
    buf_add(&rest, e->image.bytes, e->image.len);
    id_of_bytes(rest.at, rest.len, &sum);
    id_hex(&sum, hex);
    buf_init(out, rest.failed ? 0 : COMPILE_FILE_MAX);
    buf_printf(out, "%s\n", hex);
    buf_add(out, rest.at, rest.len);
}

/* Best effort: a cache that can't be written is slow, not wrong. */
static void write_file(struct compiler *c, const struct entry *e)
{
    char hex[ID_HEX];
    id_hex(&e->image.key, hex);
    auto_free char *path = xprintf("%s/%s", c->folder, hex);
    auto_free char *temporary = xprintf("%s.%ld.tmp", path, (long)getpid());
    auto_buf struct buf text;
    file_text(e, &text);
    FILE *file = text.failed ? NULL : fopen(temporary, "wbe");
    if (!file) {
        return;
    }
    bool good = fwrite(text.at, 1, text.len, file) == text.len;
    good = fclose(file) == 0 && good;
    if (!good || rename(temporary, path) < 0) {
        unlink(temporary);
    }
}

static size_t entry_bytes(const struct entry *e)
{
    return sizeof(*e) + e->image.len + strlen(e->image.log);
}

/* The image that was asked for longest ago and is nobody's now; NULL: none. */
static struct entry **find_oldest(struct compiler *c)
{
    struct entry **oldest = NULL;
    for (size_t i = 0; i < COMPILER_SLOTS; i++) {
        for (struct entry **at = &c->slots[i]; *at; at = &(*at)->next) {
            bool free_to_go = (*at)->ready && !(*at)->lent;
            if (free_to_go && (!oldest || (*at)->used < (*oldest)->used)) {
                oldest = at;
            }
        }
    }
    return oldest;
}

static void evict(struct compiler *c)
{
    struct entry **oldest;
    while (c->bytes > COMPILE_MEMORY_MAX && (oldest = find_oldest(c))) {
        struct entry *e = *oldest;
        *oldest = e->next;
        c->bytes -= entry_bytes(e);
        entry_free(e);
    }
}

static void take_result(struct entry *e, const struct pool_result *result)
{
    const json_t *json = result->json;
    const char *log = json_string_value(json_object_get(json, "log"));
    e->log = xstrdup(log ? log : "");
    e->image.seconds = json_number_value(json_object_get(json, "seconds"));
    const json_t *part = json_object_get(json, e->compiler->ptx ? "ptx" : "cubin");
    int64_t offset = json_integer_value(json_array_get(part, 0));
    int64_t len = json_integer_value(json_array_get(part, 1));
    e->image.ok = json_is_true(json_object_get(json, "ok"));
    e->findings = json_incref(json_object_get(json, "findings"));
    if (e->image.ok) {
        bool inside = offset >= 0 && len > 0 && (uint64_t)offset <= result->blob_len
            && (uint64_t)len <= result->blob_len - (uint64_t)offset;
        if (!inside) {
            e->image.ok = false;
            free(e->log);
            e->log = xstrdup("the compiler produced no image");
        } else {
            e->bytes = xcalloc((size_t)len + 1, 1);
            memcpy(e->bytes, (const char *)result->blob + offset, (size_t)len);
            e->image.len = (size_t)len;
            e->kernels = json_incref(json_object_get(json, "kernels"));
        }
    }
    publish(e);
}

static void entry_remove(struct entry *e)
{
    struct entry **at = find(e->compiler, &e->image.key);
    require(*at == e);
    *at = e->next;
}

static void on_compiled(void *ud, const struct pool_result *result)
{
    struct entry *e = ud;
    struct compiler *c = e->compiler;
    e->job = NULL;
    int code = result->code;
    if (code == 0) {
        take_result(e, result);
        c->bytes += entry_bytes(e);
        if (e->image.ok && c->folder) {
            write_file(c, e);
        }
    } else {
        entry_remove(e);
    }
    e->lent++;
    while (e->waiting) { /* a callback may cancel the others */
        struct compile_ticket *t = e->waiting;
        e->waiting = t->next;
        t->done(t->ud, code, code == 0 ? &e->image : NULL, result->error);
        free(t);
    }
    e->lent--;
    e->image.cached = true;
    if (code < 0) {
        entry_free(e);
    } else {
        evict(c);
    }
}

static void start(struct entry *e, const struct compile_request *r)
{
    struct buf job;
    buf_init(&job, FRAME_JSON_MAX);
    struct jwriter w = { &job, false };
    jwrite_open(&w, NULL, '{');
    jwrite_string(&w, "kind", "compile");
    jwrite_string(&w, "name", r->name);
    jwrite_string(&w, "arch", e->compiler->arch);
    jwrite_open(&w, "options", '[');
    for (size_t i = 0; i < r->n_options; i++) {
        jwrite_string(&w, NULL, r->options[i]);
    }
    jwrite_close(&w, ']');
    jwrite_close(&w, '}');
    e->job = pool_submit(e->compiler->pool, buf_take(&job), r->source, strlen(r->source),
                         r->deadline_ms, on_compiled, e);
}

/* The entry of a key, made and begun if it isn't there. */
static struct entry *entry_for(struct compiler *c, const struct compile_request *request)
{
    struct id key;
    image_key(c, request, &key);
    struct entry **at = find(c, &key);
    if (!*at) {
        struct entry *e = xcalloc(1, sizeof(*e));
        e->compiler = c;
        e->image.key = key;
        *at = e;
        if (c->folder && read_file(c, e)) {
            c->bytes += entry_bytes(e);
        } else {
            start(e, request);
        }
    }
    (*at)->used = ++c->clock;
    return *at;
}

struct compile_ticket *compiler_get(struct compiler *c, const struct compile_request *request,
                                    compile_cb done, void *ud)
{
    struct entry *e = entry_for(c, request);
    if (e->ready) {
        e->lent++;
        done(ud, 0, &e->image, NULL);
        e->lent--;
        evict(c);
        return NULL;
    }
    struct compile_ticket *t = xcalloc(1, sizeof(*t));
    t->entry = e;
    t->done = done;
    t->ud = ud;
    struct compile_ticket **end = &e->waiting;
    while (*end) {
        end = &(*end)->next;
    }
    *end = t;
    return t;
}

void compile_cancel(struct compile_ticket *ticket)
{
    if (!ticket) {
        return;
    }
    struct compile_ticket **at = &ticket->entry->waiting;
    while (*at != ticket) {
        at = &(*at)->next;
    }
    *at = ticket->next;
    free(ticket);
}
