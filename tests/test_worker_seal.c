/* SPDX-License-Identifier: MIT */
/* A sealed process tries what it may not do any more. Each try runs in a child of its own. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/util.h"
#include "evaluator/worker/seal.h"

enum { SEALED_WRONG = 50, SEAL_FAILED = 51, NO_LANDLOCK = 52 };

static const char readable[] = WS_SOURCE_DIR "/base";

/* Runs `attempt` sealed; its answer becomes the exit code. */
static int sealed(int (*attempt)(void))
{
    pid_t pid = fork();
    if (pid == 0) {
        struct seal seal = { 0 };
        const char *folders[] = { readable };
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        seal_limits();
        if (seal_process(folders, 1, &seal, NULL) < 0 || !seal.seccomp) {
            _exit(SEAL_FAILED);
        }
        if (!seal.landlock) {
            _exit(NO_LANDLOCK);
        }
        _exit(attempt());
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static int refused(long result)
{
    return result >= 0 ? SEALED_WRONG : errno;
}

static int open_passwd(void)
{
    return refused(open("/etc/passwd", O_RDONLY));
}

static int open_environ(void)
{
    return refused(open("/proc/self/environ", O_RDONLY));
}

static int list_root(void)
{
    return refused(open("/", O_RDONLY | O_DIRECTORY));
}

static int make_file(void)
{
    return refused(open(WS_SOURCE_DIR "/base/sealed_wrote_this", O_WRONLY | O_CREAT, 0600));
}

static int write_tmp(void)
{
    return refused(open("/tmp/sealed_wrote_this", O_WRONLY | O_CREAT, 0600));
}

static int remove_file(void)
{
    return refused(unlink(WS_SOURCE_DIR "/base/err.h"));
}

static int run_program(void)
{
    char *const argv[] = { "/bin/true", NULL };
    return refused(execv(argv[0], argv));
}

static int make_process(void)
{
    return refused(fork());
}

static int make_socket(void)
{
    return refused(socket(AF_INET, SOCK_STREAM, 0));
}

static int make_unix_socket(void)
{
    return refused(socket(AF_UNIX, SOCK_STREAM, 0));
}

static int trace_parent(void)
{
    return refused(ptrace(PTRACE_ATTACH, getppid(), NULL, NULL));
}

static int read_parent(void)
{
    return refused(syscall(SYS_process_vm_readv, getppid(), NULL, 0ul, NULL, 0ul, 0ul));
}

static int kill_parent(void)
{
    return refused(kill(getppid(), 0));
}

static int watch_events(void)
{
    return refused(syscall(SYS_perf_event_open, NULL, 0, -1, -1, 0ul));
}

static int make_ring(void)
{
    return refused(syscall(SYS_io_uring_setup, 1u, NULL));
}

static void test_what_is_refused(void **state)
{
    (void)state;
    const struct {
        const char *name;
        int (*attempt)(void);
        int wanted;
    } attempts[] = {
        { "open /etc/passwd", open_passwd, EACCES },
        { "open /proc/self/environ", open_environ, EACCES },
        { "list /", list_root, EACCES },
        { "make a file in a readable folder", make_file, EACCES },
        { "make a file in /tmp", write_tmp, EACCES },
        { "remove a file", remove_file, EACCES },
        { "run a program", run_program, EPERM },
        { "fork", make_process, EPERM },
        { "open an internet socket", make_socket, EPERM },
        { "open a local socket", make_unix_socket, EPERM },
        { "trace the parent", trace_parent, EPERM },
        { "read the parent's memory", read_parent, EPERM },
        { "signal the parent", kill_parent, EPERM },
        { "perf_event_open", watch_events, EPERM },
        { "io_uring", make_ring, EPERM },
    };
    for (size_t i = 0; i < ARRAY_LEN(attempts); i++) {
        int got = sealed(attempts[i].attempt);
        if (got == NO_LANDLOCK) {
            skip(); /* this kernel has none; the hello says so */
        }
        if (got != attempts[i].wanted) {
            fail_msg("%s: %d, expected %d", attempts[i].name, got, attempts[i].wanted);
        }
    }
}

static int read_header(void)
{
    char path[sizeof(readable) + 16];
    snprintf(path, sizeof(path), "%s/err.h", readable);
    return open(path, O_RDONLY) >= 0 ? 0 : errno;
}

static void *nothing(void *arg)
{
    return arg;
}

static int make_thread(void)
{
    pthread_t thread;
    int r = pthread_create(&thread, NULL, nothing, NULL);
    return r ? r : pthread_join(thread, NULL);
}

static int use_memory(void)
{
    char *at = malloc(64 << 20);
    if (!at) {
        return ENOMEM;
    }
    memset(at, 1, 64 << 20);
    free(at);
    return 0;
}

static int signal_self(void)
{
    return kill(getpid(), 0) == 0 ? 0 : errno;
}

static void test_what_still_works(void **state)
{
    (void)state;
    const struct {
        const char *name;
        int (*attempt)(void);
    } attempts[] = { { "read a header", read_header },
                     { "start a thread", make_thread },
                     { "use memory", use_memory },
                     { "signal itself", signal_self } };
    for (size_t i = 0; i < ARRAY_LEN(attempts); i++) {
        int got = sealed(attempts[i].attempt);
        if (got != 0 && got != NO_LANDLOCK) {
            fail_msg("%s: %d", attempts[i].name, got);
        }
    }
}

static void test_environment_is_gone(void **state)
{
    (void)state;
    pid_t pid = fork();
    if (pid == 0) {
        seal_environment();
        char text[65536];
        int fd = open("/proc/self/environ", O_RDONLY);
        ssize_t n = read(fd, text, sizeof(text));
        for (ssize_t i = 0; i < n; i++) {
            if (text[i]) {
                _exit(1);
            }
        }
        _exit(n > 0 && !getenv("PATH") ? 0 : 2);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

/* Not even through a descriptor from before. */
static void test_files_do_not_grow(void **state)
{
    (void)state;
    char path[] = "/tmp/warpsmith-seal-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    unlink(path);
    pid_t pid = fork();
    if (pid == 0) {
        signal(SIGXFSZ, SIG_IGN);
        seal_limits();
        _exit(write(fd, "x", 1) < 0 && errno == EFBIG ? 0 : 1);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    close(fd);
}

/* Either the process is in a cgroup of its own with the cap, or it is told what is missing. */
static void test_cgroup_or_a_reason(void **state)
{
    (void)state;
    struct err err = { 0 };
    pid_t pid = fork();
    if (pid == 0) {
        int r = seal_cgroup((size_t)1 << 30, &err);
        char text[4096] = "";
        int fd = open("/proc/self/cgroup", O_RDONLY);
        ssize_t n = read(fd, text, sizeof(text) - 1);
        bool inside = n > 0 && strstr(text, "warpsmith-compile-");
        _exit(r == 0 ? !inside : r != ERR_UNSUPPORTED || inside || !err_text(&err)[0]);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static void test_cpu_time_is_capped(void **state)
{
    (void)state;
    pid_t pid = fork();
    if (pid == 0) {
        seal_limits();
        seal_cpu_seconds(0);
        for (volatile unsigned long i = 0;; i++) {
        }
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGXCPU);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_refused),
        cmocka_unit_test(test_what_still_works),
        cmocka_unit_test(test_environment_is_gone),
        cmocka_unit_test(test_files_do_not_grow),
        cmocka_unit_test(test_cgroup_or_a_reason),
        cmocka_unit_test(test_cpu_time_is_capped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
