/* SPDX-License-Identifier: MIT */
/* The parts of the time model by themselves, on made-up blocks; whole kernels are in
 * test_sim_time.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/util.h"
#include "evaluator/sim/exec.h"
#include "evaluator/sim/l1.h"
#include "evaluator/sim/launch_plan.h"
#include "evaluator/sim/machine.h"
#include "evaluator/sim/model.h"
#include "evaluator/sim/model_reuse.h"
#include "evaluator/sim/trace.h"
#include "evaluator/sim/vmem.h"

static void occupancy(void **state)
{
    /* as cuOccupancyMaxActiveBlocksPerMultiprocessor answers on cc 9.0 */
    static const struct {
        unsigned threads, regs, shared, blocks;
    } cases[] = {
        {256, 32, 0, 8},         {256, 40, 0, 6},         {1024, 32, 0, 2},
        {1024, 64, 0, 1},        {32, 16, 0, 32},         {128, 255, 0, 2},
        {128, 168, 0, 3},        {256, 128, 0, 2},        {256, 16, 100 << 10, 2},
        {256, 16, 113 << 10, 2}, {256, 16, 114 << 10, 1}, {256, 16, 227 << 10, 1},
        {1024, 65, 0, 0},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        unsigned n = model_blocks_per_sm(machine_find("h200"), cases[i].threads, cases[i].regs,
                                         cases[i].shared);
        if (n != cases[i].blocks)
            fail_msg("case %zu: %u blocks, not %u", i, n, cases[i].blocks);
    }
}

static void plan_covers_the_grid(void **state)
{
    static const uint32_t grids[][3] = {{1, 1, 1},    {7, 1, 1},   {65, 1, 1},
                                        {1000, 1, 1}, {32, 32, 1}, {8, 4, 100},
                                        {1, 999, 1},  {3, 5, 7},   {100003, 1, 1}};
    (void)state;
    for (size_t g = 0; g < ARRAY_LEN(grids); g++) {
        uint64_t blocks = (uint64_t)grids[g][0] * grids[g][1] * grids[g][2];
        for (uint64_t want = 1; want < 200; want = want * 2 + 1) {
            struct launch_unit *sample, *all;
            size_t n_sample, n_all;
            uint64_t at = 0, sampled = 0, weighed = 0;
            launch_plan_sample(grids[g], want, 8, &sample, &n_sample);
            for (size_t i = 0; i < n_sample; i++) {
                assert_true(sample[i].first >= at && sample[i].n > 0 && sample[i].profiled);
                at = sample[i].first + sample[i].n;
                sampled += sample[i].n;
                weighed += sample[i].weighs ? sample[i].n : 0;
            }
            assert_true(at <= blocks && sampled <= MIN(want, blocks) && weighed > 0);
            assert_true(sample[0].first == 0 && sample[0].n == 1);
            if (want >= blocks)
                assert_true(weighed == blocks);
            launch_plan_fill(blocks, sample, n_sample, &all, &n_all);
            at = 0;
            for (size_t i = 0; i < n_all; i++) {
                assert_true(all[i].first == at && all[i].n > 0);
                at += all[i].n;
            }
            assert_true(at == blocks);
            free(sample);
            free(all);
        }
    }
}

static void trace_counts_sectors(void **state)
{
    struct vmem *mem;
    struct trace *trace;
    struct trace_block b;
    uint64_t a, c, sectors[8];
    (void)state;
    vmem_new(1 << 30, &mem);
    vmem_alloc(mem, 4096, &a);
    vmem_alloc(mem, 200, &c);
    trace_new(&trace);
    trace_begin(trace, mem);
    /* sectors 2, 3, 4 of a, the second time from L1; a store to 3; and a load in c */
    for (unsigned i = 0; i < 6; i++)
        sectors[i] = (a + 64 + 32 * (i % 3)) | (i < 3 ? EXEC_TRACE_MISS : EXEC_TRACE_LOAD);
    sectors[6] = (a + 96) | EXEC_TRACE_STORE;
    sectors[7] = (c + 64) | EXEC_TRACE_MISS;
    trace_block(trace, sectors, 8, &b);
    assert_int_equal(b.load_sectors, 7);
    assert_int_equal(b.l2_load_sectors, 4);
    assert_int_equal(b.l2_load_lines, 3); /* 2 and 3 in one, 4 in the next, c */
    assert_int_equal(b.l2_store_sectors, 1);
    assert_int_equal(b.n_pieces, 2);
    assert_true(b.pieces[0].span == a && b.pieces[0].lo == 2 && b.pieces[0].run == 3);
    assert_int_equal(b.pieces[0].distinct, 3);
    assert_int_equal(b.pieces[0].loaded, 3);
    assert_int_equal(b.pieces[0].stored, 1);
    assert_int_equal(b.pieces[0].fresh, 3);
    assert_int_equal(b.pieces[1].distinct, 1);
    /* the next block shares one sector, brings two, and adds to one of them atomically */
    sectors[0] = (a + 128) | EXEC_TRACE_MISS;
    sectors[1] = (a + 160) | EXEC_TRACE_MISS;
    sectors[2] = (a + 192) | EXEC_TRACE_ATOMIC;
    trace_block(trace, sectors, 3, &b);
    assert_int_equal(b.place, 1);
    assert_int_equal(b.n_pieces, 1);
    assert_int_equal(b.pieces[0].distinct, 3);
    assert_int_equal(b.pieces[0].fresh, 2);
    assert_int_equal(b.pieces[0].loaded, 3);
    assert_int_equal(b.pieces[0].stored, 1);
    assert_int_equal(b.pieces[0].atomic, 1);
    assert_int_equal(b.l2_atomic_sectors, 1);
    trace_free(trace);
    vmem_free(mem);
}

