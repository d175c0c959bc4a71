/* SPDX-License-Identifier: MIT */
#include "agent/http_internal.h"
#include "base/util.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    HTTP_HEADERS_MAX = 256 << 10, /* bytes of all headers of an answer */
    HTTP_HEADER_LINES_MAX = 1000, /* newer versions of curl end it at 5000, as another failure */
    HTTP_CONNECT_MS = 20000,
};

/* Header lines hold the key: they don't stay behind in freed memory. */
static void headers_free(struct curl_slist *headers)
{
    for (struct curl_slist *h = headers; h; h = h->next) {
        explicit_bzero(h->data, strlen(h->data));
    }
    curl_slist_free_all(headers);
}

static void transfer_free(struct http_transfer *t)
{
    curl_easy_cleanup(t->easy);
    headers_free(t->headers);
    free(t->request);
    buf_done(&t->body);
    free(t);
}

/* Did it come as far as sending? */
static bool was_connected(const struct http_transfer *t)
{
    curl_off_t us = 0;
    curl_easy_getinfo(t->easy, CURLINFO_PRETRANSFER_TIME_T, &us);
    return us > 0;
}

static enum http_failure failure_of(const struct http_transfer *t)
{
    if (t->flooded || t->body.failed) {
        return HTTP_TOOBIG;
    }
    if (t->stalled) {
        return HTTP_SLOW;
    }
    switch (t->result) {
    case CURLE_OK:
        return HTTP_OK;
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_CONNECT:
    case CURLE_PROXY:
    case CURLE_SSL_CONNECT_ERROR:
        return HTTP_CONNECT;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
        return HTTP_TRUST;
    case CURLE_OPERATION_TIMEDOUT:
        return was_connected(t) ? HTTP_SLOW : HTTP_CONNECT;
    case CURLE_FILESIZE_EXCEEDED:
        return HTTP_TOOBIG;
    case CURLE_BAD_CONTENT_ENCODING:
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_UNSUPPORTED_PROTOCOL: /* an answer in HTTP/0.9, say */
        return HTTP_GARBLED;
    case CURLE_URL_MALFORMAT:
    case CURLE_FAILED_INIT:
    case CURLE_OUT_OF_MEMORY:
        return HTTP_SETUP;
    default:
        return was_connected(t) ? HTTP_CUT : HTTP_CONNECT; /* a proxy that says no, say */
    }
}

void http_transfer_end(struct http_transfer *t)
{
    struct http_reply reply = { .failure = failure_of(t), .location = t->location,
                                .request_id = t->request_id, .should_retry = t->should_retry,
                                .retry_after_s = -1, .type = "", .error = "" };
    char text[CURL_ERROR_SIZE + 64];
    if (t->flooded) {
        snprintf(text, sizeof(text), "the answer's headers are larger than %d bytes or %d lines", HTTP_HEADERS_MAX,
                 HTTP_HEADER_LINES_MAX);
        reply.error = text;
    } else if (reply.failure == HTTP_TOOBIG) {
        snprintf(text, sizeof(text), "the answer is larger than the limit of %zu bytes", t->body.cap);
        reply.error = text;
    } else if (t->stalled) {
        snprintf(text, sizeof(text), "no byte for %g s in the middle of an answer", t->stall_s);
        reply.error = text;
    } else if (reply.failure != HTTP_OK) {
        reply.error = t->error[0] ? t->error : curl_easy_strerror(t->result);
    }
    curl_off_t uploaded = 0, wait_s = 0;
    char *type = NULL;
    curl_easy_getinfo(t->easy, CURLINFO_SIZE_UPLOAD_T, &uploaded);
    curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &reply.status);
    curl_easy_getinfo(t->easy, CURLINFO_CONTENT_TYPE, &type);
    curl_easy_getinfo(t->easy, CURLINFO_RETRY_AFTER, &wait_s); /* seconds, or a date turned into them */
    reply.sent = uploaded >= (curl_off_t)t->request_len;
    reply.type = type ? type : "";
    reply.retry_after_s = t->retry_after_ms >= 0 ? t->retry_after_ms / 1000
        : wait_s > 0                             ? (double)wait_s
                                                 : -1;
    reply.body = t->body.at ? t->body.at : "";
    reply.len = t->body.len;
    t->done(t->ud, &reply);
    transfer_free(t);
}

