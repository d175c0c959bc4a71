/* SPDX-License-Identifier: MIT */
/* What an algorithm can be told: "quantile=0.1,form=tree". */
#include "agent/tune/tuner_algorithm.h"
#include "base/util.h"

#include <stdlib.h>
#include <string.h>

static const struct tuner_flag *find(const struct algorithm *a, const char *name, size_t *ret_at)
{
    for (size_t i = 0; a->flags && a->flags[i].name; i++) {
        if (str_eq(a->flags[i].name, name)) {
            *ret_at = i;
            return &a->flags[i];
        }
    }
    return NULL;
}

static int unknown(const struct algorithm *a, const char *name, struct err *err)
{
    auto_free char *known = xstrdup("");
    for (size_t i = 0; a->flags && a->flags[i].name; i++) {
        char *more = xprintf("%s%s%s", known, i ? ", " : "", a->flags[i].name);
        free(known);
        known = more;
    }
    return err_set(err, ERR_INVALID, "algorithm %s has no flag \"%s\"; it has: %s", a->name, name,
                   known[0] ? known : "none");
}

static int read_value(const struct tuner_flag *flag, const char *text, double *ret, struct err *err)
{
    double value;
    for (size_t i = 0; flag->words && flag->words[i]; i++) {
        if (str_eq(flag->words[i], text)) {
            *ret = (double)i;
            return 0;
        }
    }
    if (flag->words) {
        return err_set(err, ERR_INVALID, "flag %s: \"%s\" is none of its words (%s)", flag->name,
                       text, flag->help);
    }
    if (!str_to_f64(text, &value) || !(value >= flag->min && value <= flag->max)) {
        return err_set(err, ERR_INVALID, "flag %s: \"%s\" isn't a number from %g to %g",
                       flag->name, text, flag->min, flag->max);
    }
    *ret = value;
    return 0;
}

int tuner_read_flags(const struct algorithm *a, const char *text, double *ret, struct err *err)
{
    for (size_t i = 0; a->flags && a->flags[i].name; i++) {
        require(i < TUNER_FLAGS_MAX);
        ret[i] = a->flags[i].value;
    }
    auto_free char *copy = xstrdup(text ? text : "");
    char *rest = copy, *word;
    while ((word = strsep(&rest, ",")) != NULL) {
        char *value = strchr(word, '=');
        size_t at = 0;
        if (word[0] == '\0' && copy[0] == '\0') {
            break;
        }
        if (!value) {
            return err_set(err, ERR_INVALID, "\"%s\" in the flags isn't NAME=VALUE", word);
        }
        *value++ = '\0';
        const struct tuner_flag *flag = find(a, word, &at);
        int r = flag ? read_value(flag, value, &ret[at], err) : unknown(a, word, err);
        if (r < 0) {
            return r;
        }
    }
    return 0;
}
