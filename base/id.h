#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * Ids: BLAKE2b-256 over content. A list of parts is hashed with each part's length before it, so
 * that no two different lists collide by shifting bytes between parts. libsodium is included here
 * and nowhere else.
 */
#include <stdbool.h>
#include <stddef.h>

struct id {
    unsigned char bytes[32];
};

enum { ID_HEX = 65, ID_SHORT = 13 };

struct id_part {
    const void *at;
    size_t len;
};

void id_of_parts(const struct id_part *parts, size_t n, struct id *ret);
void id_of_bytes(const void *at, size_t len, struct id *ret);

/* 64 lower-case hex digits and NUL; the short form shows 12 of them, for people. */
void id_hex(const struct id *id, char ret[ID_HEX]);
void id_short(const struct id *id, char ret[ID_SHORT]);
bool id_parse(const char *hex, struct id *ret);
bool id_eq(const struct id *a, const struct id *b);

/* Bytes that nobody outside can guess (a salt, a campaign's id). */
void random_bytes(void *at, size_t len);

/* Bytes as text: RFC 4648's base64, padded, on one line. The caller frees. */
char *bytes_base64(const void *at, size_t len);
