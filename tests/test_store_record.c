/* SPDX-License-Identifier: MIT */
/* Typed records: round trips, what is refused on the way in, what is found on the way out. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/util.h"
#include "memory/campaign_lock.h"
#include "memory/record.h"
#include "store_rig.h"

#include <signal.h>
#include <unistd.h>

#define ID_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define ID_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static int setup(void **state)
{
    struct store_rig *rig = xcalloc(1, sizeof(*rig));
    store_rig_init(rig, NULL);
    *state = rig;
    return 0;
}

static int teardown(void **state)
{
    store_rig_done(*state);
    free(*state);
    return 0;
}

static void campaigns(void **state)
{
    struct store_rig *rig = *state;
    const char *tasks[] = {"softmax", "level 1/23"};
    struct campaign_record c =
                               {
                                   .id = "c7",
                                   .status = "running",
                                   .device = "H200",
                                   .llm = "offline",
                                   .baseline = "01",
                                   .n_tasks = 2,
                                   .tasks = tasks,
                                   .seed = -5,
                                   .steps = 20,
                                   .started_s = 1700000000,
                                   .extra = "{\"x\": 1}",
                               },
                           got;
    for (int i = 0; i < 2; i++) {
        struct store_batch *batch = store_batch_new();
        assert_int_equal(record_put_campaign(batch, &c, &rig->err), 0);
        assert_int_equal(store_rig_commit(rig, batch), 0);
        assert_int_equal(record_get_campaign(rig->store, "c7", rig->arena, &got, &rig->err), 0);
        assert_string_equal(got.id, "c7");
        assert_string_equal(got.status, i ? "failed" : "running");
        assert_string_equal(got.device, "H200");
        assert_int_equal(got.n_tasks, 2);
        assert_string_equal(got.tasks[1], "level 1/23");
        assert_int_equal(got.seed, -5);
        assert_int_equal(got.started_s, 1700000000);
        assert_int_equal(got.ended_s, i ? 5 : 0);
        assert_string_equal(got.error, i ? "no \xef\xbf\xbd"
                                           "device\xef\xbf\xbd"
                                         : "");
        assert_string_equal(got.extra, "{\"x\": 1}");
        c.status = "failed";
        c.ended_s = 5;
        c.error = "no \xff"
                  "device\xe2"; /* not UTF-8, as a compiler's log may be */
    }
    c.id = "c8";
    c.n_tasks = 0;
    struct store_batch *batch = store_batch_new();
    assert_int_equal(record_put_campaign(batch, &c, &rig->err), 0);
    assert_int_equal(store_rig_commit(rig, batch), 0);
    struct campaign_record *list;
    size_t n;
    assert_int_equal(record_list_campaigns(rig->store, rig->arena, &list, &n, &rig->err), 0);
    assert_int_equal(n, 2);
    assert_string_equal(list[1].id, "c8");
    assert_int_equal(record_get_campaign(rig->store, "c9", rig->arena, &got, &rig->err),
                     ERR_NOTFOUND);
    assert_non_null(strstr(rig->err.text, "campaigns/c9"));
}

static struct attempt_record attempt(int64_t seq)
{
    static const struct learned learned[] = {
        {"direction/memory-access/*|*|*", 0.25, false},
        {"trust/control/softmax", -0.3, true},
    };
    return (struct attempt_record){
        .campaign = "c7",
        .task = "softmax",
        .seq = seq,
        .parent = ID_A,
        .candidate = ID_B,
        .verdict = "v1",
        .direction = "memory-access",
        .strategy = "vector-loads",
        .status = "accepted",
        .control = true,
        .modelled = true,
        .gain = 0.25,
        .time_us = 12.5,
        .n_learned = 2,
        .learned = learned,
        .extra = "[]",
    };
}

