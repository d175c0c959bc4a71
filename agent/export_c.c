/* SPDX-License-Identifier: MIT */
/* The C form of an export: tables of the plan in numbers, then text that is the same for all (export/launch.c.in,
 * export/main.c.in). */
#include "agent/export.h"
#include "base/embed.h"
#include "base/file.h"
#include "base/util.h"

#include <string.h>

EMBED_TEXT(export_launch_c, WS_EXPORT "/launch.c.in");
EMBED_TEXT(export_main_c, WS_EXPORT "/main.c.in");

enum { TEXT_MAX = 64 << 20 };

/* The text with the candidate's name for each @name@. */
static void put_text(struct buf *out, const char *text, const char *name)
{
    static const char mark[] = "@name@";
    for (const char *at; (at = strstr(text, mark)); text = at + strlen(mark)) {
        buf_add(out, text, (size_t)(at - text));
        buf_puts(out, name);
    }
    buf_puts(out, text);
}

static void put_head(struct buf *out, const struct export *e)
{
    char hex[ID_HEX];
    id_hex(&e->candidate->id, hex);
    buf_puts(out, "/*\n * ");
    for (const char *at = e->made; *at; at++) { /* nothing of it may end the comment */
        buf_add(out, *at == '/' && at > e->made && at[-1] == '*' ? "|" : at, 1);
    }
    buf_printf(out, "\n * Made by Warpsmith from candidate %s,\n * bound to these shapes on %s (%s).\n */\n", hex,
               e->device, e->arch);
}

static const char *image_name(const struct export *e)
{
    return e->ptx ? "kernel.ptx" : "kernel.cubin";
}

static void put_header(struct buf *out, const struct export *e)
{
    const struct bound *b = e->bound;
    buf_puts(out, "#pragma once\n");
    put_head(out, e);
    buf_printf(out, "#include <cuda.h>\n\n/* Tensors are contiguous device memory, in this order. */\nenum {\n");
    for (size_t i = 0; i < e->n_tensors; i++) {
        const struct export_tensor *t = &e->tensors[i];
        buf_printf(out, "    %s_%s, /* %s %s [", e->name, t->name, tensor_role_name(t->role), dtype_name(t->dtype));
        for (size_t k = 0; k < t->rank; k++) {
            buf_printf(out, "%s%lld", k ? ", " : "", (long long)t->dims[k]);
        }
        buf_puts(out, "] */\n");
    }
    buf_printf(out, "    %s_TENSORS\n};\n\nstruct %s {\n    CUmodule module;\n    CUfunction launches[%zu], prepare[%zu];\n"
                    "    CUdeviceptr scratch[%zu];\n};\n\n", e->name, e->name, MAX(b->n_launches, 1ul),
               MAX(b->n_prepare, 1ul), MAX(b->n_buffers - b->n_tensors, 1ul));
    put_text(out, "/* In the current context; `image` is what the file beside this holds, followed by a zero. The\n"
                  " * scratch memory is the struct's: one launch at a time. */\n"
                  "CUresult @name@_open(struct @name@ *kernel, const void *image);\n"
                  "void @name@_close(struct @name@ *kernel);\n"
                  "/* Once for a set of weights, before the first launch. Both only queue. */\n"
                  "CUresult @name@_prepare(struct @name@ *kernel, const CUdeviceptr *tensors, CUstream stream);\n"
                  "CUresult @name@_launch(struct @name@ *kernel, const CUdeviceptr *tensors, CUstream stream);\n",
             e->name);
}

