/* SPDX-License-Identifier: MIT */
/* ledger: what campaigns cost, from their records. */
#include "agent/command.h"
#include "agent/ledger.h"
#include "base/jread.h"
#include "base/util.h"

#include <stdio.h>
#include <string.h>

static json_t *line_json(const struct ledger_line *x)
{
    json_t *json = json_pack(
        "{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "task", x->task, "calls",
        (json_int_t)x->calls, "answered", (json_int_t)x->answered, "failed", (json_int_t)x->failed,
        "open", (json_int_t)x->open, "corrections", (json_int_t)x->corrections, "repairs",
        (json_int_t)x->repairs, "tokens_in", (json_int_t)x->tokens_in, "tokens_cached",
        (json_int_t)x->tokens_cached, "tokens_out", (json_int_t)x->tokens_out, "tokens_unsure",
        (json_int_t)x->tokens_unsure, "answers_without_tokens", (json_int_t)x->unknown,
        "answers_without_price", (json_int_t)x->unpriced);
    json_t *rest = json_pack("{s:f, s:f, s:f, s:I, s:I, s:f}", "usd", x->usd, "usd_unsure",
                             x->usd_unsure, "usd_reserved", x->usd_reserved, "attempts",
                             (json_int_t)x->attempts, "accepted", (json_int_t)x->accepted, "gpu_s",
                             x->device_s);
    json_object_update(json, rest);
    json_decref(rest);
    return json;
}

static void print_line(const struct ledger_line *x)
{
    char name[25];
    snprintf(name, sizeof(name), "%s", x->task);
    printf("%-24s %6lld %5lld %5lld %11lld %11lld %11lld %10.4f %10.4f %10.4f %9.2f\n", name,
           (long long)x->calls, (long long)x->failed, (long long)x->open, (long long)x->tokens_in,
           (long long)x->tokens_cached, (long long)x->tokens_out, x->usd, x->usd_unsure,
           x->usd_reserved, x->device_s);
}

static void print_notes(const struct ledger_line *total)
{
    if (total->unknown) {
        printf("%lld answers don't say their tokens: at most %lld in all\n",
               (long long)total->unknown, (long long)total->tokens_bound);
    }
    if (total->unpriced) {
        printf("%lld answers have no known price\n", (long long)total->unpriced);
    }
    if (total->usd_unsure > 0 || total->tokens_unsure) {
        printf("unsure: calls that were cut off and may have been billed all the same, at their worst "
               "price (%lld tokens)\n", (long long)total->tokens_unsure);
    }
    if (total->open) {
        printf("open: asked, and no answer yet\n");
    }
}

static int show(struct session *s, const char *id, json_t *list, struct err *err)
{
    auto_arena struct arena *arena = arena_new();
    struct ledger_line *lines, total;
    struct campaign_record record;
    size_t n;
    int r = ledger_read(s->store, id, arena, &lines, &n, &total, err);
    r = r < 0 ? r : record_get_campaign(s->store, id, arena, &record, err);
    if (r < 0) {
        return r;
    }
    json_t *extra = json_loads(*record.extra ? record.extra : "{}", 0, NULL);
    double wall_s = json_number_value(json_object_get(extra, "seconds"));
    json_decref(extra);
    if (!s->options->json) {
        printf("%s  %s  %s  %.1f s of wall clock\n", record.id, record.status, record.llm, wall_s);
        printf("%-24s %6s %5s %5s %11s %11s %11s %10s %10s %10s %9s\n", "task", "calls", "fail",
               "open", "tokens in", "cached", "out", "usd", "unsure", "reserved", "gpu s");
        for (size_t i = 0; i < n; i++) {
            print_line(&lines[i]);
        }
        if (n > 1) {
            print_line(&total);
        }
        print_notes(&total);
        return 0;
    }
    json_t *tasks = json_array();
    for (size_t i = 0; i < n; i++) {
        json_array_append_new(tasks, line_json(&lines[i]));
    }
    json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:f, s:o, s:o}", "campaign", record.id,
                                          "status", record.status, "llm", record.llm, "wall_s",
                                          wall_s, "tasks", tasks, "total", line_json(&total)));
    return 0;
}

static int show_all(struct session *s, json_t *list, struct err *err)
{
    auto_arena struct arena *arena = arena_new();
    struct campaign_record *records;
    size_t n;
    int r = record_list_campaigns(s->store, arena, &records, &n, err);
    for (size_t i = 0; r == 0 && i < n; i++) {
        r = show(s, records[i].id, list, err);
        if (!s->options->json && i + 1 < n) {
            printf("\n");
        }
    }
    return r;
}

static int run_ledger(const struct options *o)
{
    struct session session;
    struct err err = { 0 };
    int r = session_open(&session, o, SESSION_STORE_READ, &err);
    if (r < 0) {
        return options_fail(&err);
    }
    json_t *list = json_array();
    r = o->n_args ? show(&session, o->args[0], list, &err) : show_all(&session, list, &err);
    if (r == 0 && o->json) {
        json_t *one = o->n_args ? json_incref(json_array_get(list, 0)) : json_incref(list);
        r = output_json(o->json, one, &err);
    }
    json_decref(list);
    session_close(&session);
    return r < 0 ? options_fail(&err) : EXIT_DONE;
}

const struct command command_ledger = {
    .name = "ledger",
    .summary = "what campaigns cost: calls, tokens, dollars, device seconds",
    .usage = "ledger [CAMPAIGN] [options]",
    .help = "Counts a campaign's cost from its records, by task, also while it runs. Without a campaign: "
            "of all.\n\n"
            "  warpsmith ledger c6a1f3b2d4e5f --json -",
    .takes = "store json",
    .args_min = 0,
    .args_max = 1,
    .run = run_ledger,
};
