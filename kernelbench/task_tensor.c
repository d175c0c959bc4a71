/* SPDX-License-Identifier: MIT */
#include "kernelbench/task_tensor.h"
#include "base/util.h"
#include "kernelbench/field.h"

#include <math.h>
#include <string.h>

static const char *const roles[] = { "input", "weight", "inout", "output", "scratch" };
static const char *const domains[]
    = { "real", "positive", "unit", "probability", "index", "exact" };

const char *tensor_role_name(enum tensor_role role)
{
    return roles[role];
}

const char *domain_kind_name(enum domain_kind kind)
{
    return domains[kind];
}

/* "index < EXPRESSION"; `text` starts behind "index". */
static int read_index(const char *text, const struct jpath *at, struct arena *arena,
                      struct tensor *tensor, struct err *err)
{
    text += strspn(text, " \t");
    if (*text != '<') {
        return jread_fail(at, err, "expected \"index < \" and the number of values");
    }
    struct err why = { 0 };
    if (expr_parse(arena, text + 1, &tensor->index_bound, &why) < 0) {
        return jread_fail(at, err, "%s", err_text(&why));
    }
    tensor->domain = DOMAIN_KIND_INDEX;
    return 0;
}

static int read_domain_name(const char *text, const struct jpath *at, struct arena *arena,
                            struct tensor *tensor, struct err *err)
{
    if (str_prefix(text, "index") && (text[5] == ' ' || text[5] == '<' || text[5] == '\0')) {
        return read_index(text + 5, at, arena, tensor, err);
    }
    for (size_t i = 0; i < ARRAY_LEN(domains); i++) {
        if (str_eq(domains[i], text)) {
            tensor->domain = (enum domain_kind)i;
            return 0;
        }
    }
    return jread_fail(at, err, "unknown domain \"%.64s\"; there are real, positive, unit, "
                               "probability, exact and \"index < EXPRESSION\"", text);
}

static int read_domain(const json_t *value, const struct jpath *at, struct arena *arena,
                       struct tensor *tensor, struct err *err)
{
    const char *text = NULL;
    int r = jread_string(value, "domain", false, at, &text, err);
    if (r < 0) {
        return r;
    }
    bool is_float = dtype_is_float(tensor->dtype);
    if (!text && tensor->dtype == DTYPE_BOOL) {
        tensor->domain = DOMAIN_KIND_INDEX;
        tensor->index_bound = expr_constant(arena, 2);
        return 0;
    }
    if (!text) {
        tensor->domain = is_float ? DOMAIN_KIND_REAL : DOMAIN_KIND_EXACT;
        return 0;
    }
    struct jpath here = { at, "domain", 0 };
    r = read_domain_name(text, &here, arena, tensor, err);
    if (r < 0) {
        return r;
    }
    bool integral = tensor->domain == DOMAIN_KIND_INDEX || tensor->domain == DOMAIN_KIND_EXACT;
    if (!is_float && !integral) {
        return jread_fail(&here, err, "%s holds integers: use \"exact\" or \"index < EXPRESSION\"",
                          dtype_name(tensor->dtype));
    }
    if (is_float && tensor->domain == DOMAIN_KIND_INDEX) {
        return jread_fail(&here, err, "an index is an integer, not %s", dtype_name(tensor->dtype));
    }
    return 0;
}

static int read_tensor(const json_t *value, const struct jpath *at, enum tensor_role role,
                       struct arena *arena, struct tensor *tensor, struct err *err)
{
    static const char *const known[] = { "name", "dtype", "shape", "domain" };
    bool output = role == TENSOR_ROLE_OUTPUT;
    int r = jread_object(value, at, known, output ? 3 : 4, err);
    if (r == 0) {
        r = field_named(value, "name", "a tensor", at, arena, &tensor->name, err);
    }
    if (r == 0) {
        r = field_dtype(value, "dtype", at, &tensor->dtype, err);
    }
    if (r == 0) {
        r = field_exprs(value, "shape", 0, TASK_RANK_MAX, at, arena, tensor->dims, &tensor->rank,
                        err);
    }
    if (r == 0 && !json_object_get(value, "shape")) {
        r = jread_fail(at, err, "the key \"shape\" is missing");
    }
    tensor->role = role;
    return r < 0 || output ? r : read_domain(value, at, arena, tensor, err);
}

