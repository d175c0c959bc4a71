/* SPDX-License-Identifier: MIT */
#include "agent/kernelbench_page.h"
#include "agent/kernelbench_page_parts.h"
#include "agent/kernelbench_tally.h"
#include "agent/plot.h"
#include "agent/plot_fast.h"
#include "agent/plot_parts.h"
#include "base/embed.h"
#include "base/file.h"
#include "base/util.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PAGE_BYTES_MAX = 64 << 20 };

EMBED_TEXT(kernelbench_page_style, WS_REPORT_STYLE);

void page_put(struct buf *out, const char *before, const char *text, const char *after)
{
    buf_puts(out, before);
    html_text(out, text ? text : "");
    buf_puts(out, after);
}

static void head(struct buf *out, const struct kernelbench_page *page)
{
    const struct results *r = page->results;
    buf_puts(out, "<!doctype html><html lang=en><meta charset=utf-8>"
                  "<meta name=viewport content=\"width=device-width, initial-scale=1\">");
    page_put(out, "<title>KernelBench: ", page->name, "</title><style>");
    buf_puts(out, kernelbench_page_style);
    page_put(out, "</style><h1>KernelBench: ", page->name, "</h1>");
    page_put(out, "<p class=soft>", r->device, "");
    page_put(out, " &middot; PyTorch ", r->torch, "");
    buf_printf(out, " &middot; %zu problems</p>", r->n);
    if (r->mixed) {
        buf_puts(out, "<p class=bad>Not all of them were judged on the same device, by the same PyTorch and the same gate.</p>");
    }
    if (r->modelled) {
        buf_puts(out, "<p><span class=modelled>modelled</span> Times come from the simulator's model of the device. "
                      "Nothing was measured, so nothing is compared with PyTorch.</p>");
    }
}

static void tile(struct buf *out, const char *text, const char *under)
{
    page_put(out, "<div class=tile><b>", text, "</b><span>");
    page_put(out, "", under, "</span></div>");
}

static void tiles(struct buf *out, const struct kernelbench_page *page)
{
    const struct results *r = page->results;
    struct tally_group g = { .rule = tally_rule(r), .seed = page->seed };
    struct tally_cost cost;
    struct score s;
    char text[64], under[160];
    g.baseline = tally_baseline(r, g.rule);
    tally_score(r, &g, &s);
    tally_cost(r, NULL, &cost);
    buf_puts(out, "<div class=tiles>");
    snprintf(text, sizeof(text), "%zu of %zu", s.correct, s.n);
    snprintf(under, sizeof(under), "correct by the %s rules", rule_name(g.rule));
    tile(out, text, under);
    if (g.baseline && s.timed) {
        snprintf(text, sizeof(text), "%.3fx", s.geomean_all);
        snprintf(under, sizeof(under), "geometric mean over all against %.60s, a failure as 1x", g.baseline);
        tile(out, text, under);
        snprintf(text, sizeof(text), "%.0f %%", 100 * s.fast[3]);
        snprintf(under, sizeof(under), "correct and faster than %.60s (fast_1)", g.baseline);
        tile(out, text, under);
    }
    if (s.sol_n) {
        snprintf(text, sizeof(text), s.sol < 0.1 ? "%.1f %%" : "%.0f %%", 100 * s.sol);
        tile(out, text, r->modelled ? "of the speed of light, modelled, on average" : "of the speed of light, on average");
    }
    if (cost.n && cost.usd > 0) {
        snprintf(text, sizeof(text), "$%.2f", cost.usd);
        snprintf(under, sizeof(under), "%.3g tokens, %.3g s of the device", cost.tokens, cost.gpu_s);
        tile(out, text, under);
    }
    buf_puts(out, "</div>");
}

/* ---- the curve */

static void fill_line(const struct results *r, const struct tally_group *g, struct plot_fast_line *line)
{
    line->speedups = xcalloc(r->n + 1, sizeof(*line->speedups));
    line->dash = (int)g->rule;
    for (size_t i = 0; i < r->n; i++) {
        if (tally_counts(&r->at[i], g)) {
            double speedup = tally_speedup(&r->at[i], g->rule, g->baseline);
            line->of++;
            line->correct += result_best(&r->at[i], g->rule) != SIZE_MAX;
            if (speedup > 0) {
                line->speedups[line->n++] = speedup;
            }
        }
    }
}

