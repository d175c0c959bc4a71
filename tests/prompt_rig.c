/* SPDX-License-Identifier: MIT */
#include "tests/prompt_rig.h"
#include "base/file.h"
#include "base/util.h"
#include "graph/htg_seed.h"
#include "graph/select.h"

#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static void seed(struct htg *htg, const char *pattern,
                 int (*reader)(struct htg *, const char *, size_t, struct err *))
{
    glob_t found;
    assert_int_equal(glob(pattern, 0, NULL, &found), 0);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        auto_free char *text = NULL;
        size_t len;
        assert_int_equal(file_read(found.gl_pathv[i], 4 << 20, &text, &len, NULL), 0);
        assert_int_equal(reader(htg, text, len, NULL), 0);
    }
    globfree(&found);
}

void rig_choose(struct rig *rig, const char *direction)
{
    struct select_request request = { .seed = 1, .step = 1, .task = "softmax" };
    assert_int_equal(context_init(&request.context, "softmax", "memory_bound", "sm_90", false, NULL), 0);
    select_tuning_default(&request.tuning);
    request.tuning.control_share = 0;
    request.tuning.trust_floor = 1;
    request.directions = (uint64_t)1 << htg_find_direction(rig->htg, direction);
    assert_int_equal(select_direction(rig->htg, &request, rig->arena, &rig->choice, NULL), 0);
    rig->choice->recall = true;
    assert_int_equal(select_strategies(rig->htg, &request, 3, rig->arena, rig->choice, NULL), 0);
    assert_true(rig->choice->n_recalled > 0);
}

void rig_init(struct rig *rig)
{
    *rig = (struct rig) { .arena = arena_new() };
    assert_int_equal(task_load(WS_SOURCE_DIR "/kernelbench/tasks/softmax", &rig->task, NULL), 0);
    assert_int_equal(candidate_load(WS_SOURCE_DIR "/kernels/softmax/02_block_per_row", &rig->parent,
                                    NULL), 0);
    assert_int_equal(candidate_load(WS_SOURCE_DIR "/kernels/softmax/01_two_kernels", &rig->other, NULL),
                     0);
    assert_int_equal(candidate_load(WS_SOURCE_DIR "/kernels/softmax/06_row_in_registers", &rig->best, NULL),
                     0);
    rig->htg = htg_new();
    seed(rig->htg, WS_SOURCE_DIR "/kernels/memory/directions.json", htg_seed_directions);
    seed(rig->htg, WS_SOURCE_DIR "/kernels/memory/strategies*.json", htg_seed_strategies);
    seed(rig->htg, WS_SOURCE_DIR "/kernels/memory/transitions.json", htg_seed_transitions);
    rig_choose(rig, "data-reuse");
    rig->device = (struct device_info) { .name = "NVIDIA H200", .arch = "sm_90a",
                                         .facts = { 132, 232448, (int64_t)140 << 30, "sm_90a" } };
    rig->verdict = (struct verdict) { .status = VERDICT_STATUS_ACCEPTED, .phase = "done", .detail = "",
                                      .time = { 161.5, 160, 163, 60, 0, NULL, NULL }, .sol = 0.4,
                                      .sol_bound = "memory", .bottleneck = BOTTLENECK_MEMORY_BOUND,
                                      .registers = 32, .occupancy = 0.5 };
    rig->failed = (struct verdict) { .status = VERDICT_STATUS_INCORRECT, .phase = "check",
                                     .detail = "output y, element [3, 7]: expected 0.25, got 0.5" };
    rig->tried[0] = (struct prompt_tried) { .seq = 0, .parent = -1, .direction = "", .strategy = "", .title = "Two kernels",
                                            .verdict = &rig->verdict, .why = "" };
    rig->tried[1] = (struct prompt_tried) { .seq = 1, .parent = 0, .direction = "parallel-mapping",
                                            .strategy = "block-per-row", .title = "One block",
                                            .verdict = &rig->verdict, .why = "" };
    rig->tried[2] = (struct prompt_tried) { .seq = 2, .parent = 1, .direction = "algorithm",
                                            .strategy = "online-softmax", .title = "Online",
                                            .verdict = &rig->failed, .why = "" };
    rig->example = (struct prompt_example) { "row-in-registers", "rmsnorm on sm_90, 2.10x its parent",
                                             rig->other };
    rig->input = (struct prompt_input) {
        .task = rig->task, .device = &rig->device, .htg = rig->htg, .choice = rig->choice,
        .parent = rig->parent, .parent_verdict = &rig->verdict, .parent_seq = 1,
        .parent_direction = "parallel-mapping", .parent_strategy = "block-per-row",
        .example = &rig->example, .tried = rig->tried, .n_tried = 3,
    };
}

void rig_done(struct rig *rig)
{
    candidate_free(rig->parent);
    candidate_free(rig->other);
    candidate_free(rig->best);
    task_free(rig->task);
    htg_free(rig->htg);
    arena_free(rig->arena);
}

void rig_build(struct rig *rig, struct prompt *ret)
{
    struct err err = { 0 };
    if (prompt_build(&rig->input, rig->arena, ret, &err) < 0) {
        fail_msg("%s", err_text(&err));
    }
}

void assert_has(const char *text, const char *part)
{
    if (!strstr(text, part)) {
        fail_msg("\"%s\" isn't in:\n%s", part, text);
    }
}

void assert_order(const char *text, const char *const *parts, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const char *at = strstr(text, parts[i]);
        if (!at) {
            fail_msg("\"%s\" is missing, or stands too early", parts[i]);
        }
        text = at + strlen(parts[i]);
    }
}
