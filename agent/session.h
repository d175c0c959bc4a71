#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * What a command works with: the loop, the store, the graph with what the store has learned, the
 * evaluator. A command opens what it needs and closes it all; closing runs the loop until it is
 * empty, so nothing is left behind.
 *
 * A command that can work on several devices at once (SESSION_SEVERAL, --gpu 0,1) gets a session for
 * each: the first is its own, the others share its loop, store and graph, and are closed with it.
 */
#include <stdbool.h>
#include <uv.h>
#include "agent/llm.h"
#include "agent/options.h"
#include "evaluator/evaluator.h"
#include "graph/htg.h"
#include "memory/store.h"

enum {
    SESSION_STORE = 1,
    SESSION_STORE_READ = 2, /* read-only; the store must exist */
    SESSION_MEMORY = 4,     /* the graph; learned statistics too if a store is open */
    SESSION_EVALUATOR = 8,
    SESSION_ORACLE = 16, /* PyTorch beside it; with SESSION_EVALUATOR */
    SESSION_SEVERAL = 32, /* --gpu may name several devices */
    SESSION_DEVICES_MAX = 16,
};

struct session {
    const struct options *options;
    const struct log *log;
    uv_loop_t loop;
    struct store *store;
    struct htg *htg;
    struct evaluator *evaluator;
    const struct device_info *recorded; /* a replay's device, in place of an evaluator; NULL */
    int recorded_gate;                  /* and the version of the gate that judged on it */
    bool loop_open;
    struct session *first, *more; /* first: whose loop is used, NULL: its own; more: the next device's */
};

int session_open(struct session *session, const struct options *options, int parts,
                 struct err *err);
/* For commands that see only in the store what they need: `oracle` as SESSION_ORACLE. */
int session_evaluator(struct session *session, bool oracle, struct err *err);
void session_close(struct session *session);
uv_loop_t *session_loop(struct session *session);
/* How many devices there are, and the session of one of them; 0 is the session itself. */
size_t session_devices(const struct session *session);
struct session *session_nth(struct session *session, size_t index);
/* The device that candidates are judged on, and the gate's version. */
const struct device_info *session_device(const struct session *session);
int session_gate(const struct session *session);

/* How a language model is asked, as the command line has it; `spec` stays unset. */
void session_model_options(const struct options *options, struct llm_options *ret);

/* The key a verdict is kept and found again under. `baseline` may be NULL. */
char *session_verdict_key(const struct session *session, struct arena *arena,
                          const struct task *task, const struct candidate *candidate,
                          const struct candidate *baseline);
