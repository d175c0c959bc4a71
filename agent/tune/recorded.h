#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * A recorded space: every config of one kernel on one device with its measured time, so that a
 * search can be run again without the device. Reads the caches of Kernel Tuner and T4 files
 * (github.com/odgaard/TuningSchema), plain or gzip; writes T4.
 *
 * Times are in the file's own unit (milliseconds in both formats). Allowed is what is recorded: a
 * config that isn't there violates a constraint of the recorded kernel, and was never an evaluation.
 * A config that failed is there, with NAN. Values that no config has and parameters of one value
 * are left out of the space. Numbers that are all powers of two are TUNE_POW2, 0 and 1 TUNE_BOOL,
 * other numbers TUNE_NUMBER, words TUNE_CHOICE; numbers in quotes are numbers.
 */
#include <jansson.h>
#include "agent/tune/tune_space.h"

enum {
    RECORDED_FILE_MAX = 64 << 20,  /* bytes of the file */
    RECORDED_TEXT_MAX = 256 << 20, /* bytes inflated */
    RECORDED_VALUES_MAX = 8 << 20, /* commas in it */
    RECORDED_NAME_MAX = 256,       /* bytes of a name or a word */
    RECORDED_TIMES_MAX = 1024,     /* single timings of a config */
};

enum recorded_status {
    RECORDED_CORRECT, RECORDED_COMPILE, RECORDED_RUNTIME, RECORDED_CORRECTNESS, RECORDED_TIMEOUT,
};

struct recorded {
    struct tune_space *space; /* listed, in the file's order; everything lies in its arena */
    const char *kernel, *device; /* "" where the file doesn't say */
    const double *times;      /* a row: the mean; NAN: failed */
    const enum recorded_status *status;
    const uint32_t *first;    /* n_listed + 1: where a row's single timings begin in `single` */
    const double *single;
    size_t n_failed, best;    /* best: the row of the optimum */
    double optimum;
};

/* ERR_INVALID with the place in the document; ERR_TOOBIG; ERR_NOTFOUND: no config of it ran. */
int recorded_read(const char *path, struct recorded **ret, struct err *err);
/* The same of bytes, plain or gzip. */
int recorded_parse(const char *bytes, size_t len, struct recorded **ret, struct err *err);
/* The same of measurements at hand, each config once; all name the same parameters. */
struct recorded_sample {
    const json_t *config; /* {"BLOCK": 256, "VEC": 4} */
    enum recorded_status status;
    double time; /* not looked at unless RECORDED_CORRECT */
};
int recorded_build(const struct recorded_sample *samples, size_t n, struct recorded **ret,
                   struct err *err);
void recorded_free(struct recorded *recorded); /* NULL is fine */

/*
 * One timing of a row as it might have come: its mean times a recorded single timing's share of
 * the mean of all of them (files exist whose single timings have another scale). NAN: failed.
 */
double recorded_noisy(const struct recorded *recorded, size_t row, struct rng *rng);

/* What is written. Texts may be NULL; times in milliseconds. */
struct recorded_entry {
    const uint16_t *config;
    enum recorded_status status;
    double time_ms; /* the mean; not looked at unless RECORDED_CORRECT */
    size_t n_single;
    const double *single_ms;
    double compile_ms;
};

struct recorded_about {
    const char *kernel, *task, *shape, *device, *driver, *date;
};

/* T4 results, with what it is about under "metadata"; gzip if the path ends in ".gz". */
int recorded_write_t4(const char *path, const struct tune_space *space,
                      const struct recorded_about *about, const struct recorded_entry *entries,
                      size_t n, struct err *err);
const char *recorded_status_name(enum recorded_status status); /* T4's "invalidity" */

/* recorded_file.c: a whole file, inflated where it is gzip; the caller frees. Written likewise. */
int recorded_inflate(const char *bytes, size_t len, char **ret, size_t *ret_len, struct err *err);
int recorded_write(const char *path, const char *text, size_t len, struct err *err);
