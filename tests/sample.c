/* SPDX-License-Identifier: MIT */
#include "tests/sample.h"
#include "base/util.h"
#include "tests/cases.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

const char sample_source[] = "extern \"C\" __global__ void sample(const float *x, float *y) {}\n"
                             "extern \"C\" __global__ void pack(const short *w) {}\n";

struct task *sample_task(void)
{
    auto_free char *text = cases_base("task");
    struct task *task = NULL;
    struct err err = { 0 };
    if (task_parse(text, strlen(text),
                   "extern \"C\" __global__ void sample_reference(const float *x) {}", &task, &err)
        < 0) {
        fail_msg("%s", err_text(&err));
    }
    return task;
}

struct candidate *sample_candidate_with(const char *patch)
{
    auto_free char *base = cases_base("plan");
    json_t *doc = json_loads(base, 0, NULL), *changes = json_loads(patch, 0, NULL);
    assert_non_null(changes);
    cases_merge(doc, changes);
    auto_free char *text = json_dumps(doc, 0);
    json_decref(doc);
    json_decref(changes);
    struct candidate *candidate = NULL;
    struct err err = { 0 };
    if (candidate_parse(text, strlen(text), sample_source, strlen(sample_source), &candidate, &err)
        < 0) {
        fail_msg("%s", err_text(&err));
    }
    return candidate;
}

struct candidate *sample_candidate(void)
{
    return sample_candidate_with("{}");
}

struct device_facts sample_facts(void)
{
    return (struct device_facts) { 132, 232448, 1 << 30, "sm_90a" };
}
