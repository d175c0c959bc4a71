#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * Memories between machines, as JSON lines: a header {"warpsmith_memory": 1, "origin"}, one line
 * for each statistic and each learned node with the origin that saw it, the candidates that nodes name
 * as worked examples ("candidate" in a node's value), and a last line with the counts, so that a cut
 * file is noticed. How far a store trusts its memory (EXCHANGE_LOCAL) is its own experience and stays
 * at home: a foreign memory can't vouch for itself.
 *
 * An import is one transaction. What an origin says replaces what the same origin said before, if
 * it is newer; what this store saw itself is never changed. So importing a file twice, or sending
 * memories in circles between machines, counts nothing twice.
 */
#include "base/buf.h"
#include "memory/store.h"

#define EXCHANGE_LOCAL "trust/" /* statistics under such keys */
enum { EXCHANGE_FORMAT = 1, EXCHANGE_BYTES_MAX = 256 << 20, EXCHANGE_LINE_MAX = 4 << 20 };

struct exchange_report {
    size_t stats, nodes, candidates; /* written, or taken in */
    size_t skipped;      /* our own, or known already as new as this or newer */
};

/* Appends to `out`; ERR_TOOBIG if it doesn't fit under its cap. */
int exchange_export(struct store *store, struct buf *out, struct exchange_report *ret,
                    struct err *err);

/* ERR_INVALID names the line; ERR_VERSION: a newer format. Nothing is changed on an error. */
int exchange_import(struct store *store, const char *text, size_t len, struct exchange_report *ret,
                    struct err *err);
