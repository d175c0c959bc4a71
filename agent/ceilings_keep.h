#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * A device's ceilings are measured once and kept in the store (database `devices`, by UUID and
 * driver). This makes them known to a session's evaluator: from the store where they are there, else
 * by measuring (a fraction of a second, after some seconds of compiling), on a real GPU only.
 */
#include "agent/session.h"

/* A device that can't be measured is no error: shares are of what theory says then. */
void ceilings_keep(struct session *session);