static int put_args(struct buf *out, const struct export *e, const char *what, const struct bound_launch *steps,
                    size_t n, struct err *err)
{
    for (size_t i = 0; i < n; i++) {
        if (steps[i].n_args == 0) {
            continue;
        }
        buf_printf(out, "static const struct arg %s_%zu[] = { ", what, i);
        for (size_t k = 0; k < steps[i].n_args; k++) {
            const struct bound_arg *a = &steps[i].args[k];
            uint64_t bits = (uint64_t)a->value;
            const struct scalar *s = a->kind == BOUND_ARG_KIND_SCALAR ? &e->task->scalars[a->value] : NULL;
            if (s && !dtype_bits(s->dtype, s->value, &bits)) {
                return err_set(err, ERR_UNSUPPORTED, "scalar %s: a %s has no bits here", s->name, dtype_name(s->dtype));
            }
            if (a->kind == BOUND_ARG_KIND_BUFFER) {
                buf_printf(out, "{ %lld, 0 }, ", (long long)a->value);
            } else {
                buf_printf(out, "{ -1, 0x%llxull }, ", (unsigned long long)bits);
            }
        }
        buf_puts(out, "};\n");
    }
    return 0;
}

static void put_triple(struct buf *out, const int64_t *at)
{
    buf_printf(out, "{ %lld, %lld, %lld }, ", (long long)at[0], (long long)at[1], (long long)at[2]);
}

static void put_steps(struct buf *out, const struct export *e, const char *what, const struct bound_launch *steps,
                      size_t n)
{
    buf_printf(out, "static const struct step %s[] = {\n", what);
    for (size_t i = 0; i < n; i++) {
        const struct bound_launch *l = &steps[i];
        if (!l->kernel) {
            const struct bound_buffer *b = &e->bound->buffers[l->buffer];
            buf_printf(out, "    { .buffer = %lld, .value = %lld, .bytes = %lldull },\n", (long long)l->buffer,
                       (long long)l->value, (long long)(b->count * (int64_t)dtype_size(b->dtype)));
            continue;
        }
        buf_printf(out, "    { .kernel = \"%s\", .grid = ", l->kernel);
        put_triple(out, l->grid);
        buf_puts(out, ".block = ");
        put_triple(out, l->block);
        buf_puts(out, ".cluster = ");
        put_triple(out, l->cluster);
        buf_printf(out, ".shared = %lld, .cooperative = %d, .programmatic = %d", (long long)l->shared, l->cooperative,
                   l->programmatic);
        if (l->n_args) {
            buf_printf(out, ", .n_args = %zu, .args = %s_%zu", l->n_args, what, i);
        }
        buf_puts(out, " },\n");
    }
    buf_puts(out, n ? "};\n" : "    { .kernel = 0 },\n};\n");
}

static int put_launcher(struct buf *out, const struct export *e, struct err *err)
{
    const struct bound *b = e->bound;
    size_t most = 1, n_scratch = b->n_buffers - b->n_tensors;
    for (size_t i = 0; i < b->n_launches + b->n_prepare; i++) {
        most = MAX(most, (i < b->n_launches ? &b->launches[i] : &b->prepare[i - b->n_launches])->n_args);
    }
    put_head(out, e);
    buf_printf(out, "#include \"launch.h\"\n\n#include <stddef.h>\n#include <string.h>\n\n"
                    "enum { N_TENSORS = %zu, N_SCRATCH = %zu, N_LAUNCHES = %zu, N_PREPARE = %zu, MOST_ARGS = %zu };\n\n"
                    "/* The address of a buffer (a tensor, or scratch memory after those), or else a number. */\n"
                    "struct arg {\n    int buffer;\n    unsigned long long value;\n};\n\n"
                    "/* A kernel, or a memset of `buffer`. */\n"
                    "struct step {\n    const char *kernel;\n    unsigned grid[3], block[3], cluster[3], shared;\n"
                    "    int cooperative, programmatic, buffer;\n    unsigned char value;\n    size_t bytes;\n"
                    "    unsigned n_args;\n    const struct arg *args;\n};\n\n",
               b->n_tensors, n_scratch, b->n_launches, b->n_prepare, most);
    buf_puts(out, "static const size_t scratch[] = { ");
    for (size_t i = b->n_tensors; i < b->n_buffers; i++) {
        buf_printf(out, "%lldull, ", (long long)(b->buffers[i].count * (int64_t)dtype_size(b->buffers[i].dtype)));
    }
    buf_puts(out, n_scratch ? "};\n" : "0 };\n");
    int r = put_args(out, e, "launches", b->launches, b->n_launches, err);
    r = r < 0 ? r : put_args(out, e, "prepare", b->prepare, b->n_prepare, err);
    put_steps(out, e, "launches", b->launches, b->n_launches);
    put_steps(out, e, "prepare", b->prepare, b->n_prepare);
    put_text(out, export_launch_c, e->name);
    return r;
}

