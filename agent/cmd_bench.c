/* SPDX-License-Identifier: MIT */
/* bench: figures of this machine, beside their bars. */
#include "agent/bench.h"
#include "agent/command.h"
#include "base/file.h"
#include "base/jread.h"
#include "base/util.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const struct bench *const benches[] = {
    &bench_overhead, &bench_campaign, &bench_deadlines, &bench_evaluate, &bench_families,
    &bench_correlation, &bench_timing, &bench_device, &bench_exploits, &bench_mutants, &bench_honest,
    &bench_sanitize, &bench_htg, &bench_memory,
    &bench_degenerate, &bench_forest, &bench_prior, &bench_tune, &bench_tuner,
};

void bench_figure(struct bench_report *report, const char *name, double value, const char *unit,
                  enum bench_bar kind, double bar)
{
    bool ok = kind == BENCH_BAR_NONE || (kind == BENCH_BAR_LEAST ? value >= bar : value <= bar);
    json_t *figure = json_pack("{s:f, s:s, s:b}", "value", value, "unit", unit, "ok", ok);
    if (kind != BENCH_BAR_NONE) {
        json_object_set_new(figure, "bar", json_real(bar));
    }
    json_object_set_new(report->figures, name, figure);
    report->all_ok = report->all_ok && ok;
    if (!report->out) {
        return;
    }
    fprintf(report->out, "%-44s %12.4g %-22s", name, value, unit);
    if (kind != BENCH_BAR_NONE) {
        fprintf(report->out, " bar %s %g  %s", kind == BENCH_BAR_LEAST ? ">=" : "<=", bar,
                ok ? "ok" : "NOT REACHED");
    }
    fputc('\n', report->out);
    fflush(report->out);
}

int bench_folder(char **ret_path, struct err *err)
{
    const char *root = getenv("TMPDIR");
    char *path = xprintf("%s/warpsmith-bench-XXXXXX", root && *root ? root : "/tmp");
    if (!mkdtemp(path)) {
        int r = err_set(err, -errno, "%s: %s", path, strerror(errno));
        free(path);
        return r;
    }
    *ret_path = path;
    return 0;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double bench_median(double *values, size_t n)
{
    if (n == 0) {
        return 0;
    }
    qsort(values, n, sizeof(*values), by_value);
    return n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

static const struct bench *find(const char *name)
{
    const char *names[ARRAY_LEN(benches)];
    for (size_t i = 0; i < ARRAY_LEN(benches); i++) {
        names[i] = benches[i]->name;
        if (str_eq(name, names[i])) {
            return benches[i];
        }
    }
    const char *near = suggest(name, names, ARRAY_LEN(names));
    fprintf(stderr, "warpsmith bench: there is no bench \"%s\"%s%s%s; warpsmith bench lists them\n",
            name, near ? ", did you mean " : "", near ? near : "", near ? "?" : "");
    return NULL;
}

static int run_bench(const struct options *o)
{
    if (o->n_args == 0) {
        for (size_t i = 0; i < ARRAY_LEN(benches); i++) {
            printf("%-12s %s\n", benches[i]->name, benches[i]->summary);
        }
        return EXIT_DONE;
    }
    const struct bench *bench = find(o->args[0]);
    if (!bench) {
        return EXIT_USAGE;
    }
    if (o->n_args > 1 && !bench->takes_names) {
        fprintf(stderr, "warpsmith bench %s: takes no names, got \"%s\"\n", bench->name, o->args[1]);
        return EXIT_USAGE;
    }
    struct bench_report report = { .figures = json_object(), .all_ok = true,
                                   .out = str_eq(o->json, "-") ? NULL : stdout };
    struct err err = { 0 };
    int r = bench->run(o, &report, &err);
    json_t *json = json_pack("{s:s, s:o}", "bench", bench->name, "figures", report.figures);
    if (r == 0 && o->json) {
        r = output_json(o->json, json, &err);
    } else {
        json_decref(json);
    }
    return r < 0 ? options_fail(&err) : report.all_ok ? EXIT_DONE : EXIT_NEGATIVE;
}

const struct command command_bench = {
    .name = "bench",
    .summary = "measure this program on this machine, beside its bars",
    .usage = "bench [NAME [PART...]] [options]",
    .help = "Without a name: lists the benches. Figures are measured on this machine, now; a modelled time is\n"
            "labelled so. Exit code 1 if a bar isn't reached.\n\n"
            "  warpsmith bench overhead\n"
            "  warpsmith bench evaluate --gpu 0 --json -\n"
            "  warpsmith bench exploits --gpu sim 01_stale_output",
    .takes = "gpu out json steps runs evals seed seeds batch noise threads jobs deadline full verbose",
    .args_min = 0,
    .args_max = 64,
    .run = run_bench,
};
