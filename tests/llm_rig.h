#pragma once
/* SPDX-License-Identifier: MIT */
/* What the tests of language models share: a fake provider, and asking it one thing and waiting. */
#include "agent/llm.h"
#include <sys/types.h>

struct fake_provider {
    pid_t pid;
    int port, parent; /* closing `parent` ends it */
    char url[64];
};

/* `arguments`: "--latency 5 --script ok,429"; words are split at spaces. */
void fake_provider_start(struct fake_provider *ret, const char *arguments);
void fake_provider_stop(struct fake_provider *provider);

/* A reply that outlives its callback. */
struct llm_kept {
    struct llm_reply reply; /* its strings are copies in `text`, `error`, ... */
    char *text, *error, *model, *request_id;
    int called;
};
void llm_keep(void *ud, const struct llm_reply *reply); /* an llm_cb; ud: struct llm_kept */
void llm_kept_done(struct llm_kept *kept);

/* Options for a fake: short waits, two retries. */
void llm_rig_options(struct llm_options *options, const char *spec, const char *url);
/* Asks "question" with the given key and runs the loop until the answer is there. */
void llm_rig_ask(uv_loop_t *loop, struct llm *llm, const char *key, struct llm_kept *ret);
/* Opens, asks once, closes; the loop must be empty afterwards. */
void llm_rig_once(const struct llm_options *options, struct llm_kept *ret);
void llm_rig_close(uv_loop_t *loop, struct llm *llm);

/* A fresh folder; the caller removes it and frees. */
char *llm_rig_folder(void);
