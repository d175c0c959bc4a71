/* SPDX-License-Identifier: MIT */
/* Bytes of recorded files, gzip or plain. zlib is included here and nowhere else. */
#include "agent/tune/recorded.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/util.h"

#include <string.h>
#include <zlib.h>

enum { CHUNK = 1 << 18, GZIP_WINDOW = 15 + 16, MEMORY_LEVEL = 8 };

static bool is_gzip(const char *bytes, size_t len)
{
    return len >= 2 && (unsigned char)bytes[0] == 0x1f && (unsigned char)bytes[1] == 0x8b;
}

/* One or several gzip members, as gunzip has it. */
static int inflate_all(z_stream *z, struct buf *out, struct err *err)
{
    for (;;) {
        char *room = buf_room(out, CHUNK);
        if (!room) {
            return err_set(err, ERR_TOOBIG, "inflates to more than %d MiB", RECORDED_TEXT_MAX >> 20);
        }
        z->next_out = (Bytef *)room;
        z->avail_out = CHUNK;
        int r = inflate(z, Z_NO_FLUSH);
        buf_wrote(out, CHUNK - z->avail_out);
        if (r == Z_STREAM_END) {
            if (z->avail_in == 0) {
                return 0;
            }
            if (!is_gzip((const char *)z->next_in, z->avail_in) || inflateReset(z) != Z_OK) {
                return err_set(err, ERR_INVALID, "%u bytes that aren't gzip follow its end",
                               z->avail_in);
            }
        } else if (r == Z_BUF_ERROR || (r == Z_OK && z->avail_in == 0 && z->avail_out > 0)) {
            return err_set(err, ERR_INVALID, "ends in the middle of its gzip stream, after %zu bytes "
                                             "of text: is it cut?", out->len);
        } else if (r != Z_OK) {
            return err_set(err, ERR_INVALID, "broken gzip after %zu bytes of text: %s", out->len,
                           z->msg ? z->msg : "no reason given");
        }
    }
}

int recorded_inflate(const char *bytes, size_t len, char **ret, size_t *ret_len, struct err *err)
{
    auto_buf struct buf out;
    buf_init(&out, RECORDED_TEXT_MAX);
    int r = 0;
    if (is_gzip(bytes, len)) {
        z_stream z = { .next_in = (Bytef *)(uintptr_t)bytes, .avail_in = (uInt)len };
        require(len <= RECORDED_FILE_MAX && inflateInit2(&z, GZIP_WINDOW) == Z_OK);
        r = inflate_all(&z, &out, err);
        inflateEnd(&z);
    } else if (buf_add(&out, bytes, len) < 0) {
        r = err_set(err, ERR_TOOBIG, "more than %d MiB", RECORDED_TEXT_MAX >> 20);
    }
    if (r == 0) {
        *ret_len = out.len;
        *ret = buf_take(&out);
    }
    return r;
}

int recorded_write(const char *path, const char *text, size_t len, struct err *err)
{
    size_t n = strlen(path);
    if (n < 3 || !str_eq(path + n - 3, ".gz")) {
        return file_write(path, text, len, err);
    }
    z_stream z = { .next_in = (Bytef *)(uintptr_t)text, .avail_in = (uInt)len };
    require(len <= RECORDED_TEXT_MAX
            && deflateInit2(&z, Z_BEST_COMPRESSION, Z_DEFLATED, GZIP_WINDOW, MEMORY_LEVEL,
                            Z_DEFAULT_STRATEGY) == Z_OK);
    size_t most = deflateBound(&z, len);
    auto_free char *packed = xcalloc(most, 1);
    z.next_out = (Bytef *)packed;
    z.avail_out = (uInt)most;
    int done = deflate(&z, Z_FINISH);
    size_t written = z.total_out;
    deflateEnd(&z);
    require(done == Z_STREAM_END);
    return file_write(path, packed, written, err);
}
