/* SPDX-License-Identifier: MIT */
/* What a model wrote and what tools say of it: the scan of sources, the reading of a compiler's log, of
 * PTX and of a sanitizer's log. The input is a source, a line "====", and a log; either is PTX, too. */
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "evaluator/sanitize_log.h"
#include "evaluator/worker/compile_log.h"
#include "evaluator/worker/refuse.h"
#include "evaluator/worker/scan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Whatever comes before (in code): a dependent launch after it is seen, or the text is refused. */
static void fuzz_ptx(const char *text, size_t len)
{
    struct refuse_finding found[REFUSE_FINDINGS_MAX];
    size_t n = refuse_scan(text, len, found);
    require(n <= REFUSE_FINDINGS_MAX);
    for (size_t i = 0; i < n; i++) {
        require(found[i].line >= 1 && strlen(found[i].text) < REFUSE_NAME_MAX);
    }
    json_decref(refuse_json(found, n));
    if (!memchr(text, '"', len) && !memchr(text, '/', len)) {
        auto_free char *worse = xprintf("%.*s\n{ griddepcontrol.wait;", (int)len, text);
        bool seen = false;
        n = refuse_scan(worse, strlen(worse), found);
        for (size_t i = 0; i < n; i++) {
            seen = seen || found[i].level != REFUSE_LEVEL_REMARK;
        }
        require(seen);
    }
    auto_buf struct buf told;
    buf_init(&told, 1 << 16);
    struct sanitize_log log;
    sanitize_log_read(text, len, "memcheck", &told, &log);
    require(!told.failed && log.errors >= 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    auto_free char *text = xprintf("%.*s", (int)size, (const char *)data);
    char *log = strstr(text, "\n====\n");
    if (log) {
        *log = '\0';
        log += 6;
    }
    fuzz_ptx((const char *)data, size);
    struct err err = { 0 };
    if (scan_source(text, strlen(text), &err) < 0) {
        require(str_prefix(err.text, "kernel.cu("));
    }
    /* Whatever comes before: a line of its own that includes a system file is seen. */
    auto_free char *worse = xprintf("%s\n\n#include \"/etc/passwd\"\n", text);
    require(scan_source(worse, strlen(worse), NULL) < 0);

    auto_buf struct buf out;
    buf_init(&out, COMPILE_LOG_MAX);
    struct compile_log_texts texts = { text, strlen(text), log, "/usr/include/" };
    compile_log_explain(log ? log : "", &texts, &out);
    require(out.len <= COMPILE_LOG_MAX);
    json_decref(compile_log_kernels(log ? log : ""));
    return 0;
}
