/* SPDX-License-Identifier: MIT */
/* A recorded line of any bytes. What is read is recorded and read again without a change. */
#include "agent/llm_internal.h"
#include "agent/llm_record.h"
#include "base/util.h"

#include <math.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool same_number(double a, double b)
{
    return a == b || (isnan(a) && isnan(b));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    json_t *json = NULL, *again = NULL;
    if (jread_parse((const char *)data, size, &json, NULL) < 0) {
        return 0;
    }
    auto_arena struct arena *arena = arena_new();
    struct llm_reply one, two;
    struct err err = { 0 };
    if (!json_is_object(json) || llm_replay_read(json, arena, &one, &err) < 0) {
        require(!json_is_object(json) || err.text[0]);
        json_decref(json);
        return 0;
    }
    static const struct llm_message message = { "user", "q" };
    struct llm_request request = { .key = "k", .messages = &message, .n = 1 };
    auto_buf struct buf out;
    buf_init(&out, 64 << 20);
    require(llm_record_call(&request, &one, &out) == 0);
    require(jread_parse(out.at, out.len, &again, NULL) == 0);
    require(llm_replay_read(again, arena, &two, NULL) == 0);
    require(one.code == two.code && one.fatal == two.fatal);
    require(one.code < 0 || (str_eq(one.text, two.text) && one.stop == two.stop));
    require(one.code == 0 || str_eq(one.error, two.error));
    require(one.usage_known == two.usage_known && one.usage.in == two.usage.in);
    require(same_number(one.usd, two.usd) && same_number(one.usd_unsure, two.usd_unsure));
    require(str_eq(one.model, two.model) && one.tries == two.tries);
    json_decref(json);
    json_decref(again);
    return 0;
}
