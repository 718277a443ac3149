-- SPDX-License-Identifier: MIT
-- Addresses: IPv4 subnets for links and switches, and MAC addresses for network interfaces.

local address = {}

local function parse_octets(text)
    local a, b, c, d = text:match("^(%d+)%.(%d+)%.(%d+)%.(%d+)$")
    a, b, c, d = tonumber(a), tonumber(b), tonumber(c), tonumber(d)
    if not a or a > 255 or b > 255 or c > 255 or d > 255 then return nil end
    return a << 24 | b << 16 | c << 8 | d
end

local function format(number)
    return ("%d.%d.%d.%d"):format(number >> 24 & 255, number >> 16 & 255, number >> 8 & 255, number & 255)
end

local Subnet = { __name = "subnet" }
Subnet.__index = Subnet

--- Parses "10.1.0.0/24". Returns the subnet, or nil and what is wrong with it.
function address.subnet(text)
    local base, len = text:match("^([%d.]+)/(%d+)$")
    local number = base and parse_octets(base)
    len = tonumber(len)
    if not number or len > 30 then return nil, ('bad subnet %q (want "10.1.0.0/24")'):format(text) end
    local hosts = (1 << (32 - len)) - 1
    if number & hosts ~= 0 then
        return nil, ('bad subnet %q: it has host bits set; its network is "%s/%d"'):format(text, format(number & ~hosts), len)
    end
    return setmetatable({ base = number, len = len, used = 0, free = {} }, Subnet)
end

--- The next free host address; one that was given back only when the others are taken. Returns nil when all are.
function Subnet:next_host()
    if self.used >= (1 << (32 - self.len)) - 2 then return table.remove(self.free, 1) end
    self.used = self.used + 1
    return self:host(self.used)
end

--- How many host addresses are free.
function Subnet:room() return (1 << (32 - self.len)) - 2 - self.used + #self.free end

function Subnet:__tostring() return ("%s/%d"):format(format(self.base), self.len) end

--- The n-th address of it; 0: its network's own.
function Subnet:host(n) return format(self.base + n) end

--- Its mask, as "255.255.255.0".
function Subnet:mask() return format(~0 << (32 - self.len)) end

--- Gives a host address back.
function Subnet:release(ip) self.free[#self.free + 1] = ip end

--- The first automatic subnet from 10.0.0.0 + n * 256 on that has so many hosts (default 1): 10.0.0.0/24, 10.0.1.0/24, ..., or
--- a larger one. Returns it, and the n behind it; nil when there are no more.
function address.automatic(n, hosts)
    local parts, len = 1, 24
    while parts * 256 - 2 < (hosts or 1) do parts, len = parts * 2, len - 1 end
    n = (n + parts - 1) // parts * parts
    if n + parts > 0x10000 then return nil end
    return setmetatable({ base = 10 << 24 | n << 8, len = len, used = 0, free = {} }, Subnet), n + parts
end

--- The n-th subnet behind a translation of addresses, from 0: 100.64.0.0/24, ...; nil when there are no more. These
--- addresses are set apart for that (RFC 6598): neither sites nor the automatic subnets have them.
function address.shared(n)
    if n > 0x3fff then return nil end
    return setmetatable({ base = 100 << 24 | 64 << 16 | n << 8, len = 24, used = 0, free = {} }, Subnet)
end

--- The MAC address of a node's network interface: QEMU's prefix, then both numbers (from 1; node to 65535).
function address.mac(node, nic)
    return ("52:54:00:%02x:%02x:%02x"):format(node >> 8 & 255, node & 255, nic & 255)
end

--- The 4 bytes of "10.0.0.1", or nil.
function address.ip_bytes(text)
    local number = parse_octets(text)
    return number and string.pack(">I4", number)
end

--- The 6 bytes of "52:54:00:00:01:01", or nil.
function address.mac_bytes(text)
    local bytes = text:gsub("(%x%x):?", function(hex) return string.char(tonumber(hex, 16)) end)
    return #bytes == 6 and bytes or nil
end

return address
