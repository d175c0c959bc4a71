/* SPDX-License-Identifier: MIT */
#include "kernelbench/candidate.h"
#include "base/util.h"

/* Inserts are checked once, here: a NULL value or a full memory is a fault of ours. */
static void set(json_t *object, const char *key, json_t *value)
{
    require(json_object_set_new(object, key, value) == 0);
}

static void push(json_t *list, json_t *value)
{
    require(json_array_append_new(list, value) == 0);
}

static json_t *triple(const int64_t dims[3])
{
    json_t *list = json_array();
    for (size_t i = 0; i < 3; i++) {
        push(list, json_integer(dims[i]));
    }
    return list;
}

static json_t *buffer_json(const struct bound_buffer *buffer)
{
    json_t *object = json_object();
    set(object, "name", json_string(buffer->name));
    set(object, "dtype", json_string(dtype_name(buffer->dtype)));
    set(object, "role", json_string(tensor_role_name(buffer->role)));
    set(object, "count", json_integer(buffer->count));
    set(object, "inner", json_integer(buffer->inner));
    set(object, "domain", json_string(domain_kind_name(buffer->domain)));
    set(object, "bound", json_integer(buffer->index_bound));
    return object;
}

static json_t *arg_json(const struct bound_arg *arg)
{
    static const char *const kinds[] = { [BOUND_ARG_KIND_BUFFER] = "buffer",
                                         [BOUND_ARG_KIND_SCALAR] = "scalar",
                                         [BOUND_ARG_KIND_INT] = "int" };
    json_t *object = json_object();
    set(object, kinds[arg->kind], json_integer(arg->value));
    return object;
}

static json_t *launch_json(const struct bound_launch *launch)
{
    json_t *object = json_object();
    if (!launch->kernel) {
        set(object, "memset", json_integer(launch->buffer));
        set(object, "value", json_integer(launch->value));
        return object;
    }
    json_t *args = json_array();
    for (size_t i = 0; i < launch->n_args; i++) {
        push(args, arg_json(&launch->args[i]));
    }
    set(object, "kernel", json_string(launch->kernel));
    set(object, "grid", triple(launch->grid));
    set(object, "block", triple(launch->block));
    set(object, "cluster", triple(launch->cluster));
    set(object, "shared", json_integer(launch->shared));
    set(object, "cooperative", json_boolean(launch->cooperative));
    set(object, "programmatic", json_boolean(launch->programmatic));
    set(object, "args", args);
    return object;
}

static json_t *steps_json(const struct bound_launch *steps, size_t n)
{
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++) {
        push(list, launch_json(&steps[i]));
    }
    return list;
}

json_t *bound_json(const struct bound *bound)
{
    json_t *buffers = json_array();
    for (size_t i = 0; i < bound->n_buffers; i++) {
        push(buffers, buffer_json(&bound->buffers[i]));
    }
    json_t *object = json_object();
    set(object, "buffers", buffers);
    set(object, "launches", steps_json(bound->launches, bound->n_launches));
    set(object, "prepare", steps_json(bound->prepare, bound->n_prepare));
    set(object, "graph", json_boolean(bound->graph));
    return object;
}
