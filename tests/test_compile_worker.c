/* SPDX-License-Identifier: MIT */
/* The real compile worker with the real NVRTC: what it makes, what it says, what it refuses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/util.h"
#include "tests/worker_peer.h"

static const char *const args[] = { "compile", "--include", WS_CUDA_DIR "/include", NULL };

static int start(void **state)
{
    setenv("WARPSMITH_TEST_SECRET", "hunter2hunter2", 1);
    struct peer *peer = xcalloc(1, sizeof(*peer));
    peer_start(peer, args);
    *state = peer;
    return 0;
}

static int stop(void **state)
{
    struct peer *peer = *state;
    int code = peer_stop(peer);
    free(peer);
    return code;
}

static const char *text(const struct answer *a, const char *key)
{
    return json_string_value(json_object_get(a->json, key));
}

static bool ok(const struct answer *a)
{
    return json_is_true(json_object_get(a->json, "ok"));
}

static void contains(const char *haystack, const char *needle)
{
    if (!haystack || !strstr(haystack, needle)) {
        fail_msg("\"%s\" is not in: %s", needle, haystack ? haystack : "(null)");
    }
}

static void test_hello(void **state)
{
    struct peer *peer = *state;
    contains(json_string_value(json_object_get(peer->hello, "compiler")), "NVRTC 1");
    const json_t *sealed = json_object_get(peer->hello, "sealed");
    assert_true(json_is_true(json_object_get(sealed, "seccomp")));
    char *archs = json_dumps(json_object_get(peer->hello, "archs"), 0);
    contains(archs, "\"sm_90a\"");
    contains(archs, "\"sm_100a\"");
    free(archs);
}

static void test_makes_cubin_ptx_and_report(void **state)
{
    struct peer *peer = *state;
    static const char source[]
        = "extern \"C\" __global__ void scale(float *x, float k, int n) {\n"
          "  __shared__ float tile[BLOCK];\n"
          "  int i = blockIdx.x * BLOCK + threadIdx.x;\n"
          "  tile[threadIdx.x] = i < n ? x[i] : 0;\n"
          "  __syncthreads();\n"
          "  if (i < n) x[i] = tile[BLOCK - 1 - threadIdx.x] * k;\n"
          "}\n"
          "extern \"C\" __global__ void other(float *x) { x[0] = 1; }\n";
    struct answer a;
    assert_true(peer_compile(peer, "sm_90a", source,
                             json_pack("[s,s]", "-DBLOCK=32", "--use_fast_math"), &a));
    assert_true(ok(&a));
    json_int_t cubin_at, cubin_len, ptx_at, ptx_len, shared, registers;
    assert_int_equal(json_unpack(a.json, "{s:[I,I],s:[I,I],s:{s:{s:I,s:I},s:{}}}", "cubin",
                                 &cubin_at, &cubin_len, "ptx", &ptx_at, &ptx_len, "kernels",
                                 "scale", "shared", &shared, "registers", &registers, "other"), 0);
    assert_int_equal(shared, 128);
    assert_in_range(registers, 4, 64);
    assert_memory_equal(a.blob + cubin_at, "\177ELF", 4);
    assert_int_equal(cubin_at + cubin_len, ptx_at);
    assert_int_equal((size_t)(ptx_at + ptx_len), a.blob_len);
    contains(a.blob + ptx_at, "// warpsim: kernel scale regs ");
    contains(a.blob + ptx_at, " spill 0 shared 128\n");
    contains(a.blob + ptx_at, ".entry scale(");
    answer_done(&a);
}

static void test_every_target_compiles(void **state)
{
    struct peer *peer = *state;
    static const char *const archs[] = { "sm_80", "sm_90a", "sm_100a", "sm_103a" };
    for (size_t i = 0; i < ARRAY_LEN(archs); i++) {
        struct answer a;
        assert_true(peer_compile(peer, archs[i], "#include <cuda_fp16.h>\n#include <mma.h>\n"
                                 "extern \"C\" __global__ void k(__half *x) { x[0] = __half(1); }",
                                 NULL, &a));
        assert_true(ok(&a));
        answer_done(&a);
    }
}

static void test_spills_are_reported(void **state)
{
    struct peer *peer = *state;
    static const char source[]
        = "extern \"C\" __global__ void __launch_bounds__(1024) k(const float *x, float *y) {\n"
          "  float v[200];\n"
          "  #pragma unroll\n"
          "  for (int i = 0; i < 200; i++) v[i] = x[i * 1024 + threadIdx.x];\n"
          "  __syncthreads();\n"
          "  float s = 0;\n"
          "  #pragma unroll\n"
          "  for (int i = 0; i < 200; i++) { s = s * 1.5f + v[i] * v[(i * 7) % 200]; y[i] = s; }\n"
          "}\n";
    struct answer a;
    assert_true(peer_compile(peer, "sm_90a", source, NULL, &a));
    json_int_t spill;
    assert_int_equal(json_unpack(a.json, "{s:{s:{s:I}}}", "kernels", "k", "spill_bytes", &spill),
                     0);
    assert_true(spill > 0);
    answer_done(&a);
}

static void test_errors_show_numbered_lines(void **state)
{
    struct peer *peer = *state;
    static const char source[] = "// one\n// two\nextern \"C\" __global__ void k(float *x)\n{\n"
                                 "  x[0] = nonsense;\n}\n// seven\n// eight\n";
    struct answer a;
    assert_true(peer_compile(peer, "sm_90a", source, NULL, &a));
    assert_false(ok(&a));
    contains(text(&a, "log"),
             "kernel.cu(5): error: identifier \"nonsense\" is undefined\n"
             "      3 | extern \"C\" __global__ void k(float *x)\n"
             "      4 | {\n"
             " >    5 |   x[0] = nonsense;\n"
             "        |          ^\n"
             "      6 | }\n"
             "      7 | // seven\n");
    assert_null(strstr(text(&a, "log"), "eight"));
    answer_done(&a);
}

static void test_ptxas_errors_are_shown(void **state)
{
    struct peer *peer = *state;
    struct answer a;
    assert_true(peer_compile(peer, "sm_90a", "extern \"C\" __global__ void k(float *x) {\n"
                             "  __shared__ float t[60000]; t[threadIdx.x] = x[1]; __syncthreads();"
                             " x[0] = t[5]; }", NULL, &a));
    assert_false(ok(&a));
    contains(text(&a, "log"), "kernel k uses too much static shared memory: 240000 bytes");
    answer_done(&a);
    assert_true(peer_compile(peer, "sm_90a", "extern \"C\" __global__ void k(float *x) {\n"
                             "  asm volatile(\"frobnicate.f32 %0;\" :: \"f\"(x[0])); }", NULL, &a));
    assert_false(ok(&a));
    contains(text(&a, "log"), "Not a name of any known instruction: 'frobnicate'");
    contains(text(&a, "log"), "   PTX  | \tfrobnicate.f32");
    contains(text(&a, "log"), " >    2 |   asm volatile(");
    answer_done(&a);
}

/* Each must fail and print nothing of the file it is after. */
static void test_system_files_stay_out_of_the_log(void **state)
{
    struct peer *peer = *state;
    static const char *const sources[] = {
        "#include \"/etc/passwd\"\n",
        "#include </etc/passwd>\n",
        "#include \"/proc/self/environ\"\n",
        "#include \"etc/passwd\"\n",
        "#include \"../../../../../../etc/passwd\"\n",
        "#inc\\\nlude \"/etc/passwd\"\n",
        "/* */ # /* */ include \"/etc/passwd\"\n",
        "%:include \"/etc/passwd\"\n",
        "#define F \"/etc/passwd\"\n#include F\n",
        "const char *s = R\"(\" /* )\";\n#include \"/etc/passwd\"\n// */\n",
        "int c = u8'/*';\n#include \"/etc/passwd\"\n// */\n",
        "__device__ char s[] = {\n#embed \"/etc/passwd\"\n};\n",
        "extern \"C\" __global__ void k() { asm(\"\\n#include \\\"/etc/passwd\\\"\\n\"); }\n",
        "extern \"C\" __global__ void k() { asm(\".include \\\"/etc/passwd\\\"\"); }\n",
        "extern \"C\" __global__ void k() { asm(\".inc\" \"bin \\\"/etc/passwd\\\";\"); }\n",
        "extern \"C\" __global__ void k() { asm(\"\\n#inc\" \"lude \\\"/etc/passwd\\\"\\n\"); }\n",
        "extern \"C\" __global__ void k() { asm(\"\\043include </etc/passwd>\"); }\n",
        "asm(\".inc\" \"bin \\\"/etc/passwd\\\";\");\nextern \"C\" __global__ void k() { bad; }\n",
        "__device__ char s[] = {\n_Pragma(\"include /etc/passwd\") bad\n};\n",
        "#pragma include \"/etc/passwd\"\n#pragma GCC dependency \"/etc/passwd\"\nint x = bad;\n",
        "#line 1 \"/etc/passwd\"\nint x = bad;\n",
        "#include __FILE__\n",
        "#include_next \"/etc/passwd\"\n",
        "import \"/etc/passwd\";\n",
        "#ifdef __has_include\n#if __has_include(\"/etc/passwd\")\n#error found root:\n#endif\n#endif\n"
        "int x = bad;\n",
        "#ifdef __has_embed\n#if __has_embed(\"/etc/passwd\")\n#error found root:\n#endif\n#endif\n"
        "int x = bad;\n",
        "#include <../../../../../../etc/passwd>\n",
        "#include \"/dev/stdin\"\n",
    };
    for (size_t i = 0; i < ARRAY_LEN(sources); i++) {
        struct answer a;
        assert_true(peer_compile(peer, "sm_90a", sources[i], NULL, &a));
        const char *log = text(&a, "log");
        if (ok(&a) || strstr(log, "root:") || strstr(log, "hunter2") || !strstr(log, "error")) {
            fail_msg("source %zu: ok %d, log: %s", i, ok(&a), log);
        }
        answer_done(&a);
    }
}

