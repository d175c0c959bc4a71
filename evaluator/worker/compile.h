#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * The compile worker: CUDA source in, cubin with PTX and ptxas's report out, through NVRTC. It has
 * no GPU, no network and, once sealed, no files but the CUDA headers, because its input was written
 * by a model and the compiler's log goes back into prompts.
 */
#include <stdbool.h>

struct compile_config {
    const char *include; /* folder of the CUDA headers */
    const char *nvrtc;   /* path of the library, or NULL */
    bool unsealed;       /* for debugging */
};

/* Says hello, warms up, seals itself and serves jobs until the agent hangs up. Returns the exit
 * code of the program. */
int compile_serve(const struct compile_config *config);
