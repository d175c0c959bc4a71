/* SPDX-License-Identifier: MIT */
#include "agent/eval_protocol.h"
#include "base/util.h"

#include <stdio.h>
#include <string.h>

struct waiting {
    bool done;
    json_t *results;
};

static void on_told(void *ud, const json_t *results)
{
    struct waiting *w = ud;
    w->done = true;
    w->results = json_deep_copy(results);
}

/* The problem that a task was imported from: tasks/level1/19_ReLU/19_ReLU.py. A mapped task's own name is the
 * family's; a file that lies elsewhere has no level. */
static int problem_of(const struct task *task, struct problem *ret, struct err *err)
{
    struct problem p = { .name = task->name, .path = task->oracle, .family = task->family };
    if (!task->oracle || !id_parse(task->oracle_hash, &p.hash)) {
        return err_set(err, ERR_INVALID, "--protocol: %s is no task that `kernelbench import` wrote; only those can be "
                       "judged by KernelBench's rules", task->name);
    }
    for (const char *at = task->oracle; (at = strstr(at, "/level")); at++) {
        if (sscanf(at, "/level%d/%d_", &p.level, &p.id) != 2) {
            p.level = p.id = 0;
        }
    }
    *ret = p;
    return 0;
}

static void print_rule(const char *rule, const json_t *one)
{
    const char *status = json_string_value(json_object_get(one, "status"));
    const char *trials = json_string_value(json_object_get(one, "trials"));
    const char *detail = json_string_value(json_object_get(one, "detail"));
    const char *inputs = json_string_value(json_object_get(one, "inputs"));
    const char *baseline = json_string_value(json_object_get(one, "baseline"));
    double mean = json_number_value(json_object_get(one, "mean_us"));
    double base = json_number_value(json_object_get(one, "baseline_mean_us"));
    printf("%s: %s, %s trials (inputs: %s)", rule, status ? status : "?", trials ? trials : "no", inputs ? inputs : "?");
    if (mean > 0) {
        printf(", mean %.4g us of %lld", mean, (long long)json_integer_value(json_object_get(one, "n")));
    }
    if (mean > 0 && base > 0) {
        printf(", %.3gx of %s (%.4g us)%s", base / mean, baseline ? baseline : "?", base,
               json_is_true(json_object_get(one, "excessive_speedup")) ? ", more than KernelBench believes" : "");
    }
    printf("%s%s\n", detail ? "; " : "", detail ? detail : "");
}

int eval_protocol(struct session *session, const struct kernelbench_rules *rules, const struct task *task,
                  const struct candidate *candidate, json_t **ret, struct err *err)
{
    const struct options *o = session->options;
    struct problem problem;
    int r = problem_of(task, &problem, err);
    if (r < 0) {
        return r;
    }
    struct waiting w = { 0 };
    struct kernelbench_protocol_request request = { session, session->evaluator, *rules, &problem, task, candidate,
                                                    (uint64_t)(o->deadline_s * 1000), .fresh = true };
    kernelbench_protocol(&request, on_told, &w);
    while (!w.done && uv_run(session_loop(session), UV_RUN_ONCE)) {
    }
    const char *rule;
    json_t *one;
    bool right = json_object_size(w.results) > 0;
    json_object_foreach(w.results, rule, one)
    {
        const char *status = json_string_value(json_object_get(one, "status"));
        right = right && status && str_eq(status, "correct");
        if (!(o->json && str_eq(o->json, "-"))) {
            print_rule(rule, one);
        }
    }
    *ret = w.results;
    return right ? 0 : 1;
}
