/* SPDX-License-Identifier: MIT */
#include "evaluator/worker/job.h"
#include "base/jread.h"
#include "base/util.h"
#include "kernelbench/library.h"

#include <string.h>

enum { BUFFERS_MAX = TASK_TENSORS_MAX + PLAN_SCRATCH_MAX };
#define COUNT_MAX ((int64_t)1 << 45)

static int read_dtype(const json_t *json, const struct jpath *at, enum dtype *ret, struct err *err)
{
    const char *name;
    int r = jread_string(json, "dtype", true, at, &name, err);
    if (r == 0 && !dtype_parse(name, ret)) {
        r = jread_fail(at, err, "no dtype is called \"%.40s\"", name);
    }
    return r;
}

/* The enum value whose name stands at key. */
static int read_name(const json_t *json, const char *key, const char *(*name_of)(int), int n,
                     const struct jpath *at, int *ret, struct err *err)
{
    const char *name;
    int r = jread_string(json, key, true, at, &name, err);
    for (int i = 0; r == 0 && i < n; i++) {
        if (str_eq(name, name_of(i))) {
            *ret = i;
            return 0;
        }
    }
    return r < 0 ? r : jread_fail(at, err, "no %s is called \"%.40s\"", key, name);
}

static const char *role_name(int i)
{
    return tensor_role_name((enum tensor_role)i);
}

static const char *domain_name(int i)
{
    return domain_kind_name((enum domain_kind)i);
}

static int read_buffer(const json_t *json, const struct jpath *at, struct arena *arena,
                       struct bound_buffer *ret, struct err *err)
{
    const char *name;
    int role = 0, domain = 0;
    int r = jread_string(json, "name", true, at, &name, err);
    r = r < 0 ? r : read_dtype(json, at, &ret->dtype, err);
    r = r < 0 ? r : read_name(json, "role", role_name, TENSOR_ROLE_SCRATCH + 1, at, &role, err);
    r = r < 0 ? r : read_name(json, "domain", domain_name, DOMAIN_KIND_EXACT + 1, at, &domain, err);
    r = r < 0 ? r : jread_int(json, "count", true, 1, COUNT_MAX, at, &ret->count, err);
    r = r < 0 ? r : jread_int(json, "inner", true, 1, COUNT_MAX, at, &ret->inner, err);
    r = r < 0 ? r : jread_int(json, "bound", true, 0, INT64_MAX, at, &ret->index_bound, err);
    if (r == 0 && domain == DOMAIN_KIND_INDEX && ret->index_bound < 1) {
        r = jread_fail(at, err, "an index needs a bound");
    }
    if (r == 0) {
        ret->name = arena_strdup(arena, name);
        ret->role = (enum tensor_role)role;
        ret->domain = (enum domain_kind)domain;
    }
    return r;
}

static int read_triple(const json_t *json, const char *key, const struct jpath *at, int64_t ret[3],
                       struct err *err)
{
    const json_t *list = NULL;
    int r = jread_array(json, key, true, 3, at, &list, err);
    for (size_t i = 0; r == 0 && i < 3; i++) {
        const json_t *value = json_array_get(list, i);
        ret[i] = json_integer_value(value);
        if (!json_is_integer(value) || ret[i] < 1 || ret[i] > INT32_MAX) {
            r = jread_fail(at, err, "%s is not three positive numbers", key);
        }
    }
    return r;
}

static int read_arg(const json_t *json, const struct jpath *at, size_t n_buffers, size_t n_scalars,
                    struct bound_arg *ret, struct err *err)
{
    const json_t *value = json_object_get(json, "buffer");
    size_t limit = n_buffers;
    ret->kind = BOUND_ARG_KIND_BUFFER;
    if (!value) {
        value = json_object_get(json, "scalar");
        limit = n_scalars;
        ret->kind = BOUND_ARG_KIND_SCALAR;
    }
    if (!value) {
        value = json_object_get(json, "int");
        limit = SIZE_MAX;
        ret->kind = BOUND_ARG_KIND_INT;
    }
    ret->value = json_integer_value(value);
    if (!json_is_integer(value)
        || (limit != SIZE_MAX && (ret->value < 0 || (size_t)ret->value >= limit))) {
        return jread_fail(at, err, "not an argument, or one that points outside its table");
    }
    return 0;
}

