/* SPDX-License-Identifier: MIT */
#include "tests/tune_made.h"
#include "base/file.h"
#include "base/util.h"

#include <jansson.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { BLOCKS = 5, TILES = 8, WAYS = 3, CONFIGS_MAX = BLOCKS * TILES * WAYS * 2 };

/* Milliseconds: a valley along BLOCK * TILE = 256, deeper for one WAY, with a hill per parity. */
static double time_of(int block, int tile, int way, int fast)
{
    double off = log2(block * tile / 256.);
    return 1 + off * off + 0.3 * ((way + 1) % WAYS) + 0.1 * (tile % 2) - 0.2 * (fast && block < 128);
}

/* Too large blocks fail; too much work a block isn't allowed. */
static size_t make_samples(struct recorded_sample *ret)
{
    static const char *const ways[WAYS] = { "row", "column", "tile" };
    size_t n = 0;
    for (int i = 0; i < CONFIGS_MAX; i++) {
        int block = 32 << (i / (TILES * WAYS * 2)), tile = 1 + i / (WAYS * 2) % TILES;
        int way = i / 2 % WAYS, fast = i % 2;
        if (block * tile > 1024) {
            continue;
        }
        bool fails = block == 512 && fast;
        ret[n++] = (struct recorded_sample) {
            .config = json_pack("{s:i, s:i, s:s, s:i}", "BLOCK", block, "TILE", tile, "WAY", ways[way],
                                "FAST", fast),
            .status = fails ? RECORDED_RUNTIME : RECORDED_CORRECT,
            .time = time_of(block, tile, way, fast),
        };
    }
    return n;
}

/* Three single timings each, 10 % apart. */
static void write_space(struct tune_made *f)
{
    const struct recorded *r = f->recorded;
    struct recorded_entry entries[CONFIGS_MAX];
    double single[CONFIGS_MAX][3];
    for (size_t i = 0; i < r->space->n_listed; i++) {
        for (int k = 0; k < 3; k++) {
            single[i][k] = r->times[i] * (0.9 + 0.1 * k);
        }
        entries[i] = (struct recorded_entry) {
            .config = r->space->listed + i * r->space->n, .status = r->status[i],
            .time_ms = r->times[i], .n_single = isnan(r->times[i]) ? 0 : 3, .single_ms = single[i],
        };
    }
    const struct recorded_about about = { .kernel = "made", .device = "none" };
    assert_int_equal(recorded_write_t4(f->path, r->space, &about, entries, r->space->n_listed, NULL), 0);
}

int tune_made_setup(void **state)
{
    struct tune_made *made = xcalloc(1, sizeof(*made));
    struct recorded_sample samples[CONFIGS_MAX];
    size_t n = make_samples(samples);
    strcpy(made->folder, "/tmp/warpsmith-made-XXXXXX");
    assert_non_null(mkdtemp(made->folder));
    made->path = xprintf("%s/space.json.gz", made->folder);
    assert_int_equal(recorded_build(samples, n, &made->recorded, NULL), 0);
    for (size_t i = 0; i < n; i++) {
        json_decref((json_t *)(uintptr_t)samples[i].config);
    }
    write_space(made);
    recorded_free(made->recorded);
    assert_int_equal(recorded_read(made->path, &made->recorded, NULL), 0);
    *state = made;
    return 0;
}

int tune_made_teardown(void **state)
{
    struct tune_made *made = *state;
    folder_remove(made->folder, NULL);
    recorded_free(made->recorded);
    free(made->path);
    free(made);
    return 0;
}

struct tune_replay_run tune_made_run(const struct tune_made *made, struct tune_replay_options options)
{
    struct tune_replay_run run;
    struct err err = { 0 };
    if (tune_replay(made->recorded, &options, &run, &err) < 0) {
        fail_msg("%s", err_text(&err));
    }
    return run;
}
