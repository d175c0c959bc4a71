/* SPDX-License-Identifier: MIT */
/* A verdict of any bytes. What parses is written and read back without a change. */
#include "base/jread.h"
#include "base/util.h"
#include "kernelbench/verdict.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    json_t *json = NULL;
    if (jread_parse((const char *)data, size, &json, NULL) < 0) {
        return 0;
    }
    auto_arena struct arena *arena = arena_new();
    struct verdict verdict, back;
    struct err err = { 0 };
    if (verdict_parse(json, arena, &verdict, &err) == 0) {
        json_t *one = verdict_json(&verdict);
        require(verdict_parse(one, arena, &back, NULL) == 0);
        json_t *two = verdict_json(&back);
        require(json_equal(one, two));
        json_decref(one);
        json_decref(two);
    } else {
        require(err.text[0]);
    }
    json_decref(json);
    return 0;
}
