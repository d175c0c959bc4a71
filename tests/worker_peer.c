/* SPDX-License-Identifier: MIT */
#include "tests/worker_peer.h"
#include "base/frame.h"
#include "base/jread.h"
#include "base/util.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { DEADLINE_MS = 300000 };

static void be_worker(int fd, const char *const *args)
{
    auto_free char *path = xprintf("%s/warpsmith-worker", WS_BIN_DIR);
    const char *argv[16] = { path };
    int n = 1;
    while (args[n - 1] && n < 15) {
        argv[n] = args[n - 1];
        n++;
    }
    int null = open("/dev/null", O_RDWR);
    dup2(null, 0);
    dup2(null, 1);
    dup2(fd, 3);
    execv(path, (char *const *)(uintptr_t)argv);
    _exit(127);
}

/* One frame, or false at the end of the stream. */
static bool receive(struct peer *peer, struct frame *ret)
{
    struct pollfd p = { .fd = peer->fd, .events = POLLIN };
    int n = poll(&p, 1, DEADLINE_MS);
    if (n <= 0) {
        kill(peer->pid, SIGKILL);
        fail_msg("the worker said nothing for %d s", DEADLINE_MS / 1000);
    }
    struct err err = { 0 };
    int r = frame_read(peer->fd, ret, &err);
    if (r < 0 && r != ERR_NOTFOUND && r != -ECONNRESET) {
        fail_msg("%s", err_text(&err));
    }
    return r == 0;
}

void peer_start(struct peer *peer, const char *const *args)
{
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    pid_t pid = fork();
    if (pid == 0) {
        be_worker(fds[1], args);
    }
    close(fds[1]);
    *peer = (struct peer) { .pid = pid, .fd = fds[0], .next_id = 1 };
    struct frame frame;
    assert_true(receive(peer, &frame));
    assert_int_equal(frame.type, FRAME_TYPE_HELLO);
    struct err err = { 0 };
    if (jread_parse(frame.json, frame.json_len, &peer->hello, &err) < 0) {
        fail_msg("hello: %s", err_text(&err));
    }
    free(frame.owned);
}

int peer_stop(struct peer *peer)
{
    int status = 0;
    close(peer->fd);
    json_decref(peer->hello);
    assert_int_equal(waitpid(peer->pid, &status, 0), peer->pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

bool peer_job(struct peer *peer, json_t *json, const void *blob, size_t len, struct answer *ret)
{
    assert_non_null(json);
    char *text = json_dumps(json, JSON_COMPACT);
    json_decref(json);
    struct frame job = { .type = FRAME_TYPE_JOB, .id = peer->next_id++, .json = text,
                         .json_len = strlen(text), .blob = blob, .blob_len = len };
    struct err err = { 0 };
    uint64_t start = clock_ns();
    int r = frame_write(peer->fd, &job, &err);
    free(text);
    struct frame frame;
    while (r == 0 && receive(peer, &frame)) {
        assert_int_equal(frame.id, job.id);
        if (frame.type == FRAME_TYPE_RESULT) {
            *ret = (struct answer) { .blob = xcalloc(frame.blob_len + 1, 1),
                                     .blob_len = frame.blob_len };
            memcpy(ret->blob, frame.blob, frame.blob_len);
            assert_int_equal(jread_parse(frame.json, frame.json_len, &ret->json, &err), 0);
            free(frame.owned);
            return true;
        }
        assert_int_equal(frame.type, FRAME_TYPE_PROGRESS);
        peer->n_progress++;
        if (getenv("WS_TEST_PROGRESS")) {
            printf("  %.3f s %.*s\n", (double)(clock_ns() - start) * 1e-9, (int)frame.json_len,
                   frame.json);
        }
        free(frame.owned);
    }
    return false;
}

void answer_done(struct answer *answer)
{
    json_decref(answer->json);
    free(answer->blob);
    *answer = (struct answer) { 0 };
}

bool peer_compile(struct peer *peer, const char *arch, const char *source, json_t *options,
                  struct answer *ret)
{
    json_t *job = json_pack("{s:s,s:s,s:s,s:o}", "kind", "compile", "name", "kernel.cu", "arch",
                            arch, "options", options ? options : json_array());
    return peer_job(peer, job, source, strlen(source), ret);
}
