/* SPDX-License-Identifier: MIT */
#include "evaluator/sim/threads.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/util.h"

#define THREADS_MAX 256

struct worker {
    struct threads *threads;
    unsigned index;
    pthread_t thread;
};

struct threads {
    pthread_mutex_t lock;
    pthread_cond_t start, done;
    void (*fn)(void *arg, unsigned thread);
    void *arg;
    unsigned long round; /* counts calls of threads_run */
    unsigned running;
    bool quit;
    unsigned n; /* with the caller */
    struct worker workers[THREADS_MAX];
};

static void *worker_main(void *p)
{
    struct worker *w = p;
    struct threads *threads = w->threads;
    unsigned long seen = 0;

    pthread_mutex_lock(&threads->lock);
    for (;;) {
        while (!threads->quit && threads->round == seen)
            pthread_cond_wait(&threads->start, &threads->lock);
        if (threads->quit)
            break;
        seen = threads->round;
        pthread_mutex_unlock(&threads->lock);
        threads->fn(threads->arg, w->index);
        pthread_mutex_lock(&threads->lock);
        if (--threads->running == 0)
            pthread_cond_signal(&threads->done);
    }
    pthread_mutex_unlock(&threads->lock);
    return NULL;
}

int threads_new(unsigned count, struct threads **ret_threads)
{
    struct threads *threads = xcalloc(1, sizeof(*threads));
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    sigset_t all, old;

    if (count == 0)
        count = online > 0 ? (unsigned)online : 1;
    count = MIN(count, THREADS_MAX);
    pthread_mutex_init(&threads->lock, NULL);
    pthread_cond_init(&threads->start, NULL);
    pthread_cond_init(&threads->done, NULL);
    /* Signals are the program's business, so they go to the program's threads. */
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &old);
    for (threads->n = 1; threads->n < count; threads->n++) {
        struct worker *w = &threads->workers[threads->n];
        *w = (struct worker){.threads = threads, .index = threads->n};
        if (pthread_create(&w->thread, NULL, worker_main, w))
            break;
    }
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    *ret_threads = threads;
    return 0;
}

void threads_free(struct threads *threads)
{
    if (!threads)
        return;
    pthread_mutex_lock(&threads->lock);
    threads->quit = true;
    pthread_cond_broadcast(&threads->start);
    pthread_mutex_unlock(&threads->lock);
    for (unsigned i = 1; i < threads->n; i++)
        pthread_join(threads->workers[i].thread, NULL);
    pthread_cond_destroy(&threads->start);
    pthread_cond_destroy(&threads->done);
    pthread_mutex_destroy(&threads->lock);
    free(threads);
}

unsigned threads_count(const struct threads *threads)
{
    return threads->n;
}

void threads_run(struct threads *threads, void (*fn)(void *arg, unsigned thread), void *arg)
{
    pthread_mutex_lock(&threads->lock);
    threads->fn = fn;
    threads->arg = arg;
    threads->round++;
    threads->running = threads->n - 1;
    pthread_cond_broadcast(&threads->start);
    pthread_mutex_unlock(&threads->lock);
    fn(arg, 0);
    pthread_mutex_lock(&threads->lock);
    while (threads->running)
        pthread_cond_wait(&threads->done, &threads->lock);
    pthread_mutex_unlock(&threads->lock);
}
