-- SPDX-License-Identifier: MIT
-- The images that machines start from: the tiny guest; Debian systems of chosen packages, which a script declares or the
-- command line has built under a name; and disks of others. An object of this has name=, setup= (commands, may be empty),
-- minimum= (bytes of memory) and files(), or for another's disk path=.

local class = require "qemunet.class"
local core = require "qemunet.core"
local declarations = require "qemunet.declarations"
local errors = require "qemunet.errors"
local inspect = require "qemunet.inspect"
local options = require "qemunet.options"
local testbed = require "qemunet.testbed"

local image = {}

-- The least memory that boots, measured with QEMU 7.2 and kernel 6.1. The tiny guest with its modules and ports runs out of
-- memory at boot with 88M, and boots with 92M with 8 MB free. A Debian one boots with 88M and 13 MB free, with systemd and
-- sshd with 96M and 2 MB free; what its machines write is in memory too.
local TINY_MINIMUM, DEBIAN_MINIMUM = 96 << 20, 128 << 20

local OPTIONS = options.register({
    packages = { type = { "table", "string" }, default = {} },
    run = { type = "string" },
    add = { type = "table" },
    setup = { type = "table", default = {} },
}, "image")

--- The name by which the command line means all warm templates.
image.TEMPLATES = "templates"

--- class image: what machines start from; what image() returns.
-- @field name string  its name
local Image = { built = false, problem = false, folder = false, setup = false, minimum = DEBIAN_MINIMUM,
    path = false, arch = "x86_64" }
local Class = class.new("image", Image)

local declared = {} -- by name, in this experiment
local specs = setmetatable({}, { __mode = "k" }) -- {[image]= what it is made of}, checked and out of a script's reach

--- Whether a value is an image.
function image.is(v) return getmetatable(v) == Class end

local function new(fields) return setmetatable(fields, Class) end

local tiny = {
    x86_64 = new { name = "tiny", setup = {}, minimum = TINY_MINIMUM },
    aarch64 = new { name = "tiny-aarch64", setup = {}, minimum = TINY_MINIMUM, arch = "aarch64" },
}

testbed.on_end(function()
    declared = {}
    for _, one in pairs(tiny) do one.problem = false end
end)

local function tiny_of_name(name)
    for _, one in pairs(tiny) do
        if one.name == name then return one end
    end
end

-- What an image is made of ----------------------------------------------------------------------------------------------

-- Raises for errors.try(), or has what is wrong said at the script's line.
local function wrong(...) errors.problem((...):format(select(2, ...))) end

local function shown(v) return type(v) == "string" and inspect.quote(v) or tostring(v) end

local function check_name(name)
    if type(name) ~= "string" or not name:find("^%w[%w._-]*$") or #name > 100 then
        if name == nil then wrong 'want a name first, as image{ "web", packages={"nginx"} }' end
        wrong('bad name %s (want letters, digits, "-", "." and "_", a letter or digit first)', shown(name))
    end
    if tiny_of_name(name) then wrong("%q is the name of an image that is always there", name) end
    if name == image.TEMPLATES then wrong("%q is no name for an image: it means the warm templates", name) end
end

