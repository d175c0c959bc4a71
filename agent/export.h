#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * A candidate for use outside: its plan bound to one shape, its compiled image, and a launcher in text.
 *
 *   Python  a file with image, source and a launcher by the CUDA driver (agent/export/kernel.py): as a
 *           function on tensors, or as KernelBench's ModelNew, which keeps the problem's own Model for
 *           its weights. That text comes from the user's file when it is exported; nothing of it is ours.
 *   C       launch.h, launch.c, the image, and a main.c that times it
 *
 * What comes out is as specialised as what was judged: other shapes are refused, not guessed at.
 */
#include <jansson.h>
#include "agent/session.h"
#include "base/buf.h"
#include "kernelbench/candidate.h"

struct export_tensor {
    const char *name; /* a word that neither Python nor C has for itself */
    enum dtype dtype;
    enum tensor_role role;
    size_t rank;
    int64_t dims[TASK_RANK_MAX], count;
    int alias; /* the tensor whose memory this output shares, or -1 */
};

struct export {
    const struct task *task;
    const struct candidate *candidate;
    const struct bound *bound;
    const char *name;  /* a word: "softmax", "level1_19_ReLU" */
    const char *made;  /* one line of what this is and was judged as, for the head of a file */
    const json_t *scalars; /* numbers that forward gets besides, in order; a list, or NULL */
    size_t n_tensors;
    struct export_tensor *tensors; /* in the bound's order */
    char *image; /* export_done frees */
    size_t image_len;
    bool ptx;         /* the image is PTX, for the driver to compile */
    bool from_source; /* leave the image out of Python: NVRTC compiles the source where it runs */
    const char *arch, *device;
};

/*
 * Binds and compiles at the task's default shape. `described` is the oracle's word on the problem, whose
 * shapes and scalars forward has to do with; NULL for a native task. What is borrowed must live as long.
 */
int export_make(struct session *session, const struct task *task, const struct candidate *candidate,
                const char *name, const json_t *described, struct arena *arena, struct export *ret,
                struct err *err);
void export_done(struct export *export);

/* `problem` is the text of the problem's file. */
int export_model(const struct export *export, const char *problem, struct buf *out, struct err *err);
/* A module with one function of the candidate's name. */
int export_function(const struct export *export, struct buf *out, struct err *err);
/* launch.h, launch.c, main.c, kernel.cu, the image and a README into a folder that exists. */
int export_c(const struct export *export, const char *folder, struct err *err);

/* A word for C and Python made of any text: "3d conv" becomes k3d_conv. */
char *export_word(const char *text, struct arena *arena);
