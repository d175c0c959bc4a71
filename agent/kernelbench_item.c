/* SPDX-License-Identifier: MIT */
/* A problem with its candidates: what is kept of it in OUT/results (kernelbench.h), and what is told. */
#include "agent/kernelbench_results.h"
#include "agent/kernelbench_run.h"
#include "base/file.h"
#include "base/jread.h"
#include "base/util.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct entry *kernelbench_item_entry(struct item *item)
{
    item->entries = xrealloc(item->entries, item->n + 1, sizeof(*item->entries));
    struct entry *e = &item->entries[item->n++];
    *e = (struct entry) { .item = item, .name = "" };
    return e;
}

static const char *text_of(const json_t *json, const char *key)
{
    const char *text = json_string_value(json_object_get(json, key));
    return text ? text : "";
}

static double median_of(const json_t *verdict)
{
    return json_number_value(json_object_get(json_object_get(verdict, "time"), "median_us"));
}

bool kernelbench_item_accepted(const struct entry *e)
{
    return str_eq(text_of(e->verdict, "status"), "accepted");
}

const struct entry *kernelbench_item_best(const struct item *item)
{
    const struct entry *best = NULL;
    for (size_t i = 0; i < item->n; i++) {
        const struct entry *e = &item->entries[i];
        double us = median_of(e->verdict), best_us = best ? median_of(best->verdict) : 0;
        if (kernelbench_item_accepted(e) && (!best || (us > 0 && (best_us <= 0 || us < best_us)))) {
            best = e; /* one without a time is the fastest of none */
        }
    }
    return best;
}

static json_t *entry_json(const struct entry *e)
{
    char hex[ID_HEX] = "";
    if (e->candidate) {
        id_hex(&e->candidate->id, hex);
    }
    json_t *one = json_pack("{s:s,s:s,s:b,s:s*,s:s*,s:O*}", "name", e->name, "id", hex, "known", e->known,
                            "direction", e->direction, "strategy", e->strategy, "verdict", e->verdict);
    if (e->error) {
        json_object_set_new(one, "error", json_text(e->error, strlen(e->error)));
    }
    if (e->protocols) {
        json_object_update(one, e->protocols);
    }
    return one;
}

/* Nobody can be judged on it, nobody had a kernel for it, or something failed. */
static const char *why_name(const struct item *item)
{
    return item->code == ERR_UNSUPPORTED ? "unsupported"
        : item->code == ERR_NOTFOUND     ? "without"
        : item->code == ERR_CANCELED     ? "waiting"
                                         : "error";
}

static json_t *item_json(const struct item *item)
{
    const struct running *run = item->run;
    const struct problem *p = item->problem;
    const struct device_info *d = session_device(&run->session);
    const struct entry *best = kernelbench_item_best(item);
    json_t *list = json_array();
    char hex[ID_HEX];
    id_hex(&p->hash, hex);
    for (size_t i = 0; i < item->n; i++) {
        json_array_append_new(list, entry_json(&item->entries[i]));
    }
    json_t *json = json_pack("{s:i,s:i,s:i,s:s,s:s,s:s,s:i,s:s,s:b,s:s,s:o}", "format", 1, "level", p->level, "id",
                             p->id, "name", p->name, "family", item->task ? item->task->family : p->family, "hash",
                             hex, "gate", EVALUATOR_GATE_VERSION, "device", d->name, "modelled", d->modelled,
                             "torch", kernelbench_run_torch(&run->session), "candidates", list);
    json_t *more = json_pack("{s:O*,s:O*,s:O*,s:s*,s:s*,s:s*,s:s*,s:s*,s:s*,s:O*}", "bytes",
                             json_object_get(item->described, "bytes"), "reference", item->facts, "baselines", item->times, "unmeasured",
                             item->unmeasured, "campaign", run->campaign, "start", item->start, "ended", item->ended, "direction",
                             best ? best->direction : NULL, "strategy", best ? best->strategy : NULL, "cost",
                             item->cost);
    json_object_update(json, more);
    json_decref(more);
    if (item->task) {
        json_object_set_new(json, "precision", json_string(item->task->precision));
        json_object_set_new(json, "mapped", json_boolean(item->mapped));
    }
    if (item->why) {
        json_object_set_new(json, why_name(item), json_text(item->why, strlen(item->why)));
    }
    return json;
}

