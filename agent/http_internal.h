#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * Shared by http.c (one request and its answer) and http_loop.c (libcurl's sockets and timer on
 * libuv). A transfer is in one of two lists: busy while curl has it, ended until who asked was told.
 */
#include "agent/http.h"
#include "base/buf.h"

#include <curl/curl.h>

enum { HTTP_VALUE_MAX = 512 }; /* bytes kept of one header */

struct http_transfer {
    struct http *http;
    struct http_transfer *next, *prev;
    bool is_ended;
    CURL *easy;
    struct curl_slist *headers;
    char *request;
    size_t request_len, headers_len, header_lines;
    struct buf body;
    uint64_t last_byte_ns; /* of the body; 0: it hasn't begun */
    double stall_s;
    bool began, stalled, flooded;
    CURLcode result;
    char error[CURL_ERROR_SIZE];
    char location[HTTP_VALUE_MAX], request_id[HTTP_VALUE_MAX];
    double retry_after_ms; /* < 0: not said */
    int should_retry;
    http_cb done;
    void *ud;
};

struct http {
    uv_loop_t *loop;
    CURLM *multi;
    uv_timer_t timer, stall_timer;
    struct http_transfer *busy, *ended;
    char *ca_file, *ca_path, *proxy;
    size_t handles; /* open uv handles: freed with the last */
    bool closing, calling;
};

/* http.c: tells who asked, and frees. */
void http_transfer_end(struct http_transfer *transfer);

/* http_loop.c: hands a transfer to curl; takes it away again from whichever list it is in. */
CURLMcode http_loop_add(struct http_transfer *transfer);
void http_loop_remove(struct http_transfer *transfer);
void http_loop_open(struct http *http, int connections);
void http_loop_close(struct http *http);
