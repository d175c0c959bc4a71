/* SPDX-License-Identifier: MIT */
/* What a compile worker found in a candidate's PTX (worker/refuse.h), held against its plan. */
#include "base/util.h"
#include "evaluator/judge_refuse.h"

#include <string.h>

enum { REFUSALS_TOLD = 4, TEXT_MAX_BYTES = 4096 };

static const char *text_of(const json_t *finding, const char *key)
{
    const char *text = json_string_value(json_object_get(finding, key));
    return text ? text : "";
}

/* Dependent launches are declared around this step: it may begin early, or the next one may. */
static bool declared(const struct plan_launch *launches, size_t n, size_t i)
{
    return launches[i].programmatic || (i + 1 < n && launches[i + 1].programmatic);
}

static bool all_declared(const struct plan_launch *launches, size_t n, const char *kernel)
{
    for (size_t i = 0; i < n; i++) {
        bool meant = launches[i].kernel && (!kernel || str_eq(launches[i].kernel, kernel));
        if (meant && !declared(launches, n, i)) {
            return false;
        }
    }
    return true;
}

static bool refused(const struct plan *plan, const json_t *finding)
{
    const char *level = text_of(finding, "level");
    if (str_eq(level, "remark")) {
        return false;
    }
    if (!str_eq(level, "programmatic")) {
        return true;
    }
    /* A device function may be called by any kernel. */
    bool entry = json_is_true(json_object_get(finding, "entry"));
    const char *kernel = entry ? text_of(finding, "where") : NULL;
    return !all_declared(plan->launches, plan->n_launches, kernel)
        || !all_declared(plan->prepare, plan->n_prepare, kernel);
}

static void describe(const json_t *finding, struct buf *out)
{
    const char *where = text_of(finding, "where");
    long long line = json_integer_value(json_object_get(finding, "source_line"));
    if (line > 0) {
        buf_printf(out, "kernel.cu line %lld, ", line);
    }
    buf_printf(out, "PTX line %lld",
               (long long)json_integer_value(json_object_get(finding, "line")));
    if (*where) {
        buf_printf(out, ", %s %s",
                   json_is_true(json_object_get(finding, "entry")) ? "kernel" : "function", where);
    }
    buf_printf(out, ": %s: %s", text_of(finding, "text"), text_of(finding, "reason"));
}

char *judge_refusal(const struct plan *plan, const json_t *findings)
{
    struct buf text;
    buf_init(&text, TEXT_MAX_BYTES);
    size_t told = 0;
    for (size_t i = 0; i < json_array_size(findings) && told < REFUSALS_TOLD; i++) {
        const json_t *finding = json_array_get(findings, i);
        if (refused(plan, finding)) {
            buf_puts(&text, told++ ? "\n" : "");
            describe(finding, &text);
        }
    }
    if (told == 0) {
        buf_done(&text);
        return NULL;
    }
    return buf_take(&text);
}

char *judge_remarks(const char *before, const json_t *findings)
{
    struct buf all;
    buf_init(&all, TEXT_MAX_BYTES);
    buf_puts(&all, before ? before : "");
    for (size_t i = 0; i < json_array_size(findings); i++) {
        const json_t *finding = json_array_get(findings, i);
        if (!str_eq(text_of(finding, "level"), "remark")) {
            continue;
        }
        auto_free char *remark
            = xprintf("%s: %s", text_of(finding, "where"), text_of(finding, "reason"));
        if (!all.len || !strstr(all.at, remark)) {
            buf_printf(&all, "%s%s", all.len ? "; " : "", remark);
        }
    }
    return buf_take(&all);
}
