/* SPDX-License-Identifier: MIT */
#include "evaluator/worker/protocol.h"
#include "base/util.h"
#include "evaluator/worker/oracle.h"

#include <stdio.h>
#include <string.h>

enum { STANDARD = 5, HIDDEN_MOST = 5, QUEUE_MAX = 500 /* launches; more become a graph */ };
static const double hidden_scales[HIDDEN_MOST] = { 1, 3, 0.01, -1, 1 };

int protocol_launch(struct protocol *p)
{
    struct judge *j = p->judge;
    if (p->graph) {
        return gpu_check(j->gpu, j->gpu->cu.cuGraphLaunch(p->graph, j->gpu->stream), "the graph", &j->err);
    }
    return program_run(&p->program, &j->err);
}

static uint64_t seed_of(const struct protocol *p, int draw)
{
    struct gate_key key;
    gate_key_make(p->judge->job->salt, p->one->shape, (uint64_t)(draw + 16), 0, &key);
    return (uint64_t)key.k[0] << 32 | key.k[1];
}

static double since(uint64_t start)
{
    return (double)(clock_ns() - start) * 1e-9;
}

static int make(struct protocol *p, unsigned parts, int draw, double scale)
{
    struct judge *j = p->judge;
    uint64_t start = clock_ns();
    struct oracle_plain how = { j->job->exact, draw, seed_of(p, draw), scale };
    int r = oracle_make_plain(j->job->oracle, &p->rig.sets[0], p->rig.n_tensors, parts, &how, &j->err);
    r = r < 0 ? r : gpu_finish(j->gpu, "filling inputs", &j->err);
    p->made_s += since(start);
    return r;
}

/* Weights are there for the whole judgement; what is made ready of them is so once. */
static int prepare(struct protocol *p)
{
    struct judge *j = p->judge;
    struct rig_buffers *set = &p->rig.sets[0];
    int r = rig_place(&p->rig, false, &j->err);
    r = r < 0 ? r : rig_poison_inputs(&p->rig, set, &j->err);
    r = r < 0 ? r : rig_poison_scratch(&p->rig, set, RIG_POISON_A, &j->err);
    r = r < 0 ? r : make(p, RIG_PART_WEIGHTS | RIG_PART_INOUT, 0, 1);
    if (r < 0) {
        return r;
    }
    program_point(&p->program, set->at);
    r = p->program.n_prepare ? program_prepare(&p->program, &j->err) : 0;
    if (r == 0 && (p->program.bound->graph || p->program.n_launches > QUEUE_MAX)) {
        r = program_record(&p->program, &p->graph, &j->err);
    }
    r = r < 0 ? r : gpu_finish(j->gpu, "preparing", &j->err);
    return r < 0 ? judge_failed(j, "the candidate", r) : 0;
}

static int run(struct protocol *p)
{
    struct judge *j = p->judge;
    int r = rig_poison_outputs(&p->rig, &p->rig.sets[0], RIG_POISON_A, &j->err);
    r = r < 0 ? r : gpu_finish(j->gpu, "poisoning", &j->err);
    if (r < 0) {
        return r;
    }
    r = protocol_launch(p);
    r = r < 0 ? r : gpu_finish(j->gpu, "running the kernels", &j->err);
    return r < 0 ? judge_failed(j, "the candidate", r) : 0;
}

/* One rule's word on the outputs of a trial; the first mismatch is told of. */
static void look(struct protocol *p, struct rule *rule, const struct gate_comparison *found, int trial,
                 bool hidden)
{
    const struct bound_buffer *buffers = p->rig.reference.buffers;
    const struct gate_comparison *bad = NULL;
    size_t at = 0;
    bool finite = true;
    double most = 0;
    for (size_t i = 0; i < p->rig.n_tensors; i++) {
        const struct gate_comparison *f = &found[i];
        if (buffers[i].role == TENSOR_ROLE_OUTPUT) {
            finite = finite && f->not_finite == 0;
            most = MAX(most, gate_max_error(f));
            at = f->wrong && !bad ? i : at;
            bad = f->wrong && !bad ? f : bad;
        }
    }
    if (hidden && !finite) {
        rule->dropped++;
        return;
    }
    if (bad && !rule->detail) {
        rule->detail = arena_printf(
            p->judge->arena, "output %s: %llu of %lld elements are off by more than %g + %g * |got| in trial %d; "
            "the first at index %llu, largest difference %.6g", buffers[at].name, (unsigned long long)bad->wrong,
            (long long)buffers[at].count, rule->tolerance, rule->tolerance, trial,
            (unsigned long long)bad->first, gate_max_error(bad));
    }
    rule->most = MAX(rule->most, most);
    rule->trials++;
    rule->passed += bad == NULL;
}

/* Candidate first: what Model makes of the same inputs comes when it can't be found any more. */
static int compare(struct protocol *p, struct rule *const rules[2], struct gate_comparison *ret)
{
    struct judge *j = p->judge;
    struct rig *rig = &p->rig;
    int r = rig_reveal(rig, true, &j->err);
    r = r < 0 ? r : oracle_run_plain(j->job->oracle, &rig->reference, rig->n_tensors, &j->err);
    r = r < 0 ? r : gate_clear(j->gate, &j->err);
    for (size_t k = 0; k < 2; k++) {
        for (size_t i = 0; r == 0 && rules[k] && i < rig->n_tensors; i++) {
            const struct bound_buffer *b = &rig->reference.buffers[i];
            if (b->role == TENSOR_ROLE_OUTPUT) {
                r = gate_close(j->gate, rig->reference.at[i], rig->sets[0].at[i], b, rules[k]->tolerance,
                               (int)(k * TASK_TENSORS_MAX + i), &j->err);
            }
        }
    }
    r = r < 0 ? r : gate_read(j->gate, 2 * TASK_TENSORS_MAX, ret, &j->err);
    return r < 0 ? r : rig_reveal(rig, false, &j->err);
}

