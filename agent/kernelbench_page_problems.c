/* SPDX-License-Identifier: MIT */
/* The lists of a run's page: every problem, what was left out and why, what differs from another run. */
#include "agent/kernelbench_page_parts.h"
#include "agent/kernelbench_tally.h"
#include "agent/plot.h"
#include "agent/plot_parts.h"
#include "base/util.h"

#include <stdio.h>
#include <string.h>

static void problem_head(struct buf *out, const struct results *r)
{
    buf_puts(out, "<h2>Problems</h2><div class=scroll><table><tr><th>problem<th>family");
    for (int rule = 0; rule < RULE_COUNT; rule++) {
        if (r->rules[rule]) {
            buf_printf(out, "<th class=n>%s", rule_name((enum rule)rule));
        }
    }
    for (size_t i = 0; i < r->n_baselines; i++) {
        if (tally_known(r, tally_rule(r), r->baselines[i])) {
            page_put(out, "<th class=n>over<br>", r->baselines[i], "");
        }
    }
    buf_puts(out, "<th class=n>SOL</tr>");
}

static void rule_cells(struct buf *out, const struct result *of, enum rule rule)
{
    size_t best = result_best(of, rule);
    auto_free char *status = tally_status(of, rule);
    if (best == SIZE_MAX) {
        size_t word = strcspn(status, ":");
        page_put(out, "<td class=\"n bad\" title=\"", status, "\">");
        status[word] = '\0';
        page_put(out, "", status, "");
        return;
    }
    char time[PLOT_TIME_MAX] = "";
    double us = result_us(json_array_get(of->candidates, best), rule);
    if (us > 0) {
        plot_time(us, 4, time);
    }
    page_put(out, "<td class=n>", *time ? time : status, "");
}

static void problem_row(struct buf *out, const struct results *r, const struct result *of)
{
    enum rule head_rule = tally_rule(r);
    const char *direction = json_string_value(json_object_get(of->doc, "direction"));
    const char *strategy = json_string_value(json_object_get(of->doc, "strategy"));
    page_put(out, "<tr><td class=name title=\"", direction ? direction : "", " ");
    page_put(out, "", strategy ? strategy : "", "\">");
    buf_printf(out, "%d/%d ", of->level, of->id);
    html_text(out, strchr(of->name, '_') ? strchr(of->name, '_') + 1 : of->name);
    page_put(out, "<td>", of->family, "");
    for (int rule = 0; rule < RULE_COUNT; rule++) {
        if (r->rules[rule]) {
            rule_cells(out, of, (enum rule)rule);
        }
    }
    for (size_t i = 0; i < r->n_baselines; i++) {
        if (tally_known(r, head_rule, r->baselines[i])) {
            double speedup = tally_speedup(of, head_rule, r->baselines[i]);
            if (speedup > 0) {
                buf_printf(out, speedup > 1 ? "<td class=n><b>%.2fx</b>" : "<td class=n>%.2fx", speedup);
            } else {
                buf_puts(out, "<td class=n>");
            }
        }
    }
    size_t best = result_best(of, RULE_STRICT);
    const json_t *verdict = json_object_get(json_array_get(of->candidates, best), "verdict");
    double sol = result_number(verdict, "sol");
    if (sol > 0) {
        buf_printf(out, sol < 0.1 ? "<td class=n>%.1f %%</tr>" : "<td class=n>%.0f %%</tr>", 100 * sol);
    } else {
        buf_puts(out, "<td class=n></tr>");
    }
}

void page_problems(struct buf *out, const struct results *r)
{
    problem_head(out, r);
    for (size_t i = 0; i < r->n; i++) {
        if (r->at[i].attempted && !r->at[i].degenerate) {
            problem_row(out, r, &r->at[i]);
        }
    }
    buf_puts(out, "</table></div><p class=soft>Times by each rule; bold is faster than PyTorch. A failure's reason shows under "
                  "the pointer.</p>");
}

void page_left_out(struct buf *out, const struct results *r)
{
    bool begun = false;
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < r->n; i++) {
            const struct result *of = &r->at[i];
            const char *why = pass == 0 ? of->degenerate : of->degenerate ? NULL : of->reason;
            if (!why) {
                continue;
            }
            buf_puts(out, begun ? "" : "<h2>Left out of every score</h2><div class=scroll><table><tr><th>problem<th>why</tr>");
            begun = true;
            buf_printf(out, "<tr><td>%d/%d ", of->level, of->id);
            html_text(out, strchr(of->name, '_') ? strchr(of->name, '_') + 1 : of->name);
            page_put(out, pass == 0 ? "<td>degenerate, a trivial candidate passes: " : "<td>", why, "</tr>");
        }
    }
    buf_puts(out, begun ? "</table></div>" : "");
}

/* ---- against another run */

static void changes(struct buf *out, const char *what, const struct against_pair *pairs, size_t n)
{
    if (n) {
        buf_printf(out, "<p>%s: ", what);
        for (size_t i = 0; i < n; i++) {
            buf_printf(out, "%s%d/%d", i ? ", " : "", pairs[i].mine->level, pairs[i].mine->id);
        }
        buf_puts(out, "</p>");
    }
}

void page_compared(struct buf *out, const struct against *a)
{
    auto_free char *says = against_says(a);
    page_put(out, "<h2>Against ", a->other_name, "</h2>");
    page_put(out, "<p><b>", says, "</b></p>");
    if (a->other_device) {
        buf_puts(out, "<p class=bad>The other run was on another device: times say nothing of the candidates alone.</p>");
    }
    changes(out, "Correct here, not there", a->gained, a->n_gained);
    changes(out, "Correct there, not here", a->lost, a->n_lost);
    if (a->n_timed == 0) {
        return;
    }
    buf_puts(out, "<div class=scroll><table><tr><th>largest differences<th class=n>here<th class=n>there<th class=n>"
                  "there / here<th class=n>95 %<th></tr>");
    for (size_t i = 0; i < a->n_timed && i < AGAINST_SHOWN; i++) {
        const struct against_pair *p = &a->timed[i];
        char mine[PLOT_TIME_MAX], other[PLOT_TIME_MAX];
        plot_time(p->mine_us, 4, mine);
        plot_time(p->other_us, 4, other);
        buf_printf(out, "<tr><td>%d/%d ", p->mine->level, p->mine->id);
        html_text(out, strchr(p->mine->name, '_') ? strchr(p->mine->name, '_') + 1 : p->mine->name);
        buf_printf(out, "<td class=n>%s<td class=n>%s<td class=n>%.3fx<td class=n>", mine, other, p->ratio);
        if (p->span.lo > 0) {
            buf_printf(out, "%.3f&ndash;%.3f<td>%s", p->span.lo, p->span.hi, p->differs ? "" : "not sure");
        } else {
            buf_puts(out, "<td>");
        }
        buf_puts(out, "</tr>");
    }
    buf_puts(out, "</table></div>");
}
