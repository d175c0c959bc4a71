/* SPDX-License-Identifier: MIT */
#include "agent/progress.h"
#include "base/util.h"

#include <string.h>
#include <unistd.h>

void progress_init(struct progress *p, FILE *out, bool modelled)
{
    *p = (struct progress) { .out = out, .terminal = isatty(fileno(out)) != 0,
                             .modelled = modelled };
}

/* "1.39 ms", "64.9 us": three digits. */
static void time_text(double us, char *ret, size_t size)
{
    if (us >= 1000) {
        snprintf(ret, size, "%.3g ms", us / 1000);
    } else {
        snprintf(ret, size, "%.3g us", us);
    }
}

static void clear(const struct progress *p)
{
    if (p->terminal) {
        fputs("\r\033[K", p->out);
    }
}

static void first_line(const char *text, char *ret, size_t size)
{
    snprintf(ret, size, "%s", text);
    ret[strcspn(ret, "\n")] = '\0';
}

static void scored(const struct progress *p, const struct campaign_event *e)
{
    const struct verdict *v = e->verdict;
    const char *from = e->direction && *e->direction ? e->direction : "start";
    fprintf(p->out, "%-10s %2lld  %-22s %-30s ", e->task, (long long)e->seq, from, e->title);
    if (!v) {
        char line[160];
        first_line(e->text, line, sizeof(line));
        fprintf(p->out, "%s: %s", e->status, line);
    } else if (v->status == VERDICT_STATUS_ACCEPTED) {
        char time[32];
        time_text(v->time.median_us, time, sizeof(time));
        fprintf(p->out, "%9s%s", time, p->modelled ? " modelled" : "");
        if (v->speedup > 0) {
            fprintf(p->out, "  %5.2fx", v->speedup);
        }
        if (v->sol > 0) {
            fprintf(p->out, "  %3.0f%% of SOL", v->sol * 100);
        }
        fprintf(p->out, "%s", e->tuned ? "  tuned" : "");
        if (e->repairs) {
            fprintf(p->out, "  mended %zu x", e->repairs);
        }
        fputs(e->is_best ? "  *best*" : "", p->out);
    } else {
        char line[160];
        first_line(v->detail, line, sizeof(line));
        fprintf(p->out, "%s: %s", verdict_status_name(v->status), line);
    }
    fputc('\n', p->out);
}

void progress_event(void *ud, const struct campaign_event *e)
{
    struct progress *p = ud;
    clear(p);
    switch (e->kind) {
    case CAMPAIGN_EVENT_SCORED:
        scored(p, e);
        break;
    case CAMPAIGN_EVENT_ENDED:
        fprintf(p->out, "%-10s done: %s\n", e->task, e->text);
        break;
    case CAMPAIGN_EVENT_ASKING:
    case CAMPAIGN_EVENT_PICKED:
    case CAMPAIGN_EVENT_JUDGING:
        if (p->terminal) {
            fprintf(p->out, "%s  step %lld of %lld  %s  %s  %s ...", e->task, (long long)e->step,
                    (long long)e->steps, e->direction && *e->direction ? e->direction : "start",
                    e->title, e->kind == CAMPAIGN_EVENT_PICKED ? "" : e->text);
        }
        break;
    }
    fflush(p->out);
}