/* What exports and later runs are made from. */
static int save_candidates(const struct item *item, struct err *err)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < item->n; i++) {
        const struct candidate *c = item->entries[i].candidate;
        if (!c) {
            continue;
        }
        char hex[ID_HEX];
        id_hex(&c->id, hex);
        auto_free char *folder = xprintf("%s/candidates/%s", item->run->options.out, hex);
        auto_free char *plan = xprintf("%s/plan.json", folder);
        if (!file_exists(plan)) {
            r = folder_make(folder, err);
            r = r < 0 ? r : candidate_save(c, folder, err);
        }
    }
    return r;
}

/* Seconds and money of all runs together; a campaign's ledger has them so. */
static void add_cost(const json_t *old, json_t *json)
{
    const char *name;
    json_t *before;
    json_object_foreach(json_object_get(old, "cost"), name, before)
    {
        json_t *now = json_object_get(json_object_get(json, "cost"), name);
        if (json_is_real(now)) {
            json_real_set(now, json_real_value(now) + json_number_value(before));
        }
    }
}

static const json_t *candidate_of(const json_t *result, const char *id)
{
    size_t i;
    json_t *one;
    json_array_foreach(json_object_get(result, "candidates"), i, one)
    {
        if (*id && str_eq(text_of(one, "id"), id)) {
            return one;
        }
    }
    return NULL;
}

/* What rules that weren't asked for now said of the same candidate before, on the same task by the same gate. */
static void keep_judgements(const json_t *old, json_t *json)
{
    static const char *const same[] = { "gate", "precision", "mapped" }, *const rules[] = { "verdict", "kb", "verified" };
    size_t i;
    json_t *one;
    for (size_t k = 0; k < ARRAY_LEN(same); k++) {
        if (!json_equal(json_object_get(old, same[k]), json_object_get(json, same[k]))) {
            return;
        }
    }
    json_array_foreach(json_object_get(json, "candidates"), i, one)
    {
        const json_t *before = candidate_of(old, text_of(one, "id"));
        for (size_t k = 0; k < ARRAY_LEN(rules) && !json_object_get(one, "error"); k++) {
            json_t *said = json_object_get(before, rules[k]);
            if (said && !json_object_get(one, rules[k])) {
                json_object_set(one, rules[k], said);
            }
        }
    }
}

/* Nothing could be found out this time, but it was once: that stays as it is. */
static bool told_before(const struct item *item, const json_t *old)
{
    const struct problem *p = item->problem;
    char hex[ID_HEX];
    id_hex(&p->hash, hex);
    bool same = p->unreadable ? str_eq(text_of(old, "name"), p->name) : str_eq(text_of(old, "hash"), hex);
    return !item->task && item->why && str_eq(why_name(item), "error") && same
        && json_array_size(json_object_get(old, "candidates")) && !json_object_get(old, "error");
}

/* What an earlier run measured of PyTorch, on the same device and by the same versions, stays. */
static void keep_earlier(const struct item *item, const json_t *old, json_t *json)
{
    static const char *const same[] = { "hash", "device", "torch" };
    json_t *baselines = json_object_get(json, "baselines");
    bool fits = true;
    for (size_t i = 0; fits && i < ARRAY_LEN(same); i++) {
        fits = json_equal(json_object_get(old, same[i]), json_object_get(json, same[i]));
    }
    json_t *earlier = fits ? json_object_get(old, "baselines") : NULL;
    if (earlier && baselines) {
        json_object_update_missing(baselines, earlier);
    } else if (earlier) {
        json_object_set(json, "baselines", earlier);
    }
    if (fits) {
        keep_judgements(old, json);
    }
    if (fits && !item->run->campaign) {
        add_cost(old, json);
    }
}

