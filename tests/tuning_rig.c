/* SPDX-License-Identifier: MIT */
#include "tests/tuning_rig.h"
#include "base/file.h"
#include "base/jread.h"
#include "base/util.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <cmocka.h>

void rig_on_tuned(void *ud, const struct tuning_result *r)
{
    struct seen *s = ud;
    s->n++;
    s->code = r->code;
    s->samples = r->n;
    s->best = r->best;
    snprintf(s->algorithm, sizeof(s->algorithm), "%s", r->algorithm);
    snprintf(s->error, sizeof(s->error), "%s", r->error ? r->error : "");
    snprintf(s->note, sizeof(s->note), "%s", r->note);
    s->finals = r->n_finals;
    s->confirmed = r->confirmed;
    s->retimed = r->retimed;
    s->earlier = r->earlier;
    s->device_s = r->device_s;
    json_t *json = tuning_json(r);
    auto_free char *text = json_canonical(json);
    snprintf(s->record, sizeof(s->record), "%s", text);
    json_decref(json);
    for (size_t i = 0; i < r->n && i < SAMPLES_MAX; i++) {
        snprintf(s->at[i].config, sizeof(s->at[i].config), "%s", r->samples[i].config);
        snprintf(s->at[i].status, sizeof(s->at[i].status), "%s", r->samples[i].status);
        s->at[i].us = r->samples[i].time_us;
    }
}

void rig_open_session(struct fixture *f)
{
    struct err err = { 0 };
    if (session_open(&f->session, &f->options, SESSION_STORE | SESSION_EVALUATOR, &err) < 0) {
        fail_msg("%s", err_text(&err));
    }
}

/* The worker is a copy, so that one test can take it away. */
static void copy_worker(const char *to)
{
    auto_free char *bytes = NULL;
    size_t len;
    assert_int_equal(file_read(WS_BIN_DIR "/fake_worker", 64 << 20, &bytes, &len, NULL), 0);
    assert_int_equal(file_write(to, bytes, len, NULL), 0);
    assert_int_equal(chmod(to, 0700), 0);
}

static int setup_as(void **state, const char *worker)
{
    struct fixture *f = xcalloc(1, sizeof(*f));
    snprintf(f->folder, sizeof(f->folder), "/tmp/warpsmith-tuning-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    snprintf(f->store, sizeof(f->store), "%s/store", f->folder);
    snprintf(f->worker, sizeof(f->worker), "%s/%s", f->folder, worker);
    copy_worker(f->worker);
    setenv("WARPSMITH_WORKER", f->worker, 1);
    f->options = (struct options) { .gpu = "0", .store = f->store, .llm = "offline", .jobs = 1 };
    rig_open_session(f);
    assert_int_equal(catalog_task("softmax", &f->task, NULL), 0);
    assert_int_equal(catalog_family("softmax", &f->family, NULL), 0);
    *state = f;
    return 0;
}

int rig_setup(void **state)
{
    return setup_as(state, "worker");
}

/* Times that are measured, so that they are taken again. */
int rig_setup_gpu(void **state)
{
    return setup_as(state, "gpu");
}

int rig_teardown(void **state)
{
    struct fixture *f = *state;
    unsetenv("WARPSMITH_FAKE_JUDGE");
    unsetenv("WARPSMITH_FAKE_COMPILE");
    unsetenv("WARPSMITH_FAKE_SPREAD");
    session_close(&f->session); /* its loop is empty, or it aborts */
    catalog_family_done(&f->family);
    task_free(f->task);
    folder_remove(f->folder, NULL);
    free(f);
    return 0;
}

/* A shipped variant with tunables. */
const struct candidate *rig_variant(const struct fixture *f, const char *name)
{
    for (size_t i = 0; i < f->family.n; i++) {
        if (str_eq(f->family.variants[i]->name, name)) {
            return f->family.variants[i];
        }
    }
    fail_msg("no variant %s", name);
    return NULL;
}

struct tuning *rig_start_as(struct fixture *f, struct tuning_options options, struct seen *seen)
{
    struct tuning *tuning = NULL;
    options.task = f->task;
    options.seed = 1;
    struct err err = { 0 };
    *seen = (struct seen) { 0 };
    if (tuning_start(&f->session, &options, rig_on_tuned, seen, &tuning, &err) < 0) {
        fail_msg("%s", err_text(&err));
    }
    assert_int_equal(seen->n, 0); /* never from inside */
    return tuning;
}

struct tuning *rig_start(struct fixture *f, const struct candidate *candidate, size_t budget,
                            struct seen *seen)
{
    return rig_start_as(f, (struct tuning_options) { .candidate = candidate, .budget = budget,
                                                 .hopeless = -1 }, seen);
}

void rig_tune_as(struct fixture *f, struct tuning_options options, struct seen *seen)
{
    rig_start_as(f, options, seen);
    while (seen->n == 0 && uv_run(&f->session.loop, UV_RUN_ONCE)) {
    }
    assert_int_equal(seen->n, 1);
    store_flush(f->session.store);
}

void rig_tune(struct fixture *f, const struct candidate *candidate, size_t budget,
                 struct seen *seen)
{
    struct tuning_options options = { .candidate = candidate, .budget = budget, .hopeless = -1 };
    rig_tune_as(f, options, seen);
}

/* The samples; what says what a space is about stands under "-". */
size_t rig_kept(struct fixture *f, struct store_item **ret, struct arena *arena)
{
    size_t n, samples = 0;
    assert_int_equal(store_scan(f->session.store, STORE_DB_TUNINGS, "", NULL, SAMPLES_MAX, arena,
                                ret, &n, NULL), 0);
    for (size_t i = 0; i < n; i++) {
        if (!strstr((*ret)[i].key, "/-")) {
            (*ret)[samples++] = (*ret)[i];
        }
    }
    return samples;
}

int64_t rig_param(const struct candidate *candidate, const char *name)
{
    return json_integer_value(
        json_object_get(json_object_get(candidate->plan->json, "params"), name));
}

size_t rig_find_fastest(const struct seen *seen)
{
    size_t best = SAMPLES_MAX;
    for (size_t i = 0; i < seen->samples; i++) {
        if (seen->at[i].us > 0 && (best == SAMPLES_MAX || seen->at[i].us < seen->at[best].us)) {
            best = i;
        }
    }
    assert_true(best < SAMPLES_MAX);
    return best;
}

/* A shipped variant with another space: two hundred block sizes. */
struct candidate *rig_two_hundred(const struct fixture *f, const char *remark)
{
    const struct candidate *from = rig_variant(f, "02_block_per_row");
    json_t *plan = json_deep_copy(from->plan->json);
    json_object_set_new(plan, "space", json_pack("{s:{s:[i, i]}}", "BLOCK", "int", 400, 599));
    auto_free char *text = json_canonical(plan);
    json_decref(plan);
    struct candidate *ret = NULL;
    struct err err = { 0 };
    auto_free char *source = xprintf("%s// %s\n", from->source, remark);
    if (candidate_parse(text, strlen(text), source, strlen(source), &ret, &err) < 0) {
        fail_msg("%s", err_text(&err));
    }
    return ret;
}