/* What the PTX does is reported; what ptxas can't link, too. */
static void test_findings(void **state)
{
    struct peer *peer = *state;
    static const struct {
        const char *source, *rule;
        int line;
    } cases[] = {
        { "\nextern \"C\" __global__ void k() {\n asm(\"griddep\" \"control.launch_dependents;\");\n}\n",
          "dependent_launch", 3 },
        { "extern \"C\" __global__ void k(float **x) {\n *x = new float[4];\n}\n", "device_heap",
          2 },
        { "extern \"C\" __device__ int cudaDeviceSynchronize();\n"
          "extern \"C\" __global__ void k(int *x) {\n *x = cudaDeviceSynchronize();\n}\n",
          "device_runtime", 3 },
        { "extern \"C\" __global__ void k() { asm(\"// \\\\\");\n}\n", "unreadable", 1 },
        { "extern \"C\" __global__ void k(long long *x) {\n x[0] = clock64();\n}\n", "clock", 2 },
        { "__managed__ int m;\nextern \"C\" __global__ void k() { m++; }\n", "managed_memory", 0 },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct answer a;
        assert_true(peer_compile(peer, "sm_90a", cases[i].source, NULL, &a));
        const json_t *first = json_array_get(json_object_get(a.json, "findings"), 0);
        const char *rule = json_string_value(json_object_get(first, "rule"));
        json_int_t line = json_integer_value(json_object_get(first, "source_line"));
        if (!rule || !str_eq(rule, cases[i].rule) || line != cases[i].line) {
            fail_msg("source %zu: %s, line %lld, log %s", i, rule ? rule : "nothing",
                     (long long)line, text(&a, "log"));
        }
        answer_done(&a);
    }
}

