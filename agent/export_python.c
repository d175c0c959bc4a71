/* SPDX-License-Identifier: MIT */
/* The Python form of an export: constants, then the launcher (export/kernel.py), then ModelNew or a function. */
#include "agent/export.h"
#include "base/embed.h"
#include "base/jread.h"
#include "base/util.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

EMBED_TEXT(export_kernel_py, WS_EXPORT "/kernel.py");
EMBED_TEXT(export_model_py, WS_EXPORT "/model.py");

enum { IMAGE_LINE = 116 };

static const char *torch_dtype(enum dtype dtype)
{
    static const char *const names[] = {
        [DTYPE_F64] = "float64", [DTYPE_F32] = "float32", [DTYPE_F16] = "float16", [DTYPE_BF16] = "bfloat16",
        [DTYPE_F8E4M3] = "float8_e4m3fn", [DTYPE_F8E5M2] = "float8_e5m2", [DTYPE_I64] = "int64",
        [DTYPE_I32] = "int32", [DTYPE_I16] = "int16", [DTYPE_I8] = "int8", [DTYPE_U8] = "uint8",
        [DTYPE_BOOL] = "bool",
    };
    return names[dtype];
}

/* Text as a Python string; `bytes` puts a b before it. Foreign text can't end the string early. */
static void put_string(struct buf *out, const char *text, size_t len, bool bytes)
{
    buf_puts(out, bytes ? "b\"" : "\"");
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c == '"' || c == '\\') {
            buf_printf(out, "\\%c", c);
        } else if (c == '\n') {
            buf_puts(out, "\\n");
        } else if (c < 32 || c >= 127) {
            buf_printf(out, "\\x%02x", c);
        } else {
            buf_add(out, &text[i], 1);
        }
    }
    buf_puts(out, "\"");
}

/* Raw triple quotes keep a source readable, where it holds nothing that they can't. */
static void put_source(struct buf *out, const char *name, const char *text, size_t len)
{
    bool plain = !memmem(text, len, "'''", 3) && len > 0 && text[len - 1] == '\n';
    for (size_t i = 0; plain && i < len; i++) {
        plain = text[i] == '\n' || text[i] == '\t' || (text[i] >= 32 && text[i] < 127);
    }
    buf_printf(out, "%s = ", name);
    if (plain) {
        buf_puts(out, "br'''");
        buf_add(out, text, len);
        buf_puts(out, "'''\n");
        return;
    }
    buf_puts(out, "(\n");
    for (size_t at = 0; at < len;) {
        const char *end = memchr(text + at, '\n', len - at);
        size_t n = end ? (size_t)(end - text) + 1 - at : len - at;
        buf_puts(out, "    ");
        put_string(out, text + at, n, true);
        buf_puts(out, "\n");
        at += n;
    }
    buf_puts(out, len ? ")\n" : "    b\"\")\n");
}

static void put_tuple(struct buf *out, const int64_t *at, size_t n)
{
    buf_puts(out, "(");
    for (size_t i = 0; i < n; i++) {
        buf_printf(out, "%lld%s", (long long)at[i], i + 1 < n ? ", " : n == 1 ? "," : "");
    }
    buf_puts(out, ")");
}

static int put_argument(struct buf *out, const struct export *e, const struct bound_arg *arg, struct err *err)
{
    uint64_t bits = 0;
    switch (arg->kind) {
    case BOUND_ARG_KIND_BUFFER:
        return buf_printf(out, "(\"buffer\", %lld), ", (long long)arg->value);
    case BOUND_ARG_KIND_INT:
        return buf_printf(out, "(\"int\", %lld), ", (long long)arg->value);
    case BOUND_ARG_KIND_SCALAR: {
        const struct scalar *s = &e->task->scalars[arg->value];
        if (!dtype_bits(s->dtype, s->value, &bits)) {
            return err_set(err, ERR_UNSUPPORTED, "scalar %s: a %s has no bits here", s->name, dtype_name(s->dtype));
        }
        return buf_printf(out, "(\"scalar\", 0x%llx), ", (unsigned long long)bits);
    }
    }
    return 0;
}

