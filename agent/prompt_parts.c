/* SPDX-License-Identifier: MIT */
/* What the parts of a prompt say: device, task, plan, verdict. */
#include "agent/prompt_parts.h"
#include "agent/template.h"
#include "base/embed.h"
#include "base/util.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

EMBED_TEXT(prompt_device_sm_80, WS_PROMPTS "/device_sm_80.md");
EMBED_TEXT(prompt_device_sm_90, WS_PROMPTS "/device_sm_90.md");
EMBED_TEXT(prompt_device_sm_100, WS_PROMPTS "/device_sm_100.md");
EMBED_TEXT(prompt_device_other, WS_PROMPTS "/device_other.md");

static char *settled(const struct buf *out, struct arena *arena)
{
    return arena_strndup(arena, out->len ? out->at : "", out->len);
}

const char *prompt_device(const struct prompt_input *input, struct arena *arena, struct err *err)
{
    const struct device_info *d = input->device;
    const struct device_facts *f = &d->facts;
    const char *arch = f->arch[0] ? f->arch : d->arch;
    long number = str_prefix(arch, "sm_") ? strtol(arch + 3, NULL, 10) : 0;
    const char *sheet = number >= 100  ? prompt_device_sm_100
                        : number >= 90 ? prompt_device_sm_90
                        : number >= 80 ? prompt_device_sm_80
                                       : prompt_device_other;
    auto_buf struct buf facts, out;
    buf_init(&facts, 4096);
    buf_init(&out, 64 << 10);
    buf_printf(&facts, "%s, %s: sm_count = %" PRId64 ", max_shared = %" PRId64
                       " bytes a block, %.0f GB of memory for the task.",
               prompt_line(arena, d->name, 100), arch, f->sm_count, f->max_shared,
               (double)f->max_memory / 1e9);
    const struct template_value values[] = {
        { "facts", facts.at },
        { "real", d->modelled ? NULL : "" },
        { "simulated", d->modelled ? "" : NULL },
    };
    int r = template_render("device sheet", sheet, values, ARRAY_LEN(values), &out, err);
    return r < 0 ? NULL : settled(&out, arena);
}

static void add_symbols(struct buf *out, const struct shape *shape)
{
    for (size_t i = 0; i < shape->symbols.n; i++) {
        const struct symbol *s = &shape->symbols.at[i];
        buf_printf(out, "%s%s = %" PRId64, i ? ", " : "", s->name, s->value);
    }
}

static void add_tensor(struct buf *out, const struct tensor *tensor)
{
    buf_printf(out, "- %s `%s`: %s [", tensor_role_name(tensor->role), tensor->name,
               dtype_name(tensor->dtype));
    for (size_t i = 0; i < tensor->rank; i++) {
        buf_printf(out, "%s%s", i ? ", " : "", expr_text(tensor->dims[i]));
    }
    buf_puts(out, "]");
    if (tensor->role == TENSOR_ROLE_OUTPUT) {
        buf_puts(out, "\n");
    } else if (tensor->index_bound) {
        buf_printf(out, ", integers from 0 to below %s\n", expr_text(tensor->index_bound));
    } else {
        buf_printf(out, ", values: %s\n", domain_kind_name(tensor->domain));
    }
}

