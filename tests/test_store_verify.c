/* SPDX-License-Identifier: MIT */
/* Verification bites on each kind of damage; memories travel between stores and count once. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/util.h"
#include "memory/exchange.h"
#include "memory/node.h"
#include "memory/record.h"
#include "memory/store_pack.h"
#include "memory/verify.h"
#include "store_rig.h"

#define ID_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

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

/* A campaign of n attempts that teach two statistics. */
static void campaign(struct store_rig *rig, const char *id, int n)
{
    struct store_batch *batch = store_batch_new();
    struct campaign_record k = {.id = id, .status = "done"};
    struct candidate_record c = {.id = ID_A, .plan = "{}", .source = "x"};
    assert_int_equal(record_put_campaign(batch, &k, NULL), 0);
    assert_int_equal(record_put_candidate(batch, &c, NULL), 0);
    store_batch_put(batch, STORE_DB_VERDICTS, "v", "{}", 2);
    for (int i = 0; i < n; i++) {
        struct learned learned[] = {{"direction/x/*|*|*", sin(i), i % 4 == 0},
                                    {"strategy/y/*|*|*", cos(i) * 2, false}};
        struct attempt_record a = {.campaign = id,
                                   .task = "t",
                                   .seq = i,
                                   .parent = ID_A,
                                   .candidate = ID_A,
                                   .verdict = "v",
                                   .status = "accepted",
                                   .n_learned = 2,
                                   .learned = learned};
        assert_int_equal(record_put_attempt(batch, &a, NULL), 0);
    }
    struct call_record call = {.campaign = id, .task = "t", .state = "answered"};
    assert_int_equal(record_put_call(batch, &call, NULL), 0);
    assert_int_equal(store_rig_commit(rig, batch), 0);
}

static struct verify_report verify(struct store_rig *rig)
{
    struct verify_report report;
    assert_int_equal(store_verify(rig->store, rig->arena, &report, &rig->err), 0);
    return report;
}

static void sound(void **state)
{
    struct store_rig *rig = *state;
    assert_int_equal(verify(rig).n_problems, 0);
    campaign(rig, "c1", 40);
    campaign(rig, "c2", 25);
    struct verify_report report = verify(rig);
    assert_int_equal(report.n_problems, 0);
    assert_int_equal(report.statistics, 2);
    assert_int_equal(report.references, 65 * 4 + 2);
    assert_int_equal(report.records, 2 + 1 + 1 + 65 + 2 + 2);
}

/* One change after another, undone in between: each must be named. */
static void each_damage_is_named(void **state)
{
    struct store_rig *rig = *state;
    campaign(rig, "c1", 5);
    static const struct {
        enum store_db db;
        const char *key, *value; /* NULL: deleted */
        const char *says;
        int problems;
    } cases[] = {
        {STORE_DB_CAMPAIGNS, "c1", NULL, "its campaign campaigns/c1 is missing", 6},
        {STORE_DB_CANDIDATES, ID_A, NULL, "its candidate candidates/" ID_A " is missing", 10},
        {STORE_DB_VERDICTS, "v", NULL, "c1/t/000000: its verdict verdicts/v is missing", 5},
        {STORE_DB_ATTEMPTS, "c1/t/000003", NULL, "stats/direction/x/*|*|*: n 5", 2},
        {STORE_DB_ATTEMPTS, "c1/t/000003", "{", "attempts/c1/t/000003: line 1", 3},
        {STORE_DB_STATS, "strategy/y/*|*|*", NULL, "it is missing", 1},
        {STORE_DB_STATS, "strategy/y/*|*|*", "rubbish", "not a statistic", 2},
        {STORE_DB_VERDICTS, "v", "{]", "verdicts/v: line 1", 1},
        {STORE_DB_CALLS, "c1/t/000000/00", "{}", "calls/c1/t/000000/00", 1},
        {STORE_DB_CAMPAIGNS, "c1", "{}", "campaigns/c1", 1},
        {STORE_DB_CANDIDATES, ID_A, "{}", "candidates/" ID_A, 1},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const void *good;
        size_t len;
        assert_int_equal(
            store_get(rig->store, cases[i].db, cases[i].key, rig->arena, &good, &len, &rig->err),
            0);
        struct store_batch *batch = store_batch_new();
        if (cases[i].value) {
            store_batch_put(batch, cases[i].db, cases[i].key, cases[i].value,
                            strlen(cases[i].value));
        } else {
            store_batch_del(batch, cases[i].db, cases[i].key);
        }
        assert_int_equal(store_rig_commit(rig, batch), 0);
        struct verify_report report = verify(rig);
        bool said = false;
        for (size_t j = 0; j < report.n_problems; j++) {
            said |= strstr(report.problems[j], cases[i].says) != NULL;
        }
        if (!said || (int)report.n_problems != cases[i].problems) {
            fail_msg("case %zu: %d problems, the first: %s", i, (int)report.n_problems,
                     report.n_problems ? report.problems[0] : "");
        }
        batch = store_batch_new();
        store_batch_put(batch, cases[i].db, cases[i].key, good, len);
        assert_int_equal(store_rig_commit(rig, batch), 0);
        assert_int_equal(verify(rig).n_problems, 0);
    }
}