static int put_step(struct buf *out, const struct export *e, const struct bound_launch *l, struct err *err)
{
    if (!l->kernel) {
        const struct bound_buffer *b = &e->bound->buffers[l->buffer];
        return buf_printf(out, "        (\"memset\", %lld, %lld, %lld),\n", (long long)l->buffer,
                          (long long)l->value, (long long)(b->count * (int64_t)dtype_size(b->dtype)));
    }
    int r = 0;
    buf_printf(out, "        (\"launch\", \"%s\", ", l->kernel);
    put_tuple(out, l->grid, 3);
    buf_puts(out, ", ");
    put_tuple(out, l->block, 3);
    buf_printf(out, ", %lld, ", (long long)l->shared);
    if (l->cluster[0] * l->cluster[1] * l->cluster[2] > 1) {
        put_tuple(out, l->cluster, 3);
    } else {
        buf_puts(out, "None");
    }
    buf_printf(out, ", %s, %s, (", l->cooperative ? "True" : "False", l->programmatic ? "True" : "False");
    for (size_t i = 0; r >= 0 && i < l->n_args; i++) {
        r = put_argument(out, e, &l->args[i], err);
    }
    buf_puts(out, ")),\n");
    return r < 0 ? r : 0;
}

static int put_steps(struct buf *out, const struct export *e, const char *key, const struct bound_launch *steps,
                     size_t n, struct err *err)
{
    int r = 0;
    buf_printf(out, "    \"%s\": [\n", key);
    for (size_t i = 0; r == 0 && i < n; i++) {
        r = put_step(out, e, &steps[i], err);
    }
    buf_puts(out, "    ],\n");
    return r;
}

static int put_plan(struct buf *out, const struct export *e, struct err *err)
{
    const struct bound *b = e->bound;
    buf_puts(out, "WARPSMITH_PLAN = {\n    \"tensors\": [\n");
    for (size_t i = 0; i < e->n_tensors; i++) {
        const struct export_tensor *t = &e->tensors[i];
        buf_printf(out, "        (\"%s\", \"%s\", ", t->name, torch_dtype(t->dtype));
        put_tuple(out, t->dims, t->rank);
        buf_printf(out, ", \"%s\"", tensor_role_name(t->role));
        if (t->alias >= 0) {
            buf_printf(out, ", %d", t->alias);
        }
        buf_puts(out, "),\n");
    }
    buf_puts(out, "    ],\n    \"scratch\": [\n");
    for (size_t i = b->n_tensors; i < b->n_buffers; i++) {
        const struct bound_buffer *s = &b->buffers[i];
        buf_printf(out, "        (\"%s\", %lld),\n", s->name, (long long)(s->count * (int64_t)dtype_size(s->dtype)));
    }
    buf_puts(out, "    ],\n");
    int r = put_steps(out, e, "prepare", b->prepare, b->n_prepare, err);
    r = r < 0 ? r : put_steps(out, e, "launches", b->launches, b->n_launches, err);
    buf_printf(out, "    \"graph\": %s,\n}\n", b->graph ? "True" : "False");
    return r;
}

/* Compressed: PTX shrinks to a sixth, and a cubin to a third. */
static void put_image(struct buf *out, const struct export *e)
{
    uLongf packed_len = compressBound(e->image_len);
    auto_free unsigned char *packed = xcalloc(1, packed_len + 1);
    require(compress2(packed, &packed_len, (const unsigned char *)e->image, e->image_len, Z_BEST_COMPRESSION) == Z_OK);
    auto_free char *text = bytes_base64(packed, e->from_source ? 0 : packed_len);
    size_t len = strlen(text);
    buf_puts(out, "WARPSMITH_IMAGE = (\n");
    for (size_t at = 0; at < len || at == 0; at += IMAGE_LINE) {
        buf_printf(out, "    \"%.*s\"\n", IMAGE_LINE, text + at);
    }
    buf_puts(out, ")\n");
}