static void test_options_are_checked(void **state)
{
    struct peer *peer = *state;
    static const char *const bad[] = { "--pre-include=/etc/passwd", "-I/etc", "--include-path=/etc",
                                       "--pch-dir=/tmp", "-dlto", "--ptxas-options=-v", "" };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct answer a;
        assert_true(peer_compile(peer, "sm_90a", "", json_pack("[s]", bad[i]), &a));
        assert_false(ok(&a));
        contains(text(&a, "log"), "not allowed");
        answer_done(&a);
    }
    struct answer a;
    assert_true(peer_compile(peer, "sm_90a;-I/etc", "", NULL, &a));
    assert_false(ok(&a));
    answer_done(&a);
}

static void test_odd_bytes(void **state)
{
    struct peer *peer = *state;
    struct answer a;
    assert_true(peer_compile(peer, "sm_90a", "\xff\xfe nonsense \x80;", NULL, &a));
    assert_false(ok(&a));
    contains(text(&a, "log"), "not UTF-8");
    answer_done(&a);
    assert_true(peer_compile(peer, "sm_90a", "// caf\xc3\xa9\n\xc3\xa9\xc3\xa8 bad;", NULL, &a));
    assert_false(ok(&a));
    contains(text(&a, "log"), "\xc3\xa9\xc3\xa8 bad;");
    answer_done(&a);
    json_t *job = json_pack("{s:s,s:s}", "kind", "compile", "arch", "sm_90a");
    assert_true(peer_job(peer, job, "int\0x", 5, &a));
    assert_false(ok(&a));
    contains(text(&a, "log"), "NUL");
    answer_done(&a);
}

