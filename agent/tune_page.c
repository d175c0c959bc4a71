/* SPDX-License-Identifier: MIT */
#include "agent/tune_page.h"
#include "agent/plot.h"
#include "agent/plot_parts.h"
#include "base/embed.h"
#include "base/file.h"
#include "base/util.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { PAGE_BYTES_MAX = 64 << 20, BEST_SHOWN = 10 };

EMBED_TEXT(tune_page_style, WS_REPORT_STYLE);

static void put(struct buf *out, const char *before, const char *text, const char *after)
{
    buf_puts(out, before);
    html_text(out, text ? text : "");
    buf_puts(out, after);
}

static void head(struct buf *out, const struct tune_page *page)
{
    buf_puts(out, "<!doctype html><html lang=en><meta charset=utf-8>"
                  "<meta name=viewport content=\"width=device-width, initial-scale=1\">");
    put(out, "<title>Warpsmith: ", page->title, "</title><style>");
    buf_puts(out, tune_page_style);
    put(out, "</style><h1>", page->title, "</h1>");
    put(out, "<p class=soft>", page->device, "</p>");
    if (page->modelled) {
        buf_puts(out, "<p><span class=modelled>modelled</span> All times here come from the simulator's model "
                      "of the device. Nothing was measured.</p>");
    }
    if (page->note && *page->note) {
        put(out, "<p>", page->note, "</p>");
    }
}

static void facts(struct buf *out, const struct tune_page *page)
{
    buf_puts(out, "<table class=facts>");
    for (size_t i = 0; i < page->n_facts; i++) {
        const struct tune_page_fact *f = &page->facts[i];
        if (f->text && *f->text) {
            put(out, "<tr><td class=soft>", f->name, "<td>");
            put(out, "", f->text, "</tr>");
        }
    }
    buf_puts(out, "</table>");
}

struct ranked {
    size_t row;
    double us;
};

static int by_time(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;
    if (x->us != y->us) {
        return x->us < y->us ? -1 : 1;
    }
    return (x->row > y->row) - (x->row < y->row);
}

static void fastest(struct buf *out, const struct tune_picture *p)
{
    struct ranked *ran = xcalloc(p->n + 1, sizeof(*ran));
    size_t n = 0;
    for (size_t i = 0; i < p->n; i++) {
        if (p->us[i] > 0) {
            ran[n++] = (struct ranked) { i, p->us[i] };
        }
    }
    qsort(ran, n, sizeof(*ran), by_time);
    buf_puts(out, "<h2>Fastest configs</h2><div class=scroll><table><tr><th class=n>time<th class=n>over the best");
    for (size_t i = 0; i < p->space->n; i++) {
        put(out, "<th class=n>", p->space->params[i].name, "");
    }
    buf_puts(out, "<th class=n>tried as</tr>");
    for (size_t k = 0; k < n && k < BEST_SHOWN; k++) {
        char time[PLOT_TIME_MAX];
        const uint16_t *config = p->configs + ran[k].row * p->space->n;
        plot_time(ran[k].us, 4, time);
        buf_printf(out, "<tr%s><td class=n>%s<td class=n>%.3fx", k ? "" : " class=win", time,
                   ran[k].us / ran[0].us);
        for (size_t i = 0; i < p->space->n; i++) {
            put(out, "<td class=n>", p->space->params[i].texts[config[i]], "");
        }
        buf_printf(out, "<td class=n>%zu</tr>", ran[k].row + 1);
    }
    buf_puts(out, n ? "</table></div>" : "</table></div><p>No config ran.</p>");
    free(ran);
}

int tune_page_write(const char *path, const struct tune_page *page, struct err *err)
{
    auto_buf struct buf out;
    buf_init(&out, PAGE_BYTES_MAX);
    head(&out, page);
    facts(&out, page);
    fastest(&out, &page->shown);
    if (page->n_curves > 1) {
        buf_printf(&out, "<h2>%zu searches</h2><figure>", page->n_curves);
        tune_picture_curves(&out, page->curves, page->lengths, page->n_curves, page->optimum_us);
        buf_puts(&out, "<figcaption>The best so far of every search, and their median.</figcaption></figure>"
                       "<h2>One of them</h2>");
    } else {
        buf_puts(&out, "<h2>The search</h2>");
    }
    tune_picture_figures(&out, &page->shown, page->modelled);
    if (out.failed) {
        return err_set(err, out.failed, "the page is larger than %d bytes", PAGE_BYTES_MAX);
    }
    return file_write(path, out.at, out.len, err);
}
