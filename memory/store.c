/* SPDX-License-Identifier: MIT */
#include "memory/store.h"
#include "base/util.h"
#include "memory/store_impl.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#define MAP_SIZE ((uint64_t)16 << 30)
#define MAP_MOST ((uint64_t)1 << 40)

/* A group ends when it holds this much, so that one commit stays short. */
enum { GROUP_BYTES = 32 << 20, GROUP_BATCHES = 4096 };

/*
 * One group on its way through the pool. Normally it ends in after() on the loop. A flush doesn't
 * wait for the loop: it waits for `done`, settles the group itself and leaves the flight behind
 * (`store` NULL) for after() to free.
 */
struct store_flight {
    uv_work_t work;
    struct store *store;
    struct store_batch *group;
    struct store_result result;
    pthread_mutex_t mutex;
    pthread_cond_t landed;
    bool done;
};

const char *store_db_name(enum store_db db)
{
    static const char *const names[] = {
#define X(name, text) [STORE_DB_##name] = text,
        STORE_DB_LIST(X)
#undef X
    };
    return names[db];
}

const char *store_path(const struct store *store)
{
    return store->path;
}

const char *store_origin(const struct store *store)
{
    return store->origin;
}

int store_open(const char *path, const struct store_options *options, struct store **ret,
               struct err *err)
{
    struct store *store = xcalloc(1, sizeof(*store));
    store->path = xstrdup(path);
    store->options = *options;
    store->queue_end = &store->queue;
    if (store->options.map_size == 0) {
        store->options.map_size = MAP_SIZE;
    }
    if (store->options.map_most == 0) {
        store->options.map_most = MAX(MAP_MOST, store->options.map_size);
    }
    int r = store_env_open(store, err);
    if (r < 0) {
        free(store->path);
        free(store);
        return r;
    }
    *ret = store;
    return 0;
}

void store_close(struct store *store)
{
    if (!store) {
        return;
    }
    require(store->settling == 0 && store->views == 0);
    store_flush(store);
    store_env_close(store);
    free(store->path);
    free(store);
}

bool store_full(struct store *store)
{
    if (store->full && store_env_has_room(store)) {
        store->full = false;
    }
    return store->full;
}

bool store_changed(struct store *store)
{
    uint64_t last = store_env_last_transaction(store);
    bool changed = store->foreign || last > store->seen;
    store->foreign = false;
    store->seen = MAX(store->seen, last);
    return changed;
}

/* Takes batches off the queue's head, as many as make a group. */
static struct store_batch *next_group(struct store *store)
{
    struct store_batch *group = store->queue, *last = group;
    size_t bytes = last->bytes;
    for (size_t n = 1; last->next && n < GROUP_BATCHES; n++) {
        bytes += last->next->bytes;
        if (bytes > GROUP_BYTES) {
            break;
        }
        last = last->next;
    }
    store->queue = last->next;
    last->next = NULL;
    if (!store->queue) {
        store->queue_end = &store->queue;
    }
    return group;
}

/* Makes the map fit. 0: write the group again. */
static int make_room(struct store *store, struct store_result *result)
{
    int r = result->outcome == STORE_OUTCOME_GROW ? store_env_grow(store, &result->err)
                                                  : store_env_adopt(store, &result->err);
    if (r < 0) {
        result->outcome = STORE_OUTCOME_FAILED;
    }
    return r;
}

static void tell(struct store_batch *group, const struct store_result *result)
{
    for (struct store_batch *next, *batch = group; batch; batch = next) {
        next = batch->next;
        const struct err *err = batch->err.code                           ? &batch->err
                                : result->outcome == STORE_OUTCOME_FAILED ? &result->err
                                                                          : NULL;
        if (batch->done) {
            batch->done(batch->user, err ? err->code : 0, err);
        }
        store_batch_free(batch);
    }
}

/* Notes what a finished group means for the store, then calls the waiters. */
static void settle(struct store *store, struct store_batch *group,
                   const struct store_result *result)
{
    if (result->transaction) {
        store->foreign |= result->transaction > store->seen + 1;
        store->seen = MAX(store->seen, result->transaction);
    }
    if (result->outcome == STORE_OUTCOME_FAILED && result->err.code == ERR_FULL) {
        store->full = !store_env_has_room(store);
    }
    store->settling++;
    tell(group, result);
    store->settling--;
}

