/* SPDX-License-Identifier: MIT */
#include "evaluator/worker/seal.h"
#include "base/util.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <pthread.h>
#include <sched.h>
#include <seccomp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

/* As of ABI 6; a kernel reads as much of it as it knows. Older headers have the first member alone. */
struct ruleset {
    uint64_t files, net, scoped;
};

static struct ruleset ruleset_for(int abi, uint64_t files)
{
    struct ruleset r = { .files = files };
    if (abi >= 4) {
        r.net = 1ull << 0 | 1ull << 1; /* LANDLOCK_ACCESS_NET_BIND_TCP, _CONNECT_TCP */
    }
    if (abi >= 6) {
        r.scoped = 1ull << 0 | 1ull << 1; /* LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET, _SIGNAL */
    }
    return r;
}

static size_t ruleset_size(int abi)
{
    return abi >= 6 ? sizeof(struct ruleset) : abi >= 4 ? 2 * sizeof(uint64_t) : sizeof(uint64_t);
}

/* Rights by the ABI that brought them; a ruleset may only name those that the kernel knows. The
 * ioctl right (ABI 5) is left out: a GPU's driver works through ioctls. */
static uint64_t known_rights(int abi)
{
    uint64_t rights = LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_WRITE_FILE
        | LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR
        | LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE
        | LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG
        | LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO
        | LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_MAKE_SYM;
    if (abi >= 2) {
        rights |= 1ull << 13; /* LANDLOCK_ACCESS_FS_REFER */
    }
    if (abi >= 3) {
        rights |= 1ull << 14; /* LANDLOCK_ACCESS_FS_TRUNCATE */
    }
    return rights;
}

static int allow_reading(int ruleset, const char *folder, struct err *err)
{
    auto_close int fd = open(folder, O_PATH | O_CLOEXEC | O_DIRECTORY);
    if (fd < 0) {
        return err_set(err, -errno, "%s: %s", folder, strerror(errno));
    }
    struct landlock_path_beneath_attr rule
        = { .allowed_access = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR,
            .parent_fd = fd };
    if (syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) != 0) {
        return err_set(err, -errno, "Landlock rule for %s: %s", folder, strerror(errno));
    }
    return 0;
}

static int seal_files(const char *const *readable, size_t n, int *ret_abi, struct err *err)
{
    long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    if (abi < 1) {
        *ret_abi = 0;
        return 0;
    }
    struct ruleset attr = ruleset_for((int)abi, known_rights((int)abi));
    auto_close int ruleset
        = (int)syscall(SYS_landlock_create_ruleset, &attr, ruleset_size((int)abi), 0);
    if (ruleset < 0) {
        return err_set(err, -errno, "Landlock ruleset: %s", strerror(errno));
    }
    for (size_t i = 0; i < n; i++) {
        int r = allow_reading(ruleset, readable[i], err);
        if (r < 0) {
            return r;
        }
    }
    if (syscall(SYS_landlock_restrict_self, ruleset, 0) != 0) {
        return err_set(err, -errno, "Landlock: %s", strerror(errno));
    }
    *ret_abi = (int)abi;
    return 0;
}

/* By name, so that a call that this libseccomp or architecture doesn't know is left out. */
static const char *const denied[] = {
    "execve", "execveat", "fork", "vfork", "ptrace", "process_vm_readv", "process_vm_writev",
    "kcmp", "pidfd_open", "pidfd_getfd", "pidfd_send_signal",
    "socket", "socketpair", "connect", "bind", "listen", "accept", "accept4", "sendto", "sendmmsg",
    "bpf", "perf_event_open", "userfaultfd", "io_uring_setup", "io_uring_enter",
    "io_uring_register", "open_by_handle_at", "name_to_handle_at",
    "mount", "umount2", "pivot_root", "chroot", "move_mount", "open_tree", "fsopen", "fsmount",
    "setns", "unshare", "keyctl", "add_key", "request_key",
    "init_module", "finit_module", "delete_module", "kexec_load", "kexec_file_load", "reboot",
    "swapon", "swapoff", "acct", "quotactl", "settimeofday", "clock_settime", "adjtimex",
    "setuid", "setgid", "setreuid", "setregid", "setresuid", "setresgid", "setgroups", "capset",
    "personality", "syslog", "vhangup", "iopl", "ioperm", "tkill",
};

