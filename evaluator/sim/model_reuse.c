/* SPDX-License-Identifier: MIT */
#include "evaluator/sim/model_reuse.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"

#define SECTOR 32.0

/* What is known of one allocation. */
struct shape {
    uint64_t span;
    double size;     /* sectors */
    double distinct; /* a block's mean of sectors touched, blocks that touch none included */
    double loaded, stored, atomic; /* likewise */
    double run;                    /* sectors in a row, mean */
    bool affine;
    double step[3]; /* affine: sectors from a block to its neighbour along x, y, z */
    double growth;  /* else: footprint goes with blocks to this power */
};

struct grid {
    double extent[3];
    double blocks;
};

static const struct trace_piece *piece_in(const struct trace_block *b, uint64_t span)
{
    for (unsigned i = 0; i < b->n_pieces; i++)
        if (b->pieces[i].span == span)
            return &b->pieces[i];
    return NULL;
}

/* Solves lo = base + sum step[a] * coordinate[a] over the blocks that touch the span, axis by axis,
 * and says whether all of them agree. Axes along which no two of them differ stay 0. */
static bool fit_affine(const struct launch_profile *p, struct shape *s)
{
    const struct trace_block *base = NULL;
    const struct trace_piece *q0 = NULL;
    int64_t step[3] = {0};

    for (size_t i = 0; i < p->n_traces && !base; i++) {
        q0 = piece_in(&p->traces[i], s->span);
        base = q0 ? &p->traces[i] : NULL;
    }
    if (!base)
        return false;
    for (int axis = 0; axis < 3; axis++) {
        /* A pair that differs along this axis and at most along earlier ones, whose steps are
         * known. */
        bool found = false;
        for (size_t i = 0; i < p->n_traces && !found; i++) {
            for (size_t j = i + 1; j < p->n_traces && j < i + 40 && !found; j++) {
                const struct trace_block *a = &p->traces[i], *b = &p->traces[j];
                const struct trace_piece *qa = piece_in(a, s->span), *qb = piece_in(b, s->span);
                bool later = false;
                for (int k = axis + 1; k < 3; k++)
                    later = later || a->ctaid[k] != b->ctaid[k];
                int64_t by = (int64_t)b->ctaid[axis] - a->ctaid[axis];
                if (!qa || !qb || later || by == 0)
                    continue;
                int64_t d = (int64_t)qb->lo - (int64_t)qa->lo;
                for (int k = 0; k < axis; k++)
                    d -= step[k] * ((int64_t)b->ctaid[k] - a->ctaid[k]);
                if (d % by)
                    return false;
                step[axis] = d / by;
                found = true;
            }
        }
    }
    for (size_t i = 0; i < p->n_traces; i++) {
        const struct trace_piece *q = piece_in(&p->traces[i], s->span);
        if (!q)
            continue;
        int64_t want = (int64_t)q0->lo;
        for (int k = 0; k < 3; k++)
            want += step[k] * ((int64_t)p->traces[i].ctaid[k] - base->ctaid[k]);
        if (want != (int64_t)q->lo)
            return false;
    }
    for (int k = 0; k < 3; k++)
        s->step[k] = (double)step[k];
    return true;
}

/* The exponent of D(k) = D(1) k^a between one block and the largest group of neighbours seen;
 * negative where no group was. */
static double fit_growth(const struct launch_profile *p, uint64_t span)
{
    double fresh[TRACE_GROUP] = {0}, touched[TRACE_GROUP] = {0};
    double total = 0, fresh_total = 0;
    int k = 0;

    for (size_t i = 0; i < p->n_traces; i++) {
        const struct trace_piece *q = piece_in(&p->traces[i], span);
        if (!p->weighs[i] || !q)
            continue;
        fresh[p->traces[i].place] += (double)q->fresh;
        touched[p->traces[i].place] += (double)q->distinct;
    }
    while (k < TRACE_GROUP && touched[k] > 0) {
        total += touched[k];
        fresh_total += fresh[k];
        k++;
    }
    if (k < 2 || total <= 0)
        return -1;
    double alpha = 1 + log(fresh_total / total) / log(k);
    return alpha < 0 ? 0 : alpha > 1 ? 1 : alpha;
}

