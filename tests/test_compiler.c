/* SPDX-License-Identifier: MIT */
/*
 * Compiled images by content, on a worker that numbers its compiles: an image's `seconds` say which
 * compile it came from. Every test ends with a loop that is empty.
 */
#include "evaluator/compiler.h"
#include "base/file.h"
#include "base/util.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

struct bench {
    uv_loop_t loop;
    struct pool *pool;
    struct compiler *compiler;
    char folder[64];
};

struct seen {
    int n, code, number;
    bool ok, cached;
    size_t len;
    int registers;
    char log[64], text[256], error[512];
    struct compile_ticket *victim; /* canceled by the callback */
};

static void on_image(void *ud, int code, const struct image *image, const char *error)
{
    struct seen *s = ud;
    s->n++;
    s->code = code;
    snprintf(s->error, sizeof(s->error), "%s", error ? error : "");
    if (image) {
        s->ok = image->ok;
        s->cached = image->cached;
        s->number = (int)image->seconds;
        s->len = image->len;
        snprintf(s->log, sizeof(s->log), "%s", image->log);
        snprintf(s->text, sizeof(s->text), "%s", image->bytes ? (const char *)image->bytes : "");
        s->registers = (int)json_integer_value(
            json_object_get(json_object_get(image->kernels, "k"), "registers"));
    }
    compile_cancel(s->victim);
}

static void open_compiler(struct bench *b, const char *arch, bool ptx, const char *folder)
{
    const char *const args[] = { "compiler", NULL };
    struct pool_options options = { .name = "compile", .program = WS_BIN_DIR "/fake_worker",
                                    .args = args, .workers = 1, .start_ms = 10000 };
    assert_int_equal(pool_new(&b->loop, &options, &b->pool, NULL), 0);
    while (!pool_hello(b->pool)) { /* the compiler's version is a part of every key */
        uv_run(&b->loop, UV_RUN_ONCE);
    }
    b->compiler = compiler_new(b->pool, arch, ptx, folder);
}

static void close_compiler(struct bench *b)
{
    pool_close(b->pool);
    compiler_free(b->compiler);
    uv_run(&b->loop, UV_RUN_DEFAULT);
}

static int setup(void **state)
{
    struct bench *b = xcalloc(1, sizeof(*b));
    assert_int_equal(uv_loop_init(&b->loop), 0);
    snprintf(b->folder, sizeof(b->folder), "/tmp/warpsmith-compiler-XXXXXX");
    assert_non_null(mkdtemp(b->folder));
    *state = b;
    return 0;
}

static int teardown(void **state)
{
    struct bench *b = *state;
    assert_int_equal(uv_loop_close(&b->loop), 0);
    folder_remove(b->folder, NULL);
    free(b);
    return 0;
}

static struct compile_ticket *get(struct bench *b, const char *source, struct seen *seen)
{
    struct compile_request request = { .name = "kernel.cu", .source = source,
                                       .deadline_ms = 10000 };
    return compiler_get(b->compiler, &request, on_image, seen);
}

static void run_until(struct bench *b, const struct seen *seen, int n)
{
    while (seen->n < n && uv_run(&b->loop, UV_RUN_ONCE)) {
    }
    assert_int_equal(seen->n, n);
}

/* The image of a source, compiled or not. */
static struct seen fetch(struct bench *b, const char *source)
{
    struct seen seen = { 0 };
    get(b, source, &seen);
    run_until(b, &seen, 1);
    return seen;
}

static void test_compiled_once(void **state)
{
    struct bench *b = *state;
    open_compiler(b, "sm_90a", false, NULL);
    struct seen one = { 0 }, two = { 0 };
    assert_non_null(get(b, "first", &one));
    assert_int_equal(one.n, 0); /* never from inside */
    run_until(b, &one, 1);
    assert_int_equal(one.code, 0);
    assert_true(one.ok && !one.cached);
    assert_int_equal(one.number, 1);
    assert_int_equal(one.registers, 40);
    assert_string_equal(one.text, "first");
    assert_string_equal(one.log, "a warning");
    assert_null(get(b, "first", &two));
    assert_int_equal(two.n, 1); /* at once */
    assert_true(two.ok && two.cached);
    assert_int_equal(two.number, 1);
    assert_string_equal(two.text, "first");
    assert_int_equal(fetch(b, "second").number, 2);
    close_compiler(b);
}