static void attempts(void **state)
{
    struct store_rig *rig = *state;
    struct attempt_record a, got, *list;
    size_t n;
    for (int64_t seq = 0; seq < 12; seq++) {
        a = attempt(seq);
        struct store_batch *batch = store_batch_new();
        assert_int_equal(record_put_attempt(batch, &a, &rig->err), 0);
        store_rig_submit(rig, batch);
    }
    assert_int_equal(store_rig_wait(rig), 0);
    assert_int_equal(
        record_get_attempt(rig->store, "c7", "softmax", 11, rig->arena, &got, &rig->err), 0);
    assert_int_equal(got.seq, 11);
    assert_string_equal(got.parent, ID_A);
    assert_string_equal(got.candidate, ID_B);
    assert_string_equal(got.strategy, "vector-loads");
    assert_true(got.control && got.modelled);
    assert_true(got.gain == 0.25 && got.time_us == 12.5);
    assert_int_equal(got.n_learned, 2);
    assert_string_equal(got.learned[1].key, "trust/control/softmax");
    assert_true(got.learned[1].failed && got.learned[1].gain == -0.3);
    assert_string_equal(got.extra, "[]");
    assert_int_equal(record_list_attempts(rig->store, "c7", NULL, rig->arena, &list, &n, &rig->err),
                     0);
    assert_int_equal(n, 12);
    assert_int_equal(list[10].seq, 10);
    struct store_stat stat;
    assert_int_equal(store_stat(rig->store, "trust/control/softmax", &stat, NULL), 0);
    assert_int_equal(stat.n, 12);
    assert_int_equal(stat.failures, 12);

    /* Once is once: the same attempt again is refused, and teaches nothing. */
    a = attempt(3);
    struct store_batch *batch = store_batch_new();
    assert_int_equal(record_put_attempt(batch, &a, &rig->err), 0);
    assert_int_equal(store_rig_commit(rig, batch), ERR_EXISTS);
    assert_int_equal(store_stat(rig->store, "trust/control/softmax", &stat, NULL), 0);
    assert_int_equal(stat.n, 12);
}

/* Names with '/' or '%' keep their campaigns and tasks apart. */
static void keys_dont_mix(void **state)
{
    struct store_rig *rig = *state;
    static const char *const names[][2] = {{"c", "a"},     {"c", "a/b"}, {"c/a", "b"},
                                           {"c", "a%2Fb"}, {"c", "a b"}, {"c%", "a"}};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        struct attempt_record a = attempt((int64_t)i);
        a.campaign = names[i][0];
        a.task = names[i][1];
        struct store_batch *batch = store_batch_new();
        assert_int_equal(record_put_attempt(batch, &a, &rig->err), 0);
        assert_int_equal(store_rig_commit(rig, batch), 0);
    }
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        struct attempt_record *list;
        size_t n;
        assert_int_equal(record_list_attempts(rig->store, names[i][0], names[i][1], rig->arena,
                                              &list, &n, &rig->err),
                         0);
        assert_int_equal(n, 1);
        assert_int_equal(list[0].seq, i);
        assert_string_equal(list[0].task, names[i][1]);
    }
    struct attempt_record *list;
    size_t n;
    assert_int_equal(record_list_attempts(rig->store, "c", NULL, rig->arena, &list, &n, NULL), 0);
    assert_int_equal(n, 4);
}

static void calls(void **state)
{
    struct store_rig *rig = *state;
    struct call_record c = {.campaign = "c7",
                            .task = "t",
                            .seq = 2,
                            .attempt = 1,
                            .state = "intent",
                            .provider = "openai",
                            .model = "m",
                            .request = "why?",
                            .reserved_usd = 0.02},
                       got, *list;
    struct store_batch *batch = store_batch_new();
    assert_int_equal(record_put_call(batch, &c, &rig->err), 0);
    assert_int_equal(store_rig_commit(rig, batch), 0);
    assert_int_equal(record_get_call(rig->store, "c7", "t", 2, 1, rig->arena, &got, &rig->err), 0);
    assert_string_equal(got.state, "intent");
    assert_string_equal(got.reply, "");
    c.state = "answered";
    c.reply = "because\n\"quoted\" \xc3\xa9";
    c.usd = 0.01;
    c.tokens_in = 1000;
    c.tokens_out = 50;
    batch = store_batch_new();
    assert_int_equal(record_put_call(batch, &c, &rig->err), 0);
    assert_int_equal(store_rig_commit(rig, batch), 0);
    size_t n;
    assert_int_equal(record_list_calls(rig->store, "c7", "t", rig->arena, &list, &n, &rig->err), 0);
    assert_int_equal(n, 1);
    assert_string_equal(list[0].reply, c.reply);
    assert_string_equal(list[0].state, "answered");
    assert_true(list[0].usd == 0.01 && list[0].reserved_usd == 0.02);
    assert_int_equal(list[0].tokens_in, 1000);
}