/* Sectors that x consecutive blocks touch in one allocation. Such a window covers min(x, extent)
 * places along x, and crosses into the next row every extent blocks. */
static double footprint(const struct shape *s, const struct grid *g, double x)
{
    double places = 1, period = 1;
    if (!s->affine)
        return fmin(s->distinct * pow(x, s->growth), s->size);
    for (int k = 0; k < 3; k++) {
        double covered = fmin(1 + (x - 1) / period, g->extent[k]);
        places *= 1 + (covered - 1) * fmin(1, fabs(s->step[k]) / s->run);
        period *= g->extent[k];
    }
    return fmin(fmin(places, x) * s->distinct, s->size);
}

/* Places are where blocks begin. Where all share a word ahead of parts of their own they seem to lie
 * on each other, and only the groups of neighbours tell. */
static void choose_growth(const struct launch_profile *p, const struct grid *g, struct shape *s)
{
    double seen = fit_growth(p, s->span);
    struct shape grown = *s;

    grown.affine = false;
    grown.growth = seen < 0 ? 1 : seen;
    s->affine = fit_affine(p, s);
    if (!s->affine ||
        (seen >= 0 && 2 * footprint(s, g, TRACE_GROUP) < footprint(&grown, g, TRACE_GROUP)))
        *s = grown;
}

static size_t gather(const struct model_launch *l, const struct grid *g, struct shape *shapes)
{
    const struct launch_profile *p = l->profile;
    double weigh = p->weighed ? 1.0 / (double)p->weighed : 0;
    double runs[REUSE_SPANS] = {0}, seen[REUSE_SPANS] = {0};
    size_t n = 0;

    for (size_t i = 0; i < p->n_traces; i++) {
        const struct trace_block *b = &p->traces[i];
        for (unsigned j = 0; j < b->n_pieces; j++) {
            const struct trace_piece *q = &b->pieces[j];
            size_t k = 0;
            while (k < n && shapes[k].span != q->span)
                k++;
            if (k == REUSE_SPANS)
                continue;
            if (k == n)
                shapes[n++] =
                    (struct shape){.span = q->span, .size = ceil((double)q->span_size / SECTOR)};
            double share = p->weighs[i] ? weigh : 0;
            shapes[k].distinct += (double)q->distinct * share;
            shapes[k].loaded += (double)q->loaded * share;
            shapes[k].stored += (double)q->stored * share;
            shapes[k].atomic += (double)q->atomic * share;
            runs[k] += (double)q->run;
            seen[k]++;
        }
    }
    for (size_t k = 0; k < n; k++) {
        shapes[k].run = runs[k] / seen[k];
        choose_growth(p, g, &shapes[k]);
    }
    return n;
}

static double footprint_of_all(const struct shape *shapes, size_t n, const struct grid *g, double x)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += footprint(&shapes[i], g, x) * SECTOR;
    return sum;
}

/* The largest x up to the grid whose footprint fits. */
static double fitting(const struct shape *shapes, size_t n, const struct grid *g, double capacity)
{
    double lo = 1, hi = g->blocks;
    if (footprint_of_all(shapes, n, g, hi) <= capacity)
        return hi;
    while (hi - lo > 1) {
        double mid = floor((lo + hi) / 2);
        if (footprint_of_all(shapes, n, g, mid) <= capacity)
            lo = mid;
        else
            hi = mid;
    }
    return lo;
}

/* Sectors of one allocation that come from below L2. */
static double traffic(const struct shape *s, const struct grid *g, double fits, double wave)
{
    if (fits >= g->blocks)
        return footprint(s, g, g->blocks);
    if (fits < wave) /* nothing outlives a wave; within it blocks share */
        return fmin(g->blocks / wave, g->blocks) * footprint(s, g, wave);
    double ahead = fmin(fmax(fits / 8, 1), g->blocks - fits);
    double slope = (footprint(s, g, fits + ahead) - footprint(s, g, fits)) / ahead;
    return footprint(s, g, fits) + (g->blocks - fits) * slope;
}