/* Whatever changes the image changes the key. */
static void test_keys(void **state)
{
    struct bench *b = *state;
    static const struct {
        const char *arch;
        bool ptx;
        const char *options[2], *source;
    } cases[] = {
        { "sm_90a", false, { NULL, NULL }, "s" },       { "sm_100a", false, { NULL, NULL }, "s" },
        { "sm_90a", true, { NULL, NULL }, "s" },        { "sm_90a", false, { "-DA=1", NULL }, "s" },
        { "sm_90a", false, { "-DA=1", "-DB=2" }, "s" }, { "sm_90a", false, { "-DA=1-DB=2", NULL }, "s" },
        { "sm_90a", false, { NULL, NULL }, "s " },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) { /* one folder for all: files are found by key */
        open_compiler(b, cases[i].arch, cases[i].ptx, b->folder);
        for (int again = 0; again < 2; again++) {
            struct seen seen = { 0 };
            size_t n = 0;
            while (n < 2 && cases[i].options[n]) {
                n++;
            }
            struct compile_request request = { .name = "kernel.cu", .source = cases[i].source,
                                               .options = cases[i].options, .n_options = n,
                                               .deadline_ms = 10000 };
            compiler_get(b->compiler, &request, on_image, &seen);
            run_until(b, &seen, 1);
            assert_int_equal(seen.cached, again);
            assert_int_equal(seen.len, cases[i].ptx ? 1 : strlen(cases[i].source));
        }
        close_compiler(b);
    }
}

static void test_requests_for_the_same_wait_together(void **state)
{
    struct bench *b = *state;
    open_compiler(b, "sm_90a", false, NULL);
    struct seen seen[3] = { 0 }, other = { 0 };
    for (size_t i = 0; i < 3; i++) {
        assert_non_null(get(b, "same", &seen[i]));
    }
    get(b, "other", &other);
    run_until(b, &other, 1);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(seen[i].n, 1);
        assert_int_equal(seen[i].number, 1);
        assert_string_equal(seen[i].text, "same");
    }
    assert_int_equal(other.number, 2); /* so the three were one compile */
    close_compiler(b);
}

static void test_cancel(void **state)
{
    struct bench *b = *state;
    open_compiler(b, "sm_90a", false, NULL);
    struct seen gone = { 0 }, stays = { 0 }, alone = { 0 };
    struct compile_ticket *ticket = get(b, "shared", &gone);
    get(b, "shared", &stays);
    compile_cancel(ticket);
    ticket = get(b, "alone", &alone);
    compile_cancel(ticket);
    compile_cancel(NULL);
    run_until(b, &stays, 1);
    assert_int_equal(fetch(b, "later").number, 3); /* what nobody waits for is compiled all the same */
    assert_int_equal(gone.n, 0);
    assert_int_equal(alone.n, 0);
    get(b, "alone", &alone);
    assert_int_equal(alone.n, 1);
    assert_int_equal(alone.number, 2);
    close_compiler(b);
}

/* Whoever is called first may cancel the others. */
static void test_cancel_from_a_callback(void **state)
{
    struct bench *b = *state;
    open_compiler(b, "sm_90a", false, NULL);
    struct seen first = { 0 }, second = { 0 }, third = { 0 };
    get(b, "x", &first);
    first.victim = get(b, "x", &second);
    get(b, "x", &third);
    run_until(b, &third, 1);
    assert_int_equal(first.n, 1);
    assert_int_equal(second.n, 0);
    close_compiler(b);
}

static void test_errors_are_remembered_but_not_on_disk(void **state)
{
    struct bench *b = *state;
    for (int run = 0; run < 2; run++) {
        open_compiler(b, "sm_90a", false, b->folder);
        struct seen bad = fetch(b, "#error");
        assert_int_equal(bad.code, 0);
        assert_false(bad.ok);
        assert_false(bad.cached);
        assert_string_equal(bad.log, "line 1: an error");
        assert_int_equal(bad.len, 0);
        assert_true(fetch(b, "#error").cached);
        close_compiler(b);
    }
    open_compiler(b, "sm_90a", true, b->folder);
    struct seen none = fetch(b, "outside"); /* an image that lies outside the bytes that came */
    assert_false(none.ok);
    assert_string_equal(none.log, "the compiler produced no image");
    close_compiler(b);
}

/* A compiler that dies or hangs is no verdict: the next request tries again. */
static void test_a_lost_worker_is_not_remembered(void **state)
{
    struct bench *b = *state;
    open_compiler(b, "sm_90a", false, NULL);
    for (int run = 0; run < 2; run++) {
        struct seen seen = fetch(b, "die");
        assert_int_equal(seen.code, ERR_CRASH);
        assert_non_null(strstr(seen.error, "worker"));
    }
    struct seen slow[2] = { 0 };
    struct compile_request request = { .name = "kernel.cu", .source = "hang", .deadline_ms = 100 };
    for (int i = 0; i < 2; i++) { /* both hear of it */
        compiler_get(b->compiler, &request, on_image, &slow[i]);
    }
    run_until(b, &slow[1], 1);
    assert_int_equal(slow[0].code, ERR_TIMEOUT);
    assert_int_equal(slow[1].code, ERR_TIMEOUT);
    assert_true(fetch(b, "after all that").ok);
    close_compiler(b);
}

