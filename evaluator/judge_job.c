/* SPDX-License-Identifier: MIT */
/* A job as the device worker reads it: rules, images, and every plan as numbers at every shape. */
#include "base/jwrite.h"
#include "evaluator/judge_internal.h"
#include "evaluator/protocol.h"

const char *judge_side_name(enum side side)
{
    static const char *const names[SIDES] = { "reference", "candidate", "baseline" };
    return names[side];
}

static void write_case(struct jwriter *w, const struct task *task, const struct shape_case *c)
{
    jwrite_open(w, NULL, '{');
    jwrite_string(w, "shape", c->shape->name);
    jwrite_bool(w, "check", c->check);
    jwrite_bool(w, "time", c->time);
    int64_t terms = 1;
    task_accumulation(task, c->shape, &terms, NULL);
    jwrite_int(w, "accumulation", MIN(terms, (int64_t)1 << 45));
    jwrite_open(w, "scalars", '[');
    for (size_t i = 0; i < task->n_scalars; i++) {
        jwrite_open(w, NULL, '{');
        jwrite_string(w, "name", task->scalars[i].name);
        jwrite_string(w, "dtype", dtype_name(task->scalars[i].dtype));
        jwrite_real(w, "value", task->scalars[i].value);
        jwrite_close(w, '}');
    }
    jwrite_close(w, ']');
    for (int side = 0; side < SIDES; side++) {
        const char *name = judge_side_name((enum side)side);
        if (!c->bound[side]) {
            jwrite_null(w, name);
            continue;
        }
        jwrite_open(w, name, '{');
        bound_write(w, c->bound[side]);
        jwrite_int(w, "image", c->unit[side] == JUDGE_NO_UNIT ? -1 : (int64_t)c->unit[side]);
        jwrite_close(w, '}');
    }
    jwrite_close(w, '}');
}

/* Drawn for this job, after the candidate's id is fixed. */
static void write_salt(struct jwriter *w)
{
    struct id salt;
    char hex[ID_HEX];
    random_bytes(salt.bytes, sizeof(salt.bytes));
    id_hex(&salt, hex);
    jwrite_string(w, "salt", hex);
}

static void write_floor(struct jwriter *w, const struct judgement *j)
{
    const struct task *task = j->request.task;
    const struct shape *timed = j->request.timed ? j->request.timed : &task->shapes[0];
    int64_t bytes = 0, flops = 0;
    if (task->bytes) {
        expr_eval(task->bytes, &timed->symbols, &bytes, NULL);
    }
    if (task->flops) {
        expr_eval(task->flops, &timed->symbols, &flops, NULL);
    }
    jwrite_open(w, "floor", '{');
    jwrite_int(w, "bytes", bytes);
    jwrite_int(w, "flops", flops);
    jwrite_bool(w, "flops_minimum", task->flops_minimum);
    jwrite_string(w, "precision", task->precision);
    jwrite_close(w, '}');
}

/* Measured on this device; without them the worker goes by theory. */
static void write_ceilings(struct jwriter *w, const struct device_info *device)
{
    if (device->has_ceilings) {
        json_t *json = ceilings_json(&device->ceilings);
        jwrite_tree(w, "ceilings", json);
        json_decref(json);
    }
}

static void write_rules(struct jwriter *w, const struct judgement *j)
{
    const struct task *task = j->request.task;
    enum judge_depth depth = j->request.depth;
    bool tune = depth == JUDGE_DEPTH_TUNE, quick = depth == JUDGE_DEPTH_QUICK || tune;
    bool one = quick || depth == JUDGE_DEPTH_TIME;
    int64_t samples = depth == JUDGE_DEPTH_FULL ? 0 : (int64_t)j->request.samples;
    jwrite_int(w, "trials", one ? 1 : JUDGE_TRIALS);
    jwrite_bool(w, "deterministic", task->deterministic);
    jwrite_int(w, "roundings", task->roundings);
    jwrite_real(w, "check_seconds", 2); /* a slow reference may leave it at two trials a shape */
    jwrite_open(w, "samples", '{');
    jwrite_int(w, "min", samples ? samples : quick ? 5 : 30);
    jwrite_int(w, "max", samples ? 2 * samples : quick ? 10 : 240);
    jwrite_close(w, '}');
    if (tune) {
        jwrite_open(w, "tuning", '{');
        jwrite_real(w, "hopeless_us", j->request.hopeless_us);
        jwrite_close(w, '}');
    }
    jwrite_open(w, "tolerance", '{');
    jwrite_real(w, "atol", task->atol);
    jwrite_real(w, "rtol", task->rtol);
    jwrite_bool(w, "relative", task->relative);
    jwrite_close(w, '}');
    jwrite_open(w, "aliases", '[');
    for (size_t i = 0; i < task->n_aliases; i++) {
        jwrite_open(w, NULL, '[');
        jwrite_string(w, NULL, task->aliases[i][0]);
        jwrite_string(w, NULL, task->aliases[i][1]);
        jwrite_close(w, ']');
    }
    jwrite_close(w, ']');
}

static void write_protocol(struct jwriter *w, const struct judgement *j)
{
    jwrite_open(w, "protocol", '{');
    jwrite_open(w, "rules", '[');
    for (unsigned rule = PROTOCOL_RULE_KB; rule <= PROTOCOL_RULE_VERIFIED; rule <<= 1) {
        if (j->request.rules & rule) {
            jwrite_string(w, NULL, protocol_rule_name((enum protocol_rule)rule));
        }
    }
    jwrite_close(w, ']');
    jwrite_bool(w, "exact", j->request.exact);
    jwrite_close(w, '}');
}

void judge_write_job(const struct judgement *j, const char *kind, struct buf *out)
{
    struct jwriter w = { out, false };
    jwrite_open(&w, NULL, '{');
    jwrite_string(&w, "kind", kind);
    if (j->request.task->oracle) {
        jwrite_string(&w, "problem", j->request.task->oracle_hash);
    }
    if (j->request.depth == JUDGE_DEPTH_PROTOCOL) {
        write_protocol(&w, j);
    }
    write_salt(&w);
    write_rules(&w, j);
    write_floor(&w, j);
    write_ceilings(&w, &j->ev->device);
    jwrite_open(&w, "images", '[');
    for (size_t i = 0; i < j->n_units; i++) {
        jwrite_open(&w, NULL, '[');
        jwrite_int(&w, NULL, (int64_t)j->units[i].offset);
        jwrite_int(&w, NULL, (int64_t)j->units[i].len);
        jwrite_close(&w, ']');
    }
    jwrite_close(&w, ']');
    jwrite_open(&w, "cases", '[');
    for (size_t i = 0; i < j->n_cases; i++) {
        write_case(&w, j->request.task, &j->cases[i]);
    }
    jwrite_close(&w, ']');
    jwrite_close(&w, '}');
}
