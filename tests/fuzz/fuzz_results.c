/* SPDX-License-Identifier: MIT */
/*
 * Results of a run of any bytes: a document, or a list of them. What is read is scored, compared with itself and shown:
 * no difference is found there, the page holds no tag that came from outside, and no share leaves [0, 1].
 */
#include "agent/kernelbench_against.h"
#include "agent/kernelbench_page.h"
#include "agent/kernelbench_tally.h"
#include "base/jread.h"
#include "base/util.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_scores(const struct results *r)
{
    for (int rule = 0; rule < RULE_COUNT; rule++) {
        struct tally_group g = { .rule = (enum rule)rule, .seed = 1 };
        struct score s;
        tally_score(r, &g, &s);
        require(s.correct <= s.n && s.n <= r->n);
        for (size_t p = 0; p < SCORE_POINTS; p++) {
            require(s.fast[p] >= 0 && s.fast[p] <= 1);
        }
    }
}

static void check_page(const struct results *r)
{
    struct against *a = against_make(r, "a", r, "b", tally_rule(r), 1);
    struct kernelbench_page page = { .results = r, .name = "<script>", .against = a, .seed = 1 };
    struct buf out;
    buf_init(&out, 64 << 20);
    kernelbench_page_text(&page, &out);
    require(!out.failed && !strstr(out.at, "<script"));
    require(a->surely_faster == 0 && a->surely_slower == 0 && a->n_gained == 0 && a->n_lost == 0);
    json_decref(against_json(a));
    buf_done(&out);
    free(a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    json_t *json = NULL, *list;
    struct results *r = NULL;
    if (jread_parse((const char *)data, size, &json, NULL) < 0) {
        return 0;
    }
    list = json_is_array(json) ? json_incref(json) : json_pack("[O]", json);
    if (results_of(list, &r, NULL) == 0) {
        check_scores(r);
        check_page(r);
        json_decref(tally_json(r, 1));
        results_free(r);
    }
    json_decref(list);
    json_decref(json);
    return 0;
}
