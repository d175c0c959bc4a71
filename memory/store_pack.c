/* SPDX-License-Identifier: MIT */
#include "memory/store_pack.h"
#include "base/id.h"
#include "base/util.h"
#include "memory/store.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

enum packing { PACKING_PLAIN, PACKING_ZSTD };
enum { PACK_LEVEL = 1 }; /* of a few KiB: level 3 takes longer and saves 2 % */

struct head {
    uint8_t format, packing, zero[2];
    uint32_t len;
    uint64_t check;
};
_Static_assert(sizeof(struct head) == STORE_PACK_HEAD, "the header is part of the format");

static uint64_t check_of(enum store_db db, const char *key, const struct head *head,
                         const void *bytes, size_t n)
{
    uint8_t number = (uint8_t)db;
    struct id_part parts[] = {
        {&number, 1},
        {key, strlen(key)},
        {head, offsetof(struct head, check)},
        {bytes, n},
    };
    struct id id;
    id_of_parts(parts, ARRAY_LEN(parts), &id);
    uint64_t check;
    memcpy(&check, id.bytes, sizeof(check));
    return check;
}

struct store_packer {
    ZSTD_CCtx *context;
    char *room;
    size_t size;
};

struct store_packer *store_packer_new(void)
{
    struct store_packer *packer = xcalloc(1, sizeof(*packer));
    packer->context = ZSTD_createCCtx();
    require(packer->context != NULL);
    return packer;
}

void store_packer_free(struct store_packer *packer)
{
    if (packer) {
        ZSTD_freeCCtx(packer->context);
        free(packer->room);
        free(packer);
    }
}

/* Compresses behind the header; false if that doesn't make it smaller. */
static bool squeeze(struct store_packer *packer, const void *at, size_t len, struct buf *out)
{
    size_t bound = ZSTD_compressBound(len);
    if (bound > packer->size) {
        packer->room = xrealloc(packer->room, bound, 1);
        packer->size = bound;
    }
    size_t n = ZSTD_compressCCtx(packer->context, packer->room, bound, at, len, PACK_LEVEL);
    if (ZSTD_isError(n) || n >= len) {
        return false;
    }
    return buf_add(out, packer->room, n) == 0;
}

int store_pack(struct store_packer *packer, enum store_db db, const char *key, const void *at,
               size_t len, struct buf *out)
{
    struct head head = {.format = STORE_PACK_FORMAT, .len = htole32((uint32_t)len)};
    out->len = 0;
    buf_add(out, &head, sizeof(head));
    if (len >= STORE_PACK_FROM && squeeze(packer, at, len, out)) {
        head.packing = PACKING_ZSTD;
    } else {
        buf_add(out, at, len);
    }
    if (out->failed) {
        return out->failed;
    }
    head.check = check_of(db, key, &head, out->at + sizeof(head), out->len - sizeof(head));
    memcpy(out->at, &head, sizeof(head));
    return 0;
}

static int damaged(enum store_db db, const char *key, const char *how, struct err *err)
{
    return err_set(err, ERR_INVALID, "%s/%s: damaged record: %s", store_db_name(db), key, how);
}

int store_unpack(enum store_db db, const char *key, const void *packed, size_t packed_len,
                 struct arena *arena, const char **ret_at, size_t *ret_len, struct err *err)
{
    struct head head;
    if (packed_len < sizeof(head)) {
        return damaged(db, key, "shorter than its header", err);
    }
    memcpy(&head, packed, sizeof(head));
    if (head.format > STORE_PACK_FORMAT) {
        return err_set(err, ERR_VERSION, "%s/%s: written by a newer program (record format %d)",
                       store_db_name(db), key, head.format);
    }
    const char *bytes = (const char *)packed + sizeof(head);
    size_t n = packed_len - sizeof(head), len = le32toh(head.len);
    if (head.format == 0 || head.packing > PACKING_ZSTD || len > STORE_VALUE_MAX) {
        return damaged(db, key, "impossible header", err);
    }
    if (check_of(db, key, &head, bytes, n) != head.check) {
        return damaged(db, key, "wrong checksum", err);
    }
    if (head.packing == PACKING_PLAIN && n != len) {
        return damaged(db, key, "wrong length", err);
    }
    char *at = arena_alloc(arena, len + 1, 1);
    if (head.packing == PACKING_PLAIN) {
        memcpy(at, bytes, len);
    } else if (ZSTD_decompress(at, len, bytes, n) != len) {
        return damaged(db, key, "doesn't decompress", err);
    }
    *ret_at = at;
    *ret_len = len;
    return 0;
}