static int read_args(const json_t *json, const struct jpath *at, size_t n_buffers, size_t n_scalars,
                     struct arena *arena, struct bound_launch *ret, struct err *err)
{
    const json_t *args = NULL;
    int r = jread_array(json, "args", true, PLAN_ARGS_MAX, at, &args, err);
    if (r < 0) {
        return r;
    }
    ret->n_args = json_array_size(args);
    ret->args = arena_alloc(arena, ret->n_args, sizeof(*ret->args));
    struct jpath list = { at, "args", 0 };
    for (size_t i = 0; r == 0 && i < ret->n_args; i++) {
        struct jpath here = { &list, NULL, i };
        r = read_arg(json_array_get(args, i), &here, n_buffers, n_scalars, &ret->args[i], err);
    }
    return r;
}

/* Sizes were checked against the buffers when the plan was bound; here only that it can be run at all. */
static int read_library(const json_t *json, const struct jpath *at, size_t n_buffers, struct arena *arena,
                        struct bound_launch *ret, struct err *err)
{
    const char *name;
    int r = jread_string(json, "library", true, at, &name, err);
    r = r < 0 ? r : read_args(json, at, n_buffers, 0, arena, ret, err);
    ret->library = r < 0 ? NULL : library_find(name);
    if (r == 0 && (!ret->library || ret->n_args != ret->library->n_args)) {
        r = jread_fail(at, err, "no library step \"%.40s\" takes %zu arguments", name, ret->n_args);
    }
    size_t i = 0;
    for (size_t k = 0; r == 0 && k < ret->library->n_members; k++) {
        const struct library_member *m = &ret->library->members[k];
        int64_t most = m->kind == LIBRARY_KIND_CHOICE ? 0 : INT32_MAX;
        while (m->kind == LIBRARY_KIND_CHOICE && m->choices[most + 1]) {
            most++;
        }
        for (size_t last = i + m->n; r == 0 && i < last; i++) {
            const struct bound_arg *arg = &ret->args[i];
            bool buffer = m->kind == LIBRARY_KIND_INPUT || m->kind == LIBRARY_KIND_OUTPUT;
            bool good = arg->kind == BOUND_ARG_KIND_INT
                ? (buffer ? !m->required && arg->value == -1 : arg->value >= 0 && arg->value <= most)
                : buffer && arg->kind == BOUND_ARG_KIND_BUFFER;
            r = good ? 0 : jread_fail(at, err, "argument %zu can't be \"%s\" of %s", i, m->name, name);
        }
    }
    return r;
}

static int read_launch(const json_t *json, const struct jpath *at, size_t n_buffers,
                       size_t n_scalars, struct arena *arena, struct bound_launch *ret,
                       struct err *err)
{
    if (json_object_get(json, "memset")) {
        int r = jread_int(json, "memset", true, 0, (int64_t)n_buffers - 1, at, &ret->buffer, err);
        return r < 0 ? r : jread_int(json, "value", true, 0, 255, at, &ret->value, err);
    }
    if (json_object_get(json, "library")) {
        return read_library(json, at, n_buffers, arena, ret, err);
    }
    const char *kernel;
    int r = jread_string(json, "kernel", true, at, &kernel, err);
    r = r < 0 ? r : read_triple(json, "grid", at, ret->grid, err);
    r = r < 0 ? r : read_triple(json, "block", at, ret->block, err);
    r = r < 0 ? r : read_triple(json, "cluster", at, ret->cluster, err);
    r = r < 0 ? r : jread_int(json, "shared", true, 0, 1 << 20, at, &ret->shared, err);
    r = r < 0 ? r : jread_bool(json, "cooperative", false, at, &ret->cooperative, err);
    r = r < 0 ? r : jread_bool(json, "programmatic", false, at, &ret->programmatic, err);
    r = r < 0 ? r : read_args(json, at, n_buffers, n_scalars, arena, ret, err);
    if (r == 0) {
        ret->kernel = arena_strdup(arena, kernel);
    }
    return r;
}

static int read_steps(const json_t *json, const char *key, const struct jpath *at, size_t n_buffers,
                      size_t n_scalars, struct arena *arena, struct bound_launch **ret,
                      size_t *ret_n, struct err *err)
{
    const json_t *list = NULL;
    int r = jread_array(json, key, true, PLAN_LAUNCHES_MAX, at, &list, err);
    if (r < 0) {
        return r;
    }
    *ret_n = json_array_size(list);
    *ret = arena_alloc(arena, *ret_n, sizeof(**ret));
    struct jpath steps = { at, key, 0 };
    for (size_t i = 0; r == 0 && i < *ret_n; i++) {
        struct jpath here = { &steps, NULL, i };
        r = read_launch(json_array_get(list, i), &here, n_buffers, n_scalars, arena, &(*ret)[i],
                        err);
    }
    return r;
}

