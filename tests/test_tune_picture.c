/* SPDX-License-Identifier: MIT */
/*
 * A tuning's pictures: principal components against what is known of them, every sample drawn once and as
 * what it is, the parameter that decides first, texts from outside as text, and pages from any number
 * of samples.
 */
#include "agent/plot_parts.h"
#include "agent/report_tuning.h"
#include "agent/tune_page.h"
#include "agent/tune_pca.h"
#include "base/file.h"
#include "base/jread.h"
#include "base/rng.h"
#include "base/util.h"
#include "tests/tune_rig.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#define HOSTILE "<script>alert(1)</script>\"'&\x01"

static size_t count(const char *text, const char *part)
{
    size_t n = 0;
    for (const char *at = text; (at = strstr(at, part)); at += strlen(part)) {
        n++;
    }
    return n;
}

/* The first n configs of the rig's list in a random order, with their times. */
struct samples {
    struct tune_space *space;
    struct arena *arena;
    struct tune_picture picture;
    size_t ran;
};

static void draw_samples(struct samples *s, size_t n)
{
    s->space = tune_rig_space(true);
    s->arena = arena_new();
    s->ran = 0;
    uint16_t *configs = arena_alloc(s->arena, n * s->space->n + 1, sizeof(*configs));
    double *us = arena_alloc(s->arena, n + 1, sizeof(*us));
    struct rng rng;
    rng_init(&rng, 7, 0, 0);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(tune_space_draw(s->space, &rng, configs + i * s->space->n), 0);
        us[i] = tune_rig_time(s->space, configs + i * s->space->n);
        s->ran += us[i] > 0;
    }
    s->picture = (struct tune_picture) { s->space, configs, us, n };
}

static void samples_done(struct samples *s)
{
    tune_space_free(s->space);
    arena_free(s->arena);
}

static void assert_sound(const char *page)
{
    static const char *const pairs[][2] = {
        { "<svg ", "</svg>" },     { "<text ", "</text>" },   { "<title>", "</title>" },
        { "<figure>", "</figure>" }, { "<circle ", "/" },     { "<table", "</table>" },
    };
    for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
        size_t opened = count(page, pairs[i][0]), closed = count(page, pairs[i][1]);
        assert_true(str_eq(pairs[i][1], "/") ? closed >= opened : closed == opened);
    }
    assert_null(strstr(page, "nan"));
    assert_null(strstr(page, "inf"));
    assert_null(strstr(page, "<script"));
}

/* BLOCK and VEC move together, the rest stands still: one component has it all. */
static void test_one_component(void **state)
{
    (void)state;
    auto_arena struct arena *arena = arena_new();
    struct tune_space *space = tune_rig_space(true);
    const uint16_t configs[] = { 0, 0, 0, 0, 0, 1, 1, 0, 0, 0, 2, 2, 0, 0, 0 };
    struct tune_pca pca;
    tune_pca(space, configs, 3, arena, &pca);
    assert_float_equal(pca.share[0], 1, 1e-6);
    assert_float_equal(pca.share[1], 0, 1e-6);
    assert_float_equal(pca.loading[0][0], sqrt(0.5), 1e-6);
    assert_float_equal(pca.loading[0][1], sqrt(0.5), 1e-6);
    assert_float_equal(pca.loading[0][2], 0, 1e-6);
    assert_float_equal(pca.xy[2], 0, 1e-6);                  /* the middle one is the mean */
    assert_float_equal(pca.xy[0], -pca.xy[4], 1e-6);
    assert_float_equal(pca.xy[4], sqrt(1.5) * sqrt(2), 1e-6); /* sqrt(3/2) in each of two features */
    tune_pca(space, configs, 1, arena, &pca); /* nothing varies */
    assert_float_equal(pca.share[0] + pca.share[1] + fabs(pca.xy[0]) + fabs(pca.xy[1]), 0, 1e-12);
    tune_space_free(space);
}

