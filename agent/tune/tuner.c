/* SPDX-License-Identifier: MIT */
#include "agent/tune/tuner.h"
#include "agent/tune/tuner_algorithm.h"
#include "base/util.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { DRAW_AGAIN = 1000, GUIDED = 40 };

static const struct algorithm *const algorithms[] = {
    &search_auto, &search_rank, &search_lfbo, &search_genetic, &search_random, &search_exhaustive,
    &search_prior, &search_llm, &search_hybrid,
};

static const char *const names[] = {
    "auto", "rank", "lfbo", "genetic", "random", "exhaustive", "prior", "llm", "hybrid", NULL,
};

const char *const *tuner_algorithms(void)
{
    return names;
}

static const struct algorithm *find_algorithm(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(algorithms); i++) {
        if (str_eq(algorithms[i]->name, name)) {
            return algorithms[i];
        }
    }
    return NULL;
}

const struct tuner_flag *tuner_flags(const char *algorithm)
{
    static const struct tuner_flag none[] = { { .name = NULL } };
    const struct algorithm *a = find_algorithm(algorithm);
    return !a ? NULL : a->flags ? a->flags : none;
}

size_t tuner_row_bytes(const struct tuner *t)
{
    return t->space->n * sizeof(uint16_t);
}

const uint16_t *tuner_listed(const struct tuner *t, size_t row)
{
    return t->space->listed + row * t->space->n;
}

/* The slot of a config, or the empty one where it belongs (FNV-1a). */
static size_t slot_of(const struct tuner *t, const uint16_t *config)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (size_t i = 0; i < t->space->n; i++) {
        hash = (hash ^ config[i]) * 0x100000001b3u;
    }
    size_t at = (hash ^ (hash >> 29)) & (t->n_slots - 1);
    while (t->slots[at]
           && memcmp(t->samples[t->slots[at] - 1].config, config, tuner_row_bytes(t)) != 0) {
        at = (at + 1) & (t->n_slots - 1);
    }
    return at;
}

bool tuner_asked(const struct tuner *t, const uint16_t *config)
{
    return t->slots[slot_of(t, config)] != 0;
}

double tuner_time(const struct tuner *t, const uint16_t *config)
{
    uint32_t slot = t->slots[slot_of(t, config)];
    return slot ? t->samples[slot - 1].time : -1;
}

/* The next of a random order that is fixed as far as it was used (Fisher and Yates). */
static bool draw_listed(struct tuner *t, uint16_t *ret_config)
{
    size_t n = t->space->n_listed;
    if (!t->order) {
        t->order = arena_alloc(t->arena, n, sizeof(*t->order));
        for (size_t i = 0; i < n; i++) {
            t->order[i] = (uint32_t)i;
        }
    }
    while (t->at_order < n) {
        size_t at = t->at_order++, other = at + rng_below(&t->rng, n - at);
        uint32_t row = t->order[other];
        t->order[other] = t->order[at];
        t->order[at] = row;
        if (!tuner_asked(t, tuner_listed(t, row))) {
            memcpy(ret_config, tuner_listed(t, row), tuner_row_bytes(t));
            return true;
        }
    }
    return false;
}

bool tuner_draw(struct tuner *t, uint16_t *ret_config)
{
    if (t->space->n_listed) {
        return draw_listed(t, ret_config);
    }
    for (int i = 0; i < DRAW_AGAIN; i++) {
        if (tune_space_draw(t->space, &t->rng, ret_config) < 0) {
            return false;
        }
        if (!tuner_asked(t, ret_config)) {
            return true;
        }
    }
    return false;
}

struct tuner_part {
    const struct algorithm *algorithm;
    void *state;
    double flags[TUNER_FLAGS_MAX];
};

/* The tuner as that algorithm sees it, and back. */
static void swap(struct tuner *t, struct tuner_part *part)
{
    double flags[TUNER_FLAGS_MAX];
    void *state = t->state;
    t->state = part->state;
    part->state = state;
    memcpy(flags, t->flags, sizeof(flags));
    memcpy(t->flags, part->flags, sizeof(flags));
    memcpy(part->flags, flags, sizeof(flags));
}

struct tuner_part *tuner_part_new(struct tuner *t, const struct algorithm *algorithm)
{
    struct tuner_part *part = arena_alloc(t->arena, 1, sizeof(*part));
    part->algorithm = algorithm;
    require(tuner_read_flags(algorithm, NULL, part->flags, NULL) == 0);
    swap(t, part);
    require(!algorithm->open || algorithm->open(t, NULL) == 0);
    swap(t, part);
    return part;
}

bool tuner_part_next(struct tuner *t, struct tuner_part *part, uint16_t *ret_config)
{
    swap(t, part);
    bool got = part->algorithm->next(t, ret_config);
    swap(t, part);
    return got;
}

static void add_first(struct tuner *t, const uint16_t *configs, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint16_t *copy = arena_alloc(t->arena, t->space->n, sizeof(*copy));
        memcpy(copy, configs + i * t->space->n, tuner_row_bytes(t));
        t->first[t->n_first++] = copy;
    }
}