static int read_buffers(const json_t *json, const struct jpath *at, struct arena *arena,
                        struct bound *ret, struct err *err)
{
    const json_t *list = NULL;
    int r = jread_array(json, "buffers", true, BUFFERS_MAX, at, &list, err);
    if (r < 0) {
        return r;
    }
    ret->n_buffers = json_array_size(list);
    ret->buffers = arena_alloc(arena, ret->n_buffers, sizeof(*ret->buffers));
    struct jpath buffers = { at, "buffers", 0 };
    for (size_t i = 0; r == 0 && i < ret->n_buffers; i++) {
        struct jpath here = { &buffers, NULL, i };
        struct bound_buffer *b = &ret->buffers[i];
        r = read_buffer(json_array_get(list, i), &here, arena, b, err);
        bool scratch = b->role == TENSOR_ROLE_SCRATCH;
        if (r == 0 && !scratch && ret->n_tensors < i) {
            r = jread_fail(&here, err, "a tensor after scratch");
        }
        ret->n_tensors += r == 0 && !scratch;
    }
    return r;
}

static int read_side(const json_t *json, const struct jpath *at, size_t n_images, size_t n_scalars,
                     struct arena *arena, struct job_side *ret, struct err *err)
{
    int64_t image = 0;
    struct bound *b = arena_alloc(arena, 1, sizeof(*b));
    /* Only what launches nothing has no image. */
    int r = jread_int(json, "image", true, -1, (int64_t)n_images - 1, at, &image, err);
    r = r < 0 ? r : read_buffers(json, at, arena, b, err);
    r = r < 0 ? r : read_steps(json, "launches", at, b->n_buffers, n_scalars, arena, &b->launches,
                               &b->n_launches, err);
    r = r < 0 ? r : read_steps(json, "prepare", at, b->n_buffers, n_scalars, arena, &b->prepare,
                               &b->n_prepare, err);
    r = r < 0 ? r : jread_bool(json, "graph", false, at, &b->graph, err);
    if (r == 0 && image < 0 && b->n_launches + b->n_prepare > 0) {
        r = jread_fail(at, err, "launches without an image");
    }
    *ret = (struct job_side) { .image = image < 0 ? JOB_NO_IMAGE : (size_t)image, .bound = b };
    return r;
}

/* Reference, candidate and baseline must speak of the same tensors. */
static int same_tensors(const struct bound *a, const struct bound *b, const struct jpath *at,
                        struct err *err)
{
    bool same = a->n_tensors == b->n_tensors;
    for (size_t i = 0; same && i < a->n_tensors; i++) {
        same = a->buffers[i].dtype == b->buffers[i].dtype && a->buffers[i].role == b->buffers[i].role
            && a->buffers[i].count == b->buffers[i].count;
    }
    return same ? 0 : jread_fail(at, err, "the tensors differ from the reference's");
}

static int read_scalars(const json_t *json, const struct jpath *at, struct arena *arena,
                        struct job_case *ret, struct err *err)
{
    const json_t *list = NULL;
    int r = jread_array(json, "scalars", true, TASK_TENSORS_MAX, at, &list, err);
    if (r < 0) {
        return r;
    }
    ret->n_scalars = json_array_size(list);
    ret->scalars = arena_alloc(arena, ret->n_scalars, sizeof(*ret->scalars));
    struct jpath scalars = { at, "scalars", 0 };
    for (size_t i = 0; r == 0 && i < ret->n_scalars; i++) {
        struct jpath here = { &scalars, NULL, i };
        const json_t *one = json_array_get(list, i);
        const char *name;
        r = jread_string(one, "name", true, &here, &name, err);
        r = r < 0 ? r : read_dtype(one, &here, &ret->scalars[i].dtype, err);
        r = r < 0 ? r : jread_real(one, "value", true, -1e308, 1e308, &here, &ret->scalars[i].value,
                                   err);
        ret->scalars[i].name = r < 0 ? NULL : arena_strdup(arena, name);
    }
    return r;
}

