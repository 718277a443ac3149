-- SPDX-License-Identifier: MIT
-- The command "image": lists, builds and removes images in the cache, and the warm templates.

local core = require "qemunet.core"
local errors = require "qemunet.errors"
local image = require "qemunet.nodes.image"
local options = require "qemunet.options"
local testbed = require "qemunet.testbed"
local text = require "qemunet.text"
local units = require "qemunet.units"

local images = {}

-- All built images, each with the names that were given to it, in names.
local function all()
    local list, why = core.images()
    if not list then errors.machinery("cannot read the cache: " .. why) end
    local by_folder = {}
    for _, one in ipairs(list) do
        by_folder[one.folder] = one
        one.names = {}
    end
    for name, folder in pairs(core.image_names() or {}) do
        if by_folder[folder] then table.insert(by_folder[folder].names, name) end
    end
    for _, one in ipairs(list) do
        table.sort(one.names)
        if not one.names[1] then one.names[1] = one.name or one.recipe end
    end
    table.sort(list, function(a, b) return a.names[1] < b.names[1] end)
    return list
end

local function ago(time)
    local seconds = math.max(os.time() - time, 0)
    if seconds < 60 then return "now" end
    if seconds < 3600 then return ("%d min"):format(seconds // 60) end
    if seconds < 48 * 3600 then return ("%d h"):format(seconds // 3600) end
    return ("%d days"):format(seconds // 86400)
end

-- The warm templates that there are, or were, in words: how many, and their size; and their number.
local function templates(remove)
    local list, why = core.templates(remove)
    if not list then errors.machinery("cannot read the cache: " .. why) end
    local bytes = 0
    for _, one in ipairs(list) do bytes = bytes + one.bytes end
    return text.count(#list, "warm template"), units.format_size(bytes // (1 << 20) << 20), #list
end

local function list()
    local rows = { { "name", "size", "built", "used", "packages" } }
    for _, one in ipairs(all()) do
        rows[#rows + 1] = { table.concat(one.names, ", "), units.format_size(one.size // (1 << 20) << 20), ago(one.built),
            ago(one.used), one.packages and one.packages:gsub("\n", " ") or "" }
    end
    print((text.columns(rows):gsub("\n$", "")))
    local many, size, n = templates(false)
    if n > 0 then print(("%s of machines: %s"):format(many, size)) end
end

local function show(name, built) print(("%s: kernel %s, %s"):format(name, built.version, built.folder)) end

local function has_contents(opts) return opts.packages or opts.run or opts.add end

-- The image that the name stood for goes, unless another name stands for it.
local function replace(name, before, built)
    local named, why = core.image_name(name, built.folder)
    if not named then errors.machinery(("cannot name the image %s: %s"):format(name, why)) end
    if not before or before == built.folder then return end
    for _, folder in pairs(core.image_names() or {}) do
        if folder == before then return end
    end
    core.image_remove(before)
end

local function build(name, opts, usage)
    local before = (core.image_names() or {})[name]
    if image.is_tiny(name) or before and not has_contents(opts) then
        if has_contents(opts) then usage(name .. " is the name of an image that is always there") end
        return show(name, image.find(name, "image", 1):files())
    end
    if not has_contents(opts) then usage(("image build %s: what is it made of? --packages, --run, --add"):format(name)) end
    local made, why = image.new(name, { packages = opts.packages or {}, run = opts.run, add = opts.add, setup = {} })
    if not made then usage("image build: " .. why) end
    local built = made:files()
    replace(name, before, built)
    show(name, built)
end

local function with_name(list_of_all, name)
    local found, known = {}, {}
    for _, one in ipairs(list_of_all) do
        for _, own in ipairs(one.names) do
            known[own] = true
            if own == name then found[#found + 1] = one end
        end
    end
    return found, known
end

local function remove_templates()
    print(("removed %s: %s"):format(templates(true)))
end

local function remove(names, usage)
    if names[1] == image.TEMPLATES and not names[2] then return remove_templates() end
    local there = all()
    for _, name in ipairs(names) do
        local found, known = with_name(there, name)
        if not found[1] and not image.is_tiny(name) then
            usage(("unknown image %s%s"):format(name, options.hint(name, known)))
        end
    end
    for _, name in ipairs(names) do
        core.image_name(name, nil)
        for _, one in ipairs((with_name(there, name))) do
            local others = #one.names - 1
            one.names = others > 0 and testbed.without(one.names, name) or one.names
            if others == 0 then
                local gone, why = core.image_remove(one.folder)
                if not gone then errors.machinery(("cannot remove %s: %s"):format(one.folder, why)) end
                print("removed " .. one.folder)
            else
                print(("the image is still named %s"):format(table.concat(one.names, ", ")))
            end
        end
    end
end

--- The command, with its words and options. `usage`: fn(text), which raises for a wrong command line.
function images.command(words, opts, usage)
    local verb, name = words[1], words[2]
    if verb == "list" and not name then return list() end
    if verb == "build" and not words[3] then return build(name or "tiny", opts, usage) end
    if verb == "remove" and name then return remove(table.move(words, 2, #words, 1, {}), usage) end
    usage "image wants list, build NAME or remove NAME..."
end

return images
