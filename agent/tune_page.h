#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * The page of a tuning (`warpsmith tune --out DIR`): facts, the fastest configs, and pictures
 * (tune_picture.h), live or replayed on a recorded space. Self-contained, like report.h's. Of several
 * searches of one space (seeds) all curves are shown, and the other pictures are of the one in `shown`.
 * All texts may come from outside.
 */
#include "agent/tune_picture.h"
#include "base/err.h"

struct tune_page_fact {
    const char *name, *text; /* text NULL or "": left out */
};

struct tune_page {
    const char *title;  /* "softmax: cp-async-ring" */
    const char *device; /* "" if it isn't known */
    const char *note;   /* what went wrong on the way; "" or NULL */
    bool modelled;
    const struct tune_page_fact *facts;
    size_t n_facts;
    struct tune_picture shown;
    const double *const *curves; /* as tune_picture_curves; n_curves < 2: none is drawn */
    const size_t *lengths;
    size_t n_curves;
    double optimum_us; /* 0: not known */
};

/* The page, whole or not at all. */
int tune_page_write(const char *path, const struct tune_page *page, struct err *err);
