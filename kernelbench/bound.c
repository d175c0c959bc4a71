/* SPDX-License-Identifier: MIT */
#include "kernelbench/candidate.h"
#include "base/util.h"
#include "kernelbench/library.h"

static void write_triple(struct jwriter *w, const char *key, const int64_t dims[3])
{
    jwrite_open(w, key, '[');
    for (size_t i = 0; i < 3; i++) {
        jwrite_int(w, NULL, dims[i]);
    }
    jwrite_close(w, ']');
}

static void write_buffer(struct jwriter *w, const struct bound_buffer *buffer)
{
    jwrite_open(w, NULL, '{');
    jwrite_string(w, "name", buffer->name);
    jwrite_string(w, "dtype", dtype_name(buffer->dtype));
    jwrite_string(w, "role", tensor_role_name(buffer->role));
    jwrite_int(w, "count", buffer->count);
    jwrite_int(w, "inner", buffer->inner);
    jwrite_string(w, "domain", domain_kind_name(buffer->domain));
    jwrite_int(w, "bound", buffer->index_bound);
    jwrite_close(w, '}');
}

static void write_arg(struct jwriter *w, const struct bound_arg *arg)
{
    static const char *const kinds[] = { [BOUND_ARG_KIND_BUFFER] = "buffer",
                                         [BOUND_ARG_KIND_SCALAR] = "scalar",
                                         [BOUND_ARG_KIND_INT] = "int" };
    jwrite_open(w, NULL, '{');
    jwrite_int(w, kinds[arg->kind], arg->value);
    jwrite_close(w, '}');
}

static void write_launch(struct jwriter *w, const struct bound_launch *launch)
{
    jwrite_open(w, NULL, '{');
    if (!launch->kernel && !launch->library) {
        jwrite_int(w, "memset", launch->buffer);
        jwrite_int(w, "value", launch->value);
        jwrite_close(w, '}');
        return;
    }
    if (launch->library) {
        jwrite_string(w, "library", launch->library->name);
    } else {
        jwrite_string(w, "kernel", launch->kernel);
        write_triple(w, "grid", launch->grid);
        write_triple(w, "block", launch->block);
        write_triple(w, "cluster", launch->cluster);
        jwrite_int(w, "shared", launch->shared);
        jwrite_bool(w, "cooperative", launch->cooperative);
        jwrite_bool(w, "programmatic", launch->programmatic);
    }
    jwrite_open(w, "args", '[');
    for (size_t i = 0; i < launch->n_args; i++) {
        write_arg(w, &launch->args[i]);
    }
    jwrite_close(w, ']');
    jwrite_close(w, '}');
}

static void write_steps(struct jwriter *w, const char *key, const struct bound_launch *steps,
                        size_t n)
{
    jwrite_open(w, key, '[');
    for (size_t i = 0; i < n; i++) {
        write_launch(w, &steps[i]);
    }
    jwrite_close(w, ']');
}

void bound_write(struct jwriter *w, const struct bound *bound)
{
    jwrite_open(w, "buffers", '[');
    for (size_t i = 0; i < bound->n_buffers; i++) {
        write_buffer(w, &bound->buffers[i]);
    }
    jwrite_close(w, ']');
    write_steps(w, "launches", bound->launches, bound->n_launches);
    write_steps(w, "prepare", bound->prepare, bound->n_prepare);
    jwrite_bool(w, "graph", bound->graph);
}

json_t *bound_json(const struct bound *bound)
{
    auto_buf struct buf text;
    buf_init(&text, SIZE_MAX / 2);
    struct jwriter w = { &text, false };
    jwrite_open(&w, NULL, '{');
    bound_write(&w, bound);
    jwrite_close(&w, '}');
    json_t *json = json_loadb(text.at, text.len, 0, NULL);
    require(json != NULL);
    return json;
}
