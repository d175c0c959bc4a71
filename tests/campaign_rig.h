#pragma once
/* SPDX-License-Identifier: MIT */
/* What tests of campaigns with a model share: instant workers, a store, answers, a spool's other side. */
#include "agent/campaign.h"
#include "agent/ledger.h"
#include "tests/llm_rig.h"

struct campaign_rig {
    char folder[64], store[96], spool[96], home[16];
    struct options options;
    struct session session;
    struct llm_options model;
    struct fake_provider fake;
    bool faked;
};

int campaign_rig_setup(void **state);
int campaign_rig_teardown(void **state);
void campaign_rig_open(struct campaign_rig *rig);
void campaign_rig_reopen(struct campaign_rig *rig); /* as another process would find it */
/* A fake provider over HTTP; `more`: further arguments. Answers are good ones for softmax. */
void campaign_rig_fake(struct campaign_rig *rig, const char *more);

/* Options of a campaign: no tuning, three steps, asked through the fake or the spool. */
struct campaign_options campaign_rig_options(struct campaign_rig *rig, const char *const *tasks,
                                             size_t n);
struct campaign *campaign_rig_start(struct campaign_rig *rig, const struct campaign_options *options);
/* Runs and frees it; its id is written to ret_id. */
int campaign_rig_run(struct campaign_rig *rig, const struct campaign_options *options,
                     char ret_id[32], struct campaign_result *ret, struct err *err);
int campaign_rig_resume(struct campaign_rig *rig, const char *id,
                        const struct campaign_options *changes, struct campaign_result *ret,
                        struct err *err);

/* A reply: the second shipped variant of softmax with `mark` as its first comment. */
char *campaign_rig_reply(const char *mark, const char *strategy);
/* Answers every open request of the spool with `reply`; how many there were. */
size_t campaign_rig_answer(struct campaign_rig *rig, const char *reply);
/* Answers the one whose key ends with `tail`. */
bool campaign_rig_answer_one(struct campaign_rig *rig, const char *tail, const char *reply);

void campaign_rig_ledger(struct campaign_rig *rig, const char *id, struct ledger_line *ret);
void campaign_rig_verify(struct campaign_rig *rig);
