#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * Who proposes candidates. A provider says what it could act on now (a set of directions and
 * strategies), and turns a choice into a candidate. Answers come through a callback, on a later turn
 * of the loop or at once. `offline` needs no model: it picks among the family's shipped variants.
 */
#include "agent/catalog.h"
#include "graph/select.h"

struct ask {
    const struct task *task;
    const struct candidate *parent;
    const struct htg *htg;
    const struct choice *choice;      /* direction picked, strategies ranked */
    const struct catalog_family *family;
    const char *const *tried;         /* names of variants that were proposed before in this run */
    size_t n_tried;
    uint64_t step;
};

struct proposal {
    int code;                    /* 0, or why there is none; ERR_NOTFOUND: nothing left to propose */
    const char *error;
    struct candidate *candidate; /* the callback's to free */
    const char *strategy;        /* "" if it names none */
    const char *title;           /* a few words for people */
};

typedef void (*proposal_cb)(void *ud, const struct proposal *proposal);

struct provider {
    const char *name;
    /* Fills the masks of select.h; false: nothing left to propose. NULL: anything goes. */
    bool (*could)(const struct provider *provider, const struct ask *ask, uint64_t *ret_directions,
                  bool *ret_strategies);
    void (*ask)(const struct provider *provider, const struct ask *ask, proposal_cb done, void *ud);
};

/* "offline"; ERR_INVALID names what there is. Static storage. */
int provider_find(const char *name, const struct provider **ret, struct err *err);