/* The share of a block's first touches that wait for DRAM: what a wave touches and L2 hasn't got.
 * Blocks that run at the same time ask at nearly the same time, so all its readers wait. */
static double waiting(const struct shape *s, const struct grid *g, double wave, double moved)
{
    double touched = footprint(s, g, wave) * g->blocks / wave;
    return touched > 0 ? fmin(fmax(moved, 0) / touched, 1) : 0;
}

/* Sums what the blocks that stand for the grid ask of L2, scaled to the whole. */
static void sum_requests(const struct launch_profile *p, struct reuse *r)
{
    double scale = p->weighed ? (double)p->blocks / (double)p->weighed : 0;
    double asked = 0, loads = 0, lines = 0, stores = 0, atomics = 0;

    for (size_t i = 0; i < p->n_traces; i++) {
        const struct trace_block *b = &p->traces[i];
        if (!p->weighs[i])
            continue;
        asked += (double)b->load_sectors;
        loads += (double)b->l2_load_sectors;
        lines += (double)b->l2_load_lines;
        stores += (double)b->l2_store_sectors;
        atomics += (double)b->l2_atomic_sectors;
    }
    r->l1_hit = asked > 0 ? 1 - loads / asked : 0;
    r->l2_read = (loads + atomics) * scale * SECTOR;
    r->l2_write = (stores + atomics) * scale * SECTOR;
    r->l2_requests = (lines + atomics) * scale;
    r->atomic_requests = (atomics + (double)p->counts.atomic_serial) * scale;
}

void reuse_estimate(const struct model_launch *l, uint64_t wave, const struct model_cache *cache,
                    struct reuse *ret_reuse)
{
    struct shape shapes[REUSE_SPANS];
    struct reuse r = {0};
    struct grid g = {{l->grid[0], l->grid[1], l->grid[2]}, (double)l->profile->blocks};
    double capacity = (double)l->machine->l2 * l->machine->l2_keeps;

    sum_requests(l->profile, &r);
    size_t n = gather(l, &g, shapes);
    double concurrent = fmin((double)wave, g.blocks);
    double fits = fitting(shapes, n, &g, capacity);
    double in_wave = footprint_of_all(shapes, n, &g, concurrent);
    double lost = in_wave > capacity ? 1 - capacity / in_wave : 0;
    double first_touch = 0, waited = 0;

    for (size_t i = 0; i < n; i++) {
        const struct shape *s = &shapes[i];
        double all = footprint(s, &g, g.blocks);
        double moved = traffic(s, &g, fits, concurrent);
        double part = s->distinct > 0 ? 1 / s->distinct : 0;
        double held = fmin((double)model_cache_held(cache, s->span) / SECTOR, all);
        double pairs = s->run < 2 ? 2 / s->run : 1; /* DRAM moves 64 bytes at a time */
        double touched = s->loaded * g.blocks * SECTOR;
        r.dram_read += fmax(moved - held, 0) * s->loaded * part * pairs * SECTOR;
        r.dram_write += moved * s->stored * part * SECTOR;
        r.atomic_lines += all * s->atomic * part / 4;
        first_touch += touched;
        waited += touched * waiting(s, &g, concurrent, moved - held);
        r.spans[i].span = s->span;
        r.spans[i].footprint = all * SECTOR;
    }
    r.n_spans = (unsigned)n;
    /* What a block reads again after its L1 dropped it is in L2, unless a wave overruns that. */
    double again = fmax(r.l2_read - first_touch, 0) * lost;
    r.dram_read = fmin(r.dram_read + again, 2 * r.l2_read);
    r.l2_hit = r.l2_read > 0 ? fmax(1 - (waited + again) / r.l2_read, 0) : 0;
    *ret_reuse = r;
}
