/* SPDX-License-Identifier: MIT */
/* What is read from PTX, and what a plan makes of it. The compile worker's test shows the same with
 * a real compiler in front. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/jread.h"
#include "base/util.h"
#include "evaluator/judge_refuse.h"
#include "evaluator/worker/refuse.h"

#define HEAD ".version 9.0\n.target sm_90a\n.address_size 64\n"
#define BODY(text) HEAD ".visible .entry k(\n.param .u64 p\n)\n{\n" text "\nret;\n}\n"

/* A copy without a byte to spare, so that reading past the end shows. */
static size_t scan(const char *text, struct refuse_finding *ret)
{
    size_t n = strlen(text);
    char *copy = malloc(n ? n : 1);
    memcpy(copy, text, n);
    size_t found = refuse_scan(copy, n, ret);
    free(copy);
    return found;
}

static void test_rules(void **state)
{
    (void)state;
    static const struct {
        const char *ptx, *rule; /* rule NULL: nothing is found */
        enum refuse_level level;
    } cases[] = {
        { BODY("griddepcontrol.launch_dependents;"), "dependent_launch", REFUSE_LEVEL_PROGRAMMATIC },
        { BODY("@%p1 griddepcontrol.wait;"), "dependent_launch", REFUSE_LEVEL_PROGRAMMATIC },
        { BODY("L1:griddepcontrol.wait;"), "dependent_launch", REFUSE_LEVEL_PROGRAMMATIC },
        { BODY("griddepcontrol/* x */.wait;"), "dependent_launch", REFUSE_LEVEL_PROGRAMMATIC },
        { BODY(".loc 1 1 1 griddepcontrol .wait;"), "dependent_launch", REFUSE_LEVEL_PROGRAMMATIC },
        { BODY("// griddepcontrol.wait;"), NULL, 0 },
        { BODY("/* griddepcontrol.wait; */"), NULL, 0 },
        { BODY(".pragma \"griddepcontrol\";"), NULL, 0 },
        { BODY(".pragma \"a\\\"; griddepcontrol.wait; //\";"), "unreadable", REFUSE_LEVEL_NEVER },
        { BODY("// one line \\\ngriddepcontrol.wait;"), "unreadable", REFUSE_LEVEL_NEVER },
        { HEAD "#define x ret\n", "unreadable", REFUSE_LEVEL_NEVER },
        { "# 1 \"x\"\n" HEAD, "unreadable", REFUSE_LEVEL_NEVER },
        { BODY("bar.sync 0; # 5 \"x\""), "unreadable", REFUSE_LEVEL_NEVER },
        { BODY("/* /* */ griddepcontrol.wait;"), "dependent_launch", REFUSE_LEVEL_PROGRAMMATIC },
        { BODY("// /*\n griddepcontrol.wait; // */"), "dependent_launch",
          REFUSE_LEVEL_PROGRAMMATIC },
        { BODY(".pragma \"//\"; griddepcontrol.wait;"), "dependent_launch",
          REFUSE_LEVEL_PROGRAMMATIC },
        { BODY("// x\r griddepcontrol.wait;"), NULL, 0 }, /* a comment to ptxas, too */
        { BODY("/*/ griddepcontrol.wait; /*/"), NULL, 0 },
        { BODY("add.s32 %griddepcontrols, %r1, %r2;"), NULL, 0 },
        { HEAD ".extern .func (.param .b64 r) malloc\n(\n.param .b64 a\n)\n;\n"
          ".entry k() {\ncall (r), malloc, (a);\n}\n", "device_heap", REFUSE_LEVEL_NEVER },
        { HEAD ".extern .func free (.param .b64 a);\n.entry k() {\nmov.u64 %rd1, free;\n}\n",
          "device_heap", REFUSE_LEVEL_NEVER },
        { HEAD ".extern .func free (.param .b64 a);\n.entry k() {\nret;\n}\n", NULL, 0 },
        { HEAD ".func free (.param .b64 a) {\nret;\n}\n.entry k() {\ncall free, (a);\n}\n", NULL, 0 },
        { HEAD ".extern .func (.param .b32 r) cudaGetParameterBufferV2(.param .b64 a);\n"
          ".entry k() {\ncall (r), cudaGetParameterBufferV2, (a);\n}\n", "device_runtime",
          REFUSE_LEVEL_NEVER },
        { HEAD ".extern .func other(.param .b64 a);\n.entry k() {\ncall other, (a);\n}\n",
          "unresolved", REFUSE_LEVEL_NEVER },
        { HEAD ".extern .global .align 4 .u32 counter;\n", "unresolved", REFUSE_LEVEL_NEVER },
        { HEAD ".extern .shared .align 16 .b8 tile[];\n", NULL, 0 },
        { HEAD ".extern .func (.param .b32 r) vprintf(.param .b64 a);\n"
          ".entry k() {\ncall.uni (r), vprintf, (a);\n}\n", "print", REFUSE_LEVEL_REMARK },
        { HEAD ".visible .global .attribute(.managed) .align 4 .u32 m;\n", "managed_memory",
          REFUSE_LEVEL_NEVER },
        { BODY("mov.u64 %rd1, %gridid;"), "launch_number", REFUSE_LEVEL_NEVER },
        { BODY("st.mmio.relaxed.sys.global.u32 [%rd1], %r1;"), "memory_mapped_io",
          REFUSE_LEVEL_NEVER },
        { BODY("mov.u64 %rd1, %clock64;"), "clock", REFUSE_LEVEL_REMARK },
        { BODY("mov.u64 %rd1, %globaltimer;"), "clock", REFUSE_LEVEL_REMARK },
        { BODY("createpolicy.fractional.L2::evict_last.b64 %rd1, 1.0;"), "l2_policy",
          REFUSE_LEVEL_REMARK },
        { BODY("ld.global.L2::evict_last.f32 %f1, [%rd1];"), "l2_policy", REFUSE_LEVEL_REMARK },
        { BODY("nanosleep.u32 100;"), "sleep", REFUSE_LEVEL_REMARK },
        { BODY("bar.sync 0; trap; mov.u32 %r1, %smid; mapa.u64 %rd1, %rd2, 1; fence.sc.sys;"), NULL,
          0 },
        { "", NULL, 0 },
        { "}}}}", NULL, 0 },
        { "/* never closed", NULL, 0 },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct refuse_finding found[REFUSE_FINDINGS_MAX];
        size_t n = scan(cases[i].ptx, found);
        const char *rule = n ? found[0].rule : NULL;
        if ((rule == NULL) != (cases[i].rule == NULL)
            || (rule && (!str_eq(rule, cases[i].rule) || found[0].level != cases[i].level))) {
            fail_msg("%s: found %s", cases[i].ptx, rule ? rule : "nothing");
        }
    }
}

