/* SPDX-License-Identifier: MIT */
#include "agent/turns.h"
#include "base/util.h"

#include <stdlib.h>

struct turns {
    uv_idle_t idle;
    struct turn *first, **end;
};

static void on_idle(uv_idle_t *idle)
{
    struct turns *t = idle->data;
    uint64_t until = clock_ns() + TURNS_SLICE_MS * 1000000ull;
    do {
        struct turn *turn = t->first;
        if (!turn) {
            uv_idle_stop(&t->idle);
            return;
        }
        turns_remove(turn);
        turn->fn(turn->ud);
    } while (clock_ns() < until);
}

struct turns *turns_new(uv_loop_t *loop)
{
    struct turns *t = xcalloc(1, sizeof(*t));
    t->end = &t->first;
    uv_idle_init(loop, &t->idle);
    t->idle.data = t;
    return t;
}

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

void turns_free(struct turns *t)
{
    if (t) {
        while (t->first) {
            turns_remove(t->first);
        }
        uv_close((uv_handle_t *)&t->idle, on_closed);
    }
}

void turns_add(struct turns *t, struct turn *turn, void (*fn)(void *ud), void *ud)
{
    require(!turn->turns);
    *turn = (struct turn) { .turns = t, .at = t->end, .fn = fn, .ud = ud };
    *t->end = turn;
    t->end = &turn->next;
    uv_idle_start(&t->idle, on_idle);
}

void turns_remove(struct turn *turn)
{
    struct turns *t = turn->turns;
    if (!t) {
        return;
    }
    *turn->at = turn->next;
    if (turn->next) {
        turn->next->at = turn->at;
    } else {
        t->end = turn->at;
    }
    turn->turns = NULL;
    turn->next = NULL;
}
