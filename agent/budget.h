#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * What a campaign may spend on language models, shared by all its tasks. The worst case of a call is
 * reserved before the call is sent and settled when it is over, so that spent + reserved never goes
 * over a limit, and neither does what is spent. Pure arithmetic; what is durable is in the records
 * of the calls (ledger.h counts them again).
 */
#include <stdbool.h>
#include <stdint.h>

struct budget {
    double usd_most;     /* 0: no limit */
    int64_t tokens_most; /* 0: no limit */
    double usd_spent, usd_reserved;
    int64_t tokens_spent, tokens_reserved;
};

/* A call's worst case. NAN dollars count as 0 where there is no limit in dollars, and never fit one.
 * False, and nothing is reserved: it doesn't fit; *ret_why says which limit. */
bool budget_reserve(struct budget *budget, double usd, int64_t tokens, const char **ret_why);
/* Undoes the reservation (the same numbers) and counts what it came to. */
void budget_settle(struct budget *budget, double reserved_usd, int64_t reserved_tokens, double usd,
                   int64_t tokens);
