#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * The parts of `kernelbench run`: kernelbench_run.c (what is run, and the end of it), kernelbench_folder.c
 * (candidates that lie in a folder), kernelbench_campaign.c (those that a provider proposes, in one campaign
 * over all problems), kernelbench_lane.c (a device's way through the problems) and kernelbench_item.c (what
 * is kept and told).
 *
 * An item is a problem with its candidates, an entry is one of these. A lane is one device: it takes its
 * items one after the other, and never does two things at once, since PyTorch's own time is taken on the
 * device that candidates are timed on. Strings are the run's arena's unless it says that they are freed.
 */
#include <jansson.h>
#include "agent/kernelbench.h"
#include "agent/kernelbench_protocol.h"
#include "agent/session.h"

struct running;
struct item;
struct lane;

struct entry {
    struct item *item;
    const char *name;            /* a folder below the problem's, "." for that itself; or an attempt's number */
    struct candidate *candidate; /* NULL: see error. The entry's */
    char *key;                   /* its verdict's, in the store; the entry's */
    json_t *verdict, *protocols; /* protocols: what kb and verified say, by name; or NULL */
    char *error;                 /* the entry's */
    bool known;                  /* the verdict was there already */
    const char *direction, *strategy; /* of an attempt, else NULL */
};

struct item {
    struct running *run;
    const struct problem *problem;
    struct lane *lane;           /* that has it in hand */
    struct task *task;           /* NULL: it can't be judged, see code and why */
    bool mapped;                 /* in the words of a shipped family */
    json_t *described, *document; /* what the oracle says, and the task as a document */
    int code;
    const char *why;
    size_t n;
    struct entry *entries;       /* in the order in which they were tried */
    json_t *facts;               /* how the reference ran: kernelbench.h has it as "reference"; or NULL */
    json_t *times;               /* PyTorch's own, by variant; NULL: not measured */
    const char *unmeasured;      /* why not, or NULL */
    const char *start;           /* the shipped variant that it begins with, or NULL */
    const char *folder;          /* in a campaign: the task's, or NULL */
    const char *ended;           /* likewise: why there was no further attempt */
    size_t before;               /* likewise: how many of its attempts an earlier run made */
    uint64_t began_ns, ended_ns;
    json_t *cost;                /* NULL: not known yet */
};

struct running {
    struct session session;
    struct options options; /* as given, but for what follows from others */
    struct kernelbench_rules rules;
    struct arena *arena;
    struct kernelbench_maps *maps; /* NULL: problems keep their own words */
    size_t n, n_lanes, busy, next; /* busy: lanes with items left; next: the item that no lane has taken */
    struct item *items;
    struct lane *lanes;
    uint64_t began_ns;
    const char *campaign;          /* its id, or NULL */
    struct campaign_lock *lock;    /* OUT/locks: two at once would be two campaigns, and two budgets; or NULL */
    size_t judged, known, accepted, troubled, without; /* without: problems that --candidates has nothing for */
};

/* kernelbench_run.c */
bool kernelbench_run_quiet(const struct running *run); /* standard output is for JSON alone */
const char *kernelbench_run_torch(const struct session *session); /* PyTorch's version, or "" */

/* kernelbench_folder.c: DIR/levelL/ID or ID_name with kernel.cu in it, or in each of its folders. What is
 * there and can't be read is an entry with an error. */
void kernelbench_folder_find(struct running *run, struct item *item, const char *dir);
/* The variant that the problem's mapping names, alone. */
void kernelbench_folder_shipped(struct running *run, struct item *item);

/* kernelbench_campaign.c: the campaign that OUT holds, if any; ERR_INVALID where it is over other problems. */
int kernelbench_campaign_find(struct running *run, struct err *err);
/* Runs it whole, or takes up the one that was found; every item has its entries then. */
int kernelbench_campaign(struct running *run, struct err *err);

/* kernelbench_lane.c: what is still missing of every item; each is kept as soon as it is whole. */
int kernelbench_lanes(struct running *run, struct err *err);

/* kernelbench_item.c */
struct entry *kernelbench_item_entry(struct item *item); /* one more, empty */
const struct entry *kernelbench_item_best(const struct item *item); /* NULL: none was accepted */
bool kernelbench_item_accepted(const struct entry *entry);
/* OUT/results/levelL_ID.json, and each candidate in OUT/candidates/ID. */
int kernelbench_item_keep(const struct item *item, struct err *err);
void kernelbench_item_tell(const struct item *item);
void kernelbench_item_clear(struct item *item); /* of its entries */
void kernelbench_item_drop(struct item *item);
