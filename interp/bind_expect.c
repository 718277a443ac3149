/* SPDX-License-Identifier: MIT */
/* Regular expressions and searches in streams as Lua objects. A search's user value 1 is the list
 * of its patterns, which keeps them alive. */
#include "interp/bind_expect.h"

#include "interp/bind.h"

#include "runtime/expect.h"

#include <errno.h>
#include <lauxlib.h>
#include <string.h>

#define REGEX "qemunet.regex"
#define EXPECT "qemunet.expect"

/* So many compiled patterns are kept for the next use; then all are forgotten. */
#define CACHE_MAX 256

struct lua_regex {
    struct regex *regex; /* NULL: not compiled */
};

struct lua_expect {
    struct expect *expect; /* NULL: not open */
};

/* Return values: nil and why. */
static int push_failure(lua_State *L, int err)
{
    lua_pushnil(L);
    lua_pushstring(L, regex_strerror(err));
    return 2;
}

/* Patterns */

static struct regex *check_regex(lua_State *L, int arg)
{
    struct lua_regex *regex = luaL_checkudata(L, arg, REGEX);
    luaL_argcheck(L, regex->regex, arg, "not compiled");
    return regex->regex;
}

/* Push a new pattern. Return: 1, or 3 values: nil, why and where. */
static int push_compiled(lua_State *L, const char *pattern, size_t n, bool stream)
{
    struct regex_error error = {0};
    struct lua_regex *regex = lua_newuserdatauv(L, sizeof(*regex), 0);
    regex->regex = NULL;
    luaL_setmetatable(L, REGEX);
    int err = regex_compile(&regex->regex, pattern, n, stream ? REGEX_STREAM : REGEX_TEXT, &error);
    if (!err)
        return 1;
    if (err != -EINVAL)
        return luaL_error(L, "%s", strerror(-err));
    lua_pushnil(L);
    lua_pushstring(L, error.message);
    lua_pushinteger(L, (lua_Integer)error.offset);
    return 3;
}

/* Keep the pattern on top of the stack in the cache, under the key at @key. The upvalues are the
 * cache and how many it holds. */
static void remember(lua_State *L, int key)
{
    lua_Integer count = lua_tointeger(L, lua_upvalueindex(2));
    if (count >= CACHE_MAX) {
        count = 0;
        lua_newtable(L);
        lua_replace(L, lua_upvalueindex(1));
    }
    lua_pushvalue(L, key);
    lua_pushvalue(L, -2);
    lua_rawset(L, lua_upvalueindex(1));
    lua_pushinteger(L, count + 1);
    lua_replace(L, lua_upvalueindex(2));
}

/* core.regex(pattern, stream) -> regex, for texts or for streams; or nil, why and the offset */
static int new_regex(lua_State *L)
{
    size_t n;
    const char *pattern = luaL_checklstring(L, 1, &n);
    bool stream = lua_toboolean(L, 2);
    lua_settop(L, 1);
    lua_pushstring(L, stream ? "s" : "t");
    lua_pushvalue(L, 1);
    lua_concat(L, 2);
    lua_pushvalue(L, 2);
    if (lua_rawget(L, lua_upvalueindex(1)) == LUA_TUSERDATA)
        return 1;
    int n_results = push_compiled(L, pattern, n, stream);
    if (n_results == 1)
        remember(L, 2);
    return n_results;
}

/* regex:groups() -> how many, {name = number} */
static int regex_groups_method(lua_State *L)
{
    const struct regex *regex = check_regex(L, 1);
    const char *name;
    size_t number;
    lua_pushinteger(L, (lua_Integer)regex_groups(regex));
    lua_newtable(L);
    for (size_t i = 0; (name = regex_name(regex, i, &number)); i++) {
        lua_pushinteger(L, (lua_Integer)number);
        lua_setfield(L, -2, name);
    }
    return 2;
}

/* Find, from the place at index 3 on (default 1), in the string at index 2. Stack: +1, the spans'
 * memory, as what follows may raise. Return: as regex_find(), and the spans. */
