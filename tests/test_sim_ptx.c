/* SPDX-License-Identifier: MIT */
/* PTX text: the .ptx files of tests/cases/sim, each with what it must come to in its first lines:
 *   // launch: GRID BLOCK [SHARED]     one-dimensional, of kernel k(u64 out)
 *   // expect: out V V V ...           the first words at `out`
 *   // expect: fault TEXT              the executor's words contain TEXT
 *   // expect: load TEXT               the parser's
 *   // expect: invalid TEXT, unsupported TEXT   the decoder's, and its code
 * and what the module says of itself. */
#include "tests/sim_kit.h"
#include "base/file.h"
#include "base/util.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static const char *line_of(const char *text, const char *key, char *buf, size_t n)
{
    const char *at = strstr(text, key);
    if (!at)
        return NULL;
    snprintf(buf, n, "%.*s", (int)strcspn(at + strlen(key), "\n"), at + strlen(key));
    return buf;
}

static bool holds(const char *name, const char *got, const char *want)
{
    if (strstr(got, want))
        return true;
    printf("%s: \"%s\", not \"%s\"\n", name, got, want);
    return false;
}

static bool check_words(const char *name, const uint32_t *got, char *want)
{
    char *end = want;
    for (unsigned i = 0; *want; i++, want = end) {
        unsigned long v = strtoul(want, &end, 10);
        if (end == want)
            break;
        if (got[i] != v) {
            printf("%s: word %u is %u, not %lu\n", name, i, got[i], v);
            return false;
        }
    }
    return true;
}

static bool run_case(struct sim_kit *kit, const char *name, const char *text, char *want, int load)
{
    char launch[64];
    unsigned grid = 1, block = 32, shared = 0;
    uint32_t out[256] = {0};
    if (!strncmp(want, "load ", 5))
        return load && holds(name, kit->err.text, want + 5);
    if (load)
        return holds(name, kit->err.text, "(loads)");
    if (line_of(text, "// launch:", launch, sizeof(launch)))
        sscanf(launch, "%u %u %u", &grid, &block, &shared);
    kit->shared = shared;
    uint64_t at = kit_buffer(kit, out, sizeof(out));
    int rc = kit_run1(kit, "k", grid, block, (uint64_t[]){at});
    kit_read(kit, at, out, sizeof(out));
    if (!strncmp(want, "unsupported ", 12))
        return rc == ERR_UNSUPPORTED && holds(name, kit->err.text, want + 12);
    if (!strncmp(want, "invalid ", 8))
        return rc == ERR_INVALID && holds(name, kit->err.text, want + 8);
    if (!strncmp(want, "fault ", 6))
        return rc == ERR_DEVICE && holds(name, kit->fault.text, want + 6);
    if (rc)
        return holds(name, rc == ERR_DEVICE ? kit->fault.text : kit->err.text, "(runs)");
    return check_words(name, out, want + 4);
}

static void cases(void **state)
{
    struct dirent **entries;
    unsigned wrong = 0, ran = 0;
    (void)state;
    int n = scandir(WS_SOURCE_DIR "/tests/cases/sim", &entries, NULL, alphasort);
    for (int i = 0; i < n; i++) {
        const char *name = entries[i]->d_name;
        auto_free char *path = xprintf("%s/tests/cases/sim/%s", WS_SOURCE_DIR, name);
        size_t len = strlen(name), size;
        char want[256], *text;
        struct err err = {0};
        struct sim_kit kit;
        if (len > 4 && !strcmp(name + len - 4, ".ptx")) {
            assert_int_equal(file_read(path, 1 << 20, &text, &size, &err), 0);
            assert_non_null(line_of(text, "// expect: ", want, sizeof(want)));
            kit_init(&kit);
            int load = kit_load(&kit, text);
            bool ok = run_case(&kit, name, text, want, load);
            if (!ok)
                printf("%s: expected %s\n", name, want);
            wrong += !ok;
            ran++;
            kit_done(&kit);
            free(text);
        }
        free(entries[i]);
    }
    if (n >= 0)
        free(entries);
    assert_true(ran > 20);
    assert_int_equal(wrong, 0);
}

static const char described[] =
    "// warpsim: kernel first regs 40 spill 8 shared 1024\n"
    "// warpsim: kernel other regs 1 spill 2 shared 3\n"
    ".version 8.7\n.target sm_100a, debug\n.address_size 64\n"
    ".file 1 \"/some/where/kernel.cu\"\n"
    ".visible .entry first(.param .u64 .ptr .global .align 16 a, .param .u32 b, .param .align 8 "
    ".b8 "
    "c[24], .param .u16 d)\n.maxntid 128, 2\n.minnctapersm 3\n{ ret; }\n"
    ".weak .entry second() .reqntid 64 { .loc 1 7 3\n trap; }\n";

static void description(void **state)
{
    struct sim_kit kit;
    (void)state;
    kit_init(&kit);
    assert_int_equal(kit_load(&kit, described), 0);
    const struct ptx_module *m = kit.module;
    const struct ptx_kernel *k = ptx_module_kernel(m, "first");
    assert_int_equal(m->version, 87);
    assert_string_equal(m->target, "sm_100a");
    assert_int_equal(m->n_kernels, 2);
    assert_int_equal(k->n_params, 4);
    static const uint32_t want[4][3] = {{8, 8, 0}, {4, 4, 8}, {24, 8, 16}, {2, 2, 40}};
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(k->params[i].size, want[i][0]);
        assert_int_equal(k->params[i].align, want[i][1]);
        assert_int_equal(k->params[i].offset, want[i][2]);
    }
    assert_int_equal(k->param_size, 42);
    assert_int_equal(k->maxntid[0] * 1000 + k->maxntid[1] * 10 + k->maxntid[2], 128021);
    assert_int_equal(k->minnctapersm, 3);
    assert_int_equal(k->info_regs, 40);
    assert_int_equal(k->info_spill, 8);
    assert_int_equal(k->info_shared, 1024);
    k = ptx_module_kernel(m, "second");
    assert_int_equal(k->reqntid[0], 64);
    assert_int_equal(k->info_regs, -1);
    assert_int_equal(kit_run1(&kit, "second", 1, 1, NULL), ERR_DEVICE);
    assert_int_equal(kit.fault.kind, EXEC_FAULT_TRAP);
    assert_int_equal(kit.fault.cuda_line, 7);
    assert_non_null(strstr(kit.fault.text, "kernel.cu:7"));
    kit_done(&kit);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cases),
        cmocka_unit_test(description),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
