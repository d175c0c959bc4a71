#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * A campaign run again from its record (recording.h): the same code decides, with the recorded
 * replies, verdicts and samples in place of model and device. Whatever it decides or learns is held
 * against the record, and the first difference ends it with a text that names place and values.
 *
 * Tasks share one memory, so the order in which they decided and learned matters: a run that is about
 * to do either is parked until every other is, and the one that came first then goes on.
 */
#include "agent/campaign.h"
#include "agent/recording.h"

struct replay;
struct run;
struct sample;

struct replay_result {
    size_t choices, attempts; /* held against the record, and found the same */
};

/* The campaign of a record, ready for campaign_run; `session` has the record's store, home and memory,
 * and no evaluator. ERR_INVALID: the record lacks what a replay needs. */
int campaign_replay(struct session *session, const struct recording *recording,
                    struct campaign **ret, struct err *err);
void campaign_replayed(const struct campaign *campaign, struct replay_result *ret);

/* For the campaign: device and memory as they were, kept at the start and after each resume. */
int replay_keep(struct campaign *campaign, struct err *err);

/* For the runs. Parks the run, unless it has just been let go on. */
bool replay_park(struct run *run);
/* Nothing else is under way: lets the parked run go on that decided first. False: something is. */
bool replay_turn(struct campaign *campaign);
/* Is there a record of the choice for the run's next step? Of the attempts of the step in hand? */
bool replay_has_choice(const struct run *run, int64_t seq);
bool replay_has_attempt(const struct run *run, int64_t seq);
int64_t replay_order(const struct run *run);
/* ERR_INVALID: they differ; said with campaign_fail. */
int replay_check_choice(struct run *run, const char *text);
int replay_check_attempt(struct run *run, int64_t seq);
/* The key under which the record has an attempt's verdict of this candidate: a campaign that moved
 * between machines has them of several devices. NULL: it has none. In `arena`. */
const char *replay_verdict_key(const struct run *run, int64_t seq, const struct id *candidate,
                               struct arena *arena);
/* Did the record's attempt end as this candidate? Where the tuned form lost, records of 0.1 lack its
 * verdict, and this says that it lost. */
bool replay_ended_as(const struct run *run, int64_t seq, const struct id *candidate);
/* What the tuner did for an attempt (tuning_json); the caller owns it. NULL: nothing. */
json_t *replay_tuning(struct run *run, int64_t seq);
/* Sets the session's device. */
int replay_new(struct session *session, const struct recording *recording, struct replay **ret,
               struct err *err);
void replay_free(struct replay *replay);