static int find_tensor(const struct bound *bound, const char *name)
{
    for (size_t i = 0; name && i < bound->n_tensors; i++) {
        if (str_eq(bound->buffers[i].name, name)) {
            return (int)i;
        }
    }
    return -1;
}

static int read_aliases(const json_t *json, struct arena *arena, struct job_case *ret,
                        struct err *err)
{
    const struct bound *b = ret->candidate.bound;
    ret->alias = arena_alloc(arena, b->n_tensors, sizeof(int));
    for (size_t i = 0; i < b->n_tensors; i++) {
        ret->alias[i] = -1;
    }
    const json_t *list = NULL;
    int r = jread_array(json, "aliases", false, TASK_TENSORS_MAX, NULL, &list, err);
    for (size_t i = 0; r == 0 && list && i < json_array_size(list); i++) {
        const json_t *pair = json_array_get(list, i);
        int to = find_tensor(b, json_string_value(json_array_get(pair, 0)));
        int from = find_tensor(b, json_string_value(json_array_get(pair, 1)));
        struct jpath aliases = { NULL, "aliases", 0 }, here = { &aliases, NULL, i };
        if (to < 0 || from < 0 || to == from || b->buffers[to].role != TENSOR_ROLE_OUTPUT
            || b->buffers[from].role != TENSOR_ROLE_INPUT
            || b->buffers[to].count * (int64_t)dtype_size(b->buffers[to].dtype)
                != b->buffers[from].count * (int64_t)dtype_size(b->buffers[from].dtype)) {
            return jread_fail(&here, err, "not an output and an input of the same size");
        }
        ret->alias[to] = from;
    }
    return r;
}

static void identify(const json_t *side, const json_t *scalars, const struct job *job, size_t image,
                     struct id *ret)
{
    const char *problem = job->problem ? job->problem : "";
    struct job_image none = { problem, strlen(problem) };
    const struct job_image *code = image == JOB_NO_IMAGE ? &none : &job->images[image];
    json_t *copy = json_copy((json_t *)(uintptr_t)side);
    json_object_del(copy, "image"); /* its number isn't, what it holds is */
    auto_free char *plan = json_dumps(copy, JSON_SORT_KEYS | JSON_COMPACT);
    auto_free char *values = json_dumps(scalars, JSON_SORT_KEYS | JSON_COMPACT);
    json_decref(copy);
    const struct id_part parts[] = { { plan, strlen(plan) }, { values, strlen(values) },
                                     { code->at, code->len } };
    id_of_parts(parts, ARRAY_LEN(parts), ret);
}

static int read_case(const json_t *json, const struct jpath *at, const struct job *job,
                     struct arena *arena, struct job_case *ret, struct err *err)
{
    size_t n_images = job->n_images;
    const char *shape;
    const json_t *baseline = json_object_get(json, "baseline");
    int r = jread_string(json, "shape", true, at, &shape, err);
    r = r < 0 ? r : jread_bool(json, "check", true, at, &ret->check, err);
    r = r < 0 ? r : jread_bool(json, "time", true, at, &ret->time, err);
    ret->accumulation = 1;
    r = r < 0 ? r : jread_int(json, "accumulation", false, 1, COUNT_MAX, at, &ret->accumulation,
                              err);
    r = r < 0 ? r : read_scalars(json, at, arena, ret, err);
    struct jpath reference = { at, "reference", 0 }, candidate = { at, "candidate", 0 };
    struct jpath base = { at, "baseline", 0 };
    r = r < 0 ? r : read_side(json_object_get(json, "reference"), &reference, n_images,
                              ret->n_scalars, arena, &ret->reference, err);
    if (r == 0 && ret->reference.image == JOB_NO_IMAGE && !job->problem) {
        r = jread_fail(&reference, err, "neither an image nor a problem says what is right");
    }
    r = r < 0 ? r : read_side(json_object_get(json, "candidate"), &candidate, n_images,
                              ret->n_scalars, arena, &ret->candidate, err);
    r = r < 0 ? r : same_tensors(ret->reference.bound, ret->candidate.bound, &candidate, err);
    if (r == 0 && json_is_object(baseline)) {
        r = read_side(baseline, &base, n_images, ret->n_scalars, arena, &ret->baseline, err);
        r = r < 0 ? r : same_tensors(ret->reference.bound, ret->baseline.bound, &base, err);
        if (r == 0 && ret->time) {
            identify(baseline, json_object_get(json, "scalars"), job, ret->baseline.image,
                     &ret->baseline_id);
        }
    }
    if (r == 0) {
        identify(json_object_get(json, "reference"), json_object_get(json, "scalars"), job,
                 ret->reference.image, &ret->reference_id);
        ret->shape = arena_strdup(arena, shape);
    }
    return r;
}

