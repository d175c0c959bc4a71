#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * The commands and what several of them share. Each cmd_*.c defines one `struct command`; main.c
 * lists them. A command returns its exit code.
 */
#include "agent/campaign.h"
#include "agent/options.h"
#include "agent/session.h"

extern const struct command command_optimize, command_resume, command_eval, command_doctor,
    command_bench, command_memory, command_prompt, command_report, command_ledger,
    command_replay, command_kernelbench, command_tune, command_export;

/* Writes JSON to FILE or stdout ("-"), with a newline; takes the value. */
int output_json(const char *file, json_t *json, struct err *err);

/* Runs a campaign with progress and Ctrl-C, writes best/, report and JSON; frees the campaign. */
int command_run_campaign(struct session *session, struct campaign *campaign);
