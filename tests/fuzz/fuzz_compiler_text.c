/* SPDX-License-Identifier: MIT */
/* What a model wrote and what the compiler says of it: the scan of sources and the reading of logs.
 * The input is a source, a line "====", and a log. */
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "evaluator/worker/compile_log.h"
#include "evaluator/worker/scan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    auto_free char *text = xprintf("%.*s", (int)size, (const char *)data);
    char *log = strstr(text, "\n====\n");
    if (log) {
        *log = '\0';
        log += 6;
    }
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
