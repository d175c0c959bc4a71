/* SPDX-License-Identifier: MIT */
/* What a run has tried: the best, the elite that parents come from, who came from whom. */
#include "agent/campaign_internal.h"
#include "base/util.h"

#define RUN_BEST_SHARE 0.8 /* of the steps improve the best; the others another of the elite */

const struct attempt *run_best(const struct run *run)
{
    const struct attempt *best = NULL;
    for (size_t i = 0; i < run->n_attempts; i++) {
        const struct attempt *a = &run->attempts[i];
        if (a->judged && a->verdict.status == VERDICT_STATUS_ACCEPTED
            && (!best || a->verdict.time.median_us < best->verdict.time.median_us)) {
            best = a;
        }
    }
    return best;
}

const struct candidate *run_baseline(const struct run *run)
{
    bool start_stands
        = run->n_attempts && run->attempts[0].judged && run->attempts[0].verdict.status == VERDICT_STATUS_ACCEPTED;
    return run->baseline ? run->baseline : start_stands ? run->attempts[0].candidate : NULL;
}

double run_speedup(const struct run *run, const struct attempt *attempt)
{
    if (attempt->verdict.speedup > 0) {
        return attempt->verdict.speedup;
    }
    const struct candidate *baseline = run_baseline(run);
    return baseline && id_eq(&baseline->id, &attempt->id) ? 1 : 0;
}

const struct attempt *run_find_attempt(const struct run *run, int64_t seq)
{
    for (size_t i = 0; i < run->n_attempts; i++) {
        if (run->attempts[i].seq == seq) {
            return &run->attempts[i];
        }
    }
    return NULL;
}

/* The fastest accepted attempts, best first. */
static size_t find_elite(const struct run *run, size_t ret[RUN_ELITE])
{
    size_t n = 0;
    for (size_t i = 0; i < run->n_attempts; i++) {
        const struct verdict *v = &run->attempts[i].verdict;
        if (!run->attempts[i].judged || v->status != VERDICT_STATUS_ACCEPTED) {
            continue;
        }
        size_t at = n < RUN_ELITE ? n++ : RUN_ELITE;
        while (at > 0 && v->time.median_us < run->attempts[ret[at - 1]].verdict.time.median_us) {
            if (at < RUN_ELITE) {
                ret[at] = ret[at - 1];
            }
            at--;
        }
        if (at < RUN_ELITE) {
            ret[at] = i;
        }
    }
    return n;
}

/* Who has left the elite never comes back: the store has its candidate. The start stays. */
static void drop_candidates(struct run *run)
{
    size_t elite[RUN_ELITE], n = find_elite(run, elite);
    for (size_t i = 1; i < run->n_attempts; i++) {
        bool keep = false;
        for (size_t k = 0; k < n; k++) {
            keep = keep || elite[k] == i;
        }
        if (!keep) {
            candidate_free(run->attempts[i].candidate);
            run->attempts[i].candidate = NULL;
        }
    }
}

void run_add_attempt(struct run *run, const struct attempt *attempt)
{
    if (run->n_attempts == run->room) {
        run->room = MAX((size_t)16, run->room * 2);
        run->attempts = xrealloc(run->attempts, run->room, sizeof(*run->attempts));
    }
    const struct attempt *best = run_best(run);
    bool better = attempt->judged && attempt->verdict.status == VERDICT_STATUS_ACCEPTED
        && (!best || attempt->verdict.time.median_us < best->verdict.time.median_us);
    if (attempt->step >= run->n_steps) { /* the first of its step */
        run->n_steps = attempt->step + 1;
        run->since_best++;
    }
    run->since_best = better ? 0 : run->since_best;
    struct attempt *added = &run->attempts[run->n_attempts++];
    *added = *attempt;
    if (attempt->candidate) {
        added->id = attempt->candidate->id;
        added->values = prompt_values(attempt->candidate->plan, run->arena);
    }
    drop_candidates(run);
}

int64_t run_next_seq(const struct run *run)
{
    return run->n_attempts ? run->attempts[run->n_attempts - 1].seq + 1 : 0;
}

const struct attempt *run_pick_parent(const struct run *run, struct rng *rng)
{
    size_t elite[RUN_ELITE], n = find_elite(run, elite);
    if (n == 0) {
        return NULL;
    }
    bool other = n > 1 && rng_unit(rng) >= RUN_BEST_SHARE;
    return &run->attempts[elite[other ? 1 + rng_below(rng, n - 1) : 0]];
}

bool run_in_lineage(const struct run *run, int64_t seq, const struct attempt *of)
{
    for (size_t guard = 0; of && guard <= run->n_attempts; guard++) {
        if (of->seq == seq) {
            return true;
        }
        of = of->parent >= 0 ? run_find_attempt(run, of->parent) : NULL;
    }
    return false;
}