/* Numbers that forward gets: exactly as Python would write them. */
static void put_scalars(struct buf *out, const struct export *e)
{
    size_t i;
    json_t *one;
    buf_puts(out, "WARPSMITH_SCALARS = [");
    json_array_foreach((json_t *)(uintptr_t)e->scalars, i, one)
    {
        const json_t *value = json_object_get(one, "value");
        buf_puts(out, i ? ", " : "");
        if (json_is_boolean(value)) {
            buf_puts(out, json_is_true(value) ? "True" : "False");
        } else if (json_is_integer(value)) {
            buf_printf(out, "%lld", (long long)json_integer_value(value));
        } else {
            buf_printf(out, "float(\"%.17g\")", json_number_value(value));
        }
    }
    buf_puts(out, "]\n");
}

static int put_constants(struct buf *out, const struct export *e, struct err *err)
{
    buf_puts(out, "WARPSMITH_NAME = ");
    put_string(out, e->name, strlen(e->name), false);
    buf_puts(out, "\nWARPSMITH_DRIVER = \"libcuda.so.1\"\nWARPSMITH_OPTIONS = (");
    for (size_t i = 0; i < e->bound->n_options; i++) {
        put_string(out, e->bound->options[i], strlen(e->bound->options[i]), false);
        buf_puts(out, ", ");
    }
    buf_puts(out, ")\n# What is launched: (kernel, grid, block, shared memory, cluster, cooperative, programmatic, arguments);\n"
                  "# a buffer is a tensor or, after those, scratch memory.\n");
    int r = put_plan(out, e, err);
    put_scalars(out, e);
    buf_puts(out, "\n# The kernels, as they were judged.\n");
    put_source(out, "WARPSMITH_SOURCE", e->candidate->source, e->candidate->source_len);
    buf_printf(out, "\n# The same compiled: %s for %s, by zlib and base64.\n", e->from_source ? "left out" : e->ptx ? "PTX" : "a cubin",
               e->arch);
    put_image(out, e);
    return r;
}

static void put_head(struct buf *out, const struct export *e)
{
    buf_printf(out, "# %s\n# Made by Warpsmith from candidate ", e->made);
    char hex[ID_HEX];
    id_hex(&e->candidate->id, hex);
    buf_printf(out, "%s, bound to the shapes below on %s (%s).\n", hex, e->device, e->arch);
}

static int finish(const struct buf *out, int r, struct err *err)
{
    return r < 0 || !out->failed ? r : err_set(err, out->failed, "the export is too large");
}

int export_model(const struct export *e, const char *problem, struct buf *out, struct err *err)
{
    /* First, since a file may begin with imports from __future__. */
    buf_puts(out, problem);
    buf_puts(out, "\n\n# ---- up to here the problem's own file, for the weights of its Model\n");
    put_head(out, e);
    buf_puts(out, "import torch\n\n");
    int r = put_constants(out, e, err);
    buf_puts(out, export_kernel_py);
    buf_puts(out, export_model_py);
    return finish(out, r, err);
}

int export_function(const struct export *e, struct buf *out, struct err *err)
{
    put_head(out, e);
    buf_printf(out, "\"\"\"%s(", e->name);
    const char *comma = "";
    for (size_t i = 0; i < e->n_tensors; i++) {
        if (e->tensors[i].role != TENSOR_ROLE_OUTPUT) {
            buf_printf(out, "%s%s", comma, e->tensors[i].name);
            comma = ", ";
        }
    }
    buf_puts(out, "): tensors on a GPU, of the shapes and types in WARPSMITH_PLAN; other shapes are refused.\n"
                  "It runs on PyTorch's current stream and needs nothing but PyTorch and the driver.\"\"\"\n");
    int r = put_constants(out, e, err);
    buf_puts(out, export_kernel_py);
    buf_printf(out, "\n\ndef %s(", e->name);
    comma = "";
    auto_buf struct buf list;
    buf_init(&list, 1 << 20);
    for (size_t i = 0; i < e->n_tensors; i++) {
        if (e->tensors[i].role != TENSOR_ROLE_OUTPUT) {
            buf_printf(&list, "%s%s", comma, e->tensors[i].name);
            comma = ", ";
        }
    }
    buf_printf(out, "%s):\n    return warpsmith_kernel([%s])\n", list.len ? list.at : "", list.len ? list.at : "");
    return finish(out, r, err);
}
