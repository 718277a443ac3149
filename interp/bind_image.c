/* SPDX-License-Identifier: MIT */
/* Guest images, built and found; and the accelerator, which is tried with one. */
#include "interp/bind_image.h"

#include "interp/bind.h"
#include "interp/host.h"
#include "vmctl/accel.h"
#include "vmctl/image.h"
#include "vmctl/image_store.h"
#include "vmctl/qemu.h"

#include <lauxlib.h>
#include <stdio.h>

static void tell_building(const char *text)
{
    fprintf(stderr, "%s\n", text);
}

static void set_text(lua_State *L, const char *name, const char *text)
{
    lua_pushstring(L, text);
    lua_setfield(L, -2, name);
}

/* Return values: the image as a table, or nil and why; @image and @why are freed. */
static int push_image(lua_State *L, int err, struct image *image, char *why)
{
    if (err)
        return push_problem(L, err, why);
    lua_createtable(L, 0, 6);
    set_text(L, "folder", image->folder);
    set_text(L, "kernel", image->kernel);
    set_text(L, "initrd", image->initrd);
    set_text(L, "root", image->root);
    set_text(L, "version", image->version);
    lua_pushboolean(L, image->system);
    lua_setfield(L, -2, "system");
    image_free(image);
    return 1;
}

/* core.tiny(arch) -> {folder=, kernel=, initrd=, version=}, or nil and why; builds the image at its
 * first use */
static int tiny(lua_State *L)
{
    const struct arch *arch = check_arch(L, 1);
    struct image image;
    char *why;
    int err = image_tiny(&image, arch, tell_building, host_interrupted, &why);
    watchdog_excuse(&host_of(L)->watchdog);
    return push_image(L, err, &image, why);
}

/* The field adds, as an array that the stack holds. */
static const struct image_add *read_adds(lua_State *L, size_t *n)
{
    lua_getfield(L, 1, "adds");
    *n = lua_istable(L, -1) ? lua_rawlen(L, -1) : 0;
    int list = lua_gettop(L);
    struct image_add *adds = lua_newuserdatauv(L, *n * sizeof(*adds) + 1, 0);
    for (size_t i = 0; i < *n; i++) {
        lua_rawgeti(L, list, (lua_Integer)i + 1);
        lua_getfield(L, -1, "guest");
        adds[i].guest = luaL_checkstring(L, -1); /* the list keeps it */
        lua_getfield(L, -2, "host");
        adds[i].host = luaL_checkstring(L, -1);
        lua_pop(L, 3);
    }
    return adds;
}

/* core.image{name=, packages=one a line, script=text, adds={{guest=, host=}, ...}} -> a Debian
 * image as a table: what tiny() gives, root=, system=whether it boots an init of its own; or nil
 * and why. Builds it at its first use. */
static int debian(lua_State *L)
{
    struct image image;
    char *why;
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    struct image_spec spec = {.recipe = "debian",
                              .arch = arch_default(),
                              .name = text_field(L, "name"),
                              .packages = text_field(L, "packages"),
                              .script = text_field(L, "script")};
    spec.adds = read_adds(L, &spec.n_adds);
    int err = image_get(&image, &spec, tell_building, host_interrupted, &why);
    watchdog_excuse(&host_of(L)->watchdog);
    return push_image(L, err, &image, why);
}

/* core.image_open(folder) -> the built image there as a table, or nil and why */
static int open_built(lua_State *L)
{
    struct image image;
    int err = image_open(&image, luaL_checkstring(L, 1));
    return push_image(L, err, &image, NULL);
}

static void append_info(void *arg, const struct image_info *info)
{
    lua_State *L = arg;
    lua_createtable(L, 0, 7);
    set_text(L, "folder", info->folder);
    set_text(L, "recipe", info->recipe);
    set_text(L, "name", info->name);
    set_text(L, "packages", info->packages);
    lua_pushinteger(L, (lua_Integer)info->size);
    lua_setfield(L, -2, "size");
    lua_pushinteger(L, info->built);
    lua_setfield(L, -2, "built");
    lua_pushinteger(L, info->used);
    lua_setfield(L, -2, "used");
    lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
}

/* core.images() -> list of the built images: {folder=, recipe=, name=, packages=, size=bytes,
 * built=Unix time, used=} */
static int images(lua_State *L)
{
    lua_newtable(L);
    int err = image_store_each(append_info, L);
    return err ? push_problem(L, err, NULL) : 1;
}

static void add_name(void *arg, const char *name, const char *folder)
{
    set_text(arg, name, folder);
}

/* core.image_names() -> {name = folder} */
static int image_names(lua_State *L)
{
    lua_newtable(L);
    int err = image_store_names(add_name, L);
    return err ? push_problem(L, err, NULL) : 1;
}

/* core.image_name(name, folder or nil): the image has the name now; nobody has it. Returns true, or
 * nil and why. */
static int image_name(lua_State *L)
{
    const char *name = luaL_checkstring(L, 1), *folder = luaL_optstring(L, 2, NULL);
    return push_outcome(L, folder ? image_store_name(name, folder) : image_store_unname(name));
}

/* core.image_remove(folder) -> true, or nil and why */
static int image_remove(lua_State *L)
{
    return push_outcome(L, image_store_remove(luaL_checkstring(L, 1), host_interrupted));
}

/* core.accel(device) -> whether KVM works, why not, whether a guest was booted to find out; or nil
 * and why */
static int accel(lua_State *L)
{
    const char *device = luaL_checkstring(L, 1);
    struct image image;
    struct accel found;
    char *why;
    int err = image_tiny(&image, arch_default(), tell_building, host_interrupted, &why);
    watchdog_excuse(&host_of(L)->watchdog);
    if (err)
        return push_problem(L, err, why);
    err = accel_probe(&found, device, qemu_version(arch_default()), &image, host_interrupted);
    watchdog_excuse(&host_of(L)->watchdog);
    image_free(&image);
    if (err)
        return push_problem(L, err, NULL);
    lua_pushboolean(L, found.kvm);
    lua_pushstring(L, found.why);
    lua_pushboolean(L, found.probed);
    return 3;
}

void image_bind(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"tiny", tiny},
        {"image", debian},
        {"image_open", open_built},
        {"images", images},
        {"image_names", image_names},
        {"image_name", image_name},
        {"image_remove", image_remove},
        {"accel", accel},
        {NULL, NULL},
    };
    luaL_setfuncs(L, functions, 0);
}