static struct store_stat stat_of(struct store_rig *rig, const char *key)
{
    struct store_stat stat;
    assert_int_equal(store_stat(rig->store, key, &stat, &rig->err), 0);
    return stat;
}

/* Each number of a statistic counts: one increment that no attempt accounts for, and one number off
 * while the others agree. */
static void a_number_off(void **state)
{
    struct store_rig *rig = *state;
    static const char *const key = "direction/x/*|*|*";
    campaign(rig, "c1", 5);
    const struct store_stat good = stat_of(rig, key);
    for (int i = 0; i < 5; i++) {
        struct store_stat bad = good;
        bad.n += i == 0;
        bad.failures += i == 1;
        bad.mean += i == 2 ? 1e-4 : 0;
        bad.m2 += i == 3 ? 1e-4 : 0;
        struct store_batch *batch = store_batch_new();
        store_batch_put(batch, STORE_DB_STATS, key, &bad, sizeof(bad));
        assert_int_equal(store_rig_commit(rig, batch), 0);
        assert_int_equal(verify(rig).n_problems, i < 4);
    }
    struct store_batch *batch = store_batch_new();
    store_batch_stat_add(batch, key, good.mean, false);
    assert_int_equal(store_rig_commit(rig, batch), 0);
    assert_int_equal(verify(rig).n_problems, 1);
}

static int pack(enum store_db db, const char *key, const void *at, size_t len, struct buf *out)
{
    struct store_packer *packer = store_packer_new();
    int r = store_pack(packer, db, key, at, len, out);
    store_packer_free(packer);
    return r;
}

static void flipped_bits(void **state)
{
    struct store_rig *rig = *state;
    campaign(rig, "c1", 3);
    auto_buf struct buf packed;
    buf_init(&packed, 1 << 20);
    assert_int_equal(pack(STORE_DB_VERDICTS, "v", "{}", 2, &packed), 0);
    packed.at[packed.len - 1] ^= 4;
    store_close(rig->store);
    rig->store = NULL;
    store_rig_raw(rig->path, "verdicts", "v", packed.at, packed.len);
    store_rig_reopen(rig, NULL);
    struct verify_report report = verify(rig);
    assert_int_equal(report.n_problems, 1);
    assert_string_equal(report.problems[0], "verdicts/v: damaged record: wrong checksum");
}

static void many_problems(void **state)
{
    struct store_rig *rig = *state;
    campaign(rig, "c1", 300);
    struct store_batch *batch = store_batch_new();
    store_batch_del(batch, STORE_DB_VERDICTS, "v");
    assert_int_equal(store_rig_commit(rig, batch), 0);
    struct verify_report report = verify(rig);
    assert_int_equal(report.n_problems, 300);
    assert_non_null(report.problems[VERIFY_PROBLEMS_MAX - 1]);
}

static char *export_all(struct store_rig *rig, struct exchange_report *ret)
{
    struct buf out;
    buf_init(&out, EXCHANGE_BYTES_MAX);
    assert_int_equal(exchange_export(rig->store, &out, ret, &rig->err), 0);
    char *text = arena_strdup(rig->arena, out.at);
    buf_done(&out);
    return text;
}

