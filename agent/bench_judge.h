#pragma once
/* SPDX-License-Identifier: MIT */
/* What the benches that judge candidates share: one judgement, waited for. */
#include "agent/session.h"

struct judged {
    bool done;
    int code;
    char status[32], phase[64];
    double us, seconds; /* median; wall time from asking to verdict */
    double speedup, sol, compile_s, device_s;
    double error_share; /* RMS error over what the declared precision allows */
    char sanitizer[128], found[1024]; /* the tools that went through; the findings */
};

/* Runs the loop until the verdict is there. */
int judge_wait(struct session *session, const struct judge_request *request, struct judged *ret,
               struct err *err);
