/* SPDX-License-Identifier: MIT */
#include "agent/tune/tune_config.h"
#include "base/util.h"

#include <stdlib.h>
#include <string.h>

enum { CONFIGS_MAX = 10000 };

static bool is_value(const struct tune_param *param, uint32_t rank, const json_t *value)
{
    if (json_is_string(value)) {
        return str_eq(param->texts[rank], json_string_value(value));
    }
    if (!param->values) { /* words: a number among them is kept as it was written */
        auto_free char *text = json_dumps(value, JSON_ENCODE_ANY);
        return text && str_eq(text, param->texts[rank]);
    }
    return (json_is_number(value) && json_number_value(value) == param->values[rank])
           || (json_is_boolean(value) && json_is_true(value) == param->values[rank]);
}

static int read_value(const struct tune_param *param, const json_t *value, const struct jpath *at,
                      uint16_t *ret, struct err *err)
{
    for (uint32_t rank = 0; rank < param->n; rank++) {
        if (is_value(param, rank, value)) {
            *ret = (uint16_t)rank;
            return 0;
        }
    }
    auto_free char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
    return jread_fail(at, err, "%.80s is not one of its %u values (%s to %s)", text ? text : "?",
                      param->n, param->texts[0], param->texts[param->n - 1]);
}

int tune_config_read(const struct tune_space *space, const json_t *object, const struct jpath *at,
                     uint16_t *ret_config, struct err *err)
{
    const char *names[TUNE_PARAMS_MAX];
    uint16_t config[TUNE_PARAMS_MAX];
    for (size_t i = 0; i < space->n; i++) {
        names[i] = space->params[i].name;
    }
    int r = jread_object(object, at, names, space->n, err);
    for (size_t i = 0; r == 0 && i < space->n; i++) {
        const json_t *value = json_object_get(object, names[i]);
        struct jpath here = { at, names[i], 0 };
        if (value) {
            r = read_value(&space->params[i], value, &here, &config[i], err);
        } else if (space->has_own) {
            config[i] = space->own[i];
        } else {
            r = jread_fail(at, err, "the parameter \"%s\" is missing", names[i]);
        }
    }
    if (r < 0) {
        return r;
    }
    r = tune_space_allows(space, config);
    if (r <= 0) {
        char path[256];
        jread_path(at, path, sizeof(path));
        return r < 0 ? r : err_set(err, ERR_NOTFOUND, "%s%sthe constraints forbid this config", path,
                                   *path ? ": " : "");
    }
    memcpy(ret_config, config, space->n * sizeof(*config));
    return 0;
}

int tune_config_read_all(const struct tune_space *space, const json_t *list, uint16_t **ret,
                         size_t *ret_n, struct err *err)
{
    bool one = json_is_object(list);
    size_t n = one ? 1 : json_array_size(list);
    if (!one && !json_is_array(list)) {
        return err_set(err, ERR_INVALID, "expected a config or a list of them, got %s",
                       jread_kind(list));
    }
    if (n > CONFIGS_MAX) {
        return err_set(err, ERR_TOOBIG, "%zu configs, %d at most", n, CONFIGS_MAX);
    }
    uint16_t *configs = xcalloc(n * space->n + 1, sizeof(*configs));
    for (size_t i = 0; i < n; i++) {
        struct jpath here = { NULL, NULL, i };
        int r = tune_config_read(space, one ? list : json_array_get(list, i), one ? NULL : &here,
                                 configs + i * space->n, err);
        if (r < 0) {
            free(configs);
            return r;
        }
    }
    *ret = configs;
    *ret_n = n;
    return 0;
}

json_t *tune_config_json(const struct tune_space *space, const uint16_t *config)
{
    json_t *object = json_object();
    for (size_t i = 0; i < space->n; i++) {
        const struct tune_param *param = &space->params[i];
        const char *text = param->texts[config[i]];
        json_t *value = param->values ? json_loads(text, JSON_DECODE_ANY, NULL) : NULL;
        json_object_set_new(object, param->name, value ? value : json_string(text));
    }
    return object;
}

void tune_config_text(const struct tune_space *space, const uint16_t *config, struct buf *out)
{
    for (size_t i = 0; i < space->n; i++) {
        buf_printf(out, "%s%s=%s", i ? " " : "", space->params[i].name,
                   space->params[i].texts[config[i]]);
    }
}
