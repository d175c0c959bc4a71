/* SPDX-License-Identifier: MIT */
/* Library steps at one shape: a library must not read or write past a buffer, so the sizes that a step
 * names have to be those of its buffers. */
#include "base/util.h"
#include "kernelbench/bind.h"
#include "kernelbench/library.h"

#include <string.h>

enum { SIZE_MOST = 1 << 30 }; /* of one dimension */

/* The member that argument `i` belongs to. */
static const struct library_member *member_of(const struct library_table *table, size_t i)
{
    size_t at = 0;
    while (i >= table->members[at].n) {
        i -= table->members[at++].n;
    }
    return &table->members[at];
}

static int check_roles(struct binder *b, const struct jpath *place, const struct library_member *m,
                       const struct bound_arg *arg, bool prepare)
{
    if (arg->kind != BOUND_ARG_KIND_BUFFER) {
        return !m->required && arg->kind == BOUND_ARG_KIND_INT && arg->value == -1
            ? 0
            : bind_fail(b, place, "expected a tensor or a scratch buffer");
    }
    const struct bound_buffer *buffer = &b->bound->buffers[arg->value];
    bool written = m->kind == LIBRARY_KIND_OUTPUT;
    if (buffer->role != TENSOR_ROLE_SCRATCH && (prepare ? written : written != (buffer->role == TENSOR_ROLE_OUTPUT))
        && !(written && buffer->role == TENSOR_ROLE_INOUT)) {
        return bind_fail(b, place, "\"%s\" is an %s: a library step reads inputs, weights and scratch, and writes %s",
                         buffer->name, tensor_role_name(buffer->role),
                         prepare ? "scratch" : "outputs, inout and scratch");
    }
    return buffer->dtype == DTYPE_F32 || buffer->dtype == DTYPE_F16 || buffer->dtype == DTYPE_BF16
        ? 0
        : bind_fail(b, place, "\"%s\" is %s; library steps take f32, f16 and bf16", buffer->name,
                    dtype_name(buffer->dtype));
}

/* The buffer of argument `i`, if there, must hold `count` elements. */
static int check_count(struct binder *b, const struct jpath *step, const struct bound_launch *l, size_t i,
                       int64_t count)
{
    if (l->args[i].kind != BOUND_ARG_KIND_BUFFER) {
        return 0;
    }
    const struct bound_buffer *buffer = &b->bound->buffers[l->args[i].value];
    const struct bound_buffer *first = &b->bound->buffers[l->args[0].value];
    struct jpath place = { step, member_of(l->library, i)->name, 0 };
    if (buffer->dtype != first->dtype) {
        return bind_fail(b, &place, "\"%s\" is %s, \"%s\" is %s: a library step's buffers are all of one type",
                         buffer->name, dtype_name(buffer->dtype), first->name, dtype_name(first->dtype));
    }
    return buffer->count == count
        ? 0
        : bind_fail(b, &place, "\"%s\" has %lld elements, the sizes say %lld", buffer->name, (long long)buffer->count,
                    (long long)count);
}

static int product(struct binder *b, const struct jpath *step, const int64_t *sizes, size_t n, int64_t *ret)
{
    *ret = 1;
    for (size_t i = 0; i < n; i++) {
        if (__builtin_mul_overflow(*ret, sizes[i], ret)) {
            return bind_fail(b, step, "its sizes multiply to more than 64 bits hold");
        }
    }
    return 0;
}

