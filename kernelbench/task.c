/* SPDX-License-Identifier: MIT */
#include "kernelbench/task.h"
#include "base/file.h"
#include "base/util.h"
#include "kernelbench/field.h"
#include "kernelbench/source.h"
#include "kernelbench/task_tensor.h"

#include <stdlib.h>
#include <string.h>

static const int64_t symbol_max = (int64_t)1 << 40;

static const char *const precisions[] = { "f64", "f32", "tf32", "bf16", "f16", "f8e4m3", "f8e5m2",
                                          "i32", "i8" };

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct symbol *)a)->name, ((const struct symbol *)b)->name);
}

/* Sorted by name, so that every shape has the same order. */
static int read_symbols(json_t *value, const struct jpath *at, struct arena *arena,
                        struct symbols *ret, struct err *err)
{
    size_t n = json_object_size(value);
    if (n > TASK_SYMBOLS_MAX) {
        return jread_fail(at, err, "%zu symbols, %d at most", n, TASK_SYMBOLS_MAX);
    }
    struct symbol *symbols = arena_alloc(arena, n, sizeof(*symbols));
    const char *name;
    json_t *member;
    size_t i = 0;
    json_object_foreach(value, name, member)
    {
        struct jpath here = { at, name, 0 };
        int r = field_name(name, "a symbol", &here, err);
        if (r == 0) {
            r = jread_int(value, name, true, 0, symbol_max, at, &symbols[i].value, err);
        }
        if (r < 0) {
            return r;
        }
        symbols[i++].name = arena_strdup(arena, name);
    }
    qsort(symbols, n, sizeof(*symbols), by_name);
    *ret = (struct symbols) { symbols, n, NULL };
    return 0;
}

static int read_shape(json_t *value, const struct jpath *at, const char *name, enum shape_use use,
                      struct task *task, struct err *err)
{
    struct shape *shape = &task->shapes[task->n_shapes];
    if (!json_is_object(value)) {
        return jread_fail(at, err, "expected an object, got %s", jread_kind(value));
    }
    int r = read_symbols(value, at, task->arena, &shape->symbols, err);
    if (r < 0) {
        return r;
    }
    const struct symbols *first = &task->shapes[0].symbols;
    for (size_t i = 0; i < first->n; i++) {
        if (!symbols_find(&shape->symbols, first->at[i].name)) {
            return jread_fail(at, err, "the symbol \"%s\" is missing", first->at[i].name);
        }
    }
    for (size_t i = 0; i < shape->symbols.n; i++) {
        if (!symbols_find(first, shape->symbols.at[i].name)) {
            return jread_fail(at, err, "the symbol \"%s\" is not in shapes.default",
                              shape->symbols.at[i].name);
        }
    }
    shape->name = name;
    shape->use = use;
    task->n_shapes++;
    return 0;
}

static int read_shapes(const json_t *doc, struct task *task, struct err *err)
{
    static const char *const known[] = { "default", "small" };
    json_t *shapes = NULL;
    int r = field_object(doc, "shapes", true, SIZE_MAX, NULL, &shapes, err);
    struct jpath here = { NULL, "shapes", 0 };
    if (r == 0) {
        r = jread_object(shapes, &here, known, ARRAY_LEN(known), err);
    }
    if (r == 0 && !json_object_get(shapes, "default")) {
        r = jread_fail(&here, err, "the key \"default\" is missing");
    }
    for (size_t i = 0; r == 0 && i < ARRAY_LEN(known); i++) {
        json_t *value = json_object_get(shapes, known[i]);
        struct jpath member = { &here, known[i], 0 };
        if (value) {
            r = read_shape(value, &member, known[i], i ? SHAPE_USE_SMALL : SHAPE_USE_DEFAULT, task,
                           err);
        }
    }
    const json_t *held_out = NULL;
    if (r == 0) {
        r = jread_array(doc, "held_out", false, TASK_SHAPES_MAX - task->n_shapes, NULL, &held_out,
                        err);
    }
    struct jpath list = { NULL, "held_out", 0 };
    for (size_t i = 0; r == 0 && i < json_array_size(held_out); i++) {
        struct jpath element = { &list, NULL, i };
        r = read_shape(json_array_get(held_out, i), &element,
                       arena_printf(task->arena, "held_out[%zu]", i), SHAPE_USE_HELD_OUT, task,
                       err);
    }
    return r;
}