int task_tensors(const json_t *doc, struct task *task, struct err *err)
{
    static const char *const keys[] = { "inputs", "weights", "inout", "outputs" };
    for (size_t k = 0; k < ARRAY_LEN(keys); k++) {
        const json_t *list = NULL;
        int r = jread_array(doc, keys[k], false, TASK_TENSORS_MAX - task->n_tensors, NULL, &list,
                            err);
        struct jpath here = { NULL, keys[k], 0 };
        for (size_t i = 0; r == 0 && i < json_array_size(list); i++) {
            struct jpath element = { &here, NULL, i };
            r = read_tensor(json_array_get(list, i), &element, (enum tensor_role)k, task->arena,
                            &task->tensors[task->n_tensors], err);
            task->n_tensors += r == 0;
        }
        if (r < 0) {
            return r;
        }
    }
    for (size_t i = 0; i < task->n_tensors; i++) {
        if (task->tensors[i].role >= TENSOR_ROLE_INOUT) {
            return 0;
        }
    }
    return jread_fail(NULL, err, "there is no output: give \"outputs\" (or \"inout\")");
}

static int check_scalar(const struct scalar *scalar, const struct jpath *at, struct err *err)
{
    static const double most[] = { [DTYPE_I64] = 0x1p53, [DTYPE_I32] = 0x1p31 - 1,
                                   [DTYPE_I16] = 0x1p15 - 1, [DTYPE_I8] = 127,
                                   [DTYPE_U8] = 255, [DTYPE_BOOL] = 1 };
    double v = scalar->value;
    if (dtype_is_float(scalar->dtype)) {
        return 0;
    }
    bool is_unsigned = scalar->dtype == DTYPE_U8 || scalar->dtype == DTYPE_BOOL;
    double least = is_unsigned ? 0 : -most[scalar->dtype] - (scalar->dtype != DTYPE_I64);
    if (v != floor(v) || v < least || v > most[scalar->dtype]) {
        return jread_fail(at, err, "%.17g is not a value of %s", v, dtype_name(scalar->dtype));
    }
    return 0;
}

static int read_scalar(const json_t *value, const struct jpath *at, struct arena *arena,
                       struct scalar *scalar, struct err *err)
{
    static const char *const known[] = { "name", "dtype", "value" };
    int r = jread_object(value, at, known, ARRAY_LEN(known), err);
    if (r == 0) {
        r = field_named(value, "name", "a scalar", at, arena, &scalar->name, err);
    }
    if (r == 0) {
        r = field_dtype(value, "dtype", at, &scalar->dtype, err);
    }
    if (r < 0) {
        return r;
    }
    const json_t *number = json_object_get(value, "value");
    struct jpath here = { at, "value", 0 };
    if (!number) {
        return jread_fail(at, err, "the key \"value\" is missing");
    }
    if (!json_is_number(number) && !json_is_boolean(number)) {
        return jread_fail(&here, err, "expected a number, got %s", jread_kind(number));
    }
    scalar->value = json_is_number(number) ? json_number_value(number) : json_is_true(number);
    return check_scalar(scalar, &here, err);
}

int task_scalars(const json_t *doc, struct task *task, struct err *err)
{
    const json_t *list = NULL;
    int r = jread_array(doc, "scalars", false, ARRAY_LEN(task->scalars), NULL, &list, err);
    struct jpath here = { NULL, "scalars", 0 };
    for (size_t i = 0; r == 0 && i < json_array_size(list); i++) {
        struct jpath element = { &here, NULL, i };
        r = read_scalar(json_array_get(list, i), &element, task->arena, &task->scalars[i], err);
        task->n_scalars += r == 0;
    }
    return r;
}

static int no_tensor(const struct task *task, const char *name, const struct jpath *at,
                     struct err *err)
{
    const char *known[TASK_TENSORS_MAX];
    for (size_t i = 0; i < task->n_tensors; i++) {
        known[i] = task->tensors[i].name;
    }
    const char *near = suggest(name, known, task->n_tensors);
    return near ? jread_fail(at, err, "no tensor \"%.64s\", did you mean \"%s\"?", name, near)
                : jread_fail(at, err, "no tensor \"%.64s\"", name);
}

/* An alias is ["output", "input"]: the output may lie in the input's memory. */
static int read_alias(const json_t *value, const struct jpath *at, struct task *task,
                      struct err *err)
{
    const struct tensor *pair[2];
    if (!json_is_array(value) || json_array_size(value) != 2) {
        return jread_fail(at, err, "expected [\"output\", \"input\"]");
    }
    for (size_t i = 0; i < 2; i++) {
        struct jpath here = { at, NULL, i };
        const char *name = json_string_value(json_array_get(value, i));
        if (!name) {
            return jread_fail(&here, err, "expected the name of a tensor");
        }
        pair[i] = task_tensor(task, name);
        if (!pair[i]) {
            return no_tensor(task, name, &here, err);
        }
        enum tensor_role want = i == 0 ? TENSOR_ROLE_OUTPUT : TENSOR_ROLE_INPUT;
        if (pair[i]->role != want) {
            return jread_fail(&here, err, "\"%s\" is an %s, expected an %s", name,
                              roles[pair[i]->role], roles[want]);
        }
        for (size_t j = 0; j < task->n_aliases; j++) {
            if (str_eq(task->aliases[j][i], name)) {
                return jread_fail(&here, err, "\"%s\" has an alias already", name);
            }
        }
    }
    if (pair[0]->dtype != pair[1]->dtype) {
        return jread_fail(at, err, "\"%s\" is %s and \"%s\" is %s: they can't share memory",
                          pair[0]->name, dtype_name(pair[0]->dtype), pair[1]->name,
                          dtype_name(pair[1]->dtype));
    }
    task->aliases[task->n_aliases][0] = pair[0]->name;
    task->aliases[task->n_aliases++][1] = pair[1]->name;
    return 0;
}

