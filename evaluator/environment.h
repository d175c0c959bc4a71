#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * What workers see of our environment: where things lie, how the driver, the simulator and the
 * sanitizers are set. Nothing else, since they handle a model's text and run its code; above all no
 * key of a language model. A name that says key, token, secret or password never passes.
 */
#include <stdbool.h>

/* May "NAME=value" (or NAME alone) be seen? */
bool environment_passes(const char *entry);

/* `extra` ("NAME=value", NULL-terminated; NULL: none), then what passes of the process's own. Free
 * with environment_free. */
char **environment_for_worker(const char *const *extra);
void environment_free(char **environment);
