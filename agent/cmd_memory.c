/* SPDX-License-Identifier: MIT */
/* memory: what the graph knows, why it chose, and how it travels. */
#include "agent/memory_command.h"
#include "base/util.h"

#include <stdio.h>

static const struct memory_part *const parts[] = {
    &memory_show, &memory_why, &memory_stats, &memory_verify,
    &memory_dot, &memory_export, &memory_import, &memory_merge,
};

static int run_memory(const struct options *o)
{
    const char *names[ARRAY_LEN(parts)];
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        const struct memory_part *part = parts[i];
        names[i] = part->name;
        if (!str_eq(o->args[0], part->name)) {
            continue;
        }
        size_t n = o->n_args - 1;
        if (n < part->args_min || n > part->args_max) {
            fprintf(stderr, "warpsmith: write warpsmith memory %s\n", part->usage);
            return EXIT_USAGE;
        }
        return part->run(o, n, o->args + 1);
    }
    const char *near = suggest(o->args[0], names, ARRAY_LEN(names));
    fprintf(stderr, "warpsmith memory: there is no \"%s\"%s%s%s; there are", o->args[0],
            near ? ", did you mean \"" : "", near ? near : "", near ? "\"?" : "");
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        fprintf(stderr, " %s", names[i]);
    }
    fprintf(stderr, "\n");
    return EXIT_USAGE;
}

const struct command command_memory = {
    .name = "memory",
    .summary = "what is known, why it was chosen, and memories between machines",
    .usage = "memory PART [...] [options]",
    .help = "show [NODE]            the graph with what this store learned, or one node whole\n"
            "why CAMPAIGN/TASK/N    why attempt N took its direction: every number that decided\n"
            "stats                  how much experience there is, and how far it is trusted\n"
            "verify                 proves that every reference resolves and every sum is right\n"
            "dot [FILE]             the graph as a picture's source: dot -Tsvg FILE\n"
            "export FILE            statistics, learned nodes and their examples as JSON lines\n"
            "import FILE            takes an export in; twice counts once\n"
            "merge STORE            the same straight from another store's folder\n\n"
            "  warpsmith memory show row-in-registers\n"
            "  warpsmith memory why c1a2b3/softmax/4\n"
            "  warpsmith memory export - | ssh node warpsmith memory import -",
    .takes = "store json",
    .args_min = 1,
    .args_max = 2,
    .run = run_memory,
};
