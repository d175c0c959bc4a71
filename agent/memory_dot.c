/* SPDX-License-Identifier: MIT */
/*
 * memory dot: the graph as Graphviz text. A direction is a box, darker the more it brought; an edge
 * is what the seeds say (dashed) or what was seen (solid, wider the more often, labelled with its
 * mean gain as a factor). Experience on devices where there is some, else in the model, and then the
 * title says so.
 */
#include "agent/memory_command.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/util.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* Ids are letters, digits and dashes; titles may hold anything. */
static void put_quoted(struct buf *out, const char *text)
{
    buf_puts(out, "\"");
    for (; *text; text++) {
        if (*text == '"' || *text == '\\') {
            buf_puts(out, "\\");
        }
        buf_add(out, text, 1);
    }
    buf_puts(out, "\"");
}

static bool any_measured(const struct htg *htg)
{
    for (size_t i = 0; i < htg_directions(htg); i++) {
        const struct tally *t = memory_everywhere(htg, STATS_KIND_DIRECTION, NULL,
                                                  htg_direction(htg, i)->id, false);
        if (t && t->n) {
            return true;
        }
    }
    return false;
}

static void put_direction(const struct htg *htg, size_t index, bool modelled, struct buf *out)
{
    const struct htg_direction *d = htg_direction(htg, index);
    const struct tally *t = memory_everywhere(htg, STATS_KIND_DIRECTION, NULL, d->id, modelled);
    size_t strategies = 0;
    for (size_t i = 0; i < htg_strategies(htg); i++) {
        strategies += htg_strategy(htg, i)->direction_index == (int)index;
    }
    double worth = t ? MAX(0, MIN(1, t->mean / 0.5)) : 0;
    buf_puts(out, "  ");
    put_quoted(out, d->id);
    buf_printf(out, " [fillcolor=\"%.3f %.3f 1.000\", label=<<b>%s</b><br/>%zu strategies", 0.33,
               0.08 + 0.5 * worth, d->id, strategies);
    if (t && t->n) {
        buf_printf(out, "<br/>%.2fx in %lld tries", exp(t->mean), (long long)t->n);
    }
    buf_puts(out, ">];\n");
}

static void put_edge(const struct htg *htg, const char *from, const char *to, bool modelled,
                     struct buf *out)
{
    const struct tally *t = memory_everywhere(htg, STATS_KIND_TRANSITION, from, to, modelled);
    const struct htg_transition *seed = htg_find_transition(htg, from, to);
    if (!seed && !(t && t->n)) {
        return;
    }
    buf_puts(out, "  ");
    put_quoted(out, from);
    buf_puts(out, " -> ");
    put_quoted(out, to);
    if (t && t->n) {
        buf_printf(out, " [penwidth=%.2f, color=\"%s\", label=\"%.2fx\\n%lld\"", 1 + log((double)t->n),
                   t->mean >= 0 ? "#2d6a4f" : "#b23a48", exp(t->mean), (long long)t->n);
    } else {
        buf_puts(out, " [style=dashed, color=\"#999999\"");
    }
    if (seed && *seed->when) {
        buf_puts(out, ", tooltip=");
        put_quoted(out, seed->when);
    }
    buf_puts(out, "];\n");
}

static void put_graph(const struct htg *htg, struct buf *out)
{
    bool modelled = !any_measured(htg);
    buf_printf(out,
               "digraph memory {\n  label=\"mean gain by direction and transition%s\";\n"
               "  rankdir=LR;\n  node [shape=box, style=\"rounded,filled\", fontname=\"sans-serif\"];\n"
               "  edge [fontname=\"sans-serif\", fontsize=10];\n  \"" HTG_START "\" [shape=circle];\n",
               modelled ? " (modelled)" : "");
    for (size_t i = 0; i < htg_directions(htg); i++) {
        put_direction(htg, i, modelled, out);
    }
    for (size_t to = 0; to < htg_directions(htg); to++) {
        put_edge(htg, HTG_START, htg_direction(htg, to)->id, modelled, out);
        for (size_t from = 0; from < htg_directions(htg); from++) {
            put_edge(htg, htg_direction(htg, from)->id, htg_direction(htg, to)->id, modelled, out);
        }
    }
    buf_puts(out, "}\n");
}

static int run(const struct options *o, size_t n_args, const char *const *args)
{
    struct session session;
    struct err err = { 0 };
    auto_buf struct buf text;
    buf_init(&text, 64 << 20);
    int r = session_open(&session, o, SESSION_MEMORY | SESSION_STORE_READ, &err);
    if (r == ERR_NOTFOUND) {
        r = session_open(&session, o, SESSION_MEMORY, &err);
    }
    if (r < 0) {
        return options_fail(&err);
    }
    put_graph(session.htg, &text);
    session_close(&session);
    if (n_args > 0 && !str_eq(args[0], "-")) {
        r = file_write(args[0], text.at, text.len, &err);
    } else if (fwrite(text.at, 1, text.len, stdout) != text.len || fflush(stdout) != 0) {
        r = err_set(&err, -EIO, "standard output: %s", strerror(errno));
    }
    return r < 0 ? options_fail(&err) : EXIT_DONE;
}

const struct memory_part memory_dot = {
    "dot", "dot [FILE]", "the graph as a picture's source (Graphviz)", 0, 1, run,
};
