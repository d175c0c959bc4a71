#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * The documents of a memory: directions, strategies, transitions, as JSON text that the caller has
 * read. Errors carry the path inside the document. On an error the entries before the faulty one
 * stay in the graph, so a caller that wants all or nothing starts from a new graph.
 *
 *     {"format": 1, "directions":  [{"id", "title", "summary", "prior": {"memory_bound": 0.3}}]}
 *     {"format": 1, "strategies":  [{"id", "direction", "title", "guidance", "pitfalls",
 *                                    "tunables": ["BLOCK"], "applies": {"families", "bottlenecks",
 *                                    "arch", "dtypes"}, "prior": {...}, "state": "provisional"}]}
 *     {"format": 1, "transitions": [{"from", "to", "when", "why", "risk", "prior": 0.1}]}
 *
 * Order: directions, then strategies, then transitions. "state" may be left out: "seed".
 */
#include <jansson.h>
#include "graph/htg.h"

int htg_seed_directions(struct htg *htg, const char *text, size_t len, struct err *err);
int htg_seed_strategies(struct htg *htg, const char *text, size_t len, struct err *err);
int htg_seed_transitions(struct htg *htg, const char *text, size_t len, struct err *err);

/* One strategy as such an entry, for learned ones in a store or an export. */
int htg_seed_strategy(struct htg *htg, const json_t *entry, struct err *err);
json_t *htg_seed_strategy_json(const struct htg_strategy *strategy);
