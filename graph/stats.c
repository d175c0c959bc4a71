/* SPDX-License-Identifier: MIT */
#include "graph/stats.h"
#include "base/util.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct entry {
    char *key;
    struct tally tally;
};

/* Open addressing over indices into `entries`, so that order of coming is kept. */
struct stats {
    struct entry *entries;
    size_t n, room;
    uint32_t *slots; /* index + 1; 0: free */
    size_t n_slots;  /* a power of two, at least twice n */
};

static const char *const kind_names[STATS_KINDS] = {"direction", "strategy", "transition", "proof",
                                                    "trust"};

struct stats *stats_new(void)
{
    struct stats *stats = xcalloc(1, sizeof(*stats));
    stats->n_slots = 256;
    stats->slots = xcalloc(stats->n_slots, sizeof(*stats->slots));
    return stats;
}

void stats_free(struct stats *stats)
{
    if (!stats) {
        return;
    }
    for (size_t i = 0; i < stats->n; i++) {
        free(stats->entries[i].key);
    }
    free(stats->entries);
    free(stats->slots);
    free(stats);
}

const char *stats_kind_name(enum stats_kind kind)
{
    return kind_names[kind];
}

void stats_key(enum stats_kind kind, const char *from, const char *node, const char *where,
               char ret[STATS_KEY_MAX])
{
    const char *const parts[] = {kind_names[kind], "/", from ? from : "", from ? ">" : "",
                                 node,             "/", where};
    size_t used = 0;
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        size_t len = strlen(parts[i]);
        require(len < STATS_KEY_MAX - used);
        memcpy(ret + used, parts[i], len);
        used += len;
    }
    ret[used] = '\0';
}

int stats_key_parse(const char *key, enum stats_kind *ret_kind, const char **ret_node,
                    size_t *ret_node_len, const char **ret_where, struct err *err)
{
    const char *node = strchr(key, '/');
    const char *where = node ? strchr(node + 1, '/') : NULL;
    int kind = 0;
    size_t len = node ? (size_t)(node - key) : 0;
    while (kind < STATS_KINDS &&
           !(len == strlen(kind_names[kind]) && !memcmp(key, kind_names[kind], len))) {
        kind++;
    }
    if (!where || kind == STATS_KINDS || where == node + 1 || !where[1] || strchr(where + 1, '/') ||
        strlen(key) >= STATS_KEY_MAX) {
        return err_set(err, ERR_INVALID, "\"%.80s\" isn't a statistic's key kind/node/where", key);
    }
    bool edge = memchr(node, '>', (size_t)(where - node)) != NULL;
    if (edge != (kind == STATS_KIND_TRANSITION)) {
        return err_set(err, ERR_INVALID, "\"%.80s\": from>to goes with \"transition\" alone", key);
    }
    *ret_kind = (enum stats_kind)kind;
    *ret_node = node + 1;
    *ret_node_len = (size_t)(where - node - 1);
    *ret_where = where + 1;
    return 0;
}

/* Eight bytes at a time, multiplied and folded: a step looks up hundreds of keys. Never kept. */
static uint64_t hash(const char *key)
{
    size_t left = strlen(key);
    uint64_t h = left * 0x9e3779b97f4a7c15u;
    for (; left > 0; left -= MIN(left, 8), key += 8) {
        uint64_t word = 0;
        memcpy(&word, key, MIN(left, 8));
        h = (h ^ word) * 0xbf58476d1ce4e5b9u;
        h ^= h >> 32;
    }
    return h;
}

/* The slot of the key, or the free one where it would go. */
static size_t slot_of(const struct stats *stats, const char *key)
{
    size_t i = hash(key) & (stats->n_slots - 1);
    while (stats->slots[i] && !str_eq(stats->entries[stats->slots[i] - 1].key, key)) {
        i = (i + 1) & (stats->n_slots - 1);
    }
    return i;
}

static void grow(struct stats *stats)
{
    if (stats->n == stats->room) {
        stats->room = MAX(64, 2 * stats->room);
        stats->entries = xrealloc(stats->entries, stats->room, sizeof(*stats->entries));
    }
    if (2 * (stats->n + 1) <= stats->n_slots) {
        return;
    }
    free(stats->slots);
    stats->n_slots *= 2;
    stats->slots = xcalloc(stats->n_slots, sizeof(*stats->slots));
    for (size_t i = 0; i < stats->n; i++) {
        stats->slots[slot_of(stats, stats->entries[i].key)] = (uint32_t)(i + 1);
    }
}

/* The key's tally, made if it isn't there. */
static int find_or_make(struct stats *stats, const char *key, struct tally **ret, struct err *err)
{
    size_t slot = slot_of(stats, key);
    if (!stats->slots[slot]) {
        enum stats_kind kind;
        const char *node, *where;
        size_t len;
        int r = stats_key_parse(key, &kind, &node, &len, &where, err);
        if (r < 0) {
            return r;
        }
        if (stats->n == STATS_MAX) {
            return err_set(err, ERR_FULL, "over %d statistics", STATS_MAX);
        }
        grow(stats);
        slot = slot_of(stats, key);
        stats->entries[stats->n] = (struct entry){.key = xstrdup(key)};
        stats->slots[slot] = (uint32_t)++stats->n;
    }
    *ret = &stats->entries[stats->slots[slot] - 1].tally;
    return 0;
}

uint32_t stats_index(const struct stats *stats, const char *key)
{
    return stats->slots[slot_of(stats, key)];
}

const struct tally *stats_find(const struct stats *stats, const char *key)
{
    uint32_t index = stats_index(stats, key);
    return index ? &stats->entries[index - 1].tally : NULL;
}

int stats_set(struct stats *stats, const char *key, const struct tally *tally, struct err *err)
{
    if (!tally_valid(tally)) {
        return err_set(err, ERR_INVALID,
                       "statistic \"%.80s\": n %lld, failures %lld, mean %g, m2 %g can't be", key,
                       (long long)tally->n, (long long)tally->failures, tally->mean, tally->m2);
    }
    struct tally *at = NULL;
    int r = find_or_make(stats, key, &at, err);
    if (r < 0) {
        return r;
    }
    *at = *tally;
    at->m2 = MAX(at->m2, 0);
    return 0;
}

int stats_add(struct stats *stats, const char *key, double gain, bool failed, struct err *err)
{
    struct tally *at = NULL;
    int r = find_or_make(stats, key, &at, err);
    if (r == 0) {
        tally_add(at, gain, failed);
    }
    return r;
}

size_t stats_count(const struct stats *stats)
{
    return stats->n;
}

const char *stats_at(const struct stats *stats, size_t i, const struct tally **ret)
{
    require(i < stats->n);
    *ret = &stats->entries[i].tally;
    return stats->entries[i].key;
}

void stats_tallies(const struct stats *stats, size_t n, const uint32_t *index,
                   const struct tally **ret)
{
    for (size_t i = 0; i < n; i++) {
        require(index[i] <= stats->n);
        ret[i] = index[i] ? &stats->entries[index[i] - 1].tally : NULL;
    }
}

void stats_fetch(const struct stats *stats, size_t n, const uint32_t *index)
{
    for (size_t i = 0; i < n; i++) {
        if (index[i]) {
            __builtin_prefetch(&stats->entries[index[i] - 1].tally);
        }
    }
}
