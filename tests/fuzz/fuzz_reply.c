/* SPDX-License-Identifier: MIT */
/*
 * A reply of any bytes. Whatever comes: a candidate or a request to correct, never both and never
 * neither; texts that can be stored; the same answer twice; and the reply that corrects it is read
 * with what it left out. The first byte says how it came.
 */
#include "agent/reply.h"
#include "base/util.h"

#include <stdlib.h>
#include <string.h>

enum { CUT = 1, BEFORE = 2, NO_GRAPH = 4 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct htg *graph(void)
{
    struct htg *htg = htg_new();
    const struct htg_direction direction = { .id = "data-reuse", .title = "Data reuse" };
    const struct htg_strategy strategy = { .id = "row-in-registers", .direction = "data-reuse",
                                           .title = "Keep the row in registers", .guidance = "g" };
    require(htg_add_direction(htg, &direction, NULL) == 0);
    require(htg_add_strategy(htg, &strategy, NULL) == 0);
    return htg;
}

static void check_text(const char *text, size_t len)
{
    for (size_t i = 0; i < len;) {
        size_t n = utf8_len(text + i, len - i);
        require(n > 0);
        i += n;
    }
}

static void check(const struct reply *reply)
{
    bool ok = reply->fault == REPLY_FAULT_NONE;
    require(ok == (reply->candidate != NULL) && ok == (*reply->correction == '\0'));
    require(!ok || (reply->source && reply->plan));
    require(!reply->invented || (*reply->title && !*reply->strategy));
    require(strlen(reply->title) <= REPLY_TITLE_MAX && strlen(reply->summary) <= REPLY_SUMMARY_MAX);
    require(reply->n_notes <= REPLY_NOTES_MAX && *reply_fault_name(reply->fault));
    check_text(reply->title, strlen(reply->title));
    check_text(reply->summary, strlen(reply->summary));
    if (reply->source) {
        check_text(reply->source, reply->source_len);
    }
    if (reply->plan) {
        check_text(reply->plan, reply->plan_len);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    auto_arena struct arena *arena = arena_new();
    struct htg *htg = graph();
    struct reply_input input = { .text = (const char *)data + 1, .len = size - 1,
                                 .cut = data[0] & CUT, .htg = data[0] & NO_GRAPH ? NULL : htg };
    struct reply reply, again;
    reply_parse(&input, arena, &reply);
    check(&reply);
    input.before = data[0] & BEFORE ? &reply : NULL;
    reply_parse(&input, arena, &again);
    check(&again);
    require(again.fault == reply.fault);
    require(!reply.candidate || id_eq(&reply.candidate->id, &again.candidate->id));
    candidate_free(reply.candidate);
    candidate_free(again.candidate);
    htg_free(htg);
    return 0;
}
