/* SPDX-License-Identifier: MIT */
/*
 * A provider's answer of any bytes: the first two choose wire format and status. Whatever it is, there is
 * an outcome, its text is one line, and an answer is text that can be kept, at a price that isn't negative.
 */
#include "agent/llm_outcome.h"
#include "agent/llm_price.h"
#include "base/util.h"

#include <math.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_answer(const struct llm_answer *a)
{
    static const struct llm_price price = { .known = true, .in = 3, .cached = 0.3, .written = 4, .out = 15 };
    require(strlen(a->text) == a->len);
    for (size_t at = 0; at < a->len;) {
        size_t n = utf8_len(a->text + at, a->len - at);
        require(n);
        at += n;
    }
    require(a->usage_known || a->usage.in + a->usage.out == 0);
    require(a->usage.cached + a->usage.written <= a->usage.in);
    require(llm_price_of(&price, &a->usage) >= 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const long statuses[] = { 200, 200, 200, 400, 401, 404, 429, 500, 503, 302 };
    if (size < 2) {
        return 0;
    }
    const struct llm_wire *wire = data[0] & 1 ? &llm_anthropic : &llm_openai;
    auto_free char *body = xcalloc(size, 1);
    memcpy(body, data + 2, size - 2);
    struct http_reply reply = { .failure = HTTP_OK, .sent = true, .error = "", .type = "", .location = "",
                                .request_id = "", .retry_after_s = -1, .should_retry = -1, .body = body,
                                .len = size - 2, .status = statuses[data[1] % ARRAY_LEN(statuses)] };
    auto_arena struct arena *arena = arena_new();
    struct llm_shape shape = { .model = "m", .temperature = 1 };
    struct llm_answer answer;
    struct llm_outcome outcome;
    llm_outcome_of(wire, &reply, "$KEY", &shape, arena, &answer, &outcome);
    if (outcome.action == LLM_ACTION_ANSWER) {
        check_answer(&answer);
    } else {
        require(outcome.code < 0 && outcome.text[0]);
        for (const char *c = outcome.text; *c; c++) {
            require((unsigned char)*c >= ' ');
        }
    }
    return 0;
}