static void test_log_is_capped(void **state)
{
    struct peer *peer = *state;
    char *source = xcalloc(200000, 1);
    for (int i = 0; i < 5000; i++) {
        strcat(source + (i ? 30 * (size_t)i - 30 : 0), "int aaaaaaaaaaaaaaaaaaaaaa bb;");
        source[30 * (size_t)i + 29] = '\n';
    }
    struct answer a;
    assert_true(peer_compile(peer, "sm_90a", source, NULL, &a));
    assert_false(ok(&a));
    assert_in_range(strlen(text(&a, "log")), 100, 16 << 10);
    answer_done(&a);
    free(source);
}

/* The compiler's own limit ends it; what has no limit is ended by the agent's deadline. */
static void test_runaway_template_ends(void **state)
{
    struct peer *peer = *state;
    struct answer a;
    assert_true(peer_compile(peer, "sm_90a",
                             "template<int N> struct S { static const int v = S<N + 1>::v; };\n"
                             "__device__ int x = S<0>::v;\n", NULL, &a));
    assert_false(ok(&a));
    contains(text(&a, "log"), "error");
    answer_done(&a);
}

static void test_what_is_missing_is_said(void **state)
{
    (void)state;
    struct peer peer;
    const char *headers[] = { "compile", "--include", "/nowhere", NULL };
    peer_start(&peer, headers);
    contains(json_string_value(json_object_get(peer.hello, "error")), "CUDA headers aren't at");
    assert_int_equal(peer_stop(&peer), 3);
    const char *library[] = { "compile", "--include", WS_CUDA_DIR "/include", "--nvrtc",
                              "/nowhere/libnvrtc.so", NULL };
    peer_start(&peer, library);
    contains(json_string_value(json_object_get(peer.hello, "error")), "install the CUDA Toolkit");
    assert_int_equal(peer_stop(&peer), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hello),
        cmocka_unit_test(test_makes_cubin_ptx_and_report),
        cmocka_unit_test(test_every_target_compiles),
        cmocka_unit_test(test_spills_are_reported),
        cmocka_unit_test(test_errors_show_numbered_lines),
        cmocka_unit_test(test_ptxas_errors_are_shown),
        cmocka_unit_test(test_system_files_stay_out_of_the_log),
        cmocka_unit_test(test_findings),
        cmocka_unit_test(test_options_are_checked),
        cmocka_unit_test(test_odd_bytes),
        cmocka_unit_test(test_log_is_capped),
        cmocka_unit_test(test_runaway_template_ends),
        cmocka_unit_test(test_what_is_missing_is_said),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
