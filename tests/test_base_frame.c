/* SPDX-License-Identifier: MIT */
#include "base/frame.h"
#include "base/util.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

static const struct frame sample = { .type = FRAME_TYPE_JOB, .id = 0x0102030405060708, .json = "{}",
                                     .json_len = 2, .blob = "bytes\0more", .blob_len = 10 };

static void test_header(void **state)
{
    (void)state;
    unsigned char header[FRAME_HEADER];
    frame_header(&sample, header);
    static const unsigned char want[FRAME_HEADER]
        = { 'W', 'P', 'S', 'M', 1, 0, 2, 0, 8, 7, 6, 5, 4, 3, 2, 1, 2, 0, 0, 0, 0, 0, 0, 0, 10 };
    assert_memory_equal(header, want, sizeof(want));
}

/* The header, JSON and blob in a row. */
static size_t flat(const struct frame *frame, char *ret)
{
    frame_header(frame, (unsigned char *)ret);
    memcpy(ret + FRAME_HEADER, frame->json, frame->json_len);
    memcpy(ret + FRAME_HEADER + frame->json_len, frame->blob, frame->blob_len);
    return FRAME_HEADER + frame->json_len + frame->blob_len;
}

/* However the bytes are cut, nothing is taken before the last one is there. */
static void test_parse(void **state)
{
    (void)state;
    char bytes[128];
    size_t whole = flat(&sample, bytes);
    struct frame frame = { 0 };
    for (size_t len = 0; len < whole; len++) {
        auto_free char *cut = xcalloc(len, 1);
        memcpy(cut, bytes, len);
        assert_int_equal(frame_parse(cut, len, &frame, NULL), 0);
        assert_null(frame.json);
    }
    assert_int_equal(frame_parse(bytes, whole + 5, &frame, NULL), whole);
    assert_int_equal(frame.type, FRAME_TYPE_JOB);
    assert_true(frame.id == sample.id);
    assert_int_equal(frame.json_len, 2);
    assert_memory_equal(frame.json, "{}", 2);
    assert_int_equal(frame.blob_len, 10);
    assert_memory_equal(frame.blob, "bytes\0more", 10);
}