static void identify_task(struct job *job)
{
    struct id sum = { 0 };
    for (size_t i = 0; i < job->n_cases; i++) {
        const struct job_case *c = &job->cases[i];
        struct id one;
        const struct id_part parts[] = { { c->shape, strlen(c->shape) },
                                         { &c->accumulation, sizeof(c->accumulation) },
                                         { c->reference_id.bytes, sizeof(c->reference_id.bytes) } };
        id_of_parts(parts, ARRAY_LEN(parts), &one);
        for (size_t b = 0; c->check && b < sizeof(sum.bytes); b++) {
            sum.bytes[b] ^= one.bytes[b];
        }
    }
    const struct id_part parts[] = { { sum.bytes, sizeof(sum.bytes) },
                                     { &job->atol, sizeof(job->atol) },
                                     { &job->rtol, sizeof(job->rtol) },
                                     { &job->roundings, sizeof(job->roundings) },
                                     { job->precision, strlen(job->precision) } };
    id_of_parts(parts, ARRAY_LEN(parts), &job->task_id);
}

static int read_images(const json_t *json, const char *blob, size_t blob_len, struct job *ret,
                       struct err *err)
{
    const json_t *list = NULL;
    int r = jread_array(json, "images", true, JOB_IMAGES_MAX, NULL, &list, err);
    ret->n_images = r < 0 ? 0 : json_array_size(list);
    for (size_t i = 0; r == 0 && i < ret->n_images; i++) {
        const json_t *pair = json_array_get(list, i);
        json_int_t at = json_integer_value(json_array_get(pair, 0));
        json_int_t len = json_integer_value(json_array_get(pair, 1));
        if (json_array_size(pair) != 2 || at < 0 || len < 1 || (uint64_t)at > blob_len
            || (uint64_t)len > blob_len - (uint64_t)at) {
            struct jpath images = { NULL, "images", 0 }, here = { &images, NULL, i };
            return jread_fail(&here, err, "outside the %zu bytes that came", blob_len);
        }
        ret->images[i] = (struct job_image) { blob + at, (size_t)len };
    }
    return r;
}

static int read_samples(const json_t *json, struct job *ret, struct err *err)
{
    int64_t trials = 5, min = 30, max = 240;
    struct jpath at = { NULL, "samples", 0 };
    const json_t *samples = json_object_get(json, "samples");
    int r = jread_int(json, "trials", false, 1, 1000, NULL, &trials, err);
    if (r == 0 && samples) {
        r = jread_int(samples, "min", false, 1, 100000, &at, &min, err);
        r = r < 0 ? r : jread_int(samples, "max", false, 1, 100000, &at, &max, err);
    }
    ret->trials = (int)trials;
    ret->samples_min = (size_t)min;
    ret->samples_max = (size_t)MAX(min, max);
    return r;
}

