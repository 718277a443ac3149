/* SPDX-License-Identifier: MIT */
#include "interp/json.h"

#include "runtime/json_digits.h"

#include <lauxlib.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define MAX_DEPTH 100

static json_t *convert(lua_State *L, int index, int depth, const char **why);

/* Return: the length of the valid UTF-8 sequence at @s, or 0. The shortest forms up to U+10FFFF
 * without surrogates: the Unicode Standard, table 3-7. */
static size_t utf8_sequence(const unsigned char *s, size_t n)
{
    if (s[0] < 0x80)
        return 1;
    size_t len = s[0] >= 0xc2 && s[0] <= 0xdf   ? 2
                 : (s[0] & 0xf0) == 0xe0        ? 3
                 : s[0] >= 0xf0 && s[0] <= 0xf4 ? 4
                                                : 0;
    if (!len || len > n)
        return 0;
    for (size_t i = 1; i < len; i++) {
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    }
    bool bad = (s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
               (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f);
    return bad ? 0 : len;
}

static json_t *convert_string(const char *text, size_t n)
{
    json_t *value = json_stringn(text, n);
    if (value)
        return value;
    char *clean = malloc(3 * n + 1), *to = clean;
    for (size_t i = 0; clean && i < n;) {
        size_t len = utf8_sequence((const unsigned char *)text + i, n - i);
        memcpy(to, len ? text + i : "\xef\xbf\xbd", len ? len : 3);
        to += len ? len : 3;
        i += len ? len : 1;
    }
    value = clean ? json_stringn(clean, (size_t)(to - clean)) : NULL;
    free(clean);
    return value;
}

static bool is_array(lua_State *L, int index)
{
    lua_Integer n = (lua_Integer)lua_rawlen(L, index), seen = 0;
    if (luaL_getmetafield(L, index, "__jsontype") != LUA_TNIL) {
        lua_pop(L, 1);
        return true;
    }
    lua_pushnil(L);
    while (lua_next(L, index)) {
        lua_pop(L, 1);
        if (!lua_isinteger(L, -1) || ++seen > n) {
            lua_pop(L, 1);
            return false;
        }
    }
    return n > 0;
}

static json_t *convert_array(lua_State *L, int index, int depth, const char **why)
{
    json_t *array = json_array();
    lua_Integer n = (lua_Integer)lua_rawlen(L, index);
    for (lua_Integer i = 1; i <= n; i++) {
        lua_rawgeti(L, index, i);
        json_t *item = convert(L, lua_gettop(L), depth, why);
        lua_pop(L, 1);
        if (!item || json_array_append_new(array, item)) {
            json_decref(array);
            return NULL;
        }
    }
    return array;
}

/* Return: whether the pair at the top, key below value, was added. */
static bool add_pair(lua_State *L, json_t *object, int depth, const char **why)
{
    lua_pushvalue(L, -2); /* lua_tolstring() would change a number key in place */
    size_t n;
    const char *text = lua_tolstring(L, -1, &n);
    bool cut = text && memchr(text, 0, n); /* keys would be the same that are not */
    json_t *key = text && !cut ? convert_string(text, n) : NULL;
    lua_pop(L, 1);
    json_t *item = key ? convert(L, lua_gettop(L), depth, why) : NULL;
    if (cut)
        *why = "a table key with a zero byte in it cannot be written as JSON";
    else if (!key)
        *why = "a table key that is neither string nor number has no form in JSON";
    bool added = item && json_object_set_new(object, json_string_value(key), item) == 0;
    json_decref(key);
    return added;
}

static json_t *convert_object(lua_State *L, int index, int depth, const char **why)
{
    json_t *object = json_object();
    lua_pushnil(L);
    while (lua_next(L, index)) {
        if (!add_pair(L, object, depth, why)) {
            lua_pop(L, 2);
            json_decref(object);
            return NULL;
        }
        lua_pop(L, 1);
    }
    return object;
}

static json_t *convert_number(lua_State *L, int index)
{
    if (lua_isinteger(L, index))
        return json_integer(lua_tointeger(L, index));
    double number = lua_tonumber(L, index);
    return isfinite(number) ? json_real(number) : json_null();
}

static json_t *convert(lua_State *L, int index, int depth, const char **why)
{
    size_t n;
    const char *text;
    if (depth > MAX_DEPTH || !lua_checkstack(L, 6)) {
        *why = "the table is nested too deeply, or contains itself";
        return NULL;
    }
    switch (lua_type(L, index)) {
    case LUA_TNIL:
        return json_null();
    case LUA_TBOOLEAN:
        return json_boolean(lua_toboolean(L, index));
    case LUA_TNUMBER:
        return convert_number(L, index);
    case LUA_TSTRING:
        text = lua_tolstring(L, index, &n);
        return convert_string(text, n);
    case LUA_TTABLE:
        return is_array(L, index) ? convert_array(L, index, depth + 1, why)
                                  : convert_object(L, index, depth + 1, why);
    default:
        *why = "functions, tasks and other objects have no form in JSON";
        return NULL;
    }
}

json_t *json_from_lua(lua_State *L, int index, const char **why)
{
    *why = "out of memory";
    return convert(L, lua_absindex(L, index), 0, why);
}

static void push_object(lua_State *L, json_t *object)
{
    const char *key;
    json_t *item;
    lua_createtable(L, 0, (int)json_object_size(object));
    json_object_foreach(object, key, item)
    {
        json_to_lua(L, item);
        lua_setfield(L, -2, key);
    }
}

static void push_array(lua_State *L, json_t *array)
{
    size_t i;
    json_t *item;
    lua_createtable(L, (int)json_array_size(array), 0);
    json_array_foreach(array, i, item)
    {
        json_to_lua(L, item);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
}

void json_to_lua(lua_State *L, json_t *value)
{
    luaL_checkstack(L, 4, "JSON nested too deeply");
    switch (value ? json_typeof(value) : JSON_NULL) {
    case JSON_OBJECT:
        push_object(L, value);
        return;
    case JSON_ARRAY:
        push_array(L, value);
        return;
    case JSON_STRING:
        lua_pushlstring(L, json_string_value(value), json_string_length(value));
        return;
    case JSON_INTEGER:
        lua_pushinteger(L, json_integer_value(value));
        return;
    case JSON_REAL:
        lua_pushnumber(L, json_real_value(value));
        return;
    case JSON_TRUE:
    case JSON_FALSE:
        lua_pushboolean(L, json_is_true(value));
        return;
    case JSON_NULL:
        lua_pushnil(L);
        return;
    }
}

/* core.json_encode(value, pretty) -> text, or nil and why */
static int encode(lua_State *L)
{
    const char *why;
    luaL_checkany(L, 1);
    json_t *value = json_from_lua(L, 1, &why);
    if (!value) {
        lua_pushnil(L);
        lua_pushstring(L, why);
        return 2;
    }
    size_t flags = JSON_ENCODE_ANY | JSON_SORT_KEYS | JSON_REAL_PRECISION(json_digits(value)) |
                   (lua_toboolean(L, 2) ? JSON_INDENT(2) : 0);
    char *text = json_dumps(value, flags);
    json_decref(value);
    lua_pushstring(L, text);
    free(text);
    return 1;
}

/* core.json_decode(text) -> value, or nil and why */
static int decode(lua_State *L)
{
    size_t n;
    json_error_t error;
    const char *text = luaL_checklstring(L, 1, &n);
    json_t *value = json_loadb(text, n, JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
    if (!value) {
        lua_pushnil(L);
        lua_pushfstring(L, "line %d, column %d: %s", error.line, error.column, error.text);
        return 2;
    }
    json_to_lua(L, value);
    json_decref(value);
    return 1;
}

void json_bind(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"json_encode", encode}, {"json_decode", decode}, {NULL, NULL}};
    luaL_setfuncs(L, functions, 0);
}
