#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * A tuning in pictures, as inline SVG with the page's classes (plot_parts.h): how the best came down, where
 * the samples lie in the space, and which parameters mattered. Times in microseconds; a NAN is a failure.
 * Every picture of one search shows the same samples, in the order in which they were taken.
 */
#include "agent/tune/tune_space.h"
#include "base/buf.h"

struct tune_picture {
    const struct tune_space *space;
    const uint16_t *configs; /* row by row */
    const double *us;
    size_t n;
};

enum {
    TUNE_PICTURE_MIN = 8,     /* samples below which a scatter says nothing */
    TUNE_PICTURE_RAN = 16,    /* the same of what mattered: samples that ran */
    TUNE_PICTURE_SHOWN = 4000, /* samples in a picture; of more, the last ones stay out */
    TUNE_PICTURE_FEATURES = 1024, /* of a space; with more, neither is drawn */
};

/* Samples and the best so far. */
void tune_picture_samples(struct buf *out, const struct tune_picture *picture);
/*
 * The best so far of several searches of one space: a thin line each, their median, and the optimum
 * where it is known (else 0). curves[k] has lengths[k] times; NAN before anything ran.
 */
void tune_picture_curves(struct buf *out, const double *const *curves, const size_t *lengths,
                         size_t n, double optimum_us);
/* Two principal components (tune_pca.h), coloured by time. */
void tune_picture_scatter(struct buf *out, const struct tune_picture *picture);
/*
 * By how much each parameter tells the fastest quarter from the rest (importance in a forest, forest.h),
 * and times over the values of the first few.
 */
void tune_picture_matter(struct buf *out, const struct tune_picture *picture);

/* All that one search's samples are enough for, each in a figure with its caption. */
void tune_picture_figures(struct buf *out, const struct tune_picture *picture, bool modelled);

/* tune_picture_scale.c: times as shares of the best, in classes of colour t0 (best) to t5. */
enum { TUNE_PICTURE_CLASSES = 6 };
size_t tune_picture_class(double us, double best_us);
/* "best to 1.05x", one a class. */
const char *tune_picture_class_text(size_t class);
double tune_picture_best(const struct tune_picture *picture); /* INFINITY: none ran */
/* The upper end of an axis from `best`: slower ones than that stand at its edge, so that a few very slow
   ones don't press the rest together. */
double tune_picture_top(double best, double worst);
/* "BLOCK=512 VEC=4: 66.1 µs", or "... failed". */
void tune_picture_label(const struct tune_picture *picture, size_t i, struct buf *out);
