/* SPDX-License-Identifier: MIT */
/*
 * warpsmith-worker: started by the agent in one of two roles, with the protocol on descriptor 3.
 * Exit codes: 0 the agent hung up, 1 the conversation broke, 2 usage, 3 the role can't work on this
 * machine (said in the hello), 4 the GPU's context is broken and a fresh worker is needed.
 */
#include "base/util.h"
#include "evaluator/worker/channel.h"
#include "evaluator/worker/compile.h"
#include "evaluator/worker/device.h"
#include "evaluator/worker/oracle.h"
#include "evaluator/worker/seal.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__)
/* The leak checker forks and traces, which a sealed worker may not. */
const char *__asan_default_options(void);
__attribute__((visibility("default"))) const char *__asan_default_options(void)
{
    return "detect_leaks=0";
}
#endif

static const char usage[]
    = "usage: warpsmith-worker compile --include DIR [--nvrtc PATH]\n"
      "       warpsmith-worker device --driver LIBRARY [--gpu N] [--memory mapped|plain]\n"
      "                               [--profile auto|LIBCUPTI] [--oracle 4]\n"
      "       compute-sanitizer ... warpsmith-worker sanitize --driver LIBRARY [--gpu N]\n"
      "Started by warpsmith, with frames on descriptor 3; not meant to be run by hand.\n";

/* Nothing but the descriptors we were given, up to `last` (a tool around us has more), and no life
 * after the one that started us. */
static void isolate(bool watched, int last)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* files can't grow, which is then an error like any other */
    if (watched) {
        return;
    }
    if (close_range((unsigned)last + 1, ~0u, 0) != 0) {
        for (int fd = last + 1; fd < 1024; fd++) {
            close(fd);
        }
    }
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    prctl(PR_SET_DUMPABLE, 0);
    for (int fd = CHANNEL_FD; fd <= last; fd++) {
        fcntl(fd, F_SETFD, FD_CLOEXEC);
    }
}

/* The value of --name, or NULL. */
static const char *option(int argc, char **argv, const char *name)
{
    for (int i = 2; i + 1 < argc; i += 2) {
        if (str_eq(argv[i], name)) {
            return argv[i + 1];
        }
    }
    return NULL;
}

static bool known(int argc, char **argv, const char *const *names, size_t n)
{
    for (int i = 2; i < argc; i += 2) {
        size_t k = 0;
        while (k < n && !str_eq(argv[i], names[k])) {
            k++;
        }
        if (k == n || i + 1 >= argc) {
            return false;
        }
    }
    return true;
}

static bool unsealed(void)
{
    const char *value = getenv("WARPSMITH_UNSEALED");
    return value && str_eq(value, "1");
}

static int role_compile(int argc, char **argv)
{
    static const char *const names[] = { "--include", "--nvrtc" };
    struct compile_config config = { .include = option(argc, argv, "--include"),
                                     .nvrtc = option(argc, argv, "--nvrtc"),
                                     .unsealed = unsealed() };
    if (!known(argc, argv, names, ARRAY_LEN(names)) || !config.include) {
        fputs(usage, stderr);
        return 2;
    }
    return compile_serve(&config);
}

static int role_device(int argc, char **argv, bool sanitizes)
{
    static const char *const names[] = { "--driver", "--gpu", "--memory", "--profile", "--oracle" };
    const char *oracle = option(argc, argv, "--oracle");
    const char *gpu = option(argc, argv, "--gpu"), *memory = option(argc, argv, "--memory");
    int64_t number = 0;
    struct device_config config = { .driver = option(argc, argv, "--driver"),
                                    .profile = option(argc, argv, "--profile"),
                                    .plain_memory = memory && str_eq(memory, "plain"),
                                    .sanitizes = sanitizes,
                                    .unsealed = unsealed() };
    if (!known(argc, argv, names, ARRAY_LEN(names)) || !config.driver
        || (oracle && !str_eq(oracle, "4")) || (memory && !config.plain_memory && !str_eq(memory, "mapped"))
        || (gpu && (!str_to_i64(gpu, &number) || number < 0 || number > 1023))) {
        fputs(usage, stderr);
        return 2;
    }
    config.gpu = (int)number;
    return device_serve(&config);
}

int main(int argc, char **argv)
{
    bool watched = argc >= 2 && str_eq(argv[1], "sanitize");
    if (watched || (argc >= 2 && (str_eq(argv[1], "compile") || str_eq(argv[1], "device")))) {
        if (fcntl(CHANNEL_FD, F_GETFD) < 0) {
            fputs(usage, stderr);
            return 2;
        }
        isolate(watched, option(argc, argv, "--oracle") ? ORACLE_FD : CHANNEL_FD);
        return str_eq(argv[1], "compile") ? role_compile(argc, argv)
                                          : role_device(argc, argv, watched);
    }
    bool help = argc == 2 && str_eq(argv[1], "--help");
    fputs(usage, help ? stdout : stderr);
    return help ? 0 : 2;
}