/* Not inherited by the workers that this program starts. */
static curl_socket_t on_open_socket(void *ud, curlsocktype purpose, struct curl_sockaddr *address)
{
    (void)ud;
    (void)purpose;
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

static size_t on_body(char *at, size_t size, size_t n, void *ud)
{
    struct http_transfer *t = ud;
    /* Headers and blank lines may come while a model still thinks: they're no beginning. */
    for (size_t i = 0; !t->began && i < size * n; i++) {
        t->began = !strchr(" \t\r\n", at[i]);
    }
    t->last_byte_ns = t->began ? clock_ns() : 0;
    return buf_add(&t->body, at, size * n) < 0 ? 0 : size * n;
}

/* The value of a header, if the line is that header, cut to what is kept. */
static bool header_value(const char *line, size_t len, const char *name, char *ret)
{
    size_t n = strlen(name);
    if (len <= n || strncasecmp(line, name, n) != 0 || line[n] != ':') {
        return false;
    }
    const char *at = line + n + 1, *end = line + len;
    while (at < end && (*at == ' ' || *at == '\t')) {
        at++;
    }
    while (end > at && (unsigned char)end[-1] <= ' ') {
        end--;
    }
    size_t kept = MIN((size_t)(end - at), (size_t)HTTP_VALUE_MAX - 1);
    for (size_t i = 0; i < kept; i++) {
        ret[i] = at[i] >= ' ' && at[i] < 127 ? at[i] : '?';
    }
    ret[kept] = '\0';
    return true;
}

static size_t on_header(char *line, size_t size, size_t n, void *ud)
{
    struct http_transfer *t = ud;
    size_t len = size * n;
    char value[HTTP_VALUE_MAX];
    t->headers_len += len;
    if (t->headers_len > HTTP_HEADERS_MAX || ++t->header_lines > HTTP_HEADER_LINES_MAX) {
        t->flooded = true;
        return 0;
    }
    if (header_value(line, len, "x-request-id", value) || header_value(line, len, "request-id", value)) {
        memcpy(t->request_id, value, sizeof(value));
    } else if (header_value(line, len, "location", value)) {
        memcpy(t->location, value, sizeof(value));
    } else if (header_value(line, len, "retry-after-ms", value)) {
        double ms;
        t->retry_after_ms = str_to_f64(value, &ms) && ms >= 0 ? ms : -1;
    } else if (header_value(line, len, "x-should-retry", value)) {
        t->should_retry = str_eq(value, "true") ? 1 : str_eq(value, "false") ? 0 : -1;
    }
    return len;
}

static char *first_file(const char *const *paths, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (paths[i] && *paths[i] && access(paths[i], R_OK) == 0) {
            return xstrdup(paths[i]);
        }
    }
    return NULL;
}

/* The system's certificates lie elsewhere on other distributions than where curl was built. An extra
 * file takes the place of the bundle; the folder with the system's then stands beside it. */
static void find_certificates(struct http *h, const char *extra)
{
    const curl_version_info_data *info = curl_version_info(CURLVERSION_NOW);
    const char *const files[] = { getenv("SSL_CERT_FILE"), info->cainfo,
                                  "/etc/ssl/certs/ca-certificates.crt",
                                  "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem",
                                  "/etc/ssl/cert.pem" };
    const char *const folders[] = { getenv("SSL_CERT_DIR"), info->capath, "/etc/ssl/certs" };
    h->ca_file = extra ? xstrdup(extra) : first_file(files, ARRAY_LEN(files));
    h->ca_path = first_file(folders, ARRAY_LEN(folders));
}

int http_open(uv_loop_t *loop, const struct http_options *options, struct http **ret,
              struct err *err)
{
    if (options->ca_file && access(options->ca_file, R_OK) < 0) {
        return err_set(err, ERR_INVALID, "--ca %s: can't be read", options->ca_file);
    }
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        return err_set(err, ERR_ENVIRONMENT, "libcurl can't be started");
    }
    struct http *h = xcalloc(1, sizeof(*h));
    h->loop = loop;
    find_certificates(h, options->ca_file);
    h->proxy = options->proxy ? xstrdup(options->proxy) : NULL;
    http_loop_open(h, options->connections);
    *ret = h;
    return 0;
}