static void test_closing_calls_who_waits(void **state)
{
    struct bench *b = *state;
    open_compiler(b, "sm_90a", false, NULL);
    struct seen running = { 0 }, queued = { 0 };
    get(b, "hang", &running);
    get(b, "queued", &queued);
    uv_run(&b->loop, UV_RUN_ONCE);
    close_compiler(b);
    assert_int_equal(running.code, ERR_CANCELED);
    assert_int_equal(queued.code, ERR_CANCELED);
    assert_int_equal(running.n + queued.n, 2);
}

static void test_disk(void **state)
{
    struct bench *b = *state;
    open_compiler(b, "sm_90a", false, b->folder);
    assert_int_equal(fetch(b, "kept").number, 1);
    close_compiler(b);
    open_compiler(b, "sm_90a", false, b->folder);
    struct seen seen = { 0 };
    assert_null(get(b, "kept", &seen));
    assert_int_equal(seen.n, 1); /* at once, and whole */
    assert_true(seen.ok && seen.cached);
    assert_int_equal(seen.registers, 40);
    assert_string_equal(seen.text, "kept");
    assert_string_equal(seen.log, "a warning");
    assert_int_equal(fetch(b, "new").number, 1); /* the worker's first */
    close_compiler(b);
}

/* The only file in the folder. */
static char *only_file(const char *folder)
{
    DIR *dir = opendir(folder);
    assert_non_null(dir);
    char *path = NULL;
    for (struct dirent *e; (e = readdir(dir));) {
        if (e->d_name[0] != '.') {
            assert_null(path);
            path = xprintf("%s/%s", folder, e->d_name);
        }
    }
    closedir(dir);
    assert_non_null(path);
    return path;
}

/* Cut, or with one bit flipped, in any of its parts: a miss, and whole again after it. */
static void test_damaged_file_is_a_miss(void **state)
{
    struct bench *b = *state;
    open_compiler(b, "sm_90a", false, b->folder);
    fetch(b, "precious bytes");
    close_compiler(b);
    auto_free char *path = only_file(b->folder), *whole = NULL;
    size_t len;
    assert_int_equal(file_read(path, 1 << 20, &whole, &len, NULL), 0);
    size_t line = (size_t)((char *)memchr(whole, '\n', len) - whole);
    const size_t cuts[] = { 0, 1, line, line + 1, line + 9, len - 15, len - 1 };
    const size_t flips[] = { 0, line, (size_t)(strstr(whole, "40") - whole), len - 15, len - 1 };
    for (size_t i = 0; i < ARRAY_LEN(cuts) + ARRAY_LEN(flips); i++) {
        auto_free char *bad = xcalloc(len + 1, 1);
        memcpy(bad, whole, len);
        size_t keep = i < ARRAY_LEN(cuts) ? cuts[i] : len;
        if (i >= ARRAY_LEN(cuts)) {
            bad[flips[i - ARRAY_LEN(cuts)]] ^= 1;
        }
        assert_int_equal(file_write(path, bad, keep, NULL), 0);
        open_compiler(b, "sm_90a", false, b->folder);
        struct seen seen = fetch(b, "precious bytes");
        assert_true(seen.ok && !seen.cached);
        assert_string_equal(seen.text, "precious bytes");
        close_compiler(b);
        auto_free char *again = NULL;
        size_t again_len;
        assert_int_equal(file_read(path, 1 << 20, &again, &again_len, NULL), 0);
        assert_int_equal(again_len, len);
        assert_memory_equal(again, whole, len);
    }
}

/* A folder that can't be written to makes the compiler slow, not wrong. */
static void test_no_folder(void **state)
{
    struct bench *b = *state;
    auto_free char *missing = xprintf("%s/missing", b->folder);
    open_compiler(b, "sm_90a", false, missing);
    assert_true(fetch(b, "x").ok);
    assert_true(fetch(b, "x").cached);
    close_compiler(b);
}

/* Memory is bounded: the image that was asked for longest ago goes first. */
static void test_eviction(void **state)
{
    struct bench *b = *state;
    open_compiler(b, "sm_90a", false, NULL);
    enum { MIB = 50, IMAGES = COMPILE_MEMORY_MAX / (MIB << 20) };
    auto_free char *first = xprintf("large %d, 0", MIB), *last = NULL;
    assert_int_equal(fetch(b, first).number, 1);
    for (int i = 1; i <= IMAGES; i++) {
        free(last);
        last = xprintf("large %d, %d", MIB, i);
        assert_int_equal(fetch(b, last).len, (size_t)MIB << 20);
    }
    assert_true(fetch(b, last).cached);
    struct seen again = fetch(b, first);
    assert_false(again.cached);
    assert_int_equal(again.number, IMAGES + 2);
    close_compiler(b);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_compiled_once),
        T(test_keys),
        T(test_requests_for_the_same_wait_together),
        T(test_cancel),
        T(test_cancel_from_a_callback),
        T(test_errors_are_remembered_but_not_on_disk),
        T(test_a_lost_worker_is_not_remembered),
        T(test_closing_calls_who_waits),
        T(test_disk),
        T(test_damaged_file_is_a_miss),
        T(test_no_folder),
        T(test_eviction),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
