#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * The worker's end of the conversation with the agent: frames (base/frame.h) on descriptor 3. One
 * job at a time comes in; progress and one result go out under the job's id. Calls block. Any error
 * here means that the agent is gone or broken, and the worker ends.
 */
#include <jansson.h>
#include "base/err.h"
#include "base/frame.h"

enum { CHANNEL_FD = 3 };

struct channel {
    int fd;
    uint64_t job; /* id of the job in hand */
};

/* Waits for a job. ERR_NOTFOUND: the agent closed its end. The caller frees frame->owned and the
 * JSON. */
int channel_receive(struct channel *channel, struct frame *ret_frame, json_t **ret_json,
                    struct err *err);

/* Sends and takes over `json`. */
int channel_send(const struct channel *channel, enum frame_type type, json_t *json,
                 const void *blob, size_t blob_len, struct err *err);

/* {"phase": phase, "shape": shape, "trial": trial}; shape may be NULL. Errors show at the result. */
void channel_progress(const struct channel *channel, const char *phase, const char *shape,
                      int trial);