static void candidates(void **state)
{
    struct store_rig *rig = *state;
    struct candidate_record c = {.id = ID_A,
                                 .plan = "{\"format\":1}",
                                 .name = "01_naive",
                                 .source = "// \xff latin-1\nextern \"C\" ...\n\n"},
                            got;
    struct store_batch *batch = store_batch_new();
    assert_int_equal(record_put_candidate(batch, &c, &rig->err), 0);
    assert_int_equal(store_rig_commit(rig, batch), 0);
    assert_int_equal(record_get_candidate(rig->store, ID_A, rig->arena, &got, &rig->err), 0);
    assert_string_equal(got.source, c.source); /* byte for byte: the id is over it */
    assert_string_equal(got.plan, c.plan);
    assert_string_equal(got.name, c.name);
    c.source = "";
    c.plan = "{}";
    batch = store_batch_new();
    assert_int_equal(record_put_candidate(batch, &c, &rig->err), 0);
    assert_int_equal(store_rig_commit(rig, batch), 0);
    assert_int_equal(record_get_candidate(rig->store, ID_A, rig->arena, &got, &rig->err), 0);
    assert_true(strlen(got.source) > 5); /* the first stays: same id, same content */
}

static void refused_on_the_way_in(void **state)
{
    (void)state;
    struct err err;
    struct store_batch *batch = store_batch_new();
    struct campaign_record k = {.id = "c", .status = "resting"};
    assert_int_equal(record_put_campaign(batch, &k, &err), ERR_INVALID);
    assert_string_equal(err.text, "campaign record: status: unknown \"resting\"");
    k = (struct campaign_record){.status = "done"};
    assert_int_equal(record_put_campaign(batch, &k, &err), ERR_INVALID);
    assert_string_equal(err.text, "campaign record: id: it is empty");
    struct attempt_record a = attempt(1000000);
    assert_int_equal(record_put_attempt(batch, &a, &err), ERR_INVALID);
    a = attempt(-1);
    assert_int_equal(record_put_attempt(batch, &a, NULL), ERR_INVALID);
    a = attempt(1);
    a.gain = NAN;
    assert_int_equal(record_put_attempt(batch, &a, &err), ERR_INVALID);
    assert_string_equal(err.text, "attempt record: gain: nan isn't finite");
    a = attempt(1);
    a.candidate = "abc";
    assert_int_equal(record_put_attempt(batch, &a, &err), ERR_INVALID);
    struct learned bad = {"k", INFINITY, false};
    a = attempt(1);
    a.learned = &bad;
    a.n_learned = 1;
    assert_int_equal(record_put_attempt(batch, &a, &err), ERR_INVALID);
    struct call_record c = {.campaign = "c", .task = "t", .state = "maybe"};
    assert_int_equal(record_put_call(batch, &c, &err), ERR_INVALID);
    struct candidate_record d = {.id = "xyz", .plan = "{}", .source = ""};
    assert_int_equal(record_put_candidate(batch, &d, &err), ERR_INVALID);
    assert_true(store_batch_empty(batch));
    store_batch_free(batch);
}

static void damaged_on_the_way_out(void **state)
{
    struct store_rig *rig = *state;
    static const struct {
        const char *text, *error;
        int code;
    } cases[] = {
        {"", "attempts/c/t/000001: line 1", ERR_INVALID},
        {"[]", "attempts/c/t/000001: ", ERR_INVALID},
        {"{\"format\":1}", "attempts/c/t/000001: the key \"campaign\" is missing", ERR_INVALID},
        {"{\"format\":9,\"what\":1}", "written by a newer program (format 9)", ERR_VERSION},
        {"{\"format\":1,\"campain\":\"c\"}", "campain: unknown key, did you mean \"campaign\"?",
         ERR_INVALID},
        {"{\"format\":1,\"campaign\":\"c\",\"task\":\"t\",\"status\":\"x\",\"gain\":true}",
         "attempts/c/t/000001: gain: expected a number, got true", ERR_INVALID},
        {"{\"format\":1,\"campaign\":\"c\",\"task\":\"t\",\"status\":\"x\",\"candidate\":\"u\"}",
         "is not an id", ERR_INVALID},
        {"{\"format\":1,\"campaign\":\"c\",\"task\":\"t\",\"status\":\"x\"}", "learned",
         ERR_INVALID},
        {"{\"format\":1,\"campaign\":\"c\",\"task\":\"t\",\"status\":\"x\",\"learned\":[[\"k\",1]]"
         "}",
         "learned[0]: not [key, gain, failed]", ERR_INVALID},
        {"{\"format\":1,\"campaign\":\"c\",\"task\":\"t\",\"status\":\"x\",\"seq\":1,\"seq\":1}",
         "duplicate", ERR_INVALID},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct attempt_record got = {.seq = 99};
        assert_int_equal(store_rig_put(rig, STORE_DB_ATTEMPTS, "c/t/000001", cases[i].text), 0);
        assert_int_equal(record_get_attempt(rig->store, "c", "t", 1, rig->arena, &got, &rig->err),
                         cases[i].code);
        if (!strstr(rig->err.text, cases[i].error)) {
            fail_msg("\"%s\" isn't in \"%s\"", cases[i].error, rig->err.text);
        }
        assert_int_equal(got.seq, 99);
    }
    assert_int_equal(store_rig_put(rig, STORE_DB_CANDIDATES, ID_A, "{}"), 0);
    struct candidate_record c;
    assert_int_equal(record_get_candidate(rig->store, ID_A, rig->arena, &c, &rig->err),
                     ERR_INVALID);
    assert_non_null(strstr(rig->err.text, "candidates/" ID_A ": no source"));
}