static struct exchange_report import_all(struct store_rig *rig, const char *text)
{
    struct exchange_report report = {0};
    int r = exchange_import(rig->store, text, strlen(text), &report, &rig->err);
    if (r < 0) {
        print_error("%s\n", rig->err.text);
    }
    assert_int_equal(r, 0);
    return report;
}

static void assert_same(struct store_stat a, struct store_stat b)
{
    assert_int_equal(a.n, b.n);
    assert_int_equal(a.failures, b.failures);
    assert_float_equal(a.mean, b.mean, 1e-9);
    assert_float_equal(a.m2, b.m2, 1e-7);
}

#define HEAD "{\"warpsmith_memory\":1,\"origin\":\"0123456789abcdef\"}\n"

/* Three stores tell each other everything, twice, in circles, while all go on learning. */
static void memories_travel_and_count_once(void **state)
{
    (void)state;
    static const char *const key = "direction/x/*|*|*";
    struct store_rig rigs[3];
    struct exchange_report report;
    char name[8];
    for (int i = 0; i < 3; i++) {
        store_rig_init(&rigs[i], NULL);
    }
    for (int round = 0; round < 4; round++) {
        snprintf(name, sizeof(name), "c%d", round);
        for (int i = 0; i < 3; i++) {
            campaign(&rigs[i], name, 10 * (i + 1) + round);
        }
        for (int step = 0; step < 3; step++) {
            for (int i = 0; i < 3; i++) {
                import_all(&rigs[(i + 1) % 3], export_all(&rigs[i], &report));
                import_all(&rigs[(i + 1) % 3], export_all(&rigs[i], &report));
            }
        }
        struct store_stat all = stat_of(&rigs[0], key);
        assert_int_equal(all.n, (round + 1) * 60 + 3 * (round * (round + 1) / 2));
        for (int i = 0; i < 3; i++) {
            assert_same(stat_of(&rigs[i], key), all);
            assert_int_equal(verify(&rigs[i]).n_problems, 0);
        }
        assert_int_equal(report.stats, 6);
        assert_int_equal(import_all(&rigs[0], export_all(&rigs[2], &report)).stats, 0);
    }
    for (int i = 0; i < 3; i++) {
        store_rig_done(&rigs[i]);
    }
}

/* Evaluated in the transaction: of two imports that race, the older changes nothing. */
static void the_older_import_loses(void **state)
{
    struct store_rig *rig = *state;
    struct store_stat newer = {5, 1, 0.5, 0.25}, older = {4, 1, 9.0, 0.5};
    for (int i = 0; i < 3; i++) {
        struct store_batch *batch = store_batch_new();
        store_batch_stat_import(batch, "0123456789abcdef", "k", i == 1 ? &older : &newer);
        assert_int_equal(store_rig_commit(rig, batch), 0);
        assert_same(stat_of(rig, "k"), newer);
    }
}

static void put_node(struct store_rig *rig, const char *id, const char *json)
{
    struct store_batch *batch = store_batch_new();
    assert_int_equal(node_put(batch, rig->store, "strategy", id, json, &rig->err), 0);
    assert_int_equal(store_rig_commit(rig, batch), 0);
}

#define WINNER "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

