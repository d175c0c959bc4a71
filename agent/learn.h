#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * Strategies that a model invented. One that says what the graph knows already is that strategy; a
 * new one becomes a provisional node once it won, in the graph and in the batch of the attempt that
 * proves it, so that both take effect together. A direction takes LEARN_PROVISIONAL_MOST of them at a
 * time: promoted and retired ones don't count.
 */
#include "graph/htg.h"
#include "memory/store.h"

enum { LEARN_PROVISIONAL_MOST = 16 };

struct learn_invention {
    const char *direction, *title, *summary; /* as the reply had them */
};

/* The id of a strategy that says the same, or NULL. Owned by the graph. */
const char *learn_known(const struct htg *htg, const struct learn_invention *invention);

/*
 * A new provisional node. `ret_id` lives with the graph; NULL, without an error, if the direction is
 * full or nothing of the title can be made an id. Text is cut to what the graph takes.
 */
int learn_invented(struct htg *htg, struct store *store, struct store_batch *batch,
                   const struct learn_invention *invention, const char **ret_id, struct err *err);