static void test_where_it_stands(void **state)
{
    (void)state;
    static const char ptx[]
        = HEAD "\n.func (.param .b32 r) helper(\n.param .b32 a\n)\n{\n.loc 2 77 1\nnanosleep.u32 1;\n}\n"
          ".entry first() {\n.loc 1 12 3\nnanosleep.u32 1;\nnanosleep.u32 1;\n{\nmov.u64 %rd1, "
          "%gridid;\n}\n}\n.visible .entry second() {\n.loc 1 20 3, function_name $x, inlined_at 1 "
          "5 3\ngriddepcontrol.wait;\n}\n.file 1 \"/somewhere/kernel.cu\"\n.file 2 \"/else.h\"\n";
    struct refuse_finding f[REFUSE_FINDINGS_MAX];
    assert_int_equal(scan(ptx, f), 4);
    assert_string_equal(f[0].where, "helper");
    assert_false(f[0].entry);
    assert_int_equal(f[0].source_line, 0); /* of another file */
    assert_string_equal(f[1].where, "first");
    assert_true(f[1].entry);
    assert_int_equal(f[1].line, 14);
    assert_int_equal(f[1].source_line, 12);
    assert_string_equal(f[2].rule, "launch_number");
    assert_string_equal(f[2].where, "first");
    assert_string_equal(f[3].where, "second");
    assert_string_equal(f[3].text, "griddepcontrol.wait");
    assert_int_equal(f[3].source_line, 20);
}