static int read_tolerance(const json_t *doc, struct task *task, struct err *err)
{
    static const char *const known[] = { "atol", "rtol", "relative" };
    const json_t *tolerance = json_object_get(doc, "tolerance");
    struct jpath here = { NULL, "tolerance", 0 };
    if (!tolerance) {
        return jread_fail(NULL, err, "the key \"tolerance\" is missing");
    }
    int r = jread_object(tolerance, &here, known, ARRAY_LEN(known), err);
    if (r == 0) {
        r = jread_real(tolerance, "atol", true, 0, 1e30, &here, &task->atol, err);
    }
    r = r < 0 ? r : jread_bool(tolerance, "relative", false, &here, &task->relative, err);
    return r < 0 ? r : jread_real(tolerance, "rtol", true, 0, 1, &here, &task->rtol, err);
}

/* "flops", "bytes", "accumulation": known at every shape, and not negative there. */
static int read_count(const json_t *doc, const char *key, struct task *task, struct expr **ret,
                      struct err *err)
{
    const json_t *value = json_object_get(doc, key);
    if (!value) {
        return 0;
    }
    struct jpath here = { NULL, key, 0 };
    struct expr *expr;
    int r = field_expr(value, &here, task->arena, &expr, err);
    for (size_t i = 0; r == 0 && i < task->n_shapes; i++) {
        int64_t count;
        struct err why = { 0 };
        if (expr_eval(expr, &task->shapes[i].symbols, &count, &why) < 0) {
            r = jread_fail(&here, err, "at shape %s: %s", task->shapes[i].name, err_text(&why));
        } else if (count < 0) {
            r = jread_fail(&here, err, "it is negative at shape %s", task->shapes[i].name);
        }
    }
    if (r == 0) {
        *ret = expr;
    }
    return r;
}

static int read_precision(const json_t *doc, struct task *task, struct err *err)
{
    const char *name = "f32";
    int r = jread_string(doc, "precision", false, NULL, &name, err);
    if (r < 0) {
        return r;
    }
    for (size_t i = 0; i < ARRAY_LEN(precisions); i++) {
        if (str_eq(precisions[i], name)) {
            task->precision = precisions[i];
            return 0;
        }
    }
    struct jpath here = { NULL, "precision", 0 };
    return jread_fail(&here, err, "unknown precision \"%.32s\"; there are f64 f32 tf32 bf16 f16 "
                                  "f8e4m3 f8e5m2 i32 i8", name);
}

/* The file name of the reference's source, a plain name beside task.json. */
static int reference_file(const json_t *reference, const char **ret, struct err *err)
{
    struct jpath here = { NULL, "reference", 0 };
    const char *file = "reference.cu";
    int r = jread_string(reference, "source", false, &here, &file, err);
    if (r == 0 && (strchr(file, '/') || file[0] == '.' || !file[0])) {
        struct jpath member = { &here, "source", 0 };
        r = jread_fail(&member, err, "expected the name of a file beside task.json");
    }
    if (r == 0) {
        *ret = file;
    }
    return r;
}

/* {"oracle": FILE, "hash": HEX}: a problem in KernelBench's form, which PyTorch runs. */
static int read_oracle(const json_t *reference, struct task *task, struct err *err)
{
    static const char *const known[] = { "oracle", "hash" };
    struct jpath here = { NULL, "reference", 0 };
    const char *file = NULL, *hash = NULL;
    struct id id;
    int r = jread_object(reference, &here, known, ARRAY_LEN(known), err);
    r = r < 0 ? r : jread_string(reference, "oracle", true, &here, &file, err);
    r = r < 0 ? r : jread_string(reference, "hash", true, &here, &hash, err);
    if (r == 0 && (strchr(file, '/') || file[0] == '.' || !file[0])) {
        struct jpath member = { &here, "oracle", 0 };
        r = jread_fail(&member, err, "expected the name of a file beside task.json");
    }
    if (r == 0 && !id_parse(hash, &id)) {
        struct jpath member = { &here, "hash", 0 };
        r = jread_fail(&member, err, "expected 64 hex digits");
    }
    if (r == 0) {
        task->oracle = arena_strdup(task->arena, file);
        task->oracle_hash = arena_strdup(task->arena, hash);
    }
    return r;
}