-- Sorted, each once, one a line: the order in which they are asked for does not matter.
local function package_lines(list)
    if type(list) == "string" then
        local words = {}
        for word in list:gmatch("%S+") do words[#words + 1] = word end
        list = words
    end
    local seen, sorted = {}, {}
    for i = 1, #list do
        local name = list[i]
        if type(name) ~= "string" or not name:find("^[a-z0-9][a-z0-9+.-]+[=/]?[%w.+:~-]*$") then
            wrong("packages: %s is no name of a Debian package", shown(name))
        end
        if not seen[name] then sorted[#sorted + 1] = name end
        seen[name] = true
    end
    if next(list, #list > 0 and #list or nil) then wrong("packages: want a list of names") end
    table.sort(sorted)
    return #sorted > 0 and table.concat(sorted, "\n") .. "\n" or "\n"
end

-- A script's text, from the file of this name if there is one.
local function script_text(run)
    if not run then return nil end
    local kind = core.stat(run)
    if kind == "file" then
        local file <close> = assert(io.open(run, "rb"))
        return file:read("a")
    end
    if kind or not run:find("%s") and run:find("/") then
        wrong("run: %s is %s; want a script's name, or the text of one", run, kind and "a " .. kind or "not there")
    end
    return run .. "\n"
end

-- {guest=, host=} of an entry of add.
local function addition(guest, host)
    if type(host) ~= "string" or host == "" then wrong("add: want paths of this machine, not %s", tostring(host)) end
    if math.type(guest) == "integer" then guest = "/root/" .. host:gsub("/+$", ""):match("[^/]*$") end
    if type(guest) ~= "string" or guest:sub(1, 1) ~= "/" or ("/" .. guest .. "/"):find("/%.%.?/") then
        wrong("add: %s: want an absolute path in the image", tostring(guest))
    end
    if (guest .. host):find("%c") then wrong("add: %q: a path with a control character", host) end
    local kind, why = core.stat(host)
    if not kind then wrong("add: %s: %s", host, why) end
    if kind == "other" then wrong("add: %s is neither a file nor a folder", host) end
    return { guest = guest, host = host:sub(1, 1) == "/" and host or "./" .. host }
end

local function additions(add)
    local list = {}
    for guest, host in pairs(add or {}) do list[#list + 1] = addition(guest, host) end
    table.sort(list, function(a, b) return a.guest < b.guest end)
    for i = 2, #list do
        if list[i].guest == list[i - 1].guest then wrong("add: %s is there twice", list[i].guest) end
    end
    return list
end

local function commands(list)
    for _, cmd in ipairs(list) do
        if type(cmd) ~= "string" then wrong("setup: want commands, not %s", tostring(cmd)) end
    end
    return list
end

local function specified(name, opts)
    check_name(name)
    local spec = { name = name, script = script_text(opts.run) }
    spec.packages, spec.adds = package_lines(opts.packages), additions(opts.add)
    local self = new { name = name, setup = commands(opts.setup) }
    specs[self] = spec
    return self
end

--- The image of that name with these options of image{}; or nil and what is wrong with them.
function image.new(name, opts)
    local ok, made = errors.try(specified, name, opts)
    if ok then return made end
    return nil, made
end

--- image(name, opts) or image{ name, ... } -> image: declares a Debian system for vm{ image = }, by its value or its name.
-- It is built at the run's first boot or link, once for all runs: again only when one of these (but setup), an added file, or
-- this machine's package sources have changed.
-- @param name       letters, digits, "-", "." and "_"
-- @option packages  names of Debian packages: a list, or text with them
-- @option run       a shell script, or the path of one, which is run in it as root when it is built
-- @option add       {[path in it] = path here}, or a list of paths, which go to /root
-- @option setup     list of commands, run in each machine when it has booted, before its own setup=
-- @error  bad options; that it cannot be built is said at the first boot, and is the machinery's failure
-- @example
--   local web = image { "web", packages = { "nginx-light" }, run = "echo hello >/var/www/html/index.html" }
--   check.equal(web.name, "web")
function image.image(name, opts)
    if type(name) == "table" then
        opts = {}
        for key, value in pairs(name) do opts[key] = value end
        name, opts[1] = name[1], nil
    end
    local checked = options.check(opts, OPTIONS, "image", 2)
    local made, why = image.new(name, checked)
    local where = type(name) == "string" and "image " .. name or "image"
    if not made then error(("%s: %s"):format(where, why), 2) end
    local other = declared[name]
    if other and not declarations.make_way(other) then error(("image: there is an image %q already"):format(name), 2) end
    declared[name] = made
    declarations.add(made, function() declared[name] = nil end)
    return made
end

-- Finding one ------------------------------------------------------------------------------------------------------------

--- The names by which vm{image=} knows one now, sorted; "tiny" first.
function image.names()
    local names = {}
    local seen = core.image_names() or {}
    for name in pairs(declared) do seen[name] = true end
    for name in pairs(seen) do names[#names + 1] = name end
    table.sort(names)
    table.insert(names, 1, "tiny")
    return names
end

--- The image for a value of vm{image=}; raises at `level` when there is none.
function image.find(value, where, level)
    if image.is(value) then return value end
    if type(value) ~= "string" then
        error(where .. ": image: want a name, a path or what image{} has returned", level + 1)
    end
    if tiny_of_name(value) then return tiny_of_name(value) end
    if declared[value] then return declared[value] end
    local folder = (core.image_names() or {})[value]
    if folder then return new { name = value, folder = folder, setup = {} } end
    if value:find("/", 1, true) or core.stat(value) == "file" then return new { name = value, path = value, setup = {} } end
    local names = image.names()
    local near = options.nearest(value, names)
    error(("%s: unknown image %q (known: %s), and no file of that name%s"):format(where, value, table.concat(names, ", "),
        near and ("; did you mean %q?"):format(near) or ""), level + 1)
end

--- The image for machines of this architecture when `self` was asked for: each has a tiny image of its own. Raises at `level`
--- when `self` is of another.
function image.of_arch(self, arch, where, level)
    if self == tiny.x86_64 then return tiny[arch] end
    if self.path or self.arch == arch then return self end
    error(("%s: the image %s is of %s, not of %s"):format(where, self.name, self.arch, arch), level + 1)
end

--- Whether it is the name of a tiny image.
function image.is_tiny(name) return tiny_of_name(name) ~= nil end

--- The tiny image of an architecture.
function image.tiny(arch) return tiny[arch] end

-- Set by the run once it has left this machine's network, from which packages come.
image.isolated = false

local ADVICE = "\n(this run has left this machine's network: declare the image before the first link, or build it ahead)"

local function build(self)
    if self == tiny[self.arch] then return core.tiny(self.arch) end
    if self.folder then return core.image_open(self.folder) end
    return core.image(specs[self])
end

--- What it consists of: {kernel=, initrd=, version=, root=, system=}; builds it when it is not there yet. Raises when it
--- cannot be built; that is tried once in an experiment, not for each machine: it may take minutes.
function Image:files()
    if self.built then return self.built end
    if not self.problem then
        local stopped, built, why = core.stop_reason(), nil, nil
        if not stopped then built, why = build(self) end
        if not built and core.stop_reason() then error(errors.CANCEL, 0) end
        self.built, self.problem = built or false, why or false
    end
    if self.problem then
        errors.machinery(("cannot build the image %s: %s%s"):format(self.name, self.problem, image.isolated and ADVICE or ""))
    end
    return self.built
end

--- Builds those that this experiment has declared, while packages can be had.
function image.build_declared()
    local names = {}
    for name in pairs(declared) do names[#names + 1] = name end
    table.sort(names)
    for _, name in ipairs(names) do declared[name]:files() end
end

return image
