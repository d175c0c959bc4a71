#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * Shared by llm.c (opening, calls, delivery) and the three ways of answering them: llm_send.c (HTTP),
 * llm_spool.c, llm_replay.c. A call is in the list of pending ones from llm_ask until its callback; a
 * way of answering ends it by llm_call_end or llm_call_fail, once, from anywhere: who asked hears of
 * it on the next turn of the loop.
 */
#include "agent/llm.h"
#include "agent/llm_key.h"
#include "agent/llm_price.h"
#include "agent/llm_wire.h"
#include "base/arena.h"

/* A ring with a head; an element alone points to itself. */
struct llm_link {
    struct llm_link *next, *prev;
};

struct llm_call {
    struct llm_link link; /* in llm->pending, then llm->ready */
    struct llm_link wait; /* in a queue of the way of answering */
    struct llm *llm;
    struct arena *arena;
    struct llm_request request; /* copied */
    llm_cb done;
    void *ud;
    struct llm_reply reply;
    bool ended;
    void *way; /* what the way of answering keeps: NULL when it holds nothing to cancel */
    /* llm_send.c */
    struct llm_shape sent; /* how it was asked last */
    int failures, repeats, reshapes;
    uint64_t due_ms; /* of the loop's clock; 0: not waiting */
    uint64_t answered_seen; /* of all calls, when this one was last turned away */
};

/* A way of answering. */
struct llm_way {
    int (*start)(struct llm_call *call, struct err *err); /* an error here is llm_ask's */
    void (*cancel)(struct llm_call *call);
    void (*close)(struct llm *llm);
    size_t (*waiting)(const struct llm *llm); /* calls that only somebody outside can answer; NULL: 0 */
};

struct llm {
    uv_loop_t *loop;
    uv_async_t wake;
    const struct llm_way *way;
    void *state; /* of the way */
    struct llm_link pending, ready;
    size_t n_pending;
    size_t handles;           /* open handles and work in hand: freed with the last */
    bool closing, calling;
    const char *name;
    char *model, *where, *price_missing;
    const struct llm_wire *wire;
    struct llm_price price;
    struct llm_options options; /* its strings: copied, see `owned` */
    char *owned[8];
};

/* Puts defaults and an answer's price into the reply, and the call into the line for delivery. */
void llm_call_answer(struct llm_call *call, const struct llm_answer *answer);
void llm_call_fail(struct llm_call *call, int code, bool fatal, const char *text);
void llm_call_end(struct llm_call *call);

/* Bounds of one try, for what may have been billed without an answer. */
int64_t llm_try_tokens(const struct llm *llm, const struct llm_request *request);
double llm_try_usd(const struct llm *llm, const struct llm_request *request);
void llm_call_unsure(struct llm_call *call);

/* A handle of the way was closed, or its work is over. */
void llm_handle_gone(struct llm *llm);

void llm_link_init(struct llm_link *head);
bool llm_link_empty(const struct llm_link *head);
void llm_link_add(struct llm_link *head, struct llm_link *link); /* at the end */
void llm_link_remove(struct llm_link *link);

extern const struct llm_way llm_way_send, llm_way_spool, llm_way_replay;
int llm_send_open(struct llm *llm, struct err *err);
int llm_spool_open(struct llm *llm, const char *folder, struct err *err);
int llm_replay_open(struct llm *llm, const char *file, struct err *err);

/* For tests: where a wire's calls go, the key's safety on that way included. The caller frees. */
int llm_send_url(const struct llm_wire *wire, const char *base, bool has_key, char **ret,
                 struct err *err);
/* For tests: a line's reply. */
int llm_replay_read(const json_t *line, struct arena *arena, struct llm_reply *ret, struct err *err);