static int read_reference(const json_t *doc, const char *source, struct task *task,
                          struct err *err)
{
    static const char *const known[] = { "source", "plan" };
    const json_t *reference = json_object_get(doc, "reference");
    if (!reference) {
        return 0;
    }
    if (json_object_get(reference, "oracle")) {
        return read_oracle(reference, task, err);
    }
    struct jpath here = { NULL, "reference", 0 }, at = { &here, "plan", 0 };
    const char *file = NULL;
    int r = jread_object(reference, &here, known, ARRAY_LEN(known), err);
    if (r == 0) {
        r = reference_file(reference, &file, err);
    }
    const json_t *plan = json_object_get(reference, "plan");
    if (r == 0 && !plan) {
        r = jread_fail(&here, err, "the key \"plan\" is missing");
    }
    if (r == 0 && !source) {
        r = jread_fail(&here, err, "its source, %s, is missing", file);
    }
    if (r == 0) {
        r = source_check_text(source, strlen(source), file, err);
    }
    if (r == 0) {
        r = plan_parse(plan, &at, task->arena, &task->reference_plan, err);
    }
    if (r == 0) {
        task->reference_source = arena_strdup(task->arena, source);
        r = source_check_kernels(source, file, task->reference_plan, &at, err);
    }
    return r;
}

static int read_head(const json_t *doc, struct task *task, struct err *err)
{
    static const char *const known[] = {
        "format", "name", "family", "shapes", "held_out", "inputs", "weights", "inout", "scalars",
        "outputs", "alias", "tolerance", "flops", "flops_minimum", "bytes", "precision",
        "specialise", "reference", "accumulation", "roundings", "deterministic",
    };
    int64_t format;
    int r = jread_object(doc, NULL, known, ARRAY_LEN(known), err);
    if (r == 0) {
        r = jread_int(doc, "format", true, 1, 1, NULL, &format, err);
    }
    if (r == 0) {
        r = field_slug(doc, "name", NULL, task->arena, &task->name, err);
    }
    if (r == 0) {
        r = field_slug(doc, "family", NULL, task->arena, &task->family, err);
    }
    if (r == 0) {
        r = jread_bool(doc, "specialise", false, NULL, &task->specialise, err);
    }
    if (r == 0) {
        r = jread_bool(doc, "deterministic", false, NULL, &task->deterministic, err);
    }
    if (r == 0) {
        r = jread_int(doc, "roundings", false, 0, 64, NULL, &task->roundings, err);
    }
    if (r == 0) {
        r = jread_bool(doc, "flops_minimum", false, NULL, &task->flops_minimum, err);
    }
    if (r == 0 && task->flops_minimum && !json_object_get(doc, "flops")) {
        r = jread_fail(NULL, err, "\"flops_minimum\" without \"flops\"");
    }
    return r;
}

static int read_all(const json_t *doc, const char *source, struct task *task, struct err *err)
{
    static int (*const parts[])(const json_t *, struct task *, struct err *)
        = { read_head, read_shapes, task_tensors, task_scalars, task_aliases, read_tolerance,
            read_precision };
    int r = 0;
    for (size_t i = 0; r == 0 && i < ARRAY_LEN(parts); i++) {
        r = parts[i](doc, task, err);
    }
    if (r == 0) {
        r = task_check(task, err);
    }
    if (r == 0) {
        r = read_count(doc, "flops", task, &task->flops, err);
    }
    if (r == 0) {
        r = read_count(doc, "bytes", task, &task->bytes, err);
    }
    if (r == 0) {
        r = read_count(doc, "accumulation", task, &task->accumulation, err);
    }
    return r < 0 ? r : read_reference(doc, source, task, err);
}

int task_accumulation(const struct task *task, const struct shape *shape, int64_t *ret,
                      struct err *err)
{
    int64_t terms = 0, dim = 0;
    int r = task->accumulation ? expr_eval(task->accumulation, &shape->symbols, &terms, err) : 0;
    for (size_t i = 0; r == 0 && !task->accumulation && i < task->n_tensors; i++) {
        const struct tensor *tensor = &task->tensors[i];
        int64_t largest = 0;
        for (size_t k = 0; r == 0 && tensor->role != TENSOR_ROLE_OUTPUT && k < tensor->rank; k++) {
            r = expr_eval(tensor->dims[k], &shape->symbols, &dim, err);
            largest = MAX(largest, dim);
        }
        terms = largest > INT64_MAX - terms ? INT64_MAX : terms + largest;
    }
    if (r == 0) {
        *ret = MAX(terms, 1);
    }
    return r;
}

