#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * Shared by campaign.c (lifecycle, budgets), campaign_run.c (the loop), campaign_options.c, and the
 * runs (run.h) and model (provider_model.h) that work for it.
 */
#include "agent/budget.h"
#include "agent/ledger.h"
#include "agent/replay.h"
#include "agent/run.h"
#include "memory/campaign_lock.h"

struct family_entry {
    char *name;
    struct catalog_family family;
    struct family_entry *next;
};

struct campaign {
    struct session *session;
    struct arena *arena;
    char *id;
    struct campaign_options options;
    const struct provider *provider;
    struct provider *own_provider; /* a model's, to be freed; NULL */
    struct budget budget;
    enum select_ablation ablation;
    struct campaign_lock *lock;
    struct family_entry *families;
    struct run *runs;
    size_t n_runs, n_done;
    int64_t order;         /* of the next choice or lesson */
    double device_s;       /* of all tasks */
    struct replay *replay; /* NULL: a live campaign */
    struct turns *turns;
    campaign_event_fn on_event;
    void *event_ud;
    uint64_t began_ns;
    int64_t started_s;
    double earlier_s; /* of earlier processes, when resumed */
    double earlier_device_s; /* the same, steps that stayed open included */
    bool stopping;
    size_t looks, awaited; /* no_wait: looks in a row with nothing but replies to come; those */
    int code;
    struct err err;
};

/* campaign_options.c: they live in the campaign's arena, and in its record for a resume. */
void campaign_options_copy(struct campaign *campaign, const struct campaign_options *options);
char *campaign_options_text(const struct campaign *campaign);
int campaign_options_read(struct campaign *campaign, const struct campaign_record *record,
                          const struct campaign_options *changes, struct err *err);

/* campaign.c */
/* Cancels what is under way; what is durable stays for a resume. */
void campaign_stop_runs(struct campaign *campaign);
void campaign_run_ended(struct campaign *campaign);
void campaign_fail(struct campaign *campaign, int code, const char *text);
bool campaign_over_budget(const struct campaign *campaign, const char **ret_why);
int campaign_save(struct campaign *campaign, const char *status, struct err *err);
int campaign_family(struct campaign *campaign, const char *name, const struct catalog_family **ret,
                    struct err *err);