static void flight_free(struct store_flight *flight)
{
    pthread_mutex_destroy(&flight->mutex);
    pthread_cond_destroy(&flight->landed);
    free(flight);
}

static void start(struct store *store);
static void launch(struct store *store, struct store_batch *group);

/* On the pool. */
static void run(uv_work_t *work)
{
    struct store_flight *flight = container_of(work, struct store_flight, work);
    store_write_group(flight->store, flight->group, &flight->result);
    pthread_mutex_lock(&flight->mutex);
    flight->done = true;
    pthread_cond_signal(&flight->landed);
    pthread_mutex_unlock(&flight->mutex);
}

/* On the loop. */
static void after(uv_work_t *work, int status)
{
    (void)status; /* never canceled */
    struct store_flight *flight = container_of(work, struct store_flight, work);
    struct store *store = flight->store;
    if (store) {
        struct store_batch *group = flight->group;
        struct store_result result = flight->result;
        store->flight = NULL;
        bool again = result.outcome == STORE_OUTCOME_GROW || result.outcome == STORE_OUTCOME_ADOPT;
        if (again && make_room(store, &result) == 0) {
            launch(store, group);
        } else {
            settle(store, group, &result);
            start(store);
        }
    }
    flight_free(flight);
}

static void launch(struct store *store, struct store_batch *group)
{
    struct store_flight *flight = xcalloc(1, sizeof(*flight));
    flight->store = store;
    flight->group = group;
    pthread_mutex_init(&flight->mutex, NULL);
    pthread_cond_init(&flight->landed, NULL);
    store->flight = flight;
    require(uv_queue_work(store->options.loop, &flight->work, run, after) == 0);
}

static void start(struct store *store)
{
    if (store->options.loop && !store->flight && store->queue) {
        launch(store, next_group(store));
    }
}

void store_submit(struct store *store, struct store_batch *batch, store_done_fn done, void *user)
{
    batch->done = done;
    batch->user = user;
    batch->next = NULL;
    if (store->options.read_only && !batch->err.code) {
        err_set(&batch->err, -EROFS, "store %s: opened for reading only", store->path);
    } else if (store_full(store) && !batch->err.code) {
        store_env_fail(store, ENOSPC, &batch->err);
    }
    *store->queue_end = batch;
    store->queue_end = &batch->next;
    start(store);
}

void store_await_flight(struct store *store)
{
    struct store_flight *flight = store->flight;
    if (!flight) {
        return;
    }
    pthread_mutex_lock(&flight->mutex);
    while (!flight->done) {
        pthread_cond_wait(&flight->landed, &flight->mutex);
    }
    pthread_mutex_unlock(&flight->mutex);
}

/* Does on this thread what is left of a group. */
static void finish_here(struct store *store, struct store_batch *group, struct store_result *result)
{
    while (result->outcome == STORE_OUTCOME_GROW || result->outcome == STORE_OUTCOME_ADOPT) {
        if (make_room(store, result) == 0) {
            store_write_group(store, group, result);
        }
    }
    settle(store, group, result);
}

void store_flush(struct store *store)
{
    while (store->flight || store->queue) {
        struct store_result result;
        struct store_batch *group;
        if (store->flight) {
            store_await_flight(store);
            group = store->flight->group;
            result = store->flight->result;
            store->flight->store = NULL;
            store->flight = NULL;
        } else {
            group = next_group(store);
            store_write_group(store, group, &result);
        }
        finish_here(store, group, &result);
    }
}

struct commit {
    int status;
    struct err *err;
};

static void committed(void *user, int status, const struct err *err)
{
    struct commit *commit = user;
    commit->status = status;
    if (err && commit->err) {
        *commit->err = *err;
    }
}

int store_commit(struct store *store, struct store_batch *batch, struct err *err)
{
    struct commit commit = {.status = ERR_BUG, .err = err};
    store_submit(store, batch, committed, &commit);
    store_flush(store);
    return commit.status;
}
