/* SPDX-License-Identifier: MIT */
#include "base/util.h"
#include "graph/select.h"

static bool listed(const struct htg_list *list, const char *name)
{
    for (size_t i = 0; i < list->n; i++) {
        if (str_eq(list->at[i], name)) {
            return true;
        }
    }
    return list->n == 0;
}

static bool arch_listed(const struct htg_list *list, const char *arch)
{
    for (size_t i = 0; i < list->n; i++) {
        if (context_arch_matches(arch, list->at[i])) {
            return true;
        }
    }
    return list->n == 0;
}

static bool dtype_listed(const struct htg_list *list, const struct htg_list *dtypes)
{
    for (size_t i = 0; i < dtypes->n; i++) {
        if (listed(list, dtypes->at[i])) {
            return true;
        }
    }
    return list->n == 0 || dtypes->n == 0;
}

bool select_applies(const struct htg *htg, size_t strategy, const struct select_request *request)
{
    const struct htg_strategy *s = htg_strategy(htg, strategy);
    const struct context *context = &request->context;
    /* Before anything is measured any bottleneck is possible. */
    bool bottleneck = context->class == CONTEXT_CLASS_NONE ||
                      listed(&s->bottlenecks, context_class_name(context->class));
    return s->state != HTG_STATE_RETIRED &&
           (!request->strategies || request->strategies[strategy]) && bottleneck &&
           listed(&s->families, context->family) && arch_listed(&s->archs, context->arch) &&
           dtype_listed(&s->dtypes, &request->dtypes);
}