static void l1_keeps_what_fits(void **state)
{
    struct l1 *l1 = l1_new();
    unsigned hits = 0;
    (void)state;
    l1_reset(l1, 32 << 10);
    for (unsigned i = 0; i < 2 * 128; i++) /* 16 KiB, twice */
        hits += l1_load(l1, 128 * (i % 128));
    assert_in_range(hits, 120, 128);
    assert_false(l1_load(l1, 32)); /* another sector of a line that is there */
    assert_true(l1_load(l1, 32));
    l1_reset(l1, 4 << 10);
    assert_false(l1_load(l1, 32));
    hits = 0;
    for (unsigned i = 0; i < 2 * 1024; i++) /* a stream of 128 KiB keeps nothing */
        hits += l1_load(l1, 128 * (i % 1024));
    assert_int_equal(hits, 0);
    l1_free(l1);
}

static void cache_keeps_the_latest(void **state)
{
    struct model_cache cache = {0};
    (void)state;
    model_cache_touch(&cache, 1, 60, 100);
    model_cache_touch(&cache, 2, 30, 100);
    assert_int_equal(model_cache_held(&cache, 1), 60);
    model_cache_touch(&cache, 3, 50, 100);
    assert_int_equal(model_cache_held(&cache, 3), 50);
    assert_int_equal(model_cache_held(&cache, 2), 30);
    assert_int_equal(model_cache_held(&cache, 1), 20);
    model_cache_touch(&cache, 4, 1000, 100);
    assert_int_equal(model_cache_held(&cache, 4), 100);
    assert_int_equal(model_cache_held(&cache, 3), 0);
    model_cache_reset(&cache, machine_find("h200"));
    assert_int_equal(model_cache_held(&cache, 4), 0);
    for (unsigned i = 0; i < 3 * MODEL_CACHE_SPANS; i++)
        model_cache_touch(&cache, 10 + i, 1, 1000);
    assert_int_equal(model_cache_held(&cache, 10), 0);
    assert_int_equal(model_cache_held(&cache, 10 + 3 * MODEL_CACHE_SPANS - 1), 1);
}

/* A profile of made-up blocks: block (x, y) touches `distinct` sectors in each of three tensors,
 * which begin where a tiled matrix product's do. */
struct product {
    uint32_t grid[3];
    uint64_t a_size, b_size, c_size; /* sectors */
    uint64_t a_step, b_step, c_step_x, c_step_y, each;
};

static void profile_product(const struct product *m, struct launch_profile *p)
{
    struct launch_unit *units;
    size_t n;
    memset(p, 0, sizeof(*p));
    p->blocks = (uint64_t)m->grid[0] * m->grid[1];
    launch_plan_sample(m->grid, 64, 8, &units, &n);
    p->traces = xcalloc(64, sizeof(*p->traces));
    p->weighs = xcalloc(64, sizeof(*p->weighs));
    for (size_t u = 0; u < n; u++) {
        for (uint64_t i = 0; i < units[u].n; i++) {
            uint64_t index = units[u].first + i, x = index % m->grid[0], y = index / m->grid[0];
            struct trace_block *b = &p->traces[p->n_traces];
            *b = (struct trace_block){.ctaid = {(uint32_t)x, (uint32_t)y},
                                      .index = index,
                                      .place = (uint32_t)i,
                                      .load_sectors = 2 * m->each,
                                      .l2_load_sectors = 2 * m->each,
                                      .l2_store_sectors = m->each,
                                      .n_pieces = 3};
            b->pieces[0] = (struct trace_piece){.span = 1,
                                                .span_size = m->a_size * 32,
                                                .lo = y * m->a_step,
                                                .run = m->each,
                                                .loaded = m->each,
                                                .distinct = m->each,
                                                .fresh = i ? 0 : m->each};
            b->pieces[1] = (struct trace_piece){.span = 2,
                                                .span_size = m->b_size * 32,
                                                .lo = x * m->b_step,
                                                .run = 4,
                                                .loaded = m->each,
                                                .distinct = m->each,
                                                .fresh = m->each};
            b->pieces[2] = (struct trace_piece){.span = 3,
                                                .span_size = m->c_size * 32,
                                                .lo = x * m->c_step_x + y * m->c_step_y,
                                                .run = 4,
                                                .stored = m->each,
                                                .distinct = m->each,
                                                .fresh = m->each};
            p->weighs[p->n_traces++] = units[u].weighs;
            p->weighed += units[u].weighs;
        }
    }
    free(units);
}