/* Denies a call where its first argument compares so. */
static int deny_where(scmp_filter_ctx ctx, const char *name, enum scmp_compare op, scmp_datum_t a,
                      scmp_datum_t b)
{
    struct scmp_arg_cmp compare = { .arg = 0, .op = op, .datum_a = a, .datum_b = b };
    return seccomp_rule_add_array(ctx, SCMP_ACT_ERRNO(EPERM), seccomp_syscall_resolve_name(name), 1,
                                  &compare);
}

static int add_rules(scmp_filter_ctx ctx)
{
    int r = 0;
    for (size_t i = 0; i < ARRAY_LEN(denied) && r == 0; i++) {
        int nr = seccomp_syscall_resolve_name(denied[i]);
        if (nr != __NR_SCMP_ERROR && nr >= 0) {
            r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), nr, 0);
        }
    }
    /* Threads may be made, processes may not. clone3 hides its flags from the filter: ENOSYS makes
     * libc fall back to clone. */
    r = r < 0 ? r : deny_where(ctx, "clone", SCMP_CMP_MASKED_EQ, CLONE_THREAD, 0);
    int clone3 = seccomp_syscall_resolve_name("clone3");
    if (r == 0 && clone3 >= 0) {
        r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOSYS), clone3, 0);
    }
    /* Signals to this process alone. */
    r = r < 0 ? r : deny_where(ctx, "kill", SCMP_CMP_NE, (scmp_datum_t)getpid(), 0);
    return r < 0 ? r : deny_where(ctx, "tgkill", SCMP_CMP_NE, (scmp_datum_t)getpid(), 0);
}

static int seal_calls(struct err *err)
{
    scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ALLOW);
    if (!ctx) {
        return err_set(err, -ENOMEM, "seccomp: no memory");
    }
    /* Best effort: not every kernel and library pair can synchronise threads. */
    seccomp_attr_set(ctx, SCMP_FLTATR_CTL_TSYNC, 1);
    int r = add_rules(ctx);
    if (r == 0) {
        r = seccomp_load(ctx);
    }
    seccomp_release(ctx);
    return r == 0 ? 0 : err_set(err, r, "seccomp: %s", strerror(-r));
}

int seal_process(const char *const *readable, size_t n, struct seal *ret, struct err *err)
{
    struct seal seal = { 0 };
    int r = seal_files(readable, n, &seal.landlock, err);
    if (r == 0) {
        r = seal_calls(err);
    }
    if (r < 0) {
        return r;
    }
    seal.seccomp = true;
    *ret = seal;
    return 0;
}

static void limit(int what, rlim_t value)
{
    struct rlimit l;
    if (getrlimit((__rlimit_resource_t)what, &l) == 0) {
        l.rlim_cur = l.rlim_max = l.rlim_max == RLIM_INFINITY ? value : MIN(value, l.rlim_max);
        setrlimit((__rlimit_resource_t)what, &l);
    }
}

void seal_limits(void)
{
    limit(RLIMIT_CORE, 0);
    limit(RLIMIT_FSIZE, 0); /* no file grows, whoever opened it */
    limit(RLIMIT_NOFILE, 256);
    limit(RLIMIT_MSGQUEUE, 0);
}

/* Ends the process once it has ever been larger than `bytes`; looks ten times a second. */
static void *watch(void *bytes)
{
    const long most_kib = (long)((uintptr_t)bytes >> 10);
    for (;;) {
        struct rusage usage;
        if (getrusage(RUSAGE_SELF, &usage) == 0 && usage.ru_maxrss > most_kib) {
            static const char words[] = "more memory than a compile may take\n";
            (void)!write(STDERR_FILENO, words, sizeof(words) - 1);
            _exit(5);
        }
        usleep(100000);
    }
    return NULL;
}

int seal_memory(size_t bytes, struct err *err)
{
    pthread_t thread;
    int r = pthread_create(&thread, NULL, watch, (void *)(uintptr_t)bytes);
    if (r != 0) {
        return err_set(err, -r, "a thread can't be started: %s", strerror(r));
    }
    pthread_detach(thread);
    return 0;
}

void seal_environment(void)
{
    for (char **at = environ; at && *at; at++) {
        explicit_bzero(*at, strlen(*at));
    }
    clearenv();
}

void seal_cpu_seconds(unsigned seconds)
{
    struct rusage used;
    struct rlimit l;
    if (getrusage(RUSAGE_SELF, &used) == 0 && getrlimit(RLIMIT_CPU, &l) == 0) {
        rlim_t so_far = (rlim_t)(used.ru_utime.tv_sec + used.ru_stime.tv_sec);
        l.rlim_cur = MIN(so_far + 1 + seconds, l.rlim_max);
        setrlimit(RLIMIT_CPU, &l);
    }
}