int kernelbench_item_keep(const struct item *item, struct err *err)
{
    const struct problem *p = item->problem;
    auto_free char *path = xprintf("%s/results/level%d_%d.json", item->run->options.out, p->level, p->id);
    json_t *old = NULL;
    if (result_load(path, &old, NULL) == 0 && told_before(item, old)) {
        json_decref(old);
        return 0;
    }
    json_t *json = item_json(item);
    keep_earlier(item, old, json);
    json_decref(old);
    auto_free char *text = json_dumps(json, JSON_INDENT(1) | JSON_REAL_PRECISION(9));
    json_decref(json);
    require(text != NULL);
    int r = save_candidates(item, err);
    return r < 0 ? r : file_write(path, text, strlen(text), err);
}

static void tell_ratios(const struct item *item, double us)
{
    const char *variant;
    json_t *time;
    json_object_foreach(item->times, variant, time)
    {
        double base = json_number_value(json_object_get(time, "median_us"));
        if (base > 0 && us > 0) {
            printf("  %.3gx of %s (%.4g us)", base / us, variant, base);
        }
    }
}

static void tell_protocols(const struct entry *e)
{
    const char *name;
    json_t *one;
    json_object_foreach(e->protocols, name, one)
    {
        double speedup = json_number_value(json_object_get(one, "speedup"));
        printf("  %s %s", name, text_of(one, "status"));
        if (speedup > 0) {
            printf(" %.3gx", speedup);
        }
    }
}

/* One line a candidate: what came of it, its time, and PyTorch's beside it. */
static void tell_entry(const struct entry *e)
{
    const struct problem *p = e->item->problem;
    const char *status = text_of(e->verdict, "status"), *detail = text_of(e->verdict, "detail");
    double us = median_of(e->verdict);
    auto_free char *name = e->direction      ? xprintf("%s #%s", p->name, e->name)
        : e->item->start ? xprintf("%.20s %s", p->name, e->item->start)
                         : xstrdup(e->name);
    printf("%d/%-3d %-36.36s %-12s ", p->level, p->id, name, e->error ? "error" : *status ? status : "-");
    if (kernelbench_item_accepted(e)) {
        printf("%9.4g us%s", us, json_is_true(json_object_get(e->verdict, "modelled")) ? " modelled" : "");
        tell_ratios(e->item, us);
    } else {
        printf("%.160s", e->error ? e->error : detail);
    }
    tell_protocols(e);
    printf("%s\n", e->known ? "  (known)" : "");
}

void kernelbench_item_tell(const struct item *item)
{
    const struct problem *p = item->problem;
    const struct entry *best = kernelbench_item_best(item);
    if (item->why) {
        printf("%d/%-3d %-36.36s %-12s %.200s\n", p->level, p->id, p->name, why_name(item), item->why);
    }
    for (size_t i = 0; i < item->n; i++) { /* of a campaign, what it came to */
        const struct entry *e = &item->entries[i];
        bool wanted = !item->run->campaign || e == best || (!best && i + 1 == item->n && !item->why);
        if (wanted && (item->task || e->error)) { /* else the problem says why there's nothing of it */
            tell_entry(e);
        }
    }
    fflush(stdout);
}

void kernelbench_item_clear(struct item *item)
{
    for (size_t i = 0; i < item->n; i++) {
        struct entry *e = &item->entries[i];
        candidate_free(e->candidate);
        json_decref(e->verdict);
        json_decref(e->protocols);
        free(e->key);
        free(e->error);
    }
    free(item->entries);
    item->entries = NULL;
    item->n = 0;
}

void kernelbench_item_drop(struct item *item)
{
    kernelbench_item_clear(item);
    task_free(item->task);
    json_decref(item->described);
    json_decref(item->document);
    json_decref(item->facts);
    json_decref(item->times);
    json_decref(item->cost);
    item->task = NULL;
    item->described = item->document = item->facts = item->times = item->cost = NULL;
}
