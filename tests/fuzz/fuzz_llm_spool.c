/* SPDX-License-Identifier: MIT */
/* A reply file of any bytes; the first says whether it is plain text. An answer can be kept as text. */
#include "agent/llm_spool_file.h"
#include "base/util.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!size) {
        return 0;
    }
    auto_free char *bytes = xcalloc(size, 1);
    memcpy(bytes, data + 1, size - 1);
    auto_arena struct arena *arena = arena_new();
    struct llm_answer answer;
    struct err err = { 0 };
    enum spool_state state
        = spool_file_read(bytes, size - 1, data[0] & 1, "key", arena, &answer, &err);
    require(state == SPOOL_ANSWER || state == SPOOL_BAD || state == SPOOL_REFUSED);
    if (state != SPOOL_ANSWER) {
        require(err.text[0]);
        return 0;
    }
    require(strlen(answer.text) == answer.len);
    for (size_t at = 0; at < answer.len;) {
        size_t n = utf8_len(answer.text + at, answer.len - at);
        require(n);
        at += n;
    }
    return 0;
}
