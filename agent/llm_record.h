#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * A recorded campaign's calls, one JSON object a line, so that a campaign can be run again without a
 * model (`replay:FILE`). A file may hold other lines too: those whose "kind" isn't "call" are left
 * to whoever wrote them.
 *
 *   {"kind":"call","key":"...","prompt":HEX of llm_prompt_id,"messages":[{"role","content"}],
 *    "reply":{"code":0,"text":"...","stop":"end","usage":{...},"usd":0.01,"model":"...",...}}
 *
 * An answer is found by its key, and given out only if the prompt is the recorded one; otherwise the
 * call fails with ERR_INVALID and a text that says in which message and at which byte they differ.
 */
#include "agent/llm.h"
#include "base/buf.h"

/* Appends one line. Fails (ERR_TOOBIG) only where `out` is full. */
int llm_record_call(const struct llm_request *request, const struct llm_reply *reply,
                    struct buf *out);