/* Many remarks leave no refusal untold, and more symbols than are kept are refused themselves. */
static void test_limits(void **state)
{
    (void)state;
    auto_buf struct buf text;
    buf_init(&text, 1 << 20);
    for (int i = 0; i < 100; i++) {
        buf_printf(&text, ".entry k%d() {\nnanosleep.u32 1;\n}\n", i);
    }
    buf_puts(&text, ".entry last() {\nmov.u64 %rd1, %gridid;\n}\n");
    struct refuse_finding f[REFUSE_FINDINGS_MAX];
    assert_int_equal(scan(text.at, f), REFUSE_FINDINGS_MAX);
    assert_string_equal(f[REFUSE_FINDINGS_MAX - 1].where, "last");
    text.len = 0; /* kernels that are never launched don't hide one that is */
    for (int i = 0; i < 100; i++) {
        buf_printf(&text, ".entry k%d() {\ngriddepcontrol.wait;\n}\n", i);
    }
    assert_int_equal(scan(text.at, f), REFUSE_FINDINGS_MAX);
    assert_int_equal(f[REFUSE_FINDINGS_MAX - 1].level, REFUSE_LEVEL_NEVER);
    assert_string_equal(f[REFUSE_FINDINGS_MAX - 1].rule, "crowded");
    text.len = 0; /* nor does a name too long for the table */
    buf_puts(&text, ".entry k");
    for (int i = 0; i < 200; i++) {
        buf_puts(&text, "k");
    }
    buf_puts(&text, "() {\ngriddepcontrol.wait;\n}\n");
    assert_int_equal(scan(text.at, f), 1);
    assert_false(f[0].entry);
    auto_buf struct buf externs;
    buf_init(&externs, 1 << 20);
    for (int i = 0; i < 100; i++) {
        buf_printf(&externs, ".extern .func f%d();\n", i);
    }
    assert_int_equal(scan(externs.at, f), 1);
    assert_string_equal(f[0].rule, "unresolved");
}

static json_t *findings(const char *ptx)
{
    struct refuse_finding found[REFUSE_FINDINGS_MAX];
    return refuse_json(found, scan(ptx, found));
}

static void test_plan_decides(void **state)
{
    (void)state;
    static const char uses[] = BODY("griddepcontrol.launch_dependents;");
    static const char in_function[] = HEAD ".func helper() {\ngriddepcontrol.wait;\nret;\n}\n";
    static const struct {
        const char *ptx, *launches; /* a letter a launch, upper case: programmatic */
        bool refused;
    } cases[] = {
        { uses, "k", true },   { uses, "K", false },  { uses, "kO", false }, { uses, "ko", true },
        { uses, "oo", false }, { uses, "kOk", true }, { uses, "kOK", false }, { uses, "k.O", true },
        { in_function, "k", true }, { in_function, "kO", false }, { in_function, "kOk", true },
        { BODY("mov.u64 %rd1, %gridid;"), "K", true }, { BODY("nanosleep.u32 1;"), "k", false },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct plan_launch launches[8] = { 0 };
        size_t n = strlen(cases[i].launches);
        for (size_t k = 0; k < n; k++) {
            char c = cases[i].launches[k];
            launches[k].kernel = c == '.' ? NULL : c == 'k' || c == 'K' ? "k" : "other";
            launches[k].programmatic = c == 'K' || c == 'O';
        }
        struct plan plan = { .launches = launches, .n_launches = n };
        json_t *found = findings(cases[i].ptx);
        char *why = judge_refusal(&plan, found);
        if ((why != NULL) != cases[i].refused) {
            fail_msg("case %zu: %s", i, why ? why : "allowed");
        }
        free(why);
        json_decref(found);
    }
}

static void test_texts(void **state)
{
    (void)state;
    json_t *found = findings(BODY(".loc 1 3 1\nmov.u64 %rd1, %gridid;\nmov.u32 %r1, %clock;\n"
                                  "nanosleep.u32 1;\n") ".file 1 \"kernel.cu\"\n");
    struct plan plan = { 0 };
    char *why = judge_refusal(&plan, found);
    assert_string_equal(why, "kernel.cu line 3, PTX line 9, kernel k: %gridid: it tells one launch "
                             "from another; a kernel's work depends on its arguments alone");
    free(why);
    char *remarks = judge_remarks(NULL, found);
    assert_string_equal(remarks, "k: reads a clock; k: sleeps");
    char *again = judge_remarks(remarks, found);
    assert_string_equal(again, remarks);
    free(again);
    free(remarks);
    json_decref(found);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rules),
        cmocka_unit_test(test_where_it_stands),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_plan_decides),
        cmocka_unit_test(test_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
