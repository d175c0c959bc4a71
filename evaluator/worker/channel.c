/* SPDX-License-Identifier: MIT */
#include "evaluator/worker/channel.h"
#include "base/jread.h"
#include "base/util.h"

#include <stdlib.h>
#include <string.h>

int channel_receive(struct channel *channel, struct frame *ret_frame, json_t **ret_json,
                    struct err *err)
{
    struct frame frame;
    int r = frame_read(channel->fd, &frame, err);
    if (r < 0) {
        return r;
    }
    json_t *json = NULL;
    if (frame.type != FRAME_TYPE_JOB) {
        r = err_set(err, ERR_PROTOCOL, "expected a job, got a frame of type %d", (int)frame.type);
    } else {
        r = jread_parse(frame.json, frame.json_len, &json, err);
    }
    if (r < 0) {
        free(frame.owned);
        return r;
    }
    channel->job = frame.id;
    *ret_frame = frame;
    *ret_json = json;
    return 0;
}

int channel_send(const struct channel *channel, enum frame_type type, json_t *json,
                 const void *blob, size_t blob_len, struct err *err)
{
    auto_free char *text = json_dumps(json, JSON_COMPACT);
    json_decref(json);
    if (!text) {
        return err_set(err, ERR_BUG, "a frame's JSON can't be written");
    }
    struct frame frame = { .type = type, .id = channel->job, .json = text,
                           .json_len = strlen(text), .blob = blob, .blob_len = blob_len };
    return frame_write(channel->fd, &frame, err);
}

void channel_progress(const struct channel *channel, const char *phase, const char *shape,
                      int trial)
{
    json_t *json = json_pack("{s:s}", "phase", phase);
    if (shape) {
        json_object_set_new(json, "shape", json_string(shape));
        json_object_set_new(json, "trial", json_integer(trial));
    }
    channel_send(channel, FRAME_TYPE_PROGRESS, json, NULL, 0, NULL);
}
