/* SPDX-License-Identifier: MIT */
/* replay: a campaign again from its record, with no model and no GPU, every decision compared. */
#include "agent/bench.h"
#include "agent/command.h"
#include "agent/replay.h"
#include "base/file.h"
#include "base/util.h"

#include <stdlib.h>
#include <string.h>

/* Everything that the record decided must have come up again. */
static int all_there(const struct campaign *c, const struct recording *recording,
                     const struct replay_result *result, struct err *err)
{
    size_t n = json_object_size(recording->attempts);
    if (result->attempts == n) {
        return 0;
    }
    struct campaign_result first;
    campaign_result(c, 0, &first);
    return err_set(err, ERR_INVALID, "the record has %zu attempts, now there are %zu (task %s: %s)", n,
                   result->attempts, first.task, first.why);
}

static int run_record(const struct options *o, const struct recording *recording,
                      const char *store, struct replay_result *ret, struct err *err)
{
    struct options copy = *o;
    copy.store = store;
    struct session session;
    struct campaign *campaign = NULL;
    int r = session_open(&session, &copy, SESSION_STORE | SESSION_MEMORY, err);
    if (r < 0) {
        return r;
    }
    r = campaign_replay(&session, recording, &campaign, err);
    if (r == 0) {
        r = campaign_run(campaign, err);
        campaign_replayed(campaign, ret);
        r = r < 0 ? r : all_there(campaign, recording, ret, err);
    }
    campaign_free(campaign);
    session_close(&session);
    return r;
}

/* The record's files stand in for those of the program while it runs. */
static int run_at(const struct options *o, const char *path, const char *folder,
                  struct recording *recording, struct replay_result *ret, struct err *err)
{
    auto_free char *home = xprintf("%s/home", folder);
    auto_free char *store_folder = xprintf("%s/store", folder);
    struct store *store = NULL;
    struct store_options options = { .any_filesystem = true };
    int r = folder_make(home, err);
    r = r < 0 ? r : store_open(store_folder, &options, &store, err);
    r = r < 0 ? r : recording_read(path, home, store, recording, err);
    store_close(store);
    if (r < 0) {
        return r;
    }
    auto_free char *before = getenv("WARPSMITH_HOME") ? xstrdup(getenv("WARPSMITH_HOME")) : NULL;
    setenv("WARPSMITH_HOME", home, 1);
    r = run_record(o, recording, store_folder, ret, err);
    if (before) {
        setenv("WARPSMITH_HOME", before, 1);
    } else {
        unsetenv("WARPSMITH_HOME");
    }
    return r;
}

/* A campaign of the store is written to a record first: a replay has nothing else. */
static int write_record(const struct options *o, const char *path, struct err *err)
{
    struct session session;
    int r = session_open(&session, o, SESSION_STORE_READ, err);
    if (r < 0) {
        return r;
    }
    r = recording_write(session.store, o->args[0], path, err);
    session_close(&session);
    return r;
}

static int run_replay(const struct options *o)
{
    struct err err = { 0 };
    struct replay_result result = { 0 };
    struct recording recording = { 0 };
    char *folder = NULL;
    int r = bench_folder(&folder, &err);
    auto_free char *path = xprintf("%s/record.jsonl", folder ? folder : "");
    const char *from = o->args[0];
    if (r == 0 && !file_exists(from)) {
        r = write_record(o, path, &err);
        from = path;
    }
    r = r < 0 ? r : run_at(o, from, folder, &recording, &result, &err);
    bool differs = r == ERR_INVALID && recording.campaign;
    if (r == 0) {
        printf("campaign %s: %zu choices and %zu attempts of %zu %s decided again, all as recorded\n",
               recording.campaign, result.choices, result.attempts, json_array_size(recording.tasks),
               json_array_size(recording.tasks) == 1 ? "task" : "tasks");
    }
    if (r == 0 && o->json) {
        r = output_json(o->json, json_pack("{s:s, s:I, s:I}", "campaign", recording.campaign, "choices",
                                           (json_int_t)result.choices, "attempts",
                                           (json_int_t)result.attempts), &err);
    }
    recording_done(&recording);
    if (folder) {
        folder_remove(folder, NULL);
        free(folder);
    }
    if (differs) {
        fprintf(stderr, "warpsmith: %s\n", err_text(&err));
        return EXIT_NEGATIVE;
    }
    return r < 0 ? options_fail(&err) : EXIT_DONE;
}

const struct command command_replay = {
    .name = "replay",
    .summary = "run a campaign again from its record, and compare every decision",
    .usage = "replay CAMPAIGN|FILE [options]",
    .help = "Needs no model and no GPU: replies, verdicts and the tuner's samples come from the record. The "
            "first\ndecision that isn't the recorded one is named, with exit code 1. Records are written by "
            "report --record.\n\n"
            "  warpsmith replay c6a1f3b2d4e5f\n"
            "  warpsmith report c6a1f3b2d4e5f --record softmax.jsonl && warpsmith replay softmax.jsonl",
    .takes = "store json",
    .args_min = 1,
    .args_max = 1,
    .run = run_replay,
};
