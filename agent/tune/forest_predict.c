/* SPDX-License-Identifier: MIT */
/*
 * Ranking many rows at once, without walking any tree: a node holds the set of rows that reach it, a
 * bit a row. A question that trees ask is answered for a whole block of rows once and shared by all of
 * them; then every node costs an AND of bitmaps. Leaves of one class, nearly all, are counted in binary
 * with a bitmap a digit; the few mixed ones are added row by row.
 */
#include "agent/tune/forest_internal.h"
#include "base/util.h"

#include <endian.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { WORDS = 64, ROWS = WORDS * 64, DIGITS = 32, THREADS_MAX = 64 };

struct ranker {
    const struct forest *forest;
    size_t n, words; /* of this block */
    float *column;   /* feature by feature, ROWS each */
    uint64_t *cond;  /* bitmap a question */
    bool *answered;
    uint64_t *stack; /* bitmaps of nodes on the way down */
    const struct forest_node **nodes;
    uint64_t digit[DIGITS][WORDS], ones[WORDS];
    float sum[ROWS]; /* of mixed leaves */
};

/* x <= threshold for every row of the block, in bits. */
static void answer(const float *restrict column, float threshold, uint64_t *restrict ret)
{
    for (size_t i = 0; i < WORDS; i++, column += 64) {
        uint8_t below[64];
        for (size_t j = 0; j < 64; j++) {
            below[j] = column[j] <= threshold;
        }
        ret[i] = 0;
        for (size_t j = 0; j < 8; j++) { /* eight bytes of 0 or 1 to eight bits */
            uint64_t bytes;
            memcpy(&bytes, below + 8 * j, 8);
            ret[i] |= (le64toh(bytes) * 0x0102040810204080u >> 56) << (8 * j);
        }
    }
}

static const uint64_t *cond_of(struct ranker *r, uint32_t id)
{
    uint64_t *ret = r->cond + (size_t)id * WORDS;
    if (!r->answered[id]) {
        r->answered[id] = true;
        const struct forest_cond *cond = &r->forest->conds[id];
        answer(r->column + (size_t)cond->feature * ROWS, cond->threshold, ret);
    }
    return ret;
}

static void at_leaf(struct ranker *r, const struct forest_node *leaf, const uint64_t *rows)
{
    bool numbers = r->forest->numbers;
    if (!numbers && leaf->value >= 1) {
        for (size_t i = 0; i < WORDS; i++) {
            r->ones[i] |= rows[i];
        }
        return;
    }
    for (size_t i = 0; i < r->words && (numbers || leaf->value > 0); i++) {
        for (uint64_t bits = rows[i]; bits; bits &= bits - 1) {
            r->sum[i * 64 + (size_t)__builtin_ctzll(bits)] += leaf->value;
        }
    }
}

/* ret = rows & ~cond, rows &= cond; whether each has a row left. */
static void split(uint64_t *restrict rows, const uint64_t *restrict cond, uint64_t *restrict ret,
                  bool *ret_left, bool *ret_right)
{
    uint64_t left = 0, right = 0;
    for (size_t i = 0; i < WORDS; i++) {
        ret[i] = rows[i] & ~cond[i];
        rows[i] &= cond[i];
        left |= rows[i];
        right |= ret[i];
    }
    *ret_left = left != 0;
    *ret_right = right != 0;
}

/* Sends the block down one tree. */
static void walk(struct ranker *r, const struct forest_tree *tree)
{
    size_t top = 1;
    for (size_t i = 0; i < WORDS; i++) {
        size_t before = i * 64;
        r->stack[i] = r->n >= before + 64 ? ~(uint64_t)0
                      : r->n > before     ? ((uint64_t)1 << (r->n - before)) - 1
                                          : 0;
    }
    r->nodes[0] = tree->nodes;
    while (top > 0) {
        const struct forest_node *node = r->nodes[top - 1];
        uint64_t *rows = r->stack + (top - 1) * WORDS;
        if (!node->right) {
            at_leaf(r, node, rows);
            top--;
            continue;
        }
        bool left, right;
        split(rows, cond_of(r, node->id), rows + WORDS, &left, &right);
        r->nodes[top - 1] = node + 1;
        r->nodes[top] = &tree->nodes[node->right];
        if (right && !left) {
            memcpy(rows, rows + WORDS, WORDS * sizeof(*rows));
            r->nodes[top - 1] = r->nodes[top];
        }
        top += left && right;
    }
}