static int find(lua_State *L, struct regex *regex, const struct regex_span **out)
{
    size_t n;
    const char *text = luaL_checklstring(L, 2, &n);
    lua_Integer init = luaL_optinteger(L, 3, 1);
    bool not_empty = lua_toboolean(L, 4);
    luaL_argcheck(L, init >= 1, 3, "want a place in the string");
    struct regex_span *spans = lua_newuserdatauv(L, (regex_groups(regex) + 1) * sizeof(*spans), 0);
    *out = spans;
    return (size_t)init - 1 > n ? 0
                                : regex_find(regex, text, n, (size_t)init - 1, not_empty, spans);
}

/* Set fields of the table on top of the stack: the groups by number, 0 only if @whole, and name. Of
 * groups with one name, the first that took part. Stack: unchanged. May raise. */
static void set_groups(lua_State *L, const struct regex *regex, const char *data,
                       const struct regex_span *spans, bool whole)
{
    const char *name;
    size_t number;
    for (size_t i = whole ? 0 : 1; i <= regex_groups(regex); i++) {
        if (spans[i].from == REGEX_UNSET)
            continue;
        lua_pushlstring(L, data + spans[i].from, spans[i].to - spans[i].from);
        lua_rawseti(L, -2, (lua_Integer)i);
    }
    for (size_t i = 0; (name = regex_name(regex, i, &number)); i++) {
        if (spans[number].from == REGEX_UNSET)
            continue;
        lua_pushstring(L, name);
        if (lua_rawget(L, -2) == LUA_TNIL) {
            lua_rawgeti(L, -2, (lua_Integer)number);
            lua_setfield(L, -3, name);
        }
        lua_pop(L, 1);
    }
}

static void set_integer(lua_State *L, const char *name, size_t value)
{
    lua_pushinteger(L, (lua_Integer)value);
    lua_setfield(L, -2, name);
}

/* regex:match(text, init, not_empty) -> {[0]=, [1]=, ..., name=, from=, to=}, or nil, and why if it
 * failed; from init on (default 1), but not an empty match there if not_empty */
static int regex_match_method(lua_State *L)
{
    struct regex *regex = check_regex(L, 1);
    const struct regex_span *spans;
    int found = find(L, regex, &spans);
    if (found < 0)
        return push_failure(L, found);
    if (!found)
        return 0;
    lua_createtable(L, (int)regex_groups(regex), 3);
    set_groups(L, regex, lua_tostring(L, 2), spans, true);
    set_integer(L, "from", spans[0].from + 1);
    set_integer(L, "to", spans[0].to);
    return 1;
}

/* regex:find(text, init) -> from, to; or nil, and why if it failed */
static int regex_find_method(lua_State *L)
{
    struct regex *regex = check_regex(L, 1);
    const struct regex_span *spans;
    int found = find(L, regex, &spans);
    if (found < 0)
        return push_failure(L, found);
    if (!found)
        return 0;
    lua_pushinteger(L, (lua_Integer)spans[0].from + 1);
    lua_pushinteger(L, (lua_Integer)spans[0].to);
    return 2;
}

static int regex_gc(lua_State *L)
{
    struct lua_regex *regex = luaL_checkudata(L, 1, REGEX);
    regex_free(regex->regex);
    regex->regex = NULL;
    return 0;
}

/* Streams */

static struct expect *check_expect(lua_State *L)
{
    struct lua_expect *expect = luaL_checkudata(L, 1, EXPECT);
    luaL_argcheck(L, expect->expect, 1, "not open");
    return expect->expect;
}

/* core.expect() -> expect */
static int new_expect(lua_State *L)
{
    struct lua_expect *expect = lua_newuserdatauv(L, sizeof(*expect), 1);
    expect->expect = NULL;
    luaL_setmetatable(L, EXPECT);
    int err = expect_open(&expect->expect, EXPECT_WINDOW);
    if (err)
        return luaL_error(L, "%s", strerror(-err));
    return 1;
}

/* Return values: the state, or nil and why the search failed. */
static int push_state(lua_State *L, int state)
{
    if (state < 0)
        return push_failure(L, state);
    lua_pushstring(L, state == EXPECT_MATCHED     ? "matched"
                      : state == EXPECT_UNDECIDED ? "undecided"
                                                  : "none");
    return 1;
}