/* How main.c makes numbers of a type: 'd', 'f', 'h' (f16), 'b' (bf16), 'i' for all others. */
static char kind_of(enum dtype dtype)
{
    return dtype == DTYPE_F64 ? 'd' : dtype == DTYPE_F32 ? 'f' : dtype == DTYPE_F16 ? 'h'
        : dtype == DTYPE_BF16 ? 'b' : 'i';
}

static void put_main(struct buf *out, const struct export *e)
{
    put_head(out, e);
    buf_printf(out, "#include \"launch.h\"\n\n#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n\n"
                    "#define IMAGE \"%s\"\n\nstruct tensor {\n    size_t count, size;\n"
                    "    char kind; /* d, f, h: f16, b: bf16, i: whole */\n"
                    "    char role; /* r: read, u: updated, o: output */\n};\n\nstatic const struct tensor tensors[] = {\n",
               image_name(e));
    for (size_t i = 0; i < e->n_tensors; i++) {
        const struct export_tensor *t = &e->tensors[i];
        char role = t->role == TENSOR_ROLE_OUTPUT ? 'o' : t->role == TENSOR_ROLE_INOUT ? 'u' : 'r';
        buf_printf(out, "    { %lldull, %zu, '%c', '%c' }, /* %s */\n", (long long)t->count, dtype_size(t->dtype),
                   kind_of(t->dtype), role, t->name);
    }
    buf_puts(out, "};\n");
    put_text(out, export_main_c, e->name);
}

static void put_readme(struct buf *out, const struct export *e)
{
    buf_printf(out, "%s: launch.h and launch.c start the kernels in %s (%s) by the CUDA driver API.\n"
                    "cc -std=c11 -O2 -I/usr/local/cuda/include main.c launch.c -lcuda -o main && ./main\n"
                    "kernel.cu is the source; the launches are bound to the shapes in launch.h.\n",
               e->name, image_name(e), e->arch);
}

static int write_text(const char *folder, const char *name, struct buf *text, struct err *err)
{
    auto_free char *path = xprintf("%s/%s", folder, name);
    int r = text->failed ? err_set(err, text->failed, "%s is too large", path)
                         : file_write(path, text->at, text->len, err);
    buf_done(text);
    buf_init(text, TEXT_MAX);
    return r;
}

int export_c(const struct export *e, const char *folder, struct err *err)
{
    auto_buf struct buf text;
    buf_init(&text, TEXT_MAX);
    for (size_t i = 0; i < e->n_tensors; i++) {
        if (e->tensors[i].alias >= 0) {
            return err_set(err, ERR_UNSUPPORTED, "%s shares an input's memory, which main.c can't show",
                           e->tensors[i].name);
        }
    }
    put_header(&text, e);
    int r = write_text(folder, "launch.h", &text, err);
    r = r < 0 ? r : put_launcher(&text, e, err);
    r = r < 0 ? r : write_text(folder, "launch.c", &text, err);
    if (r == 0) {
        put_main(&text, e);
        r = write_text(folder, "main.c", &text, err);
    }
    if (r == 0) {
        put_readme(&text, e);
        r = write_text(folder, "README", &text, err);
    }
    auto_free char *image = xprintf("%s/%s", folder, image_name(e));
    auto_free char *source = xprintf("%s/kernel.cu", folder);
    r = r < 0 ? r : file_write(image, e->image, e->image_len, err);
    return r < 0 ? r : file_write(source, e->candidate->source, e->candidate->source_len, err);
}
