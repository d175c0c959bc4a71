/* SPDX-License-Identifier: MIT */
/*
 * A recorded space of any bytes, plain or gzip. What is read is a space that can be searched: its
 * index finds every row, its times are times, and a short search on it ends.
 */
#include "agent/tune/recorded.h"
#include "agent/tune/tune_config.h"
#include "agent/tune/tune_replay.h"
#include "base/util.h"

#include <math.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_space(const struct recorded *recorded)
{
    const struct tune_space *space = recorded->space;
    require(recorded->optimum > 0 && recorded->times[recorded->best] == recorded->optimum);
    for (size_t row = 0; row < space->n_listed; row++) {
        const uint16_t *config = space->listed + row * space->n;
        uint16_t back[TUNE_PARAMS_MAX];
        require(tune_space_find(space, config) == (int64_t)row);
        require(isnan(recorded->times[row]) || recorded->times[row] >= recorded->optimum);
        json_t *object = tune_config_json(space, config);
        require(tune_config_read(space, object, NULL, back, NULL) == 0);
        require(tune_space_find(space, back) == (int64_t)row);
        json_decref(object);
    }
}

static void check_search(const struct recorded *recorded)
{
    struct tune_replay_run run;
    const struct tune_replay_options options = {
        .tuner = { .algorithm = "genetic", .budget = 40, .seed = 1 }, .batch = 3, .noise = true,
    };
    int r = tune_replay(recorded, &options, &run, NULL);
    require(r == (recorded->space->n ? 0 : ERR_NOTFOUND));
    if (r < 0) {
        return;
    }
    require(run.n == MIN((size_t)40, recorded->space->n_listed));
    tune_replay_done(&run);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct recorded *recorded = NULL;
    struct err err = { 0 };
    if (recorded_parse((const char *)data, size, &recorded, &err) < 0) {
        require(!recorded && err.text[0]);
        return 0;
    }
    check_space(recorded);
    check_search(recorded);
    recorded_free(recorded);
    return 0;
}