static void test_bad_headers(void **state)
{
    (void)state;
    static const struct {
        size_t at;
        unsigned char value;
        const char *error;
    } cases[] = {
        { 0, 'X', "not a frame (magic 4d535058)" },
        { 4, 2, "frame version 2, this program speaks 1" },
        { 6, 0, "unknown frame type 0" },
        { 6, 7, "unknown frame type 7" },
        { 7, 1, "unknown frame type 258" },
        { 19, 2, "frame too large (json 33554434, blob 10 bytes)" },
        { 28, 1, "frame too large (json 2, blob 4294967306 bytes)" },
        { 31, 255, "frame too large (json 2, blob 18374686479671623690 bytes)" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char bytes[128];
        size_t whole = flat(&sample, bytes);
        bytes[cases[i].at] = (char)cases[i].value;
        struct frame frame = { 0 };
        struct err err = { 0 };
        assert_int_equal(frame_parse(bytes, whole, &frame, &err), ERR_PROTOCOL);
        assert_string_equal(err_text(&err), cases[i].error);
        assert_int_equal(frame_parse(bytes, FRAME_HEADER, &frame, NULL), ERR_PROTOCOL);
        assert_null(frame.json);
    }
}

static void test_round_trip(void **state)
{
    (void)state;
    int fd[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
    struct frame empty = { .type = FRAME_TYPE_RESULT, .id = 7, .json = "", .blob = "" };
    assert_int_equal(frame_write(fd[0], &sample, NULL), 0);
    assert_int_equal(frame_write(fd[0], &empty, NULL), 0);
    close(fd[0]);
    struct frame frame;
    assert_int_equal(frame_read(fd[1], &frame, NULL), 0);
    assert_int_equal(frame.blob_len, 10);
    assert_memory_equal(frame.blob, "bytes\0more", 10);
    free(frame.owned);
    assert_int_equal(frame_read(fd[1], &frame, NULL), 0);
    assert_int_equal(frame.type, FRAME_TYPE_RESULT);
    assert_true(frame.id == 7 && frame.json_len == 0 && frame.blob_len == 0);
    free(frame.owned);
    struct err err = { 0 };
    assert_int_equal(frame_read(fd[1], &frame, &err), ERR_NOTFOUND);
    close(fd[1]);
}

/* The blocking reader checks the header before it allocates or reads on. */
static void test_read_bad(void **state)
{
    (void)state;
    int fd[2];
    char bytes[128];
    assert_int_equal(pipe(fd), 0);
    flat(&sample, bytes);
    bytes[31] = 1;
    assert_int_equal(write(fd[1], bytes, FRAME_HEADER), FRAME_HEADER);
    struct frame frame = { 0 };
    assert_int_equal(frame_read(fd[0], &frame, NULL), ERR_PROTOCOL);
    assert_null(frame.owned);
    close(fd[0]);
    close(fd[1]);
    assert_int_equal(frame_read(fd[0], &frame, NULL), -EBADF);
}

/* A stream that ends inside a frame is no clean end, wherever it is cut. */
static void test_cut(void **state)
{
    (void)state;
    char bytes[128];
    size_t whole = flat(&sample, bytes);
    for (size_t len = 1; len < whole; len++) {
        int fd[2];
        assert_int_equal(pipe(fd), 0);
        assert_int_equal(write(fd[1], bytes, len), len);
        close(fd[1]);
        struct frame frame = { 0 };
        assert_int_equal(frame_read(fd[0], &frame, NULL), ERR_PROTOCOL);
        assert_null(frame.owned);
        close(fd[0]);
    }
}

struct writer {
    int fd;
    struct frame frame;
    int result;
};

static void *write_frame(void *data)
{
    struct writer *writer = data;
    writer->result = frame_write(writer->fd, &writer->frame, NULL);
    return NULL;
}

/* Larger than any pipe's buffer, so that both sides need several calls. */
static void test_large(void **state)
{
    (void)state;
    enum { SIZE = 3 << 20 };
    auto_free char *blob = xcalloc(SIZE, 1);
    for (size_t i = 0; i < SIZE; i++) {
        blob[i] = (char)(i * 31 >> 3);
    }
    int fd[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
    struct writer writer = { fd[0], { .type = FRAME_TYPE_JOB, .id = 1, .json = "{}", .json_len = 2,
                                      .blob = blob, .blob_len = SIZE }, -1 };
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, write_frame, &writer), 0);
    struct frame frame;
    assert_int_equal(frame_read(fd[1], &frame, NULL), 0);
    pthread_join(thread, NULL);
    assert_int_equal(writer.result, 0);
    assert_int_equal(frame.blob_len, SIZE);
    assert_memory_equal(frame.blob, blob, SIZE);
    free(frame.owned);
    close(fd[0]);
    close(fd[1]);
}

static void test_write_limits(void **state)
{
    (void)state;
    int fd[2];
    assert_int_equal(pipe(fd), 0);
    struct frame frame = sample;
    frame.json_len = (size_t)FRAME_JSON_MAX + 1;
    struct err err = { 0 };
    assert_int_equal(frame_write(fd[1], &frame, &err), ERR_TOOBIG);
    frame.json_len = 2;
    frame.blob_len = FRAME_BLOB_MAX + 1;
    assert_int_equal(frame_write(fd[1], &frame, &err), ERR_TOOBIG);
    close(fd[1]);
    char byte;
    assert_int_equal(read(fd[0], &byte, 1), 0);
    close(fd[0]);
}

/* A peer that is gone is an error, not a signal's business to explain. */
static void test_gone(void **state)
{
    (void)state;
    int fd[2];
    assert_int_equal(pipe(fd), 0);
    close(fd[0]);
    struct err err = { 0 };
    assert_int_equal(frame_write(fd[1], &sample, &err), -EPIPE);
    assert_string_equal(err_text(&err), "writing a frame: Broken pipe");
    close(fd[1]);
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_header),     cmocka_unit_test(test_parse),
        cmocka_unit_test(test_bad_headers), cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_cut),        cmocka_unit_test(test_large),
        cmocka_unit_test(test_write_limits), cmocka_unit_test(test_gone),
        cmocka_unit_test(test_read_bad),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