static int64_t common_divisor(int64_t a, int64_t b)
{
    while (b) {
        int64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/*
 * What a kernel may count on for a size, over all shapes, without giving the held-out ones away:
 * bounds rounded outwards to powers of two, and what divides every one of them.
 */
static void add_range(struct buf *out, const struct task *task, const char *name)
{
    int64_t lo = INT64_MAX, hi = 0, divisor = 0, below = 1, above = 1;
    for (size_t i = 0; i < task->n_shapes; i++) {
        const int64_t *value = symbols_find(&task->shapes[i].symbols, name);
        if (!value || *value < 1) {
            return;
        }
        lo = MIN(lo, *value);
        hi = MAX(hi, *value);
        divisor = common_divisor(*value, divisor);
    }
    while (below <= lo / 2) {
        below *= 2;
    }
    while (above < hi && above <= INT64_MAX / 2) {
        above *= 2;
    }
    if (lo == hi) {
        buf_printf(out, "- `%s` is %" PRId64 " in every shape\n", name, lo);
    } else {
        buf_printf(out, "- `%s` lies between %" PRId64 " and %" PRId64, name, below, above);
        if (divisor > 1) {
            buf_printf(out, " in every shape, a multiple of %" PRId64 "\n", divisor);
        } else {
            buf_puts(out, " in every shape, not always even\n");
        }
    }
}

static void add_shapes(struct buf *out, const struct task *task)
{
    size_t held_out = 0;
    for (size_t i = 0; i < task->n_shapes; i++) {
        const struct shape *shape = &task->shapes[i];
        held_out += shape->use == SHAPE_USE_HELD_OUT;
        if (shape->use != SHAPE_USE_HELD_OUT) {
            buf_printf(out, "- shape %s%s: ", shape->name,
                       shape->use == SHAPE_USE_DEFAULT ? " (the one that is timed)" : "");
            add_symbols(out, shape);
            buf_puts(out, "\n");
        }
    }
    if (task->specialise) {
        buf_puts(out, "- only these shapes count: the kernel may rely on them\n");
    } else if (held_out) {
        const struct symbols *symbols = &task->shapes[0].symbols;
        buf_printf(out, "- %zu held-out shapes over the same symbols, sizes not shown\n", held_out);
        for (size_t i = 0; i < symbols->n; i++) {
            add_range(out, task, symbols->at[i].name);
        }
    }
}

static void add_cost(struct buf *out, const struct task *task, const char *what,
                     const struct expr *expr)
{
    const struct shape *shape = task_shape(task, "default");
    int64_t value;
    if (expr && shape && expr_eval(expr, &shape->symbols, &value, NULL) == 0) {
        buf_printf(out, "- %s: %s = %.4g at the default shape\n", what, expr_text(expr),
                   (double)value);
    }
}

char *prompt_task(const struct task *task, struct arena *arena)
{
    auto_buf struct buf out, frame;
    buf_init(&out, 256 << 10);
    buf_init(&frame, 512 << 10);
    buf_printf(&out, "task %s, family %s\n", task->name, task->family);
    for (size_t i = 0; i < task->n_tensors; i++) {
        add_tensor(&out, &task->tensors[i]);
    }
    for (size_t i = 0; i < task->n_scalars; i++) {
        const struct scalar *s = &task->scalars[i];
        buf_printf(&out, "- scalar `%s`: %s, %.9g\n", s->name, dtype_name(s->dtype), s->value);
    }
    for (size_t i = 0; i < task->n_aliases; i++) {
        buf_printf(&out, "- `%s` may share the memory of `%s`\n", task->aliases[i][0],
                   task->aliases[i][1]);
    }
    add_shapes(&out, task);
    buf_printf(&out, "- tolerance: |got - expected| <= %.3g + %.3g * |expected|, every element\n",
               task->atol, task->rtol);
    bool wide = str_eq(task->precision, "f32") || str_eq(task->precision, "f64");
    buf_printf(&out, "- precision that the arithmetic must have: %s (%s)\n", task->precision,
               wide ? "operands and sums; no products in a narrower type"
                    : "of operands; sums in f32 or wider");
    if (task->roundings) {
        buf_printf(&out, "- intermediates that may be rounded to %s on the way: %" PRId64 "\n",
                   task->precision, task->roundings);
    }
    if (task->deterministic) {
        buf_puts(&out, "- two runs on the same inputs must give the same bits: no sums in varying order\n");
    }
    add_cost(&out, task, "bytes that have to move", task->bytes);
    add_cost(&out, task, "operations", task->flops);
    prompt_fence(&frame, "", prompt_clean(arena, out.at, out.len));
    return settled(&frame, arena);
}

/* What the bound rests on. */
static void add_basis(struct buf *out, const struct prompt_input *input)
{
    const struct verdict *v = input->parent_verdict;
    const struct ceilings *c = &input->device->ceilings;
    double rate = ceilings_rate(c, input->task->precision);
    bool measured = str_eq(v->sol_basis, "measured");
    if (v->modelled) {
        buf_puts(out, " (modelled, not measured)");
    } else if (!measured) {
        buf_puts(out, " (by theory, which no kernel reaches whole)");
    } else if (str_eq(v->sol_bound, "memory") && input->device->has_ceilings) {
        buf_printf(out, " (measured on this device: a copy moves %.2f TB/s, reading alone %.2f)",
                   c->copy / 1e12, c->read / 1e12);
    } else if (input->device->has_ceilings && rate > 0) {
        buf_printf(out, " (measured on this device: %.4g TFLOP/s in %s)", rate / 1e12,
                   input->task->precision);
    } else {
        buf_puts(out, " (measured)");
    }
}

/* So that nobody looks for a factor where a few hundredths are left. */
static void add_attainable(struct buf *out, const struct prompt_input *input)
{
    const double little = 0.03;
    const struct verdict *v = input->parent_verdict;
    double left = MAX(0, 1 - v->sol);
    buf_printf(out, "attainable: about %.4g us by the %s bound", v->time.median_us * MIN(v->sol, 1),
               v->sol_bound);
    add_basis(out, input);
    buf_printf(out, ", %.*f %% left\n", left < 0.1 ? 1 : 0, 100 * left);
    if (left < little) {
        buf_puts(out, "That is next to nothing: a small step, or one that leaves the time as it is, may "
                      "be the honest answer.\n");
    }
}

static void add_time(struct buf *out, const struct prompt_input *input)
{
    const struct verdict *v = input->parent_verdict;
    buf_printf(out, "time: %.4g us", v->time.median_us);
    if (v->modelled) {
        buf_puts(out, ", modelled, not measured\n");
    } else {
        buf_printf(out, " (95 %% interval %.4g .. %.4g, %zu samples)\n", v->time.lo_us, v->time.hi_us,
                   v->time.n);
    }
    if (input->baseline && v->speedup > 0) {
        buf_printf(out, "speedup over the baseline (%.4g us): %.3gx\n", v->baseline.median_us,
                   v->speedup);
    }
    if (v->sol > 0) {
        buf_printf(out, "speed of light: %.0f %% of the %s bound\n", 100 * v->sol, v->sol_bound);
        add_attainable(out, input);
    }
    buf_printf(out, "bottleneck: %s%s%s\n", bottleneck_name(v->bottleneck),
               v->bottleneck_why && *v->bottleneck_why ? ": " : "",
               v->bottleneck_why ? v->bottleneck_why : "");
}

static void add_resources(struct buf *out, const struct verdict *v)
{
    if (v->registers) {
        buf_printf(out, "resources: %d registers a thread, ", v->registers);
        if (v->spill_bytes) {
            buf_printf(out, "%d bytes spilled to local memory", v->spill_bytes);
        } else {
            buf_puts(out, "nothing spilled");
        }
        buf_printf(out, ", %d bytes of shared memory a block, occupancy %.0f %%\n", v->shared_bytes,
                   100 * v->occupancy);
    }
    for (enum counter c = 0; c < COUNTER_COUNT; c++) {
        if (counters_has(&v->counters, c)) {
            const char *unit = counter_unit(c);
            buf_printf(out, "counter %s: %.4g%s%s (%s)\n", counter_name(c),
                       counters_get(&v->counters, c), *unit ? " " : "", unit, counter_says(c));
        }
    }
    if (v->nondeterministic) {
        buf_puts(out, "two runs on the same inputs differed in their last bits\n");
    }
    if (v->remarks && *v->remarks) {
        buf_printf(out, "remarks: %s\n", v->remarks);
    }
}

char *prompt_verdict(const struct prompt_input *input, struct arena *arena)
{
    const struct verdict *v = input->parent_verdict;
    auto_buf struct buf out;
    buf_init(&out, PROMPT_TEXT_MAX);
    buf_printf(&out, "status: %s\n", verdict_status_name(v->status));
    if (v->time.n) {
        add_time(&out, input);
    }
    const struct prompt_tried *tried = prompt_find_tried(input, input->parent_seq);
    if (tried && tried->tuning) {
        buf_printf(&out, "%s\n", tried->tuning);
    }
    add_resources(&out, v);
    if (v->status != VERDICT_STATUS_ACCEPTED) {
        buf_printf(&out, "phase: %s\n%s\n", v->phase ? v->phase : "", v->detail ? v->detail : "");
    }
    return prompt_clean(arena, out.at, out.len);
}
