/* SPDX-License-Identifier: MIT */
/* memory export, import and merge: what was learned, from machine to machine. */
#include "agent/memory_command.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/util.h"
#include "memory/exchange.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void say(FILE *to, const char *what, const struct exchange_report *report)
{
    fprintf(to, "%s %zu statistics, %zu nodes, %zu candidates", what, report->stats, report->nodes,
            report->candidates);
    if (report->skipped) {
        fprintf(to, "; %zu were known already", report->skipped);
    }
    fputc('\n', to);
}

static int run_export(const struct options *o, size_t n_args, const char *const *args)
{
    (void)n_args;
    struct session session;
    struct err err = { 0 };
    struct exchange_report report;
    auto_buf struct buf text;
    buf_init(&text, EXCHANGE_BYTES_MAX);
    int r = session_open(&session, o, SESSION_STORE_READ, &err);
    if (r < 0) {
        return options_fail(&err);
    }
    bool to_stdout = str_eq(args[0], "-");
    r = exchange_export(session.store, &text, &report, &err);
    if (r == 0 && to_stdout) {
        bool fine = fwrite(text.at, 1, text.len, stdout) == text.len && fflush(stdout) == 0;
        r = fine ? 0 : err_set(&err, -EIO, "standard output: %s", strerror(errno));
    } else if (r == 0) {
        r = file_write(args[0], text.at, text.len, &err);
    }
    session_close(&session);
    if (r < 0) {
        return options_fail(&err);
    }
    say(to_stdout ? stderr : stdout, "wrote", &report);
    return EXIT_DONE;
}

static int read_stdin(struct buf *out, struct err *err)
{
    char piece[65536];
    size_t n;
    while ((n = fread(piece, 1, sizeof(piece), stdin)) > 0) {
        buf_add(out, piece, n);
    }
    if (ferror(stdin)) {
        return err_set(err, -EIO, "standard input: %s", strerror(errno));
    }
    return out->failed ? err_set(err, ERR_TOOBIG, "standard input: over %d bytes",
                                 EXCHANGE_BYTES_MAX)
                       : 0;
}

static int take_in(const struct options *o, const char *text, size_t len)
{
    struct session session;
    struct err err = { 0 };
    struct exchange_report report;
    int r = session_open(&session, o, SESSION_STORE, &err);
    if (r < 0) {
        return options_fail(&err);
    }
    r = exchange_import(session.store, text, len, &report, &err);
    session_close(&session);
    if (r < 0) {
        return options_fail(&err);
    }
    say(stdout, "took in", &report);
    return EXIT_DONE;
}

static int run_import(const struct options *o, size_t n_args, const char *const *args)
{
    (void)n_args;
    struct err err = { 0 };
    auto_buf struct buf piped;
    auto_free char *read = NULL;
    size_t len = 0;
    buf_init(&piped, EXCHANGE_BYTES_MAX);
    bool pipe = str_eq(args[0], "-");
    int r = pipe ? read_stdin(&piped, &err)
                 : file_read(args[0], EXCHANGE_BYTES_MAX, &read, &len, &err);
    return r < 0  ? options_fail(&err)
        : pipe    ? take_in(o, piped.at ? piped.at : "", piped.len)
                  : take_in(o, read, len);
}

/* The other store is only read. */
static int run_merge(const struct options *o, size_t n_args, const char *const *args)
{
    (void)n_args;
    struct options from = *o;
    struct session session;
    struct err err = { 0 };
    struct exchange_report report;
    auto_buf struct buf text;
    buf_init(&text, EXCHANGE_BYTES_MAX);
    from.store = args[0];
    int r = session_open(&session, &from, SESSION_STORE_READ, &err);
    if (r < 0) {
        return options_fail(&err);
    }
    r = exchange_export(session.store, &text, &report, &err);
    session_close(&session);
    return r < 0 ? options_fail(&err) : take_in(o, text.at, text.len);
}

const struct memory_part memory_export = {
    "export", "export FILE (or -)", "what this store learned, as JSON lines", 1, 1, run_export,
};
const struct memory_part memory_import = {
    "import", "import FILE (or -)", "takes an export in", 1, 1, run_import,
};
const struct memory_part memory_merge = {
    "merge", "merge STORE", "takes in what another store learned", 1, 1, run_merge,
};
