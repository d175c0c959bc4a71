#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * Progress of a campaign for people: on a terminal one status line that is written over, and a line
 * for each attempt; piped, plain lines only.
 */
#include <stdbool.h>
#include <stdio.h>
#include "agent/campaign.h"

struct progress {
    FILE *out;
    bool terminal, modelled;
};

void progress_init(struct progress *progress, FILE *out, bool modelled);
/* A campaign_event_fn; ud is the struct progress. */
void progress_event(void *ud, const struct campaign_event *event);
