-- SPDX-License-Identifier: MIT
-- The words of a command line that has another process run a file as this one was told to.

local words = {}

--- words.of(opts) -> list: the options that `run` and `test` share, as they were given: seed=, params=, accel=, no_templates=,
--- allow_host=.
function words.of(opts)
    local list, names = { "--seed", tostring(opts.seed) }, {}
    local function add(...)
        for _, word in ipairs { ... } do list[#list + 1] = word end
    end
    for name in pairs(opts.params) do names[#names + 1] = name end
    table.sort(names)
    for _, name in ipairs(names) do add("--param", ("%s=%s"):format(name, opts.params[name])) end
    if opts.accel then add("--accel", opts.accel) end
    if opts.no_templates then add("--no-templates") end
    if opts.allow_host then add("--allow-host") end
    return list
end

return words