/* On any samples: at right angles, the first at least as large, spread as its share says. */
static void test_components(void **state)
{
    (void)state;
    struct samples s;
    draw_samples(&s, 150);
    struct tune_pca pca, again;
    tune_pca(s.space, s.picture.configs, s.picture.n, s.arena, &pca);
    tune_pca(s.space, s.picture.configs, s.picture.n, s.arena, &again);
    assert_memory_equal(pca.xy, again.xy, 2 * s.picture.n * sizeof(double));
    assert_true(pca.share[0] >= pca.share[1] && pca.share[1] > 0);
    assert_true(pca.share[0] + pca.share[1] < 1);
    double xx = 0, yy = 0, xy = 0;
    for (size_t i = 0; i < s.picture.n; i++) {
        xx += pca.xy[2 * i] * pca.xy[2 * i] / 150;
        yy += pca.xy[2 * i + 1] * pca.xy[2 * i + 1] / 150;
        xy += pca.xy[2 * i] * pca.xy[2 * i + 1] / 150;
    }
    assert_float_equal(xx, pca.share[0] * (double)s.space->n_features, 1e-3);
    assert_float_equal(yy, pca.share[1] * (double)s.space->n_features, 1e-3);
    assert_float_equal(xy, 0, 1e-3);
    samples_done(&s);
}

static void test_every_sample_once(void **state)
{
    (void)state;
    struct samples s;
    draw_samples(&s, 120);
    auto_buf struct buf out;
    buf_init(&out, 16 << 20);
    tune_picture_scatter(&out, &s.picture);
    assert_sound(out.at);
    assert_int_equal(count(out.at, "<circle "), s.ran + TUNE_PICTURE_CLASSES); /* the legend's */
    assert_int_equal(count(out.at, "<path class=fail"), 120 - s.ran + 1);
    assert_true(count(out.at, " ring\"") >= 1);
    buf_shift(&out, out.len);
    tune_picture_samples(&out, &s.picture);
    assert_sound(out.at);
    assert_int_equal(count(out.at, "<circle "), s.ran);
    assert_int_equal(count(out.at, "<path class=fail"), 120 - s.ran);
    samples_done(&s);
}

/* BLOCK weighs most in the rig's times, MODE next to nothing. */
static void test_what_mattered(void **state)
{
    (void)state;
    struct samples s;
    draw_samples(&s, 170);
    auto_buf struct buf out;
    buf_init(&out, 16 << 20);
    tune_picture_matter(&out, &s.picture);
    assert_sound(out.at);
    const char *block = strstr(out.at, ">BLOCK<"), *vec = strstr(out.at, ">VEC<");
    const char *mode = strstr(out.at, ">MODE<");
    assert_non_null(block);
    assert_true(block < vec && vec < mode);
    assert_int_equal(count(out.at, "<path class=best"), 3); /* panels */
    assert_int_equal(count(out.at, ">MODE<"), 1);           /* no panel of its own */
    assert_int_equal(count(out.at, "<circle "), 3 * s.ran);
    samples_done(&s);
}

static void test_curves(void **state)
{
    (void)state;
    const double a[] = { (double)NAN, 30, 20, 20 }, b[] = { 40, 10 }, c[] = { 50, 50, 50, 15 };
    const double *const curves[] = { a, b, c, NULL };
    const size_t lengths[] = { 4, 2, 4, 0 };
    auto_buf struct buf out;
    buf_init(&out, 1 << 20);
    tune_picture_curves(&out, curves, lengths, 4, 8);
    assert_sound(out.at);
    assert_int_equal(count(out.at, "class=\"seed\""), 4);
    assert_int_equal(count(out.at, "class=\"best\""), 1);
    assert_non_null(strstr(out.at, ">optimum<"));
}

/* Whatever times there are: a few ticks, and no two with the same text. */
static void test_ticks(void **state)
{
    (void)state;
    static const double spans[] = { 1, 1.0001, 1.02, 1.3, 2, 5, 30, 1e3, 1e9 };
    static const double from[] = { 0.0123, 1, 66.1, 997, 1.5e6 };
    for (size_t i = 0; i < ARRAY_LEN(spans) * ARRAY_LEN(from); i++) {
        double lo = from[i / ARRAY_LEN(spans)];
        struct plot_axis a = plot_axis_over(lo, lo * spans[i % ARRAY_LEN(spans)], 0, 200);
        auto_buf struct buf out;
        buf_init(&out, 1 << 20);
        plot_axis_draw(&out, &a, 0, 100, 0);
        assert_in_range(count(out.at, "<line "), 2, 12);
        for (char *at = strstr(out.at, "end>"); at; at = strstr(at + 1, "end>")) {
            char text[64];
            snprintf(text, sizeof(text), "%.*s", (int)(strchr(at, '<') + 1 - at), at);
            if (count(out.at, text) != 1) {
                fail_msg("from %g, %gx: %s", lo, spans[i % ARRAY_LEN(spans)], out.at);
            }
        }
    }
}