static void curve(struct buf *out, const struct kernelbench_page *page)
{
    const struct results *r = page->results;
    struct plot_fast_line lines[PLOT_FAST_LINES_MAX] = { 0 };
    char names[PLOT_FAST_LINES_MAX][64];
    size_t n = 0;
    for (int rule = 0; rule < RULE_COUNT; rule++) {
        for (size_t i = 0; i < r->n_baselines && n < PLOT_FAST_LINES_MAX; i++) {
            struct tally_group g = { .rule = (enum rule)rule, .baseline = r->baselines[i] };
            if (tally_shown(r, g.rule, g.baseline)) {
                fill_line(r, &g, &lines[n]);
                lines[n].colour = (int)i;
                snprintf(names[n], sizeof(names[n]), "%s / %.40s", rule_name(g.rule), g.baseline);
                lines[n].name = names[n];
                n++;
            }
        }
    }
    if (n) {
        buf_puts(out, "<h2>How fast, how often</h2><figure>");
        plot_fast(out, lines, n);
        buf_puts(out, "<figcaption>fast_p: the share of all problems attempted whose candidate is correct and more than "
                      "p times as fast as PyTorch's baseline. Rule / baseline.</figcaption></figure>");
    }
    for (size_t i = 0; i < n; i++) {
        free(lines[i].speedups);
    }
}

/* ---- scores */

static void span_cell(struct buf *out, double value, struct span span)
{
    if (value > 0) {
        buf_printf(out, "<td class=n>%.3f", value);
        if (span.lo > 0) {
            buf_printf(out, " <span class=soft>%.2f&ndash;%.2f</span>", span.lo, span.hi);
        }
    } else {
        buf_puts(out, "<td class=n>");
    }
}

static void score_head(struct buf *out, const char *what)
{
    page_put(out, "<div class=scroll><table><tr><th>", what, "<th class=n>correct");
    for (size_t p = 1; p < SCORE_POINTS; p++) {
        buf_printf(out, "<th class=n>fast<sub>%g</sub>", score_points[p]);
    }
    buf_puts(out, "<th class=n>geomean, correct<th class=n>geomean, all<th class=n>SOL</tr>");
}

static void score_row(struct buf *out, const struct results *r, const struct tally_group *g, const char *name)
{
    struct score s;
    tally_score(r, g, &s);
    if (s.n == 0) {
        return;
    }
    page_put(out, "<tr><td>", name, "");
    buf_printf(out, "<td class=n>%zu/%zu <span class=soft>%.0f&ndash;%.0f %%</span>", s.correct, s.n,
               100 * s.fast_span[0].lo, 100 * s.fast_span[0].hi);
    for (size_t p = 1; p < SCORE_POINTS; p++) {
        if (s.timed) {
            buf_printf(out, "<td class=n>%.0f %%", 100 * s.fast[p]);
        } else {
            buf_puts(out, "<td class=n>");
        }
    }
    span_cell(out, s.geomean, s.geomean_span);
    span_cell(out, g->baseline ? s.geomean_all : 0, s.geomean_all_span);
    if (s.sol_n) {
        buf_printf(out, s.sol < 0.1 ? "<td class=n>%.1f %%</tr>" : "<td class=n>%.0f %%</tr>", 100 * s.sol);
    } else {
        buf_puts(out, "<td class=n></tr>");
    }
}