static int trial(struct protocol *p, int draw, double scale, bool hidden)
{
    struct rule *const rules[2] = { p->kb.wanted && !hidden ? &p->kb : NULL,
                                    p->verified.wanted ? &p->verified : NULL };
    struct gate_comparison found[2 * TASK_TENSORS_MAX];
    judge_phase(p->judge, "check", p->one, draw);
    int r = make(p, RIG_PART_INPUTS, draw, scale);
    r = r < 0 ? r : run(p);
    r = r < 0 ? r : compare(p, rules, found);
    for (size_t k = 0; r == 0 && k < 2; k++) {
        if (rules[k]) {
            look(p, rules[k], found + k * TASK_TENSORS_MAX, draw + 1, hidden);
        }
    }
    return r;
}

static bool passes(const struct rule *rule)
{
    return rule->wanted && rule->passed == rule->trials;
}

static int check(struct protocol *p)
{
    uint64_t start = clock_ns();
    int r = 0;
    for (int t = 0; r == 0 && t < STANDARD; t++) {
        r = trial(p, t, 1, false);
    }
    for (int t = 0; r == 0 && t < p->judge->job->oracle->hidden && passes(&p->verified); t++) {
        r = trial(p, STANDARD + t, hidden_scales[t], true);
    }
    p->checked_s = since(start);
    return r;
}

/* What isn't correct isn't timed; nor is what only has a model of a clock. */
static int measure(struct protocol *p)
{
    struct rule *const rules[] = { &p->kb, &p->verified };
    bool timed = !p->judge->gpu->modelled && (passes(&p->kb) || passes(&p->verified));
    int r = timed ? make(p, RIG_PART_INPUTS, ORACLE_DRAW_TIMED, 1) : 0;
    for (size_t k = 0; r == 0 && k < ARRAY_LEN(rules); k++) {
        uint64_t start = clock_ns();
        r = timed && passes(rules[k]) ? protocol_time(p, rules[k]) : 0;
        rules[k]->timed_s = since(start);
        rules[k]->done = r == 0;
    }
    return r;
}

/* Bytes that one run needs: tensors and scratch. */
static double footprint(const struct bound *bound)
{
    double sum = 0;
    for (size_t i = 0; i < bound->n_buffers; i++) {
        sum += (double)rig_bytes(&bound->buffers[i]);
    }
    return sum;
}

static json_t *rule_json(const struct protocol *p, const struct rule *rule)
{
    char trials[32];
    snprintf(trials, sizeof(trials), "%d/%d", rule->passed, rule->trials);
    json_t *one = json_pack("{s:s,s:f,s:s}", "trials", trials, "max_difference", rule->most, "inputs",
                            p->judge->job->exact ? "exact" : "own generator");
    if (rule->done) {
        json_object_set_new(one, "status", json_string(passes(rule) ? "correct" : "incorrect"));
        protocol_statistics(rule->us, rule->n, one);
    }
    if (rule->detail) {
        json_object_set_new(one, "detail", json_string(rule->detail));
    }
    if (rule->dropped) {
        json_object_set_new(one, "dropped", json_integer(rule->dropped));
    }
    json_object_set_new(one, "spent_s", json_pack("{s:f,s:f,s:f,s:f,s:f}", "open",
                                                  p->judge->job->opened_s, "load", p->loaded_s, "make", p->made_s,
                                                  "check", p->checked_s, "time", rule->timed_s));
    if (rule == &p->verified) {
        json_object_set_new(one, "bytes", json_real(footprint(p->one->candidate.bound)));
    }
    return one;
}

static int judge(struct protocol *p)
{
    struct judge *j = p->judge;
    judge_phase(j, "load", p->one, 0);
    int r = judge_load(j, p->one, &p->one->candidate, "the candidate", &p->program);
    if (r < 0) {
        return r;
    }
    uint64_t start = clock_ns();
    r = rig_open_bare(&p->rig, j->slabs, j->gate, j->job, p->one, j->arena, &j->err);
    if (r == 0) {
        j->rig = &p->rig;
        r = prepare(p);
        p->loaded_s = since(start);
        r = r < 0 ? r : check(p);
        r = r < 0 ? r : measure(p);
        j->rig = NULL;
        rig_close(&p->rig);
    }
    if (p->graph && !j->gpu->broken) {
        j->gpu->cu.cuGraphExecDestroy(p->graph);
    }
    program_unload(&p->program);
    return r;
}

json_t *protocol_run(const struct judge_tools *tools, const struct job *job, struct arena *arena)
{
    struct judge j;
    judge_start(&j, tools, job, arena);
    struct protocol *p = arena_alloc(arena, 1, sizeof(*p));
    p->judge = &j;
    p->one = &job->cases[0];
    p->kb = (struct rule) { .name = "kb", .wanted = job->rule_kb, .tolerance = 1e-4 };
    p->verified = (struct rule) { .name = "verified", .wanted = job->rule_verified, .tolerance = 1e-3 };
    int r = judge(p);
    if (r == 0) {
        judge_decide(&j, VERDICT_STATUS_ACCEPTED, "by other rules than the gate's: see protocols");
        r = JUDGE_DECIDED;
    }
    json_t *answer = judge_answer(&j, r), *rules = json_object();
    const struct rule *const both[] = { &p->kb, &p->verified };
    for (size_t k = 0; k < ARRAY_LEN(both); k++) {
        if (both[k]->wanted) {
            json_object_set_new(rules, both[k]->name, rule_json(p, both[k]));
        }
    }
    json_object_set_new(answer, "protocols", rules);
    return answer;
}