static char *write_page(const struct tune_page *page)
{
    char path[] = "/tmp/warpsmith-test-XXXXXX";
    char *text = NULL;
    struct err err = { 0 };
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    if (tune_page_write(path, page, &err) < 0 || file_read(path, 64 << 20, &text, NULL, &err) < 0) {
        fail_msg("%s", err_text(&err));
    }
    unlink(path);
    return text;
}

/* From no sample on; and what stands in names and values stays text. */
static void test_pages(void **state)
{
    (void)state;
    static const size_t sizes[] = { 0, 1, 2, 7, 8, 15, 40, 300 };
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        struct samples s;
        draw_samples(&s, sizes[i]);
        s.space->params[0].name = HOSTILE;
        const struct tune_page_fact facts[] = { { HOSTILE, HOSTILE }, { "left out", "" } };
        struct tune_page page = { .title = HOSTILE, .device = HOSTILE, .note = HOSTILE, .facts = facts,
                                  .n_facts = 2, .shown = s.picture, .modelled = i % 2 };
        auto_free char *text = write_page(&page);
        assert_sound(text);
        assert_null(strchr(text, '\x01'));
        assert_null(strstr(text, "left out"));
        assert_non_null(strstr(text, "&lt;script&gt;"));
        assert_int_equal(count(text, "class=modelled"), i % 2);
        assert_int_equal(strstr(text, "Measured") == NULL, i % 2);
        assert_int_equal(count(text, "<svg "), 1 + (s.picture.n >= 8 && s.ran) + (s.ran >= 16));
        samples_done(&s);
    }
}

/* As the report has it: from JSON, one config twice, one that isn't readable. */
static void test_report(void **state)
{
    (void)state;
    struct samples s;
    draw_samples(&s, 60);
    json_t *samples = json_array();
    for (size_t i = 0; i < 60; i++) {
        const uint16_t *config = s.picture.configs + i * s.space->n;
        char text[128];
        snprintf(text, sizeof(text), "{\"BLOCK\":%d,\"MODE\":\"%s\",\"VEC\":%d}", 64 << config[0],
                 s.space->params[4].texts[config[4]], 1 << config[1]);
        json_t *one = json_pack("{s:s, s:s}", "config", text, "status", s.picture.us[i] > 0 ? "accepted" : "crash");
        if (s.picture.us[i] > 0) {
            json_object_set_new(one, "us", json_real(s.picture.us[i]));
        }
        json_array_append_new(samples, one);
    }
    json_array_append_new(samples, json_pack("{s:s, s:s}", "config", "{\"BLOCK", "status", "crash"));
    json_t *tuning = json_pack("{s:s, s:s, s:o}", "algorithm", "hybrid", "note", HOSTILE, "samples", samples);
    auto_buf struct buf out;
    buf_init(&out, 16 << 20);
    report_tuning(&out, tuning, HOSTILE, true);
    assert_sound(out.at);
    assert_non_null(strstr(out.at, "61 configs by hybrid"));
    assert_int_equal(count(out.at, "<svg "), 3);
    assert_null(strstr(out.at, "Measured"));
    json_decref(tuning);
    buf_shift(&out, out.len);
    tuning = json_pack("{s:[{s:s, s:s}]}", "samples", "config", HOSTILE, "status", HOSTILE);
    report_tuning(&out, tuning, "t", false);
    assert_non_null(strstr(out.at, "<pre>&lt;script"));
    json_decref(tuning);
    buf_shift(&out, out.len);
    report_tuning(&out, NULL, "t", false);
    assert_int_equal(out.len, 0);
    samples_done(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_component), cmocka_unit_test(test_components),
        cmocka_unit_test(test_every_sample_once), cmocka_unit_test(test_what_mattered),
        cmocka_unit_test(test_curves), cmocka_unit_test(test_ticks),
        cmocka_unit_test(test_pages), cmocka_unit_test(test_report),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
