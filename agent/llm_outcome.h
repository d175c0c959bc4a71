#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * What an HTTP answer of a provider means for a call: pure, the one place with the table of status
 * codes. "Free" tries are those that a provider doesn't bill: it never got the request, or said no.
 */
#include "agent/http.h"
#include "agent/llm_wire.h"

enum llm_action {
    LLM_ACTION_ANSWER,
    LLM_ACTION_FAIL,    /* trying again changes nothing */
    LLM_ACTION_RETRY,   /* free: again, later */
    LLM_ACTION_REPEAT,  /* again, but the first may have been billed */
    LLM_ACTION_RESHAPE, /* again at once, in the shape that was learned */
};

struct llm_outcome {
    enum llm_action action;
    int code;         /* of the failure, also when tries run out */
    bool fatal;       /* of the provider, not of this call */
    bool billed;      /* FAIL: there was an answer, but it can't be used */
    bool crowded;     /* the provider has too much to do */
    double wait_s;    /* as it asks for; < 0: it doesn't say */
    char text[1024];
};

/* Answer strings in the arena. May change `shape`. `from` names key and place in messages. */
void llm_outcome_of(const struct llm_wire *wire, const struct http_reply *reply, const char *from,
                    struct llm_shape *shape, struct arena *arena, struct llm_answer *ret_answer,
                    struct llm_outcome *ret);
