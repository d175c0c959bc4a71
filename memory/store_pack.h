#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * How a value lies in the database: 16 bytes {format, packing, 0, 0, length u32, check u64}, then
 * the bytes, compressed with zstd when that saves room. The check is BLAKE2b over the database, the
 * key, the first half of the header and the bytes, so a flipped bit or a misplaced record is found.
 */
#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "memory/store_batch.h"

enum { STORE_PACK_HEAD = 16, STORE_PACK_FORMAT = 1, STORE_PACK_FROM = 512 };

/* What compressing needs; one for many values costs a fraction of one each. Not for two threads. */
struct store_packer *store_packer_new(void);
void store_packer_free(struct store_packer *packer); /* NULL is fine */

/* Replaces what is in `out`. */
int store_pack(struct store_packer *packer, enum store_db db, const char *key, const void *at,
               size_t len, struct buf *out);

/* ERR_INVALID: damaged; ERR_VERSION: a newer record format. A NUL follows the bytes. */
int store_unpack(enum store_db db, const char *key, const void *packed, size_t packed_len,
                 struct arena *arena, const char **ret_at, size_t *ret_len, struct err *err);
