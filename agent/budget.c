/* SPDX-License-Identifier: MIT */
#include "agent/budget.h"
#include "base/util.h"

#include <math.h>
#include <stddef.h>

static double counted(double usd)
{
    return isfinite(usd) && usd > 0 ? usd : 0;
}

bool budget_reserve(struct budget *b, double usd, int64_t tokens, const char **ret_why)
{
    if (b->usd_most > 0
        && (!isfinite(usd) || b->usd_spent + b->usd_reserved + usd > b->usd_most)) {
        *ret_why = "the next call might cost more than is left of the budget in dollars";
        return false;
    }
    if (b->tokens_most > 0 && b->tokens_spent + b->tokens_reserved + tokens > b->tokens_most) {
        *ret_why = "the next call might take more than is left of the budget in tokens";
        return false;
    }
    b->usd_reserved += counted(usd);
    b->tokens_reserved += tokens;
    return true;
}

void budget_settle(struct budget *b, double reserved_usd, int64_t reserved_tokens, double usd,
                   int64_t tokens)
{
    b->usd_reserved = MAX(0.0, b->usd_reserved - counted(reserved_usd));
    b->tokens_reserved = MAX((int64_t)0, b->tokens_reserved - reserved_tokens);
    b->usd_spent += counted(usd);
    b->tokens_spent += MAX((int64_t)0, tokens);
}
