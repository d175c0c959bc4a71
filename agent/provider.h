#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * Who proposes candidates. A provider says what it could act on now (a set of directions and
 * strategies), and turns a choice into a candidate. `offline` needs no model: it picks among the
 * family's shipped variants. A model (provider_model.h) may be asked again about a candidate that
 * failed; what was said so far is its `talk`, one a sample.
 *
 * An answer comes through the callback, on a later turn of the loop or from inside ask.
 */
#include "agent/catalog.h"
#include "agent/prompt.h"
#include "agent/reply.h"
#include "graph/select.h"

struct talk;
struct model_desk;

/* All of it lives until the step ends. */
struct ask {
    const struct task *task;
    const struct device_info *device;
    const struct candidate *parent, *baseline; /* NULL: none */
    const struct verdict *parent_verdict;
    int64_t parent_seq; /* -1: none */
    const char *parent_direction, *parent_strategy;
    const struct htg *htg;
    const struct choice *choice; /* direction picked, strategies ranked */
    const struct catalog_family *family;
    const char *const *variants; /* names of variants that were proposed before in this run */
    const struct prompt_tried *tried;
    size_t n_tried; /* of both */
    uint64_t step;
    int64_t seq;             /* the attempt that comes of it */
    int64_t sample, samples; /* 0 .. samples - 1 */
    int64_t tune_budget;     /* configs a candidate; 0: none */
};

enum proposal_kind {
    PROPOSAL_CANDIDATE,
    PROPOSAL_NONE,   /* nothing usable came: `status` and `error` say why */
    PROPOSAL_BUDGET, /* asking again might cost more than is left */
};

struct proposal {
    int code;          /* 0, or why the provider can't go on; ERR_NOTFOUND: nothing left to propose */
    enum proposal_kind kind;
    const char *error;
    struct candidate *candidate; /* the callback's to free */
    const char *strategy;        /* "" if it names none */
    const char *title;           /* a few words for people */
    const char *direction;       /* another than was asked for, if it says so; may be unknown; or "" */
    bool invented;               /* the strategy isn't in the graph; title and summary describe it */
    const char *summary;
    /* A model's reply, to be read again with a graph for the strategy it means; NULL: as said above.
     * Lives until the talk is dropped. */
    const struct reply_input *reply;
    const char *status; /* of an attempt without a candidate: "no_reply", "refused", "bad_reply" */
};

typedef void (*proposal_cb)(void *ud, const struct proposal *proposal);

/* What a provider's calls have come to; zeros for one that makes none. */
struct provider_facts {
    size_t waiting;    /* calls that only somebody outside can bring on */
    size_t pending;    /* all calls under way, these included */
    const char *where; /* where the replies are awaited, or "" */
    const char *model;
};

struct provider {
    const char *name;
    bool repairs; /* its candidates are judged as they are before they're tuned, and can be mended */
    /* Fills the masks of select.h; false: nothing left to propose. NULL: anything goes. */
    bool (*could)(const struct provider *provider, const struct ask *ask, uint64_t *ret_directions,
                  bool *ret_strategies);
    /* *talk is NULL at first and the provider's own; `failed`: of its last candidate, else NULL. */
    void (*ask)(const struct provider *provider, const struct ask *ask, struct talk **talk,
                const struct verdict *failed, proposal_cb done, void *ud);
    /* Ends a talk; what is pending is cancelled without a callback. NULL: it has none. */
    void (*drop)(const struct provider *provider, struct talk *talk);
    void (*facts)(const struct provider *provider, struct provider_facts *ret); /* may be NULL */
    /* Where a tuner may ask the same model, on the same budget. NULL: nobody can be asked. */
    struct model_desk *(*desk)(const struct provider *provider);
};

const struct provider *provider_offline(void);
