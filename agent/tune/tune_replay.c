/* SPDX-License-Identifier: MIT */
#include "agent/tune/tune_replay.h"
#include "base/util.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { THREADS_MAX = 256 };

/* A search under way: `told` of the `n` configs asked for have their time. */
struct replay {
    const struct recorded *recorded;
    const struct tune_replay_options *options;
    struct tuner *tuner;
    struct tune_replay_run *run;
    size_t width, told, most;
    double best; /* as the search sees it */
};

static double time_of(const struct replay *replay, size_t row)
{
    struct rng rng;
    if (!replay->options->noise) {
        return replay->recorded->times[row];
    }
    rng_init(&rng, replay->options->tuner.seed, rng_key("noise"), row);
    return recorded_noisy(replay->recorded, row, &rng);
}

static int tell_one(struct replay *replay, struct err *err)
{
    struct tune_replay_run *run = replay->run;
    size_t i = replay->told++;
    const uint16_t *config = run->configs + i * replay->width;
    int64_t row = tune_space_find(replay->recorded->space, config);
    if (row < 0) {
        return err_set(err, ERR_BUG, "%s asked for a config that isn't recorded", run->algorithm);
    }
    double time = time_of(replay, (size_t)row);
    run->times[i] = time;
    run->n_failed += isnan(time);
    if (time < replay->best) {
        replay->best = time;
        run->best = row;
        run->time = replay->recorded->times[row];
        run->score = replay->recorded->optimum / run->time;
    }
    run->curve[i] = run->score;
    return tuner_tell(replay->tuner, config, time, err);
}

static void make_room(struct replay *replay, size_t more)
{
    struct tune_replay_run *run = replay->run;
    if (run->n + more > replay->most) {
        replay->most = MAX(2 * replay->most, run->n + more);
        run->configs = xrealloc(run->configs, replay->most * MAX(replay->width, (size_t)1),
                                sizeof(*run->configs));
        run->times = xrealloc(run->times, replay->most, sizeof(*run->times));
        run->curve = xrealloc(run->curve, replay->most, sizeof(*run->curve));
    }
}

/* 1: go on; 0: it's over. */
static int step(struct replay *replay, struct err *err)
{
    struct tune_replay_run *run = replay->run;
    size_t batch = MAX(replay->options->batch, (size_t)1), out = run->n - replay->told;
    make_room(replay, batch);
    size_t got = out < batch ? tuner_ask(replay->tuner, batch - out,
                                         run->configs + run->n * replay->width)
                             : 0;
    run->n += got;
    if (replay->told < run->n) {
        int r = tell_one(replay, err);
        return r < 0 ? r : 1;
    }
    int round = tuner_waits(replay->tuner);
    if (round < 0) {
        return 0;
    }
    if (!replay->options->propose) {
        tuner_offer(replay->tuner, NULL, 0);
        return 1;
    }
    int r = replay->options->propose(replay->options->ud, replay->tuner, round, err);
    return r < 0 ? r : 1;
}

static int allows_listed(const void *ud, const uint16_t *config)
{
    return tune_space_find(ud, config) >= 0;
}

int tune_replay(const struct recorded *recorded, const struct tune_replay_options *options,
                struct tune_replay_run *ret, struct err *err)
{
    if (recorded->space->n == 0) {
        return err_set(err, ERR_NOTFOUND, "the space is a single config: there's nothing to search");
    }
    struct tune_space unlisted = *recorded->space;
    unlisted.listed = NULL;
    unlisted.index = NULL;
    unlisted.n_listed = 0;
    unlisted.allows = allows_listed;
    unlisted.ud = recorded->space;
    struct tune_replay_run run = { .best = -1, .time = NAN };
    struct replay replay = { .recorded = recorded, .options = options, .run = &run,
                             .width = recorded->space->n, .best = INFINITY };
    int r = tuner_new(options->unlisted ? &unlisted : recorded->space, &options->tuner, &replay.tuner,
                      err);
    if (r < 0) {
        return r;
    }
    run.algorithm = tuner_name(replay.tuner);
    uint64_t from = clock_ns();
    do {
        r = step(&replay, err);
    } while (r > 0);
    run.search_s = (double)(clock_ns() - from) / 1e9;
    tuner_free(replay.tuner);
    if (r < 0) {
        tune_replay_done(&run);
        return r;
    }
    *ret = run;
    return 0;
}

void tune_replay_done(struct tune_replay_run *run)
{
    free(run->configs);
    free(run->times);
    free(run->curve);
    *run = (struct tune_replay_run) { .best = -1 };
}

size_t tune_replay_reach(const struct tune_replay_run *run, double score)
{
    for (size_t i = 0; i < run->n; i++) {
        if (run->curve[i] >= score) {
            return i + 1;
        }
    }
    return SIZE_MAX;
}

struct crew {
    struct tune_replay_job *jobs;
    size_t n;
    atomic_size_t next;
};

static void *work(void *ud)
{
    struct crew *crew = ud;
    for (size_t i; (i = atomic_fetch_add(&crew->next, 1)) < crew->n;) {
        struct tune_replay_job *job = &crew->jobs[i];
        job->code = tune_replay(job->recorded, &job->options, &job->run, &job->err);
    }
    return NULL;
}

void tune_replay_many(struct tune_replay_job *jobs, size_t n, unsigned threads)
{
    struct crew crew = { .jobs = jobs, .n = n };
    pthread_t others[THREADS_MAX];
    size_t started = 0;
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    size_t wanted = threads ? threads : (size_t)MAX(cores, 1L);
    wanted = MIN(MIN(wanted, n), (size_t)THREADS_MAX);
    while (started + 1 < wanted && pthread_create(&others[started], NULL, work, &crew) == 0) {
        started++;
    }
    work(&crew);
    while (started > 0) {
        pthread_join(others[--started], NULL);
    }
}
