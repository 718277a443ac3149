-- SPDX-License-Identifier: MIT
-- A strict reader of pcapng files (draft-ietf-opsawg-pcapng), for the tests: require "pcapng".

local pcapng = {}

local SECTION, INTERFACE, STATISTICS, PACKET = 0x0a0d0d0a, 1, 5, 6

local function padded(n) return n + -n % 4 end

-- The options from `at` on to the block's end: {[code]=bytes}.
local function read_options(body, at)
    local options = {}
    if at > #body then return options end
    while true do
        local code, n = string.unpack("<I2I2", body, at)
        assert(at + 4 + padded(n) - 1 <= #body, "an option reaches beyond its block")
        at = at + 4 + padded(n)
        if code == 0 then
            assert(n == 0 and at == #body + 1, "bytes behind the end of the options")
            return options
        end
        assert(not options[code], "an option comes twice")
        options[code] = body:sub(at - padded(n), at - padded(n) + n - 1)
    end
end

local function read_time(body, at)
    local high, low = string.unpack("<I4I4", body, at)
    return high << 32 | low
end

local readers = {
    [SECTION] = function(file, body)
        assert(not file.section, "a second section")
        local magic, major, minor, length = string.unpack("<I4I2I2i8", body)
        assert(magic == 0x1a2b3c4d and major == 1 and minor == 0 and length == -1, "a bad section header")
        file.section = read_options(body, 17)
    end,
    [INTERFACE] = function(file, body)
        local kind, reserved, limit = string.unpack("<I2I2I4", body)
        local options = read_options(body, 9)
        assert(kind == 1 and reserved == 0 and limit == 0 and options[9] == "\9", "a bad interface")
        file.interfaces[#file.interfaces + 1] = { name = options[2] }
    end,
    [PACKET] = function(file, body)
        local number, _, _, captured, length = string.unpack("<I4I4I4I4I4", body)
        assert(captured == length and 20 + padded(length) <= #body, "a bad length of a packet")
        local options = read_options(body, 21 + padded(length))
        local interface = assert(file.interfaces[number + 1], "a packet of no interface")
        file.packets[#file.packets + 1] = {
            interface = interface.name, link = interface.name:sub(1, -4), time = read_time(body, 5), data = body:sub(21, 20 + length), comment = options[1],
            dir = ({ "ba", "ab" })[string.unpack("<I4", options[2])],
        }
    end,
    [STATISTICS] = function(file, body)
        local options = read_options(body, 13)
        local interface = assert(file.interfaces[string.unpack("<I4", body) + 1])
        interface.seen, interface.dropped = string.unpack("<I8", options[4]), string.unpack("<I8", options[5])
    end,
}

--- Reads a whole file: { section=options, interfaces={{name=, seen=, dropped=}}, packets={{link=, dir=, time= (ns of the
--- epoch), data=, comment=, interface= its name}} }. Raises for anything that is not as it should be.
function pcapng.read(path)
    local handle = assert(io.open(path, "rb"))
    local bytes <const> = handle:read("a")
    handle:close()
    local file, at = { interfaces = {}, packets = {} }, 1
    while at <= #bytes do
        local kind, length = string.unpack("<I4I4", bytes, at)
        assert(length % 4 == 0 and length >= 12 and at + length - 1 <= #bytes, "a block's length is wrong")
        assert(string.unpack("<I4", bytes, at + length - 4) == length, "a block's two lengths differ")
        assert(at > 1 or kind == SECTION, "the file does not begin with a section")
        assert(readers[kind], "an unknown block")(file, bytes:sub(at + 8, at + length - 5))
        at = at + length
    end
    return file
end

return pcapng
