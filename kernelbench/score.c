/* SPDX-License-Identifier: MIT */
#include "kernelbench/score.h"

#include <math.h>

const double score_points[SCORE_POINTS] = { 0, 0.5, 0.8, 1, 1.5, 2 };

void score_of(const struct score_item *items, size_t n, struct score *ret)
{
    struct score s = { .n = n };
    double logs = 0;
    size_t failed = 0;
    for (size_t i = 0; i < n; i++) {
        const struct score_item *item = &items[i];
        bool timed = item->correct && item->speedup > 0;
        s.correct += item->correct;
        s.timed += timed;
        s.pass += item->pass;
        failed += !item->correct;
        logs += timed ? log(item->speedup) : 0;
        for (size_t p = 0; p < SCORE_POINTS; p++) {
            bool passes = score_points[p] == 0 ? item->correct : timed && item->speedup > score_points[p];
            s.fast[p] += passes;
        }
    }
    for (size_t p = 0; n && p < SCORE_POINTS; p++) {
        s.fast[p] /= (double)n;
    }
    s.pass = n ? s.pass / (double)n : 0;
    s.geomean = s.timed ? exp(logs / (double)s.timed) : 0;
    s.geomean_all = s.timed ? exp(logs / (double)(s.timed + failed)) : 0;
    *ret = s;
}
