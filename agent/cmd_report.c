/* SPDX-License-Identifier: MIT */
/* report: the page of a campaign, or the list of campaigns. */
#include "agent/command.h"
#include "agent/recording.h"
#include "agent/report.h"
#include "base/file.h"
#include "base/jread.h"
#include "base/util.h"
#include "memory/record.h"

#include <stdio.h>
#include <time.h>

static int list_campaigns(struct session *s, struct err *err)
{
    auto_arena struct arena *arena = arena_new();
    struct campaign_record *records;
    size_t n;
    int r = record_list_campaigns(s->store, arena, &records, &n, err);
    if (r < 0) {
        return r;
    }
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++) {
        const struct campaign_record *c = &records[i];
        json_t *tasks = json_array();
        time_t started = (time_t)c->started_s;
        struct tm tm;
        char date[32];
        gmtime_r(&started, &tm);
        strftime(date, sizeof(date), "%Y-%m-%d %H:%M", &tm);
        if (!s->options->json) {
            printf("%-16s %-9s %s UTC  %s ", c->id, c->status, date, c->device);
        }
        for (size_t k = 0; k < c->n_tasks; k++) {
            json_array_append_new(tasks, json_string(c->tasks[k]));
            if (!s->options->json) {
                printf(" %s", c->tasks[k]);
            }
        }
        if (!s->options->json) {
            printf("\n");
        }
        json_array_append_new(list, json_pack("{s:s, s:s, s:I, s:s, s:o}", "campaign", c->id,
                                              "status", c->status, "started_s",
                                              (json_int_t)c->started_s, "device", c->device,
                                              "tasks", tasks));
    }
    if (s->options->json) {
        return output_json(s->options->json, list, err);
    }
    json_decref(list);
    if (n == 0) {
        printf("no campaign in %s yet\n", store_path(s->store));
    }
    return 0;
}

static int run_report(const struct options *o)
{
    struct session session;
    struct err err = { 0 };
    int r = session_open(&session, o, SESSION_STORE_READ, &err);
    if (r == 0 && o->n_args == 0) {
        r = list_campaigns(&session, &err);
    } else if (r == 0 && o->record) {
        r = recording_write(session.store, o->args[0], o->record, &err);
        if (r == 0) {
            printf("%s\n", o->record);
        }
    } else if (r == 0) {
        auto_free char *folder = o->out ? xstrdup(o->out) : xprintf("runs/%s", o->args[0]);
        auto_free char *path = xprintf("%s/report.html", folder);
        r = folder_make(folder, &err);
        r = r < 0 ? r : report_write(session.store, o->args[0], path, &err);
        if (r == 0) {
            printf("%s\n", path);
        }
    }
    session_close(&session);
    return r < 0 ? options_fail(&err) : EXIT_DONE;
}

const struct command command_report = {
    .name = "report",
    .summary = "write a campaign's report.html again, or list campaigns",
    .usage = "report [CAMPAIGN] [options]",
    .help = "Without a campaign: lists those in the store. With one: writes OUT/report.html, made from the\n"
            "store alone, also while the campaign runs.\n\n"
            "  warpsmith report c6a1f3b2d4e5f --out runs/mine\n"
            "  warpsmith report c6a1f3b2d4e5f --record softmax.jsonl     # for warpsmith replay",
    .takes = "store out json record",
    .args_min = 0,
    .args_max = 1,
    .run = run_report,
};