static int choose(struct tuner *t, const struct tuner_options *options, struct err *err)
{
    const struct tune_space *s = t->space;
    const char *name = options->algorithm;
    bool whole = s->n_listed && s->n_listed <= options->budget;
    t->algorithm = name ? find_algorithm(name) : whole ? &search_exhaustive : &search_auto;
    if (!t->algorithm) {
        const char *near = suggest(name, names, ARRAY_LEN(names) - 1);
        return err_set(err, ERR_INVALID,
                       "no tuning algorithm \"%s\"%s%s%s; there are auto, rank, lfbo, genetic, "
                       "random, exhaustive, prior, llm and hybrid",
                       name, near ? " (did you mean " : "", near ? near : "", near ? "?)" : "");
    }
    if (t->algorithm == &search_exhaustive && s->n && !s->n_listed) {
        return err_set(err, ERR_TOOBIG, "a space of %llu configs, %d at most can be listed: "
                                        "exhaustive can't search it",
                       (unsigned long long)tune_space_size(s), TUNE_LIST_MAX);
    }
    return tuner_read_flags(t->algorithm, options->flags, t->flags, err);
}

static void set_up(struct tuner *t, const struct tuner_options *options)
{
    const struct tune_space *s = t->space;
    t->budget = s->n ? MIN(options->budget, (size_t)TUNE_LIST_MAX) : 0;
    t->budget = s->n_listed ? MIN(t->budget, s->n_listed) : t->budget;
    t->samples = arena_alloc(t->arena, t->budget + 1, sizeof(*t->samples));
    t->n_slots = 64;
    while (t->n_slots < 2 * t->budget) {
        t->n_slots *= 2;
    }
    t->slots = arena_alloc(t->arena, t->n_slots, sizeof(*t->slots));
    t->first = arena_alloc(t->arena, 1 + options->n_pinned + options->n_proposed,
                           sizeof(*t->first));
    add_first(t, s->own, s->has_own);
    add_first(t, options->pinned, options->n_pinned);
    add_first(t, options->proposed, options->n_proposed);
    if (options->guide) {
        size_t usual = t->algorithm == &search_prior ? t->budget : GUIDED;
        tuner_guided_open(t, options->guide, options->n_guided ? options->n_guided : usual);
    }
}

int tuner_new(const struct tune_space *space, const struct tuner_options *options,
              struct tuner **ret, struct err *err)
{
    struct tuner *t = xcalloc(1, sizeof(*t));
    t->space = space;
    t->seed = options->seed;
    t->arena = arena_new();
    rng_init(&t->rng, options->seed, rng_key("tuner"), 0);
    int r = choose(t, options, err);
    uint16_t config[TUNE_PARAMS_MAX];
    if (r == 0 && space->n && !space->n_listed
        && tune_space_draw(space, &t->rng, config) < 0) {
        r = err_set(err, ERR_NOTFOUND, "no config of the %llu was found that the constraints allow",
                    (unsigned long long)tune_space_size(space));
    }
    if (r == 0) {
        set_up(t, options);
        r = t->algorithm->open && space->n ? t->algorithm->open(t, err) : 0;
    }
    if (r < 0) {
        tuner_free(t);
        return r;
    }
    *ret = t;
    return 0;
}

void tuner_free(struct tuner *t)
{
    if (t) {
        arena_free(t->arena);
        free(t);
    }
}

const char *tuner_name(const struct tuner *t)
{
    return t->algorithm->name;
}

static void add(struct tuner *t, const uint16_t *config)
{
    size_t slot = slot_of(t, config);
    require(t->slots[slot] == 0);
    uint16_t *copy = arena_alloc(t->arena, t->space->n, sizeof(*copy));
    memcpy(copy, config, tuner_row_bytes(t));
    t->samples[t->n] = (struct tuner_sample) { copy, -1 };
    t->slots[slot] = (uint32_t)++t->n;
}

static bool next_first(struct tuner *t, uint16_t *ret_config)
{
    while (t->at_first < t->n_first) {
        const uint16_t *config = t->first[t->at_first++];
        if (!tuner_asked(t, config) && tune_space_allows(t->space, config) == 1) {
            memcpy(ret_config, config, tuner_row_bytes(t));
            return true;
        }
    }
    return false;
}

size_t tuner_ask(struct tuner *t, size_t most, uint16_t *ret)
{
    size_t n = 0;
    while (n < most && t->n < t->budget && !t->over) {
        uint16_t *config = ret + n * t->space->n;
        if (!next_first(t, config) && !tuner_guided_next(t, config)
            && !t->algorithm->next(t, config)) {
            t->over = t->n_told == t->n && tuner_waits(t) < 0;
            break;
        }
        add(t, config);
        n++;
    }
    return n;
}

bool tuner_done(const struct tuner *t)
{
    return t->over || t->n >= t->budget;
}

int tuner_tell(struct tuner *t, const uint16_t *config, double time, struct err *err)
{
    uint32_t slot = t->slots[slot_of(t, config)];
    if (slot == 0) {
        return err_set(err, ERR_INVALID, "a config was told that nobody asked for");
    }
    struct tuner_sample *s = &t->samples[slot - 1];
    t->n_told += s->time < 0;
    s->time = time > 0 && isfinite(time) ? time : (double)NAN;
    return 0;
}

int tuner_waits(const struct tuner *t)
{
    return t->algorithm->waits && !tuner_done(t) ? t->algorithm->waits(t) : -1;
}

size_t tuner_offer(struct tuner *t, const uint16_t *configs, size_t n)
{
    return tuner_waits(t) < 0 ? 0 : t->algorithm->offer(t, configs, n);
}

size_t tuner_samples(const struct tuner *t, const struct tuner_sample **ret)
{
    *ret = t->samples;
    return t->n;
}

const struct tuner_sample *tuner_best(const struct tuner *t)
{
    const struct tuner_sample *best = NULL;
    for (size_t i = 0; i < t->n; i++) {
        const struct tuner_sample *s = &t->samples[i];
        if (s->time > 0 && (!best || s->time < best->time)) {
            best = s;
        }
    }
    return best;
}
