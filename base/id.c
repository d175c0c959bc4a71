/* SPDX-License-Identifier: MIT */
#include "base/id.h"
#include "base/util.h"

#include <sodium.h>
#include <string.h>

void id_of_parts(const struct id_part *parts, size_t n, struct id *ret)
{
    crypto_generichash_state state;
    crypto_generichash_init(&state, NULL, 0, sizeof(ret->bytes));
    for (size_t i = 0; i < n; i++) {
        unsigned char len[8];
        for (int b = 0; b < 8; b++) {
            len[b] = (unsigned char)((uint64_t)parts[i].len >> (8 * b));
        }
        crypto_generichash_update(&state, len, sizeof(len));
        crypto_generichash_update(&state, parts[i].at, parts[i].len);
    }
    crypto_generichash_final(&state, ret->bytes, sizeof(ret->bytes));
}

void id_of_bytes(const void *at, size_t len, struct id *ret)
{
    id_of_parts(&(struct id_part) { at, len }, 1, ret);
}

void id_hex(const struct id *id, char ret[ID_HEX])
{
    sodium_bin2hex(ret, ID_HEX, id->bytes, sizeof(id->bytes));
}

void id_short(const struct id *id, char ret[ID_SHORT])
{
    char hex[ID_HEX];
    id_hex(id, hex);
    memcpy(ret, hex, ID_SHORT - 1);
    ret[ID_SHORT - 1] = '\0';
}

bool id_parse(const char *hex, struct id *ret)
{
    struct id id;
    size_t n = 0;
    if (strlen(hex) != 64
        || sodium_hex2bin(id.bytes, sizeof(id.bytes), hex, 64, NULL, &n, NULL) != 0 || n != 32) {
        return false;
    }
    *ret = id;
    return true;
}

bool id_eq(const struct id *a, const struct id *b)
{
    return memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

char *bytes_base64(const void *at, size_t len)
{
    size_t room = sodium_base64_encoded_len(len, sodium_base64_VARIANT_ORIGINAL);
    char *text = xcalloc(1, room);
    return sodium_bin2base64(text, room, at, len, sodium_base64_VARIANT_ORIGINAL);
}

void random_bytes(void *at, size_t len)
{
    randombytes_buf(at, len);
}
