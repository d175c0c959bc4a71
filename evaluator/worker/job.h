#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * A judge job as it arrives: JSON in, structs out, every number checked against the caps and every
 * index against what it points into, so that the rest of the worker can trust it. Everything
 * belongs to the arena given.
 */
#include <jansson.h>
#include "base/arena.h"
#include "base/err.h"
#include "base/id.h"
#include "kernelbench/candidate.h"
#include "kernelbench/ceilings.h"

enum { JOB_CASES_MAX = TASK_SHAPES_MAX, JOB_IMAGES_MAX = 3 * TASK_SHAPES_MAX };

/* Of a side that launches nothing. */
#define JOB_NO_IMAGE SIZE_MAX

struct job_image {
    const char *at;
    size_t len;
};

/* One side of a case: which image, launched how. */
struct job_side {
    size_t image;
    struct bound *bound; /* NULL: there is no such side */
};

struct job_case {
    const char *shape;
    bool check, time;
    int64_t accumulation; /* terms of the longest sum */
    size_t n_scalars;
    struct scalar *scalars;
    struct job_side reference, candidate, baseline;
    struct id reference_id;
    struct id baseline_id; /* of all that a modelled time depends on; of timed cases only */
    int *alias; /* for each tensor the index of the one whose memory it shares, or -1 */
};

struct oracle;

struct job {
    unsigned char salt[32];
    const char *problem;   /* what PyTorch is asked about, by hash; NULL: a reference kernel says what is right */
    struct oracle *oracle; /* set by who runs the job where `problem` is */
    double opened_s;       /* and what opening it took */
    bool relative;         /* atol is a share of the expected output's RMS */
    struct id task_id; /* of references, rules and shapes of what is checked, whatever their order */
    int trials, roundings;
    bool deterministic; /* asked for */
    size_t samples_min, samples_max;
    bool tuning;        /* time first, and nothing checked of what is slower than hopeless_us */
    double hopeless_us; /* 0: nothing is */
    bool rule_kb, rule_verified, exact; /* of a job "protocol" alone, see protocol.h */
    double check_seconds, atol, rtol;
    double floor_bytes, floor_flops;
    bool flops_minimum;
    const char *precision;
    struct ceilings ceilings; /* zeros: not measured */
    size_t n_images, n_cases;
    struct job_image images[JOB_IMAGES_MAX];
    struct job_case cases[JOB_CASES_MAX];
};

/* Images point into `blob`. ERR_INVALID with the path inside the document. */
int job_parse(const json_t *json, const char *blob, size_t blob_len, struct arena *arena,
              struct job *ret, struct err *err);
