/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <string.h>

#include "base/util.h"
#include "evaluator/sim/model.h"

void model_cache_reset(struct model_cache *cache, const struct machine *machine)
{
    cache->n = 0;
    cache->warm = false;
    cache->dirty = machine->l2_flushed_dirty;
}

/* With x bytes coming in, a share w of them written, and the oldest going out, the dirty share s of
 * a cache of L bytes follows L ds/dx = w - s; what goes out dirty is the integral of s. */
double model_cache_written_back(struct model_cache *cache, const struct machine *machine,
                                double read, double written)
{
    double in = read + written, lines = (double)machine->l2;
    if (in <= 0)
        return 0;
    double share = written / in, gone = 1 - exp(-in / lines);
    double out = share * in + (cache->dirty - share) * lines * gone;
    cache->dirty += (share - cache->dirty) * gone;
    return out;
}

uint64_t model_cache_held(const struct model_cache *cache, uint64_t span)
{
    for (unsigned i = 0; i < cache->n; i++)
        if (cache->held[i].span == span)
            return cache->held[i].bytes;
    return 0;
}

void model_cache_touch(struct model_cache *cache, uint64_t span, uint64_t bytes, uint64_t capacity)
{
    unsigned at = 0;
    while (at < cache->n && cache->held[at].span != span)
        at++;
    if (at == cache->n && cache->n < MODEL_CACHE_SPANS)
        cache->held[cache->n++].bytes = 0;
    at = MIN(at, cache->n - 1); /* the oldest makes room when the table is full */
    uint64_t before = at < cache->n && cache->held[at].span == span ? cache->held[at].bytes : 0;
    memmove(&cache->held[1], &cache->held[0], at * sizeof(cache->held[0]));
    cache->held[0].span = span;
    cache->held[0].bytes = MIN(MAX(bytes, before), capacity);

    uint64_t left = capacity;
    for (unsigned i = 0; i < cache->n; i++) {
        cache->held[i].bytes = MIN(cache->held[i].bytes, left);
        left -= cache->held[i].bytes;
    }
}
