/* SPDX-License-Identifier: MIT */
/* compute-sanitizer's log, as its versions write it: what counts, what is told, what doesn't count. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/util.h"
#include "evaluator/sanitize_log.h"

#define HEAD "========= COMPUTE-SANITIZER\n"
#define INVALID                                                                                    \
    "========= Invalid __global__ read of size 4 bytes\n"                                          \
    "=========     at softmax+0x90 in kernel.cu:5\n"                                               \
    "=========     by thread (63,0,0) in block (3,0,0)\n"                                          \
    "=========     Access to 0x7f00 is out of bounds\n"                                            \
    "=========     and is 1 bytes after the nearest allocation at 0x7e00 of size 256 bytes\n"      \
    "========= \n"

static const struct {
    const char *log;
    int errors;
    bool complete;
    const char *has, *has_not, *problem; /* NULL: nothing asked */
} cases[] = {
    { HEAD "========= ERROR SUMMARY: 0 errors\n", 0, true, NULL, NULL, "" },
    { HEAD INVALID INVALID "========= ERROR SUMMARY: 2 errors\n", 2, true,
      "memcheck: Invalid __global__ read of size 4 bytes; at softmax+0x90 in kernel.cu:5; by thread "
      "(63,0,0) in block (3,0,0); Access to 0x7f00 is out of bounds; and is 1 bytes after", NULL,
      "" },
    { HEAD INVALID "========= Program hit CUDA_ERROR_LAUNCH_FAILED (error 719) due to \"unspecified "
      "launch failure\" on CUDA API call to cuEventQuery.\n=========     Saved host backtrace\n"
      "========= ERROR SUMMARY: 2 errors\n", 1, true, "Invalid", "Program hit", "" },
    { HEAD "========= Uninitialized __global__ memory read of size 4 bytes\n"
      "=========     at gate_compare+0x10 in kernel.cu:9\n========= ERROR SUMMARY: 1 error\n", 0, true,
      NULL, "gate", "" },
    { HEAD "========= Error: Race reported between Write access at k+0x80 in kernel.cu:7\n"
      "=========     and Read access at k+0x90 in kernel.cu:8 [32 hazards]\n=========\n"
      "========= RACECHECK SUMMARY: 1 hazard displayed (1 error, 0 warnings)\n", 1, true,
      "and Read access at k+0x90", NULL, "" },
    { HEAD "========= Barrier error detected. Divergent thread(s) in warp\n"
      "=========     at k+0x30 in kernel.cu:3\n", 1, false, "Divergent", NULL, "" },
    { HEAD "========= Error: Target application terminated before first instrumented API call\n", 0,
      false, NULL, NULL, "Error: Target application terminated" },
    { HEAD "========= Invalid \x1b[31m\xff read\n=========     at k\n", 1, false, "Invalid ?[31m? read",
      NULL, "" },
    { "=========", 0, false, NULL, NULL, "" },
    { "\n\n======== Invalid\nhello\n", 0, false, NULL, NULL, "" },
    { "", 0, false, NULL, NULL, "" },
};

static void test_logs(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        auto_buf struct buf text;
        buf_init(&text, 1 << 16);
        size_t n = strlen(cases[i].log);
        char *copy = malloc(n ? n : 1);
        memcpy(copy, cases[i].log, n);
        struct sanitize_log log;
        sanitize_log_read(copy, n, "memcheck", &text, &log);
        free(copy);
        const char *told = text.len ? text.at : "";
        if (log.errors != cases[i].errors || log.complete != cases[i].complete
            || (cases[i].has && !strstr(told, cases[i].has))
            || (cases[i].has_not && strstr(told, cases[i].has_not))
            || (cases[i].problem && !str_prefix(log.problem, cases[i].problem))) {
            fail_msg("log %zu: %d errors, complete %d, \"%s\", problem \"%s\"", i, log.errors,
                     log.complete, told, log.problem);
        }
    }
}

/* All findings count, the first few are told, and the text stays short. */
static void test_caps(void **state)
{
    (void)state;
    auto_buf struct buf log, text;
    buf_init(&log, 1 << 24);
    buf_init(&text, 1 << 16);
    for (int i = 0; i < 1000; i++) {
        buf_puts(&log, "========= Invalid ");
        for (int k = 0; k < 100; k++) {
            buf_puts(&log, "aaaaaaaaaa");
        }
        buf_puts(&log, "\n=========     at k\n");
    }
    struct sanitize_log read;
    sanitize_log_read(log.at, log.len, "memcheck", &text, &read);
    assert_int_equal(read.errors, 1000);
    assert_in_range(text.len, 300, SANITIZE_TEXT_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_logs),
        cmocka_unit_test(test_caps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
