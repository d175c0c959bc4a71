/* SPDX-License-Identifier: MIT */
/*
 * Bytes that come from a store or from another machine: the first byte picks a parser. Each reads
 * or refuses with a text, the same with and without one; whatever an import takes leaves a store
 * that verifies.
 */
#include "base/file.h"
#include "base/util.h"
#include "memory/exchange.h"
#include "memory/node.h"
#include "memory/record.h"
#include "memory/store_pack.h"
#include "memory/verify.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void import(const char *text, size_t len)
{
    char path[] = "/tmp/warpsmith-fuzz-XXXXXX";
    struct store *store;
    struct store_options options = {.map_size = 1 << 20};
    struct exchange_report report;
    struct verify_report verified;
    struct err err = {0};
    require(mkdtemp(path) != NULL);
    require(store_open(path, &options, &store, NULL) == 0);
    int r = exchange_import(store, text, len, &report, &err);
    require((r < 0) == (err.text[0] != '\0'));
    if (r == 0) {
        auto_arena struct arena *arena = arena_new();
        require(store_verify(store, arena, &verified, NULL) == 0 && verified.n_problems == 0);
        require(exchange_import(store, text, len, &report, NULL) == 0);
        require(report.stats == 0 && report.nodes == 0);
    }
    store_close(store);
    require(folder_remove(path, NULL) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    auto_arena struct arena *arena = arena_new();
    struct store_item item = {"k", arena_strndup(arena, (const char *)data + 1, size - 1),
                              size - 1};
    struct campaign_record campaign;
    struct attempt_record attempt;
    struct call_record call;
    struct candidate_record candidate;
    struct node_record node;
    const char *at;
    size_t len;
    struct err err = {0};
    switch (data[0]) {
#define READ(letter, name)                                                                         \
    case letter: {                                                                                 \
        int r = record_read_##name(&item, arena, &name, &err);                                     \
        require(record_read_##name(&item, arena, &name, NULL) == r);                               \
        require((r < 0) == (err.text[0] != '\0'));                                                 \
        break;                                                                                     \
    }
        READ('c', campaign)
        READ('a', attempt)
        READ('l', call)
        READ('d', candidate)
    case 'n':
        require((node_read(&item, arena, &node, &err) < 0) == (err.text[0] != '\0'));
        break;
    case 'p':
        store_unpack(STORE_DB_CALLS, "k", item.at, item.len, arena, &at, &len, &err);
        break;
    case 'i':
        import(item.at, item.len);
        break;
    default:
        break;
    }
    return 0;
}
