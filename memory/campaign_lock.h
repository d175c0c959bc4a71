#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * One process runs a campaign at a time: a lock file STORE/locks/CAMPAIGN.lock under flock, which
 * the kernel drops when its holder dies, however it dies.
 */
#include "base/err.h"

struct campaign_lock;

/* ERR_BUSY names the process that holds it. `store` is the store's folder. */
int campaign_lock_take(const char *store, const char *campaign, struct campaign_lock **ret,
                       struct err *err);
void campaign_lock_drop(struct campaign_lock *lock); /* NULL is fine */
