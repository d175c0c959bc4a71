/* SPDX-License-Identifier: MIT */
/* The page as a whole: what was asked, a section for each task, and the style. */
#include "agent/report.h"
#include "agent/ledger.h"
#include "agent/report_task.h"
#include "base/embed.h"
#include "base/file.h"
#include "base/jread.h"
#include "base/util.h"
#include "memory/record.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

enum { REPORT_BYTES_MAX = 64 << 20 };

EMBED_TEXT(report_style, WS_REPORT_STYLE);

static void date_text(int64_t seconds, char ret[32])
{
    time_t t = (time_t)seconds;
    struct tm tm;
    gmtime_r(&t, &tm);
    strftime(ret, 32, "%Y-%m-%d %H:%M UTC", &tm);
}

static void head(struct buf *out, const struct campaign_record *c)
{
    char date[32];
    date_text(c->started_s, date);
    buf_puts(out, "<!doctype html><html lang=en><meta charset=utf-8>"
                  "<meta name=viewport content=\"width=device-width, initial-scale=1\"><title>Warpsmith ");
    html_text(out, c->id);
    buf_puts(out, "</title><style>");
    buf_puts(out, report_style);
    buf_puts(out, "</style><h1>Campaign ");
    html_text(out, c->id);
    buf_puts(out, "</h1><p class=soft>");
    html_text(out, c->device);
    buf_printf(out, " &middot; %s &middot; provider ", date);
    html_text(out, c->llm);
    buf_printf(out, " &middot; seed %lld &middot; ", (long long)c->seed);
    html_text(out, c->status);
    if (*c->error) {
        buf_puts(out, ": ");
        html_text(out, c->error);
    }
    buf_puts(out, "</p>");
}

/* What the model's calls came to; nothing where none was asked. */
static void costs(struct store *store, const char *campaign, struct arena *arena, struct buf *out)
{
    struct ledger_line *lines, total;
    size_t n;
    if (ledger_read(store, campaign, arena, &lines, &n, &total, NULL) < 0 || total.calls == 0) {
        return; /* the page is about kernels: a damaged call is the ledger's to report */
    }
    buf_puts(out, "<h2>Asked</h2><div class=scroll><table><tr><th>task<th class=n>calls<th class=n>"
                  "corrections<th class=n>repairs<th class=n>failed<th class=n>awaited<th class=n>tokens in"
                  "<th class=n>cached<th class=n>tokens out<th class=n>USD<th class=n>USD unsure</tr>");
    for (size_t i = 0; i < n; i++) {
        const struct ledger_line *x = &lines[i];
        buf_puts(out, "<tr><td>");
        html_text(out, x->task);
        buf_printf(out, "<td class=n>%lld<td class=n>%lld<td class=n>%lld<td class=n>%lld<td class=n>%lld",
                   (long long)x->calls, (long long)x->corrections, (long long)x->repairs,
                   (long long)x->failed, (long long)x->open);
        if (x->answered && x->unknown == x->answered) {
            buf_puts(out, "<td class=n>not said<td class=n><td class=n>not said");
        } else {
            buf_printf(out, "<td class=n>%lld<td class=n>%lld<td class=n>%lld", (long long)x->tokens_in,
                       (long long)x->tokens_cached, (long long)x->tokens_out);
        }
        if (x->answered && x->unpriced == x->answered) {
            buf_puts(out, "<td class=n>no price<td class=n></tr>");
        } else {
            buf_printf(out, "<td class=n>%.4f<td class=n>%.4f</tr>", x->usd, x->usd_unsure);
        }
    }
    buf_puts(out, "</table></div>");
}

/* The task's names as its attempts have them: a task given by a path has its own name there. */
static size_t task_names(const struct attempt_record *attempts, size_t n, const char **ret,
                         size_t most)
{
    size_t k = 0;
    for (size_t i = 0; i < n && k < most; i++) {
        if (k == 0 || !str_eq(ret[k - 1], attempts[i].task)) {
            ret[k++] = attempts[i].task;
        }
    }
    return k;
}

int report_write(struct store *store, const char *campaign, const char *path, struct err *err)
{
    auto_arena struct arena *arena = arena_new();
    struct campaign_record record;
    int r = record_get_campaign(store, campaign, arena, &record, err);
    if (r == ERR_NOTFOUND) {
        return err_set(err, r, "no campaign \"%s\" in %s", campaign, store_path(store));
    }
    struct attempt_record *attempts;
    size_t n;
    r = r < 0 ? r : record_list_attempts(store, campaign, NULL, arena, &attempts, &n, err);
    if (r < 0) {
        return r;
    }
    auto_buf struct buf out;
    buf_init(&out, REPORT_BYTES_MAX);
    head(&out, &record);
    const char **names = arena_alloc(arena, n + 1, sizeof(*names));
    size_t n_names = task_names(attempts, n, names, n);
    if (n_names == 0) {
        buf_puts(&out, "<p>No attempt was finished yet.</p>");
    }
    for (size_t i = 0; r == 0 && i < n_names; i++) {
        r = report_task(store, campaign, names[i], &out, err);
    }
    if (r == 0) {
        costs(store, campaign, arena, &out);
    }
    if (r == 0 && out.failed) {
        r = err_set(err, out.failed, "the report is larger than %d bytes", REPORT_BYTES_MAX);
    }
    return r < 0 ? r : file_write(path, out.at, out.len, err);
}
