/* SPDX-License-Identifier: MIT */
/*
 * A reply of any bytes that proposes configs. Whatever comes: configs that are allowed, new and all
 * different, or a fault, never both and never neither; and the same answer twice. The first byte says
 * whether there is a base config.
 */
#include "agent/tune_reply.h"
#include "base/util.h"
#include "tests/tune_rig.h"

#include <string.h>

enum { MOST = 5 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_own(const void *ud, const uint16_t *config)
{
    const struct tune_space *space = ud;
    return memcmp(space->own, config, space->n * sizeof(*config)) == 0;
}

static void check(const struct tune_space *space, const struct tune_reply *reply)
{
    require((reply->n > 0) == (*reply->fault == '\0') && reply->n <= MOST);
    require(reply->n_notes <= TUNE_REPLY_NOTES && reply->n_notes <= reply->n_passed);
    require(reply->n + reply->n_passed <= reply->found);
    for (size_t i = 0; i < reply->n; i++) {
        const uint16_t *config = reply->configs + i * space->n;
        require(tune_space_allows(space, config) == 1 && !is_own(space, config));
        for (size_t k = 0; k < i; k++) {
            require(memcmp(config, reply->configs + k * space->n, space->n * sizeof(*config)) != 0);
        }
    }
    for (size_t i = 0; i < reply->n_notes; i++) {
        require(strlen(reply->notes[i]) <= TUNE_REPLY_NOTE_MAX);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    auto_arena struct arena *arena = arena_new();
    struct tune_space *space = tune_rig_space(data[0] & 1);
    struct tune_reply_input input = { .text = (const char *)data + 1, .len = size - 1,
                                      .space = space, .base = space->has_own ? space->own : NULL,
                                      .known = is_own, .ud = space, .most = MOST };
    struct tune_reply reply, again;
    tune_reply_parse(&input, arena, &reply);
    check(space, &reply);
    tune_reply_parse(&input, arena, &again);
    check(space, &again);
    require(again.n == reply.n && str_eq(again.fault, reply.fault));
    require(memcmp(again.configs, reply.configs, reply.n * space->n * sizeof(uint16_t)) == 0);
    tune_space_free(space);
    return 0;
}