/* A worked example takes its candidate along; what a store trusts stays at home. */
static void examples_travel_with_their_candidates(void **state)
{
    struct store_rig *rig = *state, other;
    store_rig_init(&other, NULL);
    struct store_batch *batch = store_batch_new();
    struct candidate_record candidate = {.id = WINNER, .source = "code\n", .plan = "{}",
                                         .name = "winner", .extra = ""};
    assert_int_equal(record_put_candidate(batch, &candidate, &rig->err), 0);
    const char *json = "{\"candidate\":\"" WINNER "\",\"strategy\":\"s\"}";
    assert_int_equal(node_put(batch, rig->store, "example", "s.c1", json, &rig->err), 0);
    assert_int_equal(node_put(batch, rig->store, "example", "t.c1", json, &rig->err), 0);
    store_batch_stat_add(batch, "trust/guided/*", 0.5, false);
    assert_int_equal(store_rig_commit(rig, batch), 0);
    struct exchange_report report;
    char *text = export_all(rig, &report);
    assert_int_equal(report.candidates, 1);
    assert_int_equal(report.stats, 0);
    assert_null(strstr(text, "trust/"));
    assert_int_equal(import_all(&other, text).candidates, 1);
    struct candidate_record back;
    assert_int_equal(record_get_candidate(other.store, WINNER, other.arena, &back, &other.err), 0);
    assert_string_equal(back.name, "winner");
    assert_int_equal(verify(&other).n_problems, 0);
    assert_true(verify(&other).references > 0);

    /* A node that names what isn't there is a problem. */
    batch = store_batch_new();
    assert_int_equal(node_put(batch, other.store, "example", "x", "{\"candidate\":\"gone\"}",
                              &other.err), 0);
    assert_int_equal(store_rig_commit(&other, batch), 0);
    assert_int_equal(verify(&other).n_problems, 1);
    /* Nor does an import believe another store's trust. */
    static const char trusted[]
        = HEAD "{\"stat\":\"trust/guided/*\",\"origin\":\"0123456789abcdef\",\"n\":5,"
               "\"failures\":0,\"mean\":0.5,\"m2\":0.1}\n{\"end\":true,\"stats\":1,\"nodes\":0}\n";
    assert_int_equal(import_all(&other, (char *)(uintptr_t)trusted).stats, 0);
    assert_int_equal(stat_of(&other, "trust/guided/*").n, 0);
    store_rig_done(&other);
}

static const char *node_of(struct store_rig *rig, const char *id)
{
    struct node_record *list;
    size_t n;
    assert_int_equal(node_list(rig->store, "strategy", rig->arena, &list, &n, &rig->err), 0);
    for (size_t i = 0; i < n; i++) {
        if (str_eq(list[i].id, id)) {
            return list[i].json;
        }
    }
    return NULL;
}

static void nodes_travel(void **state)
{
    struct store_rig *here = *state, there;
    struct exchange_report report;
    store_rig_init(&there, NULL);
    put_node(here, "mine", "{\"state\":\"provisional\"}");
    put_node(here, "both", "{\"of\":\"here\"}");
    put_node(&there, "both", "{\"of\":\"there\"}");
    assert_int_equal(import_all(&there, export_all(here, &report)).nodes, 1);
    assert_string_equal(node_of(&there, "mine"), "{\"state\":\"provisional\"}");
    assert_string_equal(node_of(&there, "both"), "{\"of\":\"there\"}");
    put_node(here, "mine", "{\"state\":\"promoted\"}");
    char *newer = export_all(here, &report);
    assert_int_equal(report.nodes, 2);
    assert_int_equal(import_all(&there, newer).nodes, 1);
    assert_string_equal(node_of(&there, "mine"), "{\"state\":\"promoted\"}");
    assert_int_equal(import_all(&there, newer).nodes, 0);
    /* Theirs from now on: what comes back from here doesn't undo it, nor is it taken here. */
    put_node(&there, "mine", "{\"state\":\"retired\"}");
    assert_int_equal(import_all(&there, newer).nodes, 0);
    assert_int_equal(import_all(here, export_all(&there, &report)).nodes, 0);
    assert_string_equal(node_of(here, "mine"), "{\"state\":\"promoted\"}");
    struct store_batch *batch = store_batch_new();
    assert_int_equal(node_put(batch, here->store, "strategy", "x", "{", &here->err), ERR_INVALID);
    store_batch_free(batch);
    struct node_record *list;
    size_t n;
    assert_int_equal(node_list(here->store, "strat", here->arena, &list, &n, NULL), 0);
    assert_int_equal(n, 0);
    assert_int_equal(verify(&there).n_problems, 0);
    store_rig_done(&there);
}

#define STAT(n, failures, m2)                                                                      \
    "{\"stat\":\"k\",\"origin\":\"0123456789abcdef\",\"n\":" n ",\"failures\":" failures           \
    ",\"mean\":0.5,\"m2\":" m2 "}\n"
#define END(stats) "{\"end\":true,\"stats\":" stats ",\"nodes\":0}\n"