static struct reuse reuse_of(const struct product *m, uint64_t wave,
                             const struct model_cache *cache)
{
    struct launch_profile p;
    struct model_cache none = {0};
    struct reuse r;
    profile_product(m, &p);
    struct model_launch l = {.machine = machine_find("h200"), .profile = &p};
    memcpy(l.grid, m->grid, sizeof(l.grid));
    reuse_estimate(&l, wave, cache ? cache : &none, &r);
    free(p.traces);
    free(p.weighs);
    return r;
}

static void reuse_of_a_product(void **state)
{
    /* 32 x 32 blocks; A and B of 8 MiB each fit L2 and are read once, whatever is asked of L2 */
    const uint64_t each = 8192; /* 256 KiB: a panel */
    struct product m = {.grid = {32, 32, 1},
                        .a_size = 32 * each,
                        .b_size = 32 * each,
                        .c_size = 1024,
                        .a_step = each,
                        .b_step = 4,
                        .c_step_x = 4,
                        .c_step_y = 4 * 32 * 16,
                        .each = each};
    (void)state;
    struct reuse r = reuse_of(&m, 264, NULL);
    assert_true(r.l2_read == 1024.0 * 2 * (double)each * 32);
    double both = 2 * 32.0 * (double)each * 32;
    assert_true(r.dram_read > 0.99 * both && r.dram_read < 1.01 * both);

    /* what an earlier launch left in L2 isn't read again */
    struct model_cache cache = {0};
    model_cache_touch(&cache, 1, 32 * each * 32, 1ull << 40);
    struct reuse warm = reuse_of(&m, 264, &cache);
    assert_true(warm.dram_read > 0.49 * both && warm.dram_read < 0.51 * both);

    /* panels of 4 MiB: nothing fits, but blocks of a wave still share */
    m.each = m.a_step = 131072;
    m.a_size = m.b_size = 32 * m.each;
    r = reuse_of(&m, 264, NULL);
    double asked = 1024.0 * 2 * (double)m.each * 32, once = 2 * 32.0 * (double)m.each * 32;
    assert_true(r.dram_read > 1.2 * once && r.dram_read < 0.5 * asked);
}

/* Each block a part of its own: no reuse, every sector once, and the last one cut off. */
static void reuse_of_a_stream(void **state)
{
    struct launch_profile p = {.blocks = 100000, .weighed = 64, .n_traces = 64};
    struct model_cache none = {0};
    struct reuse r;
    (void)state;
    p.traces = xcalloc(64, sizeof(*p.traces));
    p.weighs = xcalloc(64, sizeof(*p.weighs));
    for (uint32_t i = 0; i < 64; i++) {
        p.weighs[i] = true;
        p.traces[i] = (struct trace_block){.ctaid = {i * 1500},
                                           .index = i * 1500,
                                           .load_sectors = 32,
                                           .l2_load_sectors = 32,
                                           .n_pieces = 1};
        p.traces[i].pieces[0] = (struct trace_piece){.span = 1,
                                                     .span_size = 100000ull * 32 * 32,
                                                     .lo = i * 1500ull * 32,
                                                     .run = 32,
                                                     .loaded = 32,
                                                     .distinct = 32,
                                                     .fresh = 32};
    }
    struct model_launch l = {
        .machine = machine_find("h200"), .profile = &p, .grid = {100000, 1, 1}};
    reuse_estimate(&l, 1056, &none, &r);
    assert_true(r.l1_hit == 0);
    assert_true(r.dram_read > 0.999 * r.l2_read && r.dram_read < 1.001 * r.l2_read);
    free(p.traces);
    free(p.weighs);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(occupancy),
        cmocka_unit_test(plan_covers_the_grid),
        cmocka_unit_test(trace_counts_sectors),
        cmocka_unit_test(l1_keeps_what_fits),
        cmocka_unit_test(cache_keeps_the_latest),
        cmocka_unit_test(reuse_of_a_product),
        cmocka_unit_test(reuse_of_a_stream),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