void http_close(struct http *h)
{
    if (!h) {
        return;
    }
    require(!h->calling);
    h->closing = true;
    while (h->busy) {
        http_cancel(h->busy);
    }
    http_loop_close(h);
    curl_global_cleanup();
}

static CURLcode set_up(struct http_transfer *t, const struct http_request *q)
{
    struct http *h = t->http;
    CURLcode code = CURLE_OK;
#define SET(option, value)                                                                         \
    code = code ? code : curl_easy_setopt(t->easy, CURLOPT_##option, value)
    SET(URL, q->url);
#if LIBCURL_VERSION_NUM >= 0x075500
    SET(PROTOCOLS_STR, "http,https");
#else
    SET(PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
    SET(NOSIGNAL, 1L);
    SET(POST, 1L);
    SET(POSTFIELDS, t->request);
    SET(POSTFIELDSIZE_LARGE, (curl_off_t)t->request_len);
    SET(HTTPHEADER, t->headers);
    SET(HEADEROPT, (long)CURLHEADER_SEPARATE); /* ours are the server's, not a proxy's */
    SET(SUPPRESS_CONNECT_HEADERS, 1L);
    SET(FOLLOWLOCATION, 0L);
    SET(ACCEPT_ENCODING, "");
    SET(HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
    SET(HTTP09_ALLOWED, 0L);
    SET(PIPEWAIT, strncasecmp(q->url, "https:", 6) == 0 ? 1L : 0L);
    SET(SSL_VERIFYPEER, 1L);
    SET(SSL_VERIFYHOST, 2L);
    SET(SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    SET(TCP_KEEPALIVE, 1L); /* a model may think for minutes: routers forget idle connections */
    SET(TCP_KEEPIDLE, 30L);
    SET(TCP_KEEPINTVL, 15L);
    SET(CONNECTTIMEOUT_MS, (long)HTTP_CONNECT_MS);
    SET(TIMEOUT_MS, (long)(q->timeout_s * 1000));
    SET(MAXFILESIZE_LARGE, (curl_off_t)q->reply_max);
#if LIBCURL_VERSION_NUM >= 0x075700
    SET(QUICK_EXIT, 1L); /* a name that nobody resolves doesn't hold up the end */
#endif
    SET(OPENSOCKETFUNCTION, on_open_socket);
    SET(WRITEFUNCTION, on_body);
    SET(WRITEDATA, t);
    SET(HEADERFUNCTION, on_header);
    SET(HEADERDATA, t);
    SET(ERRORBUFFER, t->error);
    SET(PRIVATE, t);
    if (h->ca_file) {
        SET(CAINFO, h->ca_file);
    }
    if (h->ca_path) {
        SET(CAPATH, h->ca_path);
    }
    if (h->proxy) {
        SET(PROXY, h->proxy);
    }
#undef SET
    return code;
}

int http_post(struct http *h, const struct http_request *request, http_cb done, void *ud,
              struct http_transfer **ret, struct err *err)
{
    struct http_transfer *t = xcalloc(1, sizeof(*t));
    t->http = h;
    t->done = done;
    t->ud = ud;
    t->stall_s = request->stall_s;
    t->retry_after_ms = t->should_retry = -1;
    t->request_len = request->len;
    t->request = xrealloc(NULL, request->len + 1, 1);
    memcpy(t->request, request->body, request->len);
    buf_init(&t->body, request->reply_max);
    t->easy = curl_easy_init();
    require(t->easy);
    for (size_t i = 0; i < request->n_headers; i++) {
        t->headers = curl_slist_append(t->headers, request->headers[i]);
    }
    t->headers = curl_slist_append(t->headers, "Expect:"); /* no round trip before a long body */
    CURLcode code = set_up(t, request);
    CURLMcode added = code ? CURLM_OK : http_loop_add(t);
    if (code || added) {
        transfer_free(t);
        return err_set(err, ERR_INVALID, "can't post to %s: %s", request->url,
                       code ? curl_easy_strerror(code) : curl_multi_strerror(added));
    }
    *ret = t;
    return 0;
}

void http_cancel(struct http_transfer *t)
{
    http_loop_remove(t);
    transfer_free(t);
}