static void imports_refused(void **state)
{
    struct store_rig *rig = *state;
    static const struct {
        const char *text, *says;
        int code;
    } cases[] = {
        {"", "cut short", ERR_INVALID},
        {"hello\n", "line 1: ", ERR_INVALID},
        {"{}\n", "not a file of memories", ERR_INVALID},
        {"{\"warpsmith_memory\":2}\n", "newer warpsmith (format 2)", ERR_VERSION},
        {HEAD, "cut short", ERR_INVALID},
        {HEAD STAT("5", "1", "0.1"), "cut short", ERR_INVALID},
        {HEAD STAT("5", "1", "0.1") END("2"), "2 statistics, 0 nodes and 0 candidates were promised; 1, 0 and 0",
         ERR_INVALID},
        {HEAD STAT("0", "0", "0.1") END("1"), "line 2: n: 0 is outside", ERR_INVALID},
        {HEAD STAT("5", "6", "0.1") END("1"), "line 2: failures", ERR_INVALID},
        {HEAD STAT("5", "1", "-0.1") END("1"), "line 2: m2", ERR_INVALID},
        {HEAD STAT("5", "1", "1e400") END("1"), "line 2: ", ERR_INVALID},
        {HEAD STAT("5", "1", "0.1") END("1") STAT("6", "1", "0.1"), "line 4: it stands behind",
         ERR_INVALID},
        {HEAD "{\"what\":1}\n" END("0"), "line 2: neither", ERR_INVALID},
        {HEAD "{\"node\":\"x\",\"kind\":\"strategy\",\"origin\":\"0123456789abcdef\","
              "\"revision\":1,\"value\":5}\n" END("0"),
         "line 2: value", ERR_INVALID},
        {HEAD "{\"stat\":\"k\",\"origin\":\"me\",\"n\":1,\"failures\":0,\"mean\":0,\"m2\":0}\n",
         "line 2: origin", ERR_INVALID},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct exchange_report report = {.stats = 77};
        int r =
            exchange_import(rig->store, cases[i].text, strlen(cases[i].text), &report, &rig->err);
        if (r != cases[i].code || !strstr(rig->err.text, cases[i].says)) {
            fail_msg("case %zu: %d: %s", i, r, rig->err.text);
        }
        assert_int_equal(report.stats, 77);
        assert_int_equal(stat_of(rig, "k").n, 0);
    }
    assert_int_equal(import_all(rig, HEAD STAT("5", "1", "0.1") END("1")).stats, 1);
    assert_int_equal(stat_of(rig, "k").n, 5);
    assert_int_equal(import_all(rig, HEAD STAT("4", "1", "0.1") END("1")).skipped, 1);
    assert_int_equal(stat_of(rig, "k").n, 5); /* older: what an origin says only grows */
    assert_int_equal(verify(rig).n_problems, 0);
}

/* A good file with every byte changed: taken or refused, never a crash or an unsound store. */
static void imports_mangled(void **state)
{
    struct store_rig *rig = *state, from;
    struct exchange_report report;
    store_rig_init(&from, NULL);
    campaign(&from, "c1", 4);
    put_node(&from, "n", "{\"a\":[1,2]}");
    char *good = export_all(&from, &report);
    size_t n = strlen(good);
    for (size_t i = 0; i < n; i++) {
        char *bad = arena_strdup(from.arena, good);
        bad[i] ^= (char)(1 << (i * 7 % 8));
        exchange_import(rig->store, bad, n, &report, &rig->err);
        assert_true(exchange_import(rig->store, good, i ? i - 1 : 0, &report, &rig->err) < 0);
    }
    assert_int_equal(verify(rig).n_problems, 0);
    store_rig_done(&from);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define WITH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
        WITH(sound),
        WITH(each_damage_is_named),
        WITH(a_number_off),
        WITH(the_older_import_loses),
        WITH(examples_travel_with_their_candidates),
        WITH(flipped_bits),
        WITH(many_problems),
        cmocka_unit_test(memories_travel_and_count_once),
        WITH(nodes_travel),
        WITH(imports_refused),
        WITH(imports_mangled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
