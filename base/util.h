#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * Small things every folder uses: cleanup attributes for locals, allocation that aborts (for sizes
 * that we choose ourselves; anything sized from outside goes through `struct buf` or an explicit
 * check), and string helpers. Nothing here keeps state.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/param.h> /* MIN, MAX */

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define container_of(ptr, type, member) ((type *)(void *)((char *)(ptr) - offsetof(type, member)))

void cleanup_free(void *p);
void cleanup_close(int *fd);

#define auto_free __attribute__((cleanup(cleanup_free)))
#define auto_close __attribute__((cleanup(cleanup_close)))

/* Zeroed memory or abort. */
void *xcalloc(size_t n, size_t size);
void *xrealloc(void *p, size_t n, size_t size);
char *xstrdup(const char *s);
char *xprintf(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Aborts with a message when a condition of ours is broken; in every build. */
#define require(x) ((x) ? (void)0 : require_failed(#x, __FILE__, __LINE__))
void require_failed(const char *what, const char *file, int line) __attribute__((noreturn, cold));

bool str_eq(const char *a, const char *b);
bool str_prefix(const char *s, const char *prefix);

/* A strict base-10 integer or decimal number that fills the whole string; false if it doesn't. */
bool str_to_i64(const char *s, int64_t *ret);
bool str_to_f64(const char *s, double *ret);

/* Bytes of the UTF-8 sequence that starts here, of at most `left`; 0 if it isn't one (RFC 3629). */
size_t utf8_len(const char *s, size_t left);

/*
 * The known name nearest to `name` by edit distance, or NULL if none is near enough to be meant
 * (distance over a third of its length). For "did you mean".
 */
const char *suggest(const char *name, const char *const *known, size_t n);

/* Monotonic time in nanoseconds; for deadlines and figures, never for decisions of the core. */
uint64_t clock_ns(void);
