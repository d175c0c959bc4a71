/* SPDX-License-Identifier: MIT */
/* A stream of any bytes: frames lie inside it, and none is taken before its last byte is there. */
#include "base/frame.h"
#include "base/util.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *at = (const char *)data;
    size_t left = size;
    for (;;) {
        struct frame frame = { 0 };
        struct err err = { 0 };
        int64_t n = frame_parse(at, left, &frame, &err);
        if (n <= 0) {
            require(n == 0 || n == ERR_PROTOCOL);
            break;
        }
        require((size_t)n == FRAME_HEADER + frame.json_len + frame.blob_len && (size_t)n <= left);
        require(frame.json == at + FRAME_HEADER && frame.blob == frame.json + frame.json_len);
        require(frame_parse(at, (size_t)n - 1, &frame, NULL) == 0);
        unsigned char header[FRAME_HEADER];
        frame_header(&frame, header);
        require(memcmp(header, at, 20) == 0 && memcmp(header + 24, at + 24, 8) == 0);
        at += n;
        left -= (size_t)n;
    }
    return 0;
}