/* digit += ones, a binary counter a row. */
static void count(struct ranker *r)
{
    for (size_t k = 0; k < DIGITS; k++) {
        uint64_t carried = 0;
        for (size_t i = 0; i < WORDS; i++) {
            uint64_t carry = r->digit[k][i] & r->ones[i];
            r->digit[k][i] ^= r->ones[i];
            r->ones[i] = carry;
            carried |= carry;
        }
        if (!carried) {
            break;
        }
    }
}

/* Rows to columns, a tile of rows at a time, as the columns lie in the same lines of a cache. */
static void turn(const float *x, size_t n, size_t d, float *ret)
{
    for (size_t begin = 0; begin < n; begin += 64) {
        size_t end = MIN(begin + 64, n);
        for (size_t f = 0; f < d; f++) {
            for (size_t i = begin; i < end; i++) {
                ret[f * ROWS + i] = x[i * d + f];
            }
        }
    }
}

static void rank_block(struct ranker *r, const float *x, size_t n, float *ret_p)
{
    const struct forest *forest = r->forest;
    r->n = n;
    r->words = (n + 63) / 64;
    turn(x, n, forest->d, r->column);
    memset(r->answered, 0, forest->n_conds * sizeof(*r->answered));
    memset(r->digit, 0, sizeof(r->digit));
    memset(r->sum, 0, sizeof(r->sum));
    for (unsigned t = 0; t < forest->trees; t++) {
        memset(r->ones, 0, sizeof(r->ones));
        walk(r, &forest->tree[t]);
        count(r);
    }
    unsigned digits = 0;
    while (digits < DIGITS && forest->trees >> digits) {
        digits++;
    }
    for (size_t i = 0; i < n; i++) {
        uint32_t ones = 0;
        for (unsigned k = 0; k < digits; k++) {
            ones |= (uint32_t)(r->digit[k][i / 64] >> (i % 64) & 1) << k;
        }
        ret_p[i] = (r->sum[i] + (float)ones) / (float)forest->trees;
    }
}

struct share {
    const struct forest *forest;
    const float *x;
    size_t n;
    float *ret_p;
    size_t first, step; /* blocks */
};

static void *rank_share(void *ud)
{
    const struct share *s = ud;
    const struct forest *forest = s->forest;
    struct ranker *r = xcalloc(1, sizeof(*r));
    r->forest = forest;
    r->cond = xcalloc(forest->n_conds + 1, WORDS * sizeof(*r->cond));
    r->column = xcalloc(forest->d + 1, ROWS * sizeof(*r->column));
    r->answered = xcalloc(forest->n_conds + 1, sizeof(*r->answered));
    r->stack = xcalloc(forest->depth + 2, WORDS * sizeof(*r->stack));
    r->nodes = xcalloc(forest->depth + 2, sizeof(*r->nodes));
    for (size_t begin = s->first * ROWS; begin < s->n; begin += s->step * ROWS) {
        rank_block(r, s->x + begin * forest->d, MIN((size_t)ROWS, s->n - begin), s->ret_p + begin);
    }
    free(r->cond);
    free(r->column);
    free(r->answered);
    free(r->stack);
    free(r->nodes);
    free(r);
    return NULL;
}

void forest_predict(const struct forest *forest, const float *x, size_t n, unsigned threads,
                    float *ret_p)
{
    size_t blocks = (n + ROWS - 1) / ROWS;
    size_t most = MIN(MIN((size_t)MAX(threads, 1u), (size_t)THREADS_MAX), MAX(blocks, (size_t)1));
    struct share shares[THREADS_MAX];
    pthread_t thread[THREADS_MAX];
    bool started[THREADS_MAX] = { false };
    for (size_t i = 0; i < most; i++) {
        shares[i] = (struct share) { forest, x, n, ret_p, i, most };
        started[i] = i > 0 && pthread_create(&thread[i], NULL, rank_share, &shares[i]) == 0;
    }
    for (size_t i = 0; i < most; i++) {
        if (!started[i]) {
            rank_share(&shares[i]);
        }
    }
    for (size_t i = 0; i < most; i++) {
        if (started[i]) {
            pthread_join(thread[i], NULL);
        }
    }
}
