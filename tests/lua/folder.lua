-- SPDX-License-Identifier: MIT
-- A folder of a test's own.

local folder = {}

--- The path of a new, empty one.
function folder.make()
    local path = os.tmpname()
    os.remove(path)
    assert(os.execute("mkdir " .. path))
    return path
end

function folder.write(path, text)
    local file <close> = assert(io.open(path, "wb"))
    assert(file:write(text))
end

function folder.read(path)
    local file <close> = assert(io.open(path, "rb"))
    return file:read("a")
end

return folder