/* One pair, or a list of pairs. */
int task_aliases(const json_t *doc, struct task *task, struct err *err)
{
    const json_t *list = NULL;
    int r = jread_array(doc, "alias", false, TASK_TENSORS_MAX, NULL, &list, err);
    struct jpath here = { NULL, "alias", 0 };
    if (r < 0 || !list) {
        return r;
    }
    if (json_is_string(json_array_get(list, 0))) {
        return read_alias(list, &here, task, err);
    }
    for (size_t i = 0; r == 0 && i < json_array_size(list); i++) {
        struct jpath element = { &here, NULL, i };
        r = read_alias(json_array_get(list, i), &element, task, err);
    }
    return r;
}

int tensor_count(const struct tensor *tensor, const struct symbols *symbols, int64_t *ret,
                 struct err *err)
{
    int64_t count = 1, bytes;
    for (size_t i = 0; i < tensor->rank; i++) {
        int64_t dim;
        int r = expr_eval(tensor->dims[i], symbols, &dim, err);
        if (r < 0) {
            err_wrap(err, "%s.shape[%zu]", tensor->name, i);
            return r;
        }
        if (dim < 1) {
            return err_set(err, ERR_INVALID,
                           "%s.shape[%zu] (\"%s\") is %lld, it must be at least 1", tensor->name, i,
                           expr_text(tensor->dims[i]), (long long)dim);
        }
        if (__builtin_mul_overflow(count, dim, &count)) {
            return err_set(err, ERR_INVALID, "%s has more elements than fit in 64 bits",
                           tensor->name);
        }
    }
    if (__builtin_mul_overflow(count, (int64_t)dtype_size(tensor->dtype), &bytes)) {
        return err_set(err, ERR_INVALID, "%s has more bytes than fit in 64 bits", tensor->name);
    }
    *ret = count;
    return 0;
}

static int check_names(const struct task *task, struct err *err)
{
    const char *names[2 * TASK_TENSORS_MAX + TASK_SYMBOLS_MAX];
    size_t n = 0;
    for (size_t i = 0; i < task->shapes[0].symbols.n; i++) {
        names[n++] = task->shapes[0].symbols.at[i].name;
    }
    for (size_t i = 0; i < task->n_tensors; i++) {
        names[n++] = task->tensors[i].name;
    }
    for (size_t i = 0; i < task->n_scalars; i++) {
        names[n++] = task->scalars[i].name;
    }
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < i; j++) {
            if (str_eq(names[i], names[j])) {
                return jread_fail(NULL, err, "two things are called \"%s\"; symbols, tensors and "
                                             "scalars need names of their own", names[i]);
            }
        }
    }
    return 0;
}

static int check_shape(const struct task *task, const struct shape *shape, struct err *err)
{
    for (size_t i = 0; i < task->n_tensors; i++) {
        const struct tensor *tensor = &task->tensors[i];
        int64_t count, bound = 1;
        int r = tensor_count(tensor, &shape->symbols, &count, err);
        if (r == 0 && tensor->index_bound) {
            r = expr_eval(tensor->index_bound, &shape->symbols, &bound, err);
            if (r < 0) {
                err_wrap(err, "%s.domain", tensor->name);
            }
        }
        if (r == 0 && bound < 1) {
            r = err_set(err, ERR_INVALID, "%s.domain: no index is below %lld", tensor->name,
                        (long long)bound);
        }
        if (r < 0) {
            return r;
        }
    }
    for (size_t i = 0; i < task->n_aliases; i++) {
        int64_t count[2];
        for (size_t k = 0; k < 2; k++) {
            int r = tensor_count(task_tensor(task, task->aliases[i][k]), &shape->symbols, &count[k],
                                 err);
            if (r < 0) {
                return r;
            }
        }
        if (count[0] != count[1]) {
            return err_set(err, ERR_INVALID, "alias: %s has %lld elements and %s has %lld",
                           task->aliases[i][0], (long long)count[0], task->aliases[i][1],
                           (long long)count[1]);
        }
    }
    return 0;
}

int task_check(const struct task *task, struct err *err)
{
    int r = check_names(task, err);
    for (size_t i = 0; r == 0 && i < task->n_shapes; i++) {
        r = check_shape(task, &task->shapes[i], err);
        if (r < 0) {
            err_wrap(err, "at shape %s", task->shapes[i].name);
        }
    }
    return r;
}
