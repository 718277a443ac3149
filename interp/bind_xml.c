/* SPDX-License-Identifier: MIT */
#include "interp/bind_xml.h"

#include "interp/bind.h"

#include <expat.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>

#define XML_TYPE "qemunet.xml"
#define MAX_DEPTH 64
#define MAX_TEXT (1 << 16)

/* Where the callbacks are on the stack of xml_parse(). */
#define OPEN 2
#define CLOSE 3

enum outcome { GOING_ON, REFUSED, TOLD, RAISED };

struct xml {
    XML_Parser parser;
    lua_State *L;
    enum outcome outcome; /* TOLD, RAISED: what was is on top of the stack */
    const char *why;      /* REFUSED */
    XML_Size line;
    int depth;
    size_t n; /* the text since the last tag */
    char text[MAX_TEXT];
};

struct event {
    struct xml *xml;
    const char *name;
    const char **attributes; /* names and values; NULL where the element ends */
};

static int close_xml(lua_State *L)
{
    struct xml *xml = luaL_checkudata(L, 1, XML_TYPE);
    if (xml->parser)
        XML_ParserFree(xml->parser);
    xml->parser = NULL;
    return 0;
}

static void stop(struct xml *xml, enum outcome outcome)
{
    xml->outcome = outcome;
    xml->line = XML_GetCurrentLineNumber(xml->parser);
    XML_StopParser(xml->parser, XML_FALSE);
}

static void refuse(struct xml *xml, const char *why)
{
    if (xml->outcome != GOING_ON)
        return;
    xml->why = why;
    stop(xml, REFUSED);
}

static void push_attributes(lua_State *L, const char **attributes)
{
    lua_newtable(L);
    for (; attributes[0]; attributes += 2) {
        lua_pushstring(L, attributes[1]);
        lua_setfield(L, -2, attributes[0]);
    }
}

/* The callback and the event on the stack -> what the callback returns. */
static int deliver(lua_State *L)
{
    struct event *event = lua_touserdata(L, 2);
    lua_settop(L, 1);
    lua_pushstring(L, event->name);
    if (event->attributes)
        push_attributes(L, event->attributes);
    else
        lua_pushlstring(L, event->xml->text, event->xml->n);
    lua_pushinteger(L, (lua_Integer)XML_GetCurrentLineNumber(event->xml->parser));
    lua_call(L, 3, 1);
    return 1;
}

/* Everything of Lua's that may raise is inside the pcall: nothing may jump over expat's frames. */
static void call(struct xml *xml, int callback, const char *name, const char **attributes)
{
    struct event event = {xml, name, attributes};
    lua_State *L = xml->L;
    if (xml->outcome != GOING_ON)
        return;
    lua_pushcfunction(L, deliver);
    lua_pushvalue(L, callback);
    lua_pushlightuserdata(L, &event);
    if (lua_pcall(L, 2, 1, 0) != LUA_OK)
        stop(xml, RAISED);
    else if (lua_isstring(L, -1))
        stop(xml, TOLD);
    else
        lua_pop(L, 1);
    xml->n = 0;
}

static void on_open(void *arg, const char *name, const char **attributes)
{
    struct xml *xml = arg;
    if (++xml->depth > MAX_DEPTH)
        refuse(xml, "elements nested more than 64 deep");
    call(xml, OPEN, name, attributes);
}

static void on_close(void *arg, const char *name)
{
    struct xml *xml = arg;
    xml->depth--;
    call(xml, CLOSE, name, NULL);
}

static void on_text(void *arg, const char *text, int n)
{
    struct xml *xml = arg;
    if ((size_t)n > sizeof(xml->text) - xml->n) {
        refuse(xml, "more than 65536 bytes of text in one element");
        return;
    }
    memcpy(xml->text + xml->n, text, (size_t)n);
    xml->n += (size_t)n;
}

static void on_entity(void *arg, const char *name, int is_parameter, const char *value, int n,
                      const char *base, const char *system, const char *public,
                      const char *notation)
{
    (void)name, (void)is_parameter, (void)value, (void)n, (void)base;
    (void)system, (void)public, (void)notation;
    refuse(arg, "it declares an entity, which is not read");
}

static void on_skipped(void *arg, const char *name, int is_parameter)
{
    (void)name, (void)is_parameter;
    refuse(arg, "it uses an entity that it does not declare");
}

static void set_handlers(struct xml *xml)
{
    XML_SetUserData(xml->parser, xml);
    XML_SetElementHandler(xml->parser, on_open, on_close);
    XML_SetCharacterDataHandler(xml->parser, on_text);
    XML_SetEntityDeclHandler(xml->parser, on_entity);
    XML_SetSkippedEntityHandler(xml->parser, on_skipped);
}

/* Push what xml_parse() returns, or raise. */
static int finish(lua_State *L, struct xml *xml, bool parsed)
{
    if (xml->outcome == RAISED)
        return lua_error(L);
    if (parsed && xml->outcome == GOING_ON) {
        lua_pushboolean(L, true);
        return 1;
    }
    if (xml->outcome != TOLD)
        lua_pushstring(L, xml->why);
    lua_pushnil(L);
    lua_insert(L, -2);
    lua_pushinteger(L, (lua_Integer)xml->line);
    return 3;
}

/* core.xml_parse(text, open, close) -> true; or nil, why, line. Calls open(name, attributes, line)
 * where an element begins, and close(name, text, line) where it ends, text being what is between
 * its last two tags. A string that one returns is what is wrong: it ends the parsing. They may
 * raise, and must not wait. */
static int xml_parse(lua_State *L)
{
    size_t n;
    const char *text = luaL_checklstring(L, 1, &n);
    luaL_checktype(L, OPEN, LUA_TFUNCTION);
    luaL_checktype(L, CLOSE, LUA_TFUNCTION);
    luaL_argcheck(L, n <= INT_MAX, 1, "too long");
    lua_settop(L, 3);
    luaL_checkstack(L, 8, NULL);
    struct xml *xml = lua_newuserdatauv(L, sizeof(*xml), 0);
    xml->parser = NULL;
    luaL_setmetatable(L, XML_TYPE);
    xml->L = L;
    xml->outcome = GOING_ON;
    xml->depth = 0;
    xml->n = 0;
    xml->parser = XML_ParserCreate(NULL);
    if (!xml->parser)
        return luaL_error(L, "out of memory");
    set_handlers(xml);
    bool parsed = XML_Parse(xml->parser, text, (int)n, XML_TRUE) == XML_STATUS_OK;
    if (!parsed && xml->outcome == GOING_ON) {
        xml->why = XML_ErrorString(XML_GetErrorCode(xml->parser));
        xml->line = XML_GetErrorLineNumber(xml->parser);
    }
    XML_ParserFree(xml->parser);
    xml->parser = NULL;
    return finish(L, xml, parsed);
}

void xml_bind(lua_State *L)
{
    static const luaL_Reg functions[] = {{"xml_parse", xml_parse}, {NULL, NULL}};
    static const luaL_Reg none[] = {{NULL, NULL}};
    bind_type(L, XML_TYPE, none, close_xml);
    luaL_setfuncs(L, functions, 0);
}