/* Every prefix of a good record, and every byte changed: read or refused, never a crash. */
static void mangled(void **state)
{
    struct store_rig *rig = *state;
    struct attempt_record a = attempt(1), got;
    struct store_batch *batch = store_batch_new();
    assert_int_equal(record_put_attempt(batch, &a, &rig->err), 0);
    assert_int_equal(store_rig_commit(rig, batch), 0);
    const char *good = store_rig_get(rig, STORE_DB_ATTEMPTS, "c7/softmax/000001");
    size_t n = strlen(good);
    struct err err;
    for (size_t i = 0; i < n; i++) {
        auto_arena struct arena *arena = arena_new();
        struct store_item item = {"k", good, i};
        assert_true(record_read_attempt(&item, arena, &got, &err) < 0);
        for (int bit = 0; bit < 8; bit++) {
            char *bad = arena_strdup(arena, good);
            bad[i] ^= (char)(1 << bit);
            item = (struct store_item){"k", bad, n};
            int r = record_read_attempt(&item, arena, &got, &err);
            assert_true(r == 0 || r == ERR_INVALID || r == ERR_VERSION);
        }
    }
}

static void locks(void **state)
{
    struct store_rig *rig = *state;
    struct campaign_lock *a, *b, *other;
    assert_int_equal(campaign_lock_take(rig->path, "c/7", &a, &rig->err), 0);
    assert_int_equal(campaign_lock_take(rig->path, "c/8", &other, &rig->err), 0);
    b = NULL;
    assert_int_equal(campaign_lock_take(rig->path, "c/7", &b, &rig->err), ERR_BUSY);
    assert_null(b);
    char pid[64];
    snprintf(pid, sizeof(pid), "process %ld on ", (long)getpid());
    assert_non_null(strstr(rig->err.text, pid));
    campaign_lock_drop(a);
    assert_int_equal(campaign_lock_take(rig->path, "c/7", &b, &rig->err), 0);
    campaign_lock_drop(b);
    campaign_lock_drop(other);
    campaign_lock_drop(NULL);
    assert_int_equal(campaign_lock_take(rig->path, "", &b, &rig->err), ERR_INVALID);
}

/* Another process holds it, and dies by SIGKILL. */
static void a_killed_holder(void **state)
{
    struct store_rig *rig = *state;
    struct campaign_lock *lock = NULL;
    int out;
    char c;
    pid_t pid = store_rig_spawn("lock", rig->path, "c7", &out);
    assert_int_equal(read(out, &c, 1), 1);
    assert_int_equal(campaign_lock_take(rig->path, "c7", &lock, &rig->err), ERR_BUSY);
    char text[64];
    snprintf(text, sizeof(text), "process %ld on ", (long)pid);
    assert_non_null(strstr(rig->err.text, text));
    kill(pid, SIGKILL);
    assert_int_equal(store_rig_reap(pid), -SIGKILL);
    close(out);
    assert_int_equal(campaign_lock_take(rig->path, "c7", &lock, &rig->err), 0);
    campaign_lock_drop(lock);
}

static int hold(const char *path, const char *campaign)
{
    struct campaign_lock *lock;
    require(campaign_lock_take(path, campaign, &lock, NULL) == 0);
    require(write(1, "\n", 1) == 1);
    for (;;) {
        pause();
    }
}

int main(int argc, char **argv)
{
    if (argc == 4 && str_eq(argv[0], "child")) {
        return hold(argv[2], argv[3]);
    }
    const struct CMUnitTest tests[] = {
#define WITH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
        WITH(campaigns),
        WITH(attempts),
        WITH(keys_dont_mix),
        WITH(calls),
        WITH(candidates),
        cmocka_unit_test(refused_on_the_way_in),
        WITH(damaged_on_the_way_out),
        WITH(mangled),
        WITH(locks),
        WITH(a_killed_holder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