static void scores(struct buf *out, const struct kernelbench_page *page)
{
    const struct results *r = page->results;
    buf_puts(out, "<h2>Scores</h2>");
    score_head(out, "rule / baseline");
    for (int rule = 0; rule < RULE_COUNT; rule++) {
        struct tally_group g = { .rule = (enum rule)rule, .seed = page->seed };
        bool any = false;
        for (size_t i = 0; i < r->n_baselines; i++) {
            g.baseline = r->baselines[i];
            if (tally_shown(r, g.rule, g.baseline)) {
                auto_free char *name = xprintf("%s / %s", rule_name(g.rule), g.baseline);
                score_row(out, r, &g, name);
                any = true;
            }
        }
        g.baseline = NULL;
        if (!any && r->rules[rule]) {
            score_row(out, r, &g, rule_name(g.rule));
        }
    }
    buf_puts(out, "</table></div><p class=soft>strict: fresh inputs of many distributions, every element against double "
                  "precision, other traps; kb: KernelBench's own rules; verified: KernelBench-Verified's. Geometric mean "
                  "over all: who fails keeps the baseline (1x); counted as 0 it would be 0 with the first failure. Ranges "
                  "are of 95 %: Wilson's for shares, bootstrap over problems for means.</p>");
}

static void groups(struct buf *out, const struct kernelbench_page *page)
{
    const struct results *r = page->results;
    struct tally_group g = { .rule = tally_rule(r), .seed = page->seed };
    const char *families[RESULTS_MAX];
    size_t n = tally_families(r, families);
    g.baseline = tally_baseline(r, g.rule);
    auto_free char *name = xprintf("%s%s%s", rule_name(g.rule), g.baseline ? " / " : "", g.baseline ? g.baseline : "");
    buf_puts(out, "<h2>By level and family</h2>");
    score_head(out, name);
    for (g.level = 1; g.level <= 4; g.level++) {
        char level[24];
        snprintf(level, sizeof(level), "level %d", g.level);
        score_row(out, r, &g, level);
    }
    g.level = 0;
    buf_puts(out, "<tr class=group><td colspan=10>families</tr>");
    for (size_t i = 0; i < n; i++) {
        g.family = families[i];
        score_row(out, r, &g, families[i]);
    }
    buf_puts(out, "</table></div>");
}

static void passes(struct buf *out, const struct kernelbench_page *page)
{
    bool begun = false;
    for (int rule = 0; rule < RULE_COUNT; rule++) {
        struct tally_group g = { .rule = (enum rule)rule, .seed = page->seed };
        struct score s;
        tally_score(page->results, &g, &s);
        if (!page->results->rules[rule] || !s.pass_n[1]) {
            continue;
        }
        buf_puts(out, begun ? "" : "<h2>Several candidates</h2><div class=scroll><table><tr><th>rule");
        for (size_t k = 0; !begun && k < SCORE_K_MAX; k++) {
            buf_printf(out, "<th class=n>pass@%zu", score_ks[k]);
        }
        buf_printf(out, "%s<tr><td>%s", begun ? "" : "</tr>", rule_name(g.rule));
        for (size_t k = 0; k < SCORE_K_MAX; k++) {
            if (s.pass_n[k]) {
                buf_printf(out, "<td class=n>%.3f <span class=soft>of %zu</span>", s.pass[k], s.pass_n[k]);
            } else {
                buf_puts(out, "<td class=n>");
            }
        }
        buf_puts(out, "</tr>");
        begun = true;
    }
    buf_puts(out, begun ? "</table></div><p class=soft>Of the problems with at least so many candidates. A campaign's "
                          "attempts build on each other: theirs are no independent draws.</p>" : "");
}

void kernelbench_page_text(const struct kernelbench_page *page, struct buf *out)
{
    head(out, page);
    tiles(out, page);
    curve(out, page);
    scores(out, page);
    groups(out, page);
    passes(out, page);
    if (page->against) {
        page_compared(out, page->against);
    }
    page_problems(out, page->results);
    page_left_out(out, page->results);
}

int kernelbench_page_write(const char *path, const struct kernelbench_page *page, struct err *err)
{
    auto_buf struct buf out;
    buf_init(&out, PAGE_BYTES_MAX);
    kernelbench_page_text(page, &out);
    if (out.failed) {
        return err_set(err, out.failed, "the page is larger than %d bytes", PAGE_BYTES_MAX);
    }
    return file_write(path, out.at, out.len, err);
}
