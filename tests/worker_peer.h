#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * The agent's side of a worker for tests: starts the real program over a socketpair, sends jobs and
 * waits for frames with a generous deadline. Failures fail the test.
 */
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct peer {
    pid_t pid;
    int fd;
    unsigned long long next_id;
    json_t *hello;
    int n_progress;
};

struct answer {
    json_t *json;
    char *blob;
    size_t blob_len;
};

/* args end in NULL, without the program's name. Waits for the hello. */
void peer_start(struct peer *peer, const char *const *args);
/* Closes the conversation; returns the exit code (or -signal). */
int peer_stop(struct peer *peer);
/* Sends a job (takes over json) and waits for its result; false if the worker died instead. */
bool peer_job(struct peer *peer, json_t *json, const void *blob, size_t len, struct answer *ret);
void answer_done(struct answer *answer);

/* Compiles; the answer is the worker's. `options` is a JSON array or NULL. */
bool peer_compile(struct peer *peer, const char *arch, const char *source, json_t *options,
                  struct answer *ret);
