/* SPDX-License-Identifier: MIT */
#include "graph/htg_like.h"
#include "base/arena.h"
#include "base/util.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { WORD_MAX = 24, WORDS_MAX = 512 };

struct words {
    size_t n;
    char at[WORDS_MAX][WORD_MAX]; /* sorted, each once */
    double weight[WORDS_MAX];
};

static const char *const common[] = {
    "a", "an", "and", "are", "as", "at", "be", "by", "can", "do", "each", "for", "from", "has", "have",
    "if", "in", "into", "is", "it", "its", "more", "no", "not", "of", "on", "one", "only", "or", "so",
    "than", "that", "the", "them", "then", "they", "this", "to", "use", "used", "using", "when",
    "where", "which", "with", "without", "kernel", "instead",
};

static int by_text(const void *a, const void *b)
{
    return strcmp(a, b);
}

static int common_by_text(const void *key, const void *entry)
{
    return strcmp(key, *(const char *const *)entry);
}

/* "loads", "loaded", "loading" and "load" are one word; crude, and the same on both sides. */
static void take_ending(char *word)
{
    static const char *const endings[] = { "ing", "ed", "es", "s" };
    size_t n = strlen(word);
    for (size_t i = 0; i < ARRAY_LEN(endings); i++) {
        size_t m = strlen(endings[i]);
        if (n >= m + 3 && str_eq(word + n - m, endings[i])) {
            word[n - m] = '\0';
            return;
        }
    }
}

static void read_words(const char *text, struct words *words)
{
    while (*text && words->n < WORDS_MAX) {
        char word[WORD_MAX];
        size_t n = 0;
        for (; isalnum((unsigned char)*text) || *text == '_'; text++) {
            if (n < sizeof(word) - 1) {
                word[n++] = (char)tolower((unsigned char)*text);
            }
        }
        text += n == 0;
        word[n] = '\0';
        if (n == 0 || bsearch(word, common, ARRAY_LEN(common), sizeof(*common), common_by_text)) {
            continue;
        }
        take_ending(word);
        memcpy(words->at[words->n++], word, sizeof(word));
    }
    if (words->n > 1) {
        qsort(words->at, words->n, sizeof(words->at[0]), by_text);
    }
    size_t kept = 0;
    for (size_t i = 0; i < words->n; i++) {
        if (kept == 0 || !str_eq(words->at[kept - 1], words->at[i])) {
            memmove(words->at[kept++], words->at[i], WORD_MAX);
        }
    }
    words->n = kept;
}

static bool has(const struct words *words, const char *word)
{
    return words->n
        && bsearch(word, words->at, words->n, sizeof(words->at[0]), by_text) != NULL;
}

/* What stands of a strategy in the comparison. */
struct said {
    struct words title, all;
};

static void read_strategy(const struct htg_strategy *s, struct said *ret)
{
    ret->title.n = ret->all.n = 0;
    read_words(s->title, &ret->title);
    auto_free char *all = xprintf("%s %s %s", s->id, s->title, s->guidance);
    read_words(all, &ret->all);
}

/* ln((N + 1) / (n + 1)) + 0.1: a word that all strategies use still counts a little. */
static void weigh(const struct said *said, size_t n, struct words *words)
{
    for (size_t w = 0; w < words->n; w++) {
        size_t in = 0;
        for (size_t i = 0; i < n; i++) {
            in += has(&said[i].all, words->at[w]);
        }
        words->weight[w] = log((double)(n + 1) / (double)(in + 1)) + 0.1;
    }
}

static double length2(const struct words *words)
{
    double sum = 0;
    for (size_t i = 0; i < words->n; i++) {
        sum += words->weight[i] * words->weight[i];
    }
    return sum;
}

static double compare(const struct words *title, const struct words *all, const struct said *other,
                      const struct words *other_title)
{
    double dot = 0, held = 0, sum = 0;
    for (size_t i = 0; i < title->n; i++) {
        dot += has(other_title, title->at[i]) ? title->weight[i] * title->weight[i] : 0;
    }
    for (size_t i = 0; i < all->n; i++) {
        sum += all->weight[i];
        held += has(&other->all, all->at[i]) ? all->weight[i] : 0;
    }
    double norm = sqrt(length2(title) * length2(other_title));
    return 0.5 * (norm > 0 ? dot / norm : 0) + 0.5 * (sum > 0 ? held / sum : 0);
}

/* All strategies' words, and the idea's, weighed. */
struct comparison {
    struct said *said;
    struct words title, all;
};

static void begin(const struct htg *htg, const struct htg_idea *idea, struct comparison *c)
{
    size_t n = htg_strategies(htg);
    c->said = xcalloc(n + 1, sizeof(*c->said));
    for (size_t i = 0; i < n; i++) {
        read_strategy(htg_strategy(htg, i), &c->said[i]);
    }
    auto_free char *all = xprintf("%s %s", idea->title, idea->text);
    read_words(idea->title, &c->title);
    read_words(all, &c->all);
    weigh(c->said, n, &c->title);
    weigh(c->said, n, &c->all);
}

static double compare_with(const struct htg *htg, struct comparison *c, size_t strategy)
{
    struct words *title = &c->said[strategy].title;
    weigh(c->said, htg_strategies(htg), title);
    return compare(&c->title, &c->all, &c->said[strategy], title);
}

double htg_likeness(const struct htg *htg, const struct htg_idea *idea, size_t strategy)
{
    struct comparison *c = xcalloc(1, sizeof(*c));
    begin(htg, idea, c);
    double likeness = compare_with(htg, c, strategy);
    free(c->said);
    free(c);
    return likeness;
}

int htg_find_like(const struct htg *htg, const struct htg_idea *idea, double least)
{
    struct comparison *c = xcalloc(1, sizeof(*c));
    int best = -1;
    begin(htg, idea, c);
    for (size_t i = 0; i < htg_strategies(htg); i++) {
        if (!str_eq(htg_strategy(htg, i)->direction, idea->direction)) {
            continue;
        }
        double likeness = compare_with(htg, c, i);
        if (likeness >= least) {
            least = likeness;
            best = (int)i;
        }
    }
    free(c->said);
    free(c);
    return best;
}