static int read_head(const json_t *json, struct arena *arena, struct job *ret, struct err *err)
{
    const char *salt, *precision = "f32", *problem = NULL;
    struct id id;
    int r = jread_string(json, "salt", true, NULL, &salt, err);
    if (r == 0 && !id_parse(salt, &id)) {
        r = err_set(err, ERR_INVALID, "salt: expected 64 hex digits");
    }
    if (r < 0) {
        return r;
    }
    memcpy(ret->salt, id.bytes, sizeof(ret->salt));
    ret->check_seconds = 0.15;
    const json_t *tolerance = json_object_get(json, "tolerance");
    const json_t *tuning = json_object_get(json, "tuning");
    const json_t *floor = json_object_get(json, "floor");
    struct jpath t = { NULL, "tolerance", 0 }, f = { NULL, "floor", 0 }, u = { NULL, "tuning", 0 };
    r = read_samples(json, ret, err);
    r = r < 0 ? r : jread_real(json, "check_seconds", false, 0, 1e6, NULL, &ret->check_seconds, err);
    ret->tuning = tuning != NULL;
    r = r < 0 || !tuning ? r : jread_real(tuning, "hopeless_us", true, 0, 1e12, &u, &ret->hopeless_us, err);
    int64_t roundings = 0;
    r = r < 0 ? r : jread_int(json, "roundings", false, 0, 64, NULL, &roundings, err);
    r = r < 0 ? r : jread_bool(json, "deterministic", false, NULL, &ret->deterministic, err);
    ret->roundings = (int)roundings;
    r = r < 0 ? r : jread_string(json, "problem", false, NULL, &problem, err);
    ret->problem = r == 0 && problem ? arena_strdup(arena, problem) : NULL;
    r = r < 0 ? r : jread_bool(tolerance, "relative", false, &t, &ret->relative, err);
    r = r < 0 ? r : jread_real(tolerance, "atol", true, 0, 1e300, &t, &ret->atol, err);
    r = r < 0 ? r : jread_real(tolerance, "rtol", true, 0, 1e300, &t, &ret->rtol, err);
    if (r == 0 && floor) {
        r = jread_real(floor, "bytes", false, 0, 1e18, &f, &ret->floor_bytes, err);
        r = r < 0 ? r : jread_real(floor, "flops", false, 0, 1e24, &f, &ret->floor_flops, err);
        r = r < 0 ? r : jread_bool(floor, "flops_minimum", false, &f, &ret->flops_minimum, err);
        r = r < 0 ? r : jread_string(floor, "precision", false, &f, &precision, err);
    }
    ret->precision = r < 0 ? NULL : arena_strdup(arena, precision);
    const json_t *ceilings = json_object_get(json, "ceilings");
    return r < 0 || !ceilings ? r : ceilings_parse(ceilings, &ret->ceilings, err);
}

/* {"rules": ["kb", "verified"], "exact": false} */
static int read_protocol(const json_t *json, struct job *ret, struct err *err)
{
    const json_t *protocol = json_object_get(json, "protocol"), *rules = NULL;
    struct jpath at = { NULL, "protocol", 0 };
    if (!json_is_object(protocol)) {
        return err_set(err, ERR_INVALID, "protocol: expected an object, got %s", jread_kind(protocol));
    }
    int r = jread_array(protocol, "rules", true, 2, &at, &rules, err);
    r = r < 0 ? r : jread_bool(protocol, "exact", false, &at, &ret->exact, err);
    for (size_t i = 0; r == 0 && i < json_array_size(rules); i++) {
        const char *name = json_string_value(json_array_get(rules, i));
        ret->rule_kb = ret->rule_kb || (name && str_eq(name, "kb"));
        ret->rule_verified = ret->rule_verified || (name && str_eq(name, "verified"));
        if (!name || (!str_eq(name, "kb") && !str_eq(name, "verified"))) {
            r = jread_fail(&at, err, "rules[%zu] is neither kb nor verified", i);
        }
    }
    if (r == 0 && (!ret->problem || json_array_size(rules) == 0)) {
        r = jread_fail(&at, err, "it needs a problem, and a rule");
    }
    return r;
}

int job_parse(const json_t *json, const char *blob, size_t blob_len, struct arena *arena,
              struct job *ret, struct err *err)
{
    const json_t *cases = NULL;
    const char *kind = json_string_value(json_object_get(json, "kind"));
    bool task_alone = kind && str_eq(kind, "task"); /* no candidate runs */
    memset(ret, 0, sizeof(*ret));
    int r = read_head(json, arena, ret, err);
    r = r < 0 || !kind || !str_eq(kind, "protocol") ? r : read_protocol(json, ret, err);
    r = r < 0 ? r : read_images(json, blob, blob_len, ret, err);
    r = r < 0 ? r : jread_array(json, "cases", true, JOB_CASES_MAX, NULL, &cases, err);
    struct jpath list = { NULL, "cases", 0 };
    for (size_t i = 0; r == 0 && i < json_array_size(cases); i++) {
        struct jpath here = { &list, NULL, i };
        r = read_case(json_array_get(cases, i), &here, ret, arena, &ret->cases[i], err);
        if (r == 0 && ret->cases[i].candidate.image == JOB_NO_IMAGE && !task_alone) {
            r = jread_fail(&here, err, "the candidate has no image");
        }
        r = r < 0 ? r : read_aliases(json, arena, &ret->cases[i], err);
        ret->n_cases++;
    }
    if (r == 0 && ret->problem && ret->n_cases != 1) {
        r = err_set(err, ERR_INVALID, "%zu cases: a problem has one shape", ret->n_cases);
    }
    if (r == 0) {
        identify_task(ret);
    }
    return r;
}