static int check_matmul(struct binder *b, const struct jpath *step, const struct bound_launch *l, const int64_t *v)
{
    const int64_t batch = v[LIBRARY_MATMUL_BATCH], m = v[LIBRARY_MATMUL_M], n = v[LIBRARY_MATMUL_N],
                  k = v[LIBRARY_MATMUL_K];
    const int64_t sizes[][3] = { { batch, m, k }, { batch, k, n }, { batch, m, n }, { 1, 1, n } };
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        int64_t count;
        int r = product(b, step, sizes[i], 3, &count);
        r = r < 0 ? r : check_count(b, step, l, i, count); /* a, b, out, bias: in this order */
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

static int check_convolution(struct binder *b, const struct jpath *step, const struct bound_launch *l,
                             const int64_t *v)
{
    const int64_t *in = &v[LIBRARY_CONVOLUTION_INPUT], *filter = &v[LIBRARY_CONVOLUTION_FILTER];
    int64_t out[2 + LIBRARY_SPATIAL] = { in[0], filter[0] }, count[4] = { 0, 0, 0, filter[0] };
    const int64_t groups = v[LIBRARY_CONVOLUTION_GROUPS];
    if (!library_convolution_out(v, &out[2])) {
        return bind_fail(b, step, "the output has no elements: the filter is larger than the padded input");
    }
    if (filter[1] * groups != in[1] || filter[0] % groups) {
        return bind_fail(b, step, "%lld groups of filters %lld x %lld don't make up %lld channels", (long long)groups,
                         (long long)filter[0], (long long)filter[1], (long long)in[1]);
    }
    if (v[LIBRARY_CONVOLUTION_EPILOGUE] == LIBRARY_EPILOGUE_GELU) {
        return bind_fail(b, step, "cuDNN's convolution has no gelu: use \"none\" or \"relu\"");
    }
    if (v[LIBRARY_CONVOLUTION_EPILOGUE] != LIBRARY_EPILOGUE_NONE && v[LIBRARY_CONVOLUTION_BIAS] < 0) {
        return bind_fail(b, step, "cuDNN's relu comes with a bias: name one, or use a kernel of your own after it");
    }
    int r = product(b, step, in, 2 + LIBRARY_SPATIAL, &count[LIBRARY_CONVOLUTION_X]);
    r = r < 0 ? r : product(b, step, filter, 2 + LIBRARY_SPATIAL, &count[LIBRARY_CONVOLUTION_W]);
    r = r < 0 ? r : product(b, step, out, 2 + LIBRARY_SPATIAL, &count[LIBRARY_CONVOLUTION_OUT]);
    for (size_t i = 0; r == 0 && i < ARRAY_LEN(count); i++) {
        r = count[i] > INT32_MAX
            ? bind_fail(b, step, "a tensor of %lld elements: cuDNN's convolution takes fewer than 2^31",
                        (long long)count[i])
            : check_count(b, step, l, i, count[i]);
    }
    return r;
}

int bind_library(struct binder *b, const struct jpath *step, const struct plan_launch *from, bool prepare,
                 struct bound_launch *to)
{
    const struct library_table *table = from->library;
    int64_t values[LIBRARY_ARGS_MAX] = { 0 };
    *to = (struct bound_launch) { .library = table, .n_args = from->n_args, .grid = { 1, 1, 1 },
                                  .block = { 1, 1, 1 }, .cluster = { 1, 1, 1 } };
    to->args = arena_alloc(b->arena, from->n_args, sizeof(*to->args));
    int r = 0;
    for (size_t i = 0; r == 0 && i < from->n_args; i++) {
        const struct library_member *m = member_of(table, i);
        struct jpath place = { step, m->name, 0 };
        r = bind_arg(b, &place, &from->args[i], prepare, &to->args[i]);
        values[i] = to->args[i].value;
        if (r == 0 && (m->kind == LIBRARY_KIND_INPUT || m->kind == LIBRARY_KIND_OUTPUT)) {
            r = check_roles(b, &place, m, &to->args[i], prepare);
        } else if (r == 0 && (to->args[i].kind != BOUND_ARG_KIND_INT || values[i] < (m->missing < 1 ? 0 : 1)
                              || values[i] > SIZE_MOST)) {
            r = bind_fail(b, &place, "%lld is no size: it must be %d to %d", (long long)values[i],
                          m->missing < 1 ? 0 : 1, SIZE_MOST);
        }
    }
    if (r < 0) {
        return r;
    }
    return table->call == LIBRARY_CALL_MATMUL ? check_matmul(b, step, to, values)
                                              : check_convolution(b, step, to, values);
}
