#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * POST over HTTPS (or plain HTTP) on a libuv loop: libcurl's multi interface, connections kept and
 * shared (HTTP/2 where the server speaks it). One answer per request, through a callback on a later
 * turn of the loop, or none after http_cancel.
 *
 * Bounds on everything: the body as decompressed, headers, the whole time, and the time without a
 * byte once an answer has begun. Certificates are always verified; redirects are never followed, so
 * that a key goes to the server it is meant for and to no other. Nothing of a request is ever logged.
 */
#include <stdbool.h>
#include <stddef.h>
#include <uv.h>
#include "base/err.h"

struct http;
struct http_transfer;

struct http_options {
    const char *ca_file; /* trusted besides the system's; NULL: none */
    const char *proxy;   /* NULL: as the environment says */
    int connections;     /* at most; 0: no bound */
};

struct http_request {
    const char *url;
    const char *const *headers; /* "Name: value" */
    size_t n_headers;
    const char *body; /* copied */
    size_t len;
    size_t reply_max;          /* bytes of body, decompressed */
    double timeout_s, stall_s; /* whole; without a byte in the middle of an answer */
};

enum http_failure {
    HTTP_OK,      /* there is a whole answer, whatever its status */
    HTTP_CONNECT, /* no connection: name, route, refused, timeout */
    HTTP_TRUST,   /* the certificate isn't trusted, or fits another name */
    HTTP_CUT,     /* the connection broke; `sent` says whether the server may have acted */
    HTTP_SLOW,    /* out of time; `sent` too */
    HTTP_TOOBIG,  /* the answer is over reply_max */
    HTTP_GARBLED, /* not HTTP, or a broken encoding */
    HTTP_SETUP,   /* the request can't be made (bad URL, bad proxy) */
};

struct http_reply {
    enum http_failure failure;
    const char *error;    /* for people; "" if HTTP_OK */
    bool sent;            /* the request left whole */
    long status;          /* 0: none came */
    const char *body;     /* NUL after the end */
    size_t len;
    const char *type;     /* Content-Type, or "" */
    const char *location; /* of a redirect, or "" */
    const char *request_id;
    double retry_after_s; /* < 0: the server doesn't say */
    int should_retry;     /* x-should-retry: 1, 0, or -1: the server doesn't say */
};

typedef void (*http_cb)(void *ud, const struct http_reply *reply);

int http_open(uv_loop_t *loop, const struct http_options *options, struct http **ret,
              struct err *err);
/* Drops what is in flight without calling back. Not from a callback. NULL is fine. */
void http_close(struct http *http);

int http_post(struct http *http, const struct http_request *request, http_cb done, void *ud,
              struct http_transfer **ret, struct err *err);
/* Not from the transfer's own callback. */
void http_cancel(struct http_transfer *transfer);
