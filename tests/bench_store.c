/* SPDX-License-Identifier: MIT */
/*
 * bench_store [FOLDER]: durable attempts per second through the loop with 1, 8, 64 and 512 in the
 * air, what one costs to read, and how late the loop was meanwhile. The folder's disk decides.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/file.h"
#include "base/util.h"
#include "memory/record.h"
#include "store_rig.h"

#define SECONDS 1.5

struct bench {
    struct store_rig rig;
    int64_t seq, acknowledged;
    uint64_t end_ns, worst_ns, last_beat_ns;
};

static void submit(struct bench *bench);

static void done(void *user, int status, const struct err *err)
{
    (void)err;
    struct bench *bench = user;
    require(status == 0);
    bench->acknowledged++;
    if (clock_ns() < bench->end_ns) {
        submit(bench);
    }
}

static void submit(struct bench *bench)
{
    struct learned learned[6];
    for (int i = 0; i < 6; i++) {
        static const char *const keys[] = {
            "direction/x/softmax|memory_bound|sm_90",
            "direction/x/*|memory_bound|*",
            "direction/x/*|*|*",
            "strategy/y/softmax|memory_bound|sm_90",
            "strategy/y/*|memory_bound|*",
            "strategy/y/*|*|*",
        };
        learned[i] = (struct learned){keys[i], 0.001 * (double)(bench->seq % 100), false};
    }
    char task[32];
    snprintf(task, sizeof(task), "t%lld", (long long)(bench->seq / 900000));
    struct attempt_record a = {.campaign = "bench",
                               .task = task,
                               .seq = bench->seq++ % 900000,
                               .verdict = "v",
                               .direction = "x",
                               .strategy = "y",
                               .status = "accepted",
                               .gain = 0.1,
                               .time_us = 12.5,
                               .n_learned = 6,
                               .learned = learned};
    struct store_batch *batch = store_batch_new();
    require(record_put_attempt(batch, &a, NULL) == 0);
    store_submit(bench->rig.store, batch, done, bench);
}

static void beat(uv_timer_t *timer)
{
    struct bench *bench = timer->data;
    uint64_t now = clock_ns(), late = now - bench->last_beat_ns;
    bench->worst_ns = MAX(bench->worst_ns, late);
    bench->last_beat_ns = now;
    if (now > bench->end_ns) {
        uv_close((uv_handle_t *)timer, NULL);
    }
}

static void write_with(struct bench *bench, int in_the_air)
{
    uv_timer_t timer;
    uint64_t begin = clock_ns();
    bench->acknowledged = 0;
    bench->worst_ns = 0;
    bench->last_beat_ns = begin;
    bench->end_ns = begin + (uint64_t)(SECONDS * 1e9);
    uv_timer_init(&bench->rig.loop, &timer);
    timer.data = bench;
    uv_timer_start(&timer, beat, 1, 1);
    for (int i = 0; i < in_the_air; i++) {
        submit(bench);
    }
    uv_run(&bench->rig.loop, UV_RUN_DEFAULT);
    double seconds = (double)(clock_ns() - begin) / 1e9;
    printf("%4d in the air: %8.0f durable attempts/s, loop at most %.1f ms between beats\n",
           in_the_air, (double)bench->acknowledged / seconds, (double)bench->worst_ns / 1e6);
}

static void read_some(struct bench *bench)
{
    enum { N = 20000 };
    uint64_t begin = clock_ns();
    int64_t all = bench->seq < 900000 ? bench->seq : 900000;
    for (int64_t i = 0; i < N; i++) {
        auto_arena struct arena *arena = arena_new();
        struct attempt_record a;
        require(record_get_attempt(bench->rig.store, "bench", "t0", i * 7919 % all, arena, &a,
                                   NULL) == 0);
    }
    printf("reading one of %lld: %.1f us\n", (long long)bench->seq,
           (double)(clock_ns() - begin) / 1e3 / N);
}

int main(int argc, char **argv)
{
    struct bench *bench = xcalloc(1, sizeof(*bench));
    if (argc > 1) {
        setenv("TMPDIR", argv[1], 1);
    }
    store_rig_init(&bench->rig, NULL);
    static const int depths[] = {1, 8, 64, 512};
    for (size_t i = 0; i < ARRAY_LEN(depths); i++) {
        write_with(bench, depths[i]);
    }
    read_some(bench);
    struct store_facts facts;
    require(store_facts(bench->rig.store, &facts, NULL) == 0);
    printf("%llu attempts in %.1f MB\n", (unsigned long long)facts.records[STORE_DB_ATTEMPTS],
           (double)facts.used_bytes / 1e6);
    store_rig_done(&bench->rig);
    free(bench);
    return 0;
}