/* expect:arm(list of patterns for streams): begin a search for the next match */
static int expect_arm_method(lua_State *L)
{
    struct expect *expect = check_expect(L);
    luaL_checktype(L, 2, LUA_TTABLE);
    size_t n = lua_rawlen(L, 2);
    struct regex **patterns = lua_newuserdatauv(L, (n + 1) * sizeof(*patterns), 0);
    for (size_t i = 0; i < n; i++) {
        lua_rawgeti(L, 2, (lua_Integer)i + 1);
        patterns[i] = check_regex(L, -1);
        lua_pop(L, 1);
    }
    expect_disarm(expect); /* before its patterns may be collected */
    lua_pushvalue(L, 2);
    lua_setiuservalue(L, 1, 1);
    int err = expect_arm(expect, patterns, n);
    if (err)
        return luaL_error(L, "%s", strerror(-err));
    return 0;
}

/* expect:disarm() */
static int expect_disarm_method(lua_State *L)
{
    expect_disarm(check_expect(L));
    return 0;
}

/* expect:reset(): a new stream */
static int expect_reset_method(lua_State *L)
{
    expect_reset(check_expect(L));
    return 0;
}

/* expect:feed(data) -> "none", "undecided" or "matched"; nil and why if the search failed */
static int expect_feed_method(lua_State *L)
{
    size_t n;
    struct expect *expect = check_expect(L);
    const char *data = luaL_checklstring(L, 2, &n);
    return push_state(L, expect_feed(expect, data, n));
}

/* expect:search(final) -> as feed */
static int expect_search_method(lua_State *L)
{
    struct expect *expect = check_expect(L);
    return push_state(L, expect_search(expect, lua_toboolean(L, 2)));
}

static void set_span(lua_State *L, const char *name, const struct expect_match *match,
                     struct regex_span span)
{
    lua_pushlstring(L, match->data + span.from, span.to - span.from);
    lua_setfield(L, -2, name);
}

/* expect:matched() -> {index=, text=, before=, truncated=, [1]=, ..., name=}, the match; or nil */
static int expect_matched_method(lua_State *L)
{
    const struct expect_match *match = expect_matched(check_expect(L));
    if (!match)
        return 0;
    lua_createtable(L, (int)regex_groups(match->regex), 4);
    set_groups(L, match->regex, match->data, match->groups, false);
    set_integer(L, "index", match->index + 1);
    set_span(L, "text", match, match->groups[0]);
    set_span(L, "before", match, match->before);
    lua_pushboolean(L, match->truncated);
    lua_setfield(L, -2, "truncated");
    return 1;
}

/* expect:tail(n) -> the last n bytes that came */
static int expect_tail_method(lua_State *L)
{
    size_t n = (size_t)luaL_checkinteger(L, 2);
    const char *data = expect_tail(check_expect(L), &n);
    lua_pushlstring(L, data, n);
    return 1;
}

static int expect_gc(lua_State *L)
{
    struct lua_expect *expect = luaL_checkudata(L, 1, EXPECT);
    expect_close(expect->expect);
    expect->expect = NULL;
    return 0;
}

void expect_bind(lua_State *L)
{
    static const luaL_Reg regex_methods[] = {{"groups", regex_groups_method},
                                             {"match", regex_match_method},
                                             {"find", regex_find_method},
                                             {NULL, NULL}};
    static const luaL_Reg expect_methods[] = {
        {"arm", expect_arm_method},       {"disarm", expect_disarm_method},
        {"reset", expect_reset_method},   {"feed", expect_feed_method},
        {"search", expect_search_method}, {"matched", expect_matched_method},
        {"tail", expect_tail_method},     {NULL, NULL},
    };
    bind_type(L, REGEX, regex_methods, regex_gc);
    bind_type(L, EXPECT, expect_methods, expect_gc);
    lua_newtable(L);
    lua_pushinteger(L, 0);
    lua_pushcclosure(L, new_regex, 2);
    lua_setfield(L, -2, "regex");
    lua_pushcfunction(L, new_expect);
    lua_setfield(L, -2, "expect");
}
