#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * A provider's key: from a file that only its owner can read, or from the environment. It lies on a
 * page of its own that is left out of core dumps and wiped at the end, and is shown nowhere: error
 * texts name where it came from. (A header line with it exists while a request is in flight.)
 */
#include <stddef.h>
#include "base/err.h"

struct llm_key {
    char *text;       /* NULL: there is none */
    size_t page;      /* bytes mapped */
    char *from;       /* "$OPENAI_API_KEY", "key file /a/b" */
};

/* `file` NULL: the environment's `variable`. Neither set: 0 with text NULL. */
int llm_key_load(const char *file, const char *variable, struct llm_key *ret, struct err *err);
void llm_key_done(struct llm_key *key);