static int task_of_json(const json_t *doc, const char *source, struct task **ret, struct err *err)
{
    struct arena *arena = arena_new();
    struct task *task = arena_alloc(arena, 1, sizeof(*task));
    task->arena = arena;
    int r = read_all(doc, source, task, err);
    if (r < 0) {
        task_free(task);
        return r;
    }
    auto_free char *text = json_canonical(doc);
    const char *code = task->reference_source ? task->reference_source : "";
    const struct id_part parts[] = { { text, strlen(text) }, { code, strlen(code) } };
    id_of_parts(parts, ARRAY_LEN(parts), &task->id);
    *ret = task;
    return 0;
}

bool task_shape_is_small(const struct task *task, const struct shape *shape)
{
    enum { ELEMENTS_MOST = 300000, FLOPS_MOST = 30000000 };
    int64_t elements = 0, count = 0;
    for (size_t i = 0; i < task->n_tensors; i++) {
        if (tensor_count(&task->tensors[i], &shape->symbols, &count, NULL) < 0
            || __builtin_add_overflow(elements, count, &elements)) {
            return false;
        }
    }
    count = 0;
    return elements <= ELEMENTS_MOST
        && (!task->flops || expr_eval(task->flops, &shape->symbols, &count, NULL) < 0
            || count <= FLOPS_MOST);
}

int task_parse(const char *json, size_t len, const char *source, struct task **ret, struct err *err)
{
    json_t *doc = NULL;
    int r = jread_parse(json, len, &doc, err);
    if (r == 0) {
        r = task_of_json(doc, source, ret, err);
        json_decref(doc);
    }
    return r;
}

/* Reads the reference's source. A name that isn't valid is left for read_reference to report. */
static int load_source(const char *folder, const json_t *doc, char **ret, struct err *err)
{
    const json_t *reference = json_object_get(doc, "reference");
    const char *file = NULL;
    size_t len = 0;
    if (!json_is_object(reference) || json_object_get(reference, "oracle")
        || reference_file(reference, &file, NULL) < 0) {
        return 0;
    }
    auto_free char *path = xprintf("%s/%s", folder, file);
    auto_free char *text = NULL;
    int r = file_read(path, SOURCE_MAX, &text, &len, err);
    if (r == 0) {
        r = source_check_text(text, len, path, err);
    }
    if (r == 0) {
        *ret = text;
        text = NULL;
    }
    return r;
}

/* Of a task with an oracle: the file beside, which must be the one that the task was made from. */
static int load_problem(struct task *task, struct err *err)
{
    auto_free char *text = NULL;
    size_t len = 0;
    struct id id, want;
    if (!task->oracle) {
        return 0;
    }
    task->oracle = arena_printf(task->arena, "%s/%s", task->folder, task->oracle);
    int r = file_read(task->oracle, SOURCE_MAX, &text, &len, err);
    if (r < 0) {
        return r;
    }
    id_of_bytes(text, len, &id);
    if (!id_parse(task->oracle_hash, &want) || !id_eq(&id, &want)) {
        return err_set(err, ERR_INVALID, "%s isn't the file that %s/task.json was made from; import it again",
                       task->oracle, task->folder);
    }
    task->reference_source = arena_strndup(task->arena, text, len);
    return 0;
}

int task_load(const char *folder, struct task **ret, struct err *err)
{
    auto_free char *path = xprintf("%s/task.json", folder);
    auto_free char *source = NULL;
    json_t *doc = NULL;
    int r = jread_file(path, &doc, err);
    if (r < 0) {
        return r;
    }
    struct task *task = NULL;
    r = load_source(folder, doc, &source, err);
    if (r == 0) {
        r = task_of_json(doc, source, &task, err);
        if (r < 0) {
            err_wrap(err, "%s", path);
        }
    }
    json_decref(doc);
    if (r == 0) {
        task->folder = arena_strdup(task->arena, folder);
        r = load_problem(task, err);
    }
    if (r < 0) {
        task_free(task);
    } else {
        *ret = task;
    }
    return r;
}

void task_free(struct task *task)
{
    if (task) {
        plan_done(task->reference_plan);
        arena_free(task->arena);
    }
}

const struct shape *task_shape(const struct task *task, const char *name)
{
    for (size_t i = 0; i < task->n_shapes; i++) {
        if (str_eq(task->shapes[i].name, name)) {
            return &task->shapes[i];
        }
    }
    return NULL;
}

const struct tensor *task_tensor(const struct task *task, const char *name)
{
    for (size_t i = 0; i < task->n_tensors; i++) {
        if (str_eq(task->tensors[i].name, name)) {
            return &task->tensors[i];
        }
    }
    return NULL;
}
