/* SPDX-License-Identifier: MIT */
/*
 * Judges every shipped kernel on a device and prints one line each: status, seconds the device
 * worker took, time, speedup over the family's first variant, share of the speed of light; and how
 * the RMS error under the task's own inputs compares with what the declared precision allows, at
 * the shape where it comes nearest.
 *
 * usage: bench_gate [driver library] [family]   (default: the simulator, all families)
 */
#include <dirent.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/util.h"
#include "tests/gate_case.h"

static int visible(const struct dirent *entry)
{
    return entry->d_name[0] != '.' && !strchr(entry->d_name + 1, '.');
}

static double number(const json_t *json, const char *key)
{
    return json_number_value(json_object_get(json, key));
}

static const char *text(const json_t *json, const char *key)
{
    const char *value = json_string_value(json_object_get(json, key));
    return value ? value : "";
}

static void print(const char *task, const char *name, const json_t *v)
{
    const json_t *time = json_object_get(v, "time"), *base = json_object_get(v, "baseline");
    printf("%-12s %-24s %-12s judge %.3f s  %9.2f us [%.2f, %.2f] n %d (-%d)  base %.2f us n %d  "
           "x%.2f %s  sol %.2f %s  %s  rms %.2e of %.2e: margin %.1f  %s\n", task, name, text(v, "status"), number(v, "device_s"),
           number(time, "median_us"), number(time, "lo_us"), number(time, "hi_us"),
           (int)number(time, "n"), (int)number(time, "dropped"), number(base, "median_us"),
           (int)number(base, "n"), number(v, "speedup"), text(v, "relation"), number(v, "sol"),
           text(v, "sol_bound"), text(v, "bottleneck"), number(v, "precision_error"),
           number(v, "precision_limit"),
           number(v, "precision_limit") / fmax(number(v, "precision_error"), 1e-300),
           text(v, "detail"));
    fflush(stdout);
}

static void run_family(struct gate_bench *bench, const struct task *task)
{
    auto_free char *folder = xprintf("%s/kernels/%s", WS_SOURCE_DIR, task->family);
    struct dirent **names;
    struct candidate *baseline = NULL;
    int n = scandir(folder, &names, visible, alphasort);
    for (int i = 0; i < n; i++) {
        struct err err = { 0 };
        struct candidate *c = NULL;
        auto_free char *path = xprintf("%s/%s", folder, names[i]->d_name);
        if (candidate_load(path, &c, &err) < 0) {
            printf("%-12s %-24s %s\n", task->name, names[i]->d_name, err_text(&err));
        } else {
            struct gate_request request = { .task = task, .candidate = c, .baseline = baseline };
            json_t *v = gate_judge(bench, &request);
            print(task->name, names[i]->d_name, v);
            if (!v || str_eq(text(v, "status"), "launch_error")) {
                gate_bench_restart_device(bench);
            }
            json_decref(v);
        }
        baseline = baseline ? baseline : c;
        if (c != baseline) {
            candidate_free(c);
        }
        free(names[i]);
    }
    candidate_free(baseline);
    free(n > 0 ? names : NULL);
}

int main(int argc, char **argv)
{
    const char *driver = argc > 1 ? argv[1] : WS_BIN_DIR "/libwarpsim.so";
    struct gate_bench bench;
    gate_bench_start(&bench, driver);
    char *hello = json_dumps(bench.device.hello, JSON_COMPACT);
    puts(hello);
    free(hello);
    struct dirent **names;
    int n = scandir(WS_SOURCE_DIR "/kernelbench/tasks", &names, visible, alphasort);
    for (int i = 0; i < n; i++) {
        auto_free char *path = xprintf("%s/kernelbench/tasks/%s", WS_SOURCE_DIR, names[i]->d_name);
        struct task *task = NULL;
        struct err err = { 0 };
        if (task_load(path, &task, &err) < 0) {
            fprintf(stderr, "%s\n", err_text(&err));
        } else if (argc <= 2 || str_eq(task->family, argv[2]) || str_eq(task->name, argv[2])) {
            run_family(&bench, task);
        }
        task_free(task);
        free(names[i]);
    }
    free(n > 0 ? names : NULL);
    gate_bench_stop(&bench);
    return 0;
}
