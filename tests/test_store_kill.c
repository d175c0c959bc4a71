/* SPDX-License-Identifier: MIT */
/*
 * A process that writes attempts without pause is killed (SIGKILL) at random moments. Whatever its
 * callbacks acknowledged is there afterwards, nothing is there by half, and the store verifies.
 * Also at random moments of the very first opening. WARPSMITH_KILLS says how often (20), and
 * WARPSMITH_SEED which moments.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/file.h"
#include "base/id.h"
#include "base/rng.h"
#include "base/util.h"
#include "memory/record.h"
#include "memory/verify.h"
#include "store_rig.h"

enum { IN_THE_AIR = 8, SEQ_STEP = 20000 };

static int64_t number(const char *name, int64_t otherwise)
{
    const char *text = getenv(name);
    int64_t n;
    return text && str_to_i64(text, &n) ? n : otherwise;
}

/* The child. */
struct writer {
    struct store *store;
    int64_t next;
    int round;
};

struct sent {
    struct writer *writer;
    int64_t seq;
};

static void submit(struct writer *writer);

static void acknowledged(void *user, int status, const struct err *err)
{
    struct sent *sent = user;
    (void)err;
    require(status == 0);
    require(write(1, &sent->seq, sizeof(sent->seq)) == sizeof(sent->seq));
    struct writer *writer = sent->writer;
    free(sent);
    submit(writer);
}

static void candidate_of(int round, int64_t seq, char hex[ID_HEX])
{
    char text[64];
    struct id id;
    snprintf(text, sizeof(text), "%d/%lld", round, (long long)seq);
    id_of_bytes(text, strlen(text), &id);
    id_hex(&id, hex);
}

static void submit(struct writer *writer)
{
    struct sent *sent = xcalloc(1, sizeof(*sent));
    *sent = (struct sent){writer, writer->next++};
    require(sent->seq < SEQ_STEP);
    char id[ID_HEX], parent[ID_HEX] = "", campaign[32], verdict[96];
    candidate_of(writer->round, sent->seq, id);
    snprintf(campaign, sizeof(campaign), "round-%d", writer->round);
    snprintf(verdict, sizeof(verdict), "verdict-of-%s", id);
    size_t size = 200 + (size_t)(sent->seq * 7919 % 20000);
    auto_free char *source = xcalloc(size + 1, 1);
    for (size_t i = 0; i < size; i++) {
        source[i] = (char)('!' + (i * i + (size_t)sent->seq * 31) % 90);
    }
    struct learned learned[] = {
        {"direction/x/*|*|*", 0.01 * (double)(sent->seq % 50), false},
        {"strategy/y/*|*|*", -0.3, sent->seq % 2 == 0},
    };
    struct candidate_record c = {.id = id, .source = source, .plan = "{}"};
    struct campaign_record k = {.id = campaign, .status = "running"};
    struct attempt_record a = {
        .campaign = campaign,
        .task = "t",
        .seq = sent->seq,
        .parent = parent,
        .candidate = id,
        .verdict = verdict,
        .status = "accepted",
        .n_learned = 2,
        .learned = learned,
    };
    struct store_batch *batch = store_batch_new();
    require(record_put_campaign(batch, &k, NULL) == 0);
    require(record_put_candidate(batch, &c, NULL) == 0);
    store_batch_put(batch, STORE_DB_VERDICTS, verdict, "{\"status\": \"accepted\"}", 22);
    require(record_put_attempt(batch, &a, NULL) == 0);
    store_submit(writer->store, batch, acknowledged, sent);
}

static int write_without_end(const char *path, const char *round)
{
    uv_loop_t loop;
    uv_loop_init(&loop);
    struct writer writer = {.round = atoi(round)};
    /* A small map, so that growing is under fire too. */
    struct store_options options = {.loop = &loop, .map_size = 1 << 20};
    require(store_open(path, &options, &writer.store, NULL) == 0);
    for (int i = 0; i < IN_THE_AIR; i++) {
        submit(&writer);
    }
    uv_run(&loop, UV_RUN_DEFAULT);
    return 1;
}

/* The parent. The number acknowledged before the kill; the numbers come in order. */
static int64_t kill_one(const char *path, int round, struct rng *rng)
{
    char text[16];
    int out;
    int64_t n = 0, seq;
    snprintf(text, sizeof(text), "%d", round);
    pid_t pid = store_rig_spawn("write", path, text, &out);
    if (round % 4 == 0) { /* early: while it opens */
        usleep((useconds_t)rng_below(rng, 20000));
    } else {
        require(read(out, &seq, sizeof(seq)) == sizeof(seq));
        n++;
        usleep((useconds_t)rng_below(rng, 150000));
    }
    kill(pid, SIGKILL);
    while (read(out, &seq, sizeof(seq)) == sizeof(seq)) {
        require(seq == n);
        n++;
    }
    close(out);
    require(store_rig_reap(pid) == -SIGKILL);
    return n;
}

static void check(struct store *store, int round, int64_t acknowledged)
{
    auto_arena struct arena *arena = arena_new();
    char campaign[32];
    struct attempt_record *attempts;
    size_t n;
    struct err err = {0};
    snprintf(campaign, sizeof(campaign), "round-%d", round);
    assert_int_equal(record_list_attempts(store, campaign, "t", arena, &attempts, &n, &err), 0);
    assert_true((int64_t)n >= acknowledged);
    assert_true((int64_t)n <= acknowledged + IN_THE_AIR); /* what was in the air may be there */
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(attempts[i].seq, (int64_t)i);
    }
}

static void killed(void **state)
{
    (void)state;
    char path[] = "/tmp/warpsmith-kill-XXXXXX";
    assert_non_null(mkdtemp(path));
    int kills = (int)number("WARPSMITH_KILLS", 20);
    struct rng rng;
    rng_init(&rng, (uint64_t)number("WARPSMITH_SEED", 1), 0, 0);
    int64_t total = 0;
    for (int round = 0; round < kills; round++) {
        int64_t n = kill_one(path, round, &rng);
        struct store *store = NULL;
        struct err err = {0};
        struct store_options options = {0};
        int r = store_open(path, &options, &store, &err);
        if (r < 0) {
            print_error("after kill %d: %s\n", round, err.text);
        }
        assert_int_equal(r, 0);
        check(store, round, n);
        auto_arena struct arena *arena = arena_new();
        struct verify_report report;
        assert_int_equal(store_verify(store, arena, &report, &err), 0);
        for (size_t i = 0; i < MIN(report.n_problems, 5); i++) {
            print_error("after kill %d: %s\n", round, report.problems[i]);
        }
        assert_int_equal(report.n_problems, 0);
        total += n;
        store_close(store);
    }
    assert_true(total > kills); /* the kills did come while it was writing */
    print_message("%d kills, %lld acknowledged attempts, none lost\n", kills, (long long)total);
    assert_int_equal(folder_remove(path, NULL), 0);
}

int main(int argc, char **argv)
{
    if (argc == 4 && str_eq(argv[0], "child")) {
        return write_without_end(argv[2], argv[3]);
    }
    const struct CMUnitTest tests[] = {cmocka_unit_test(killed)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
