-- SPDX-License-Identifier: MIT
-- Frames made by hand, for the tests: require "frames".

local frames = {}

local function mac(text)
    return (text:gsub("(%x%x):?", function(hex) return string.char(tonumber(hex, 16)) end))
end

local function ip(text)
    return string.pack("BBBB", text:match("(%d+)%.(%d+)%.(%d+)%.(%d+)"))
end

-- RFC 1071, one byte after the other.
local function checksum(data)
    local sum = 0
    for i = 1, #data do sum = sum + (data:byte(i) << (i % 2 == 1 and 8 or 0)) end
    return ~((sum & 0xffff) + (sum >> 16)) & 0xffff
end

function frames.eth(dst, src, kind, payload) return mac(dst) .. mac(src) .. string.pack(">I2", kind) .. payload end

function frames.ipv4(src, dst, protocol, payload)
    local head = string.pack(">BBI2I2I2BB", 0x45, 0, 20 + #payload, 7, 0x4000, 64, protocol)
    local addresses = ip(src) .. ip(dst)
    local sum = checksum(head .. "\0\0" .. addresses)
    return head .. string.pack(">I2", sum) .. addresses .. payload
end

local function pseudo(src, dst, protocol, n) return ip(src) .. ip(dst) .. string.pack(">I2I2", protocol, n) end

function frames.udp(src, dst, from, to, data)
    local head = string.pack(">I2I2I2", from, to, 8 + #data)
    local sum = checksum(pseudo(src, dst, 17, 8 + #data) .. head .. "\0\0" .. data)
    return frames.ipv4(src, dst, 17, head .. string.pack(">I2", sum) .. data)
end

function frames.tcp(src, dst, from, to, bits, data)
    local head = string.pack(">I2I2I4I4BBI2", from, to, 1000, 2000, 5 << 4, bits, 512)
    local sum = checksum(pseudo(src, dst, 6, 20 + #data) .. head .. "\0\0\0\0" .. data)
    return frames.ipv4(src, dst, 6, head .. string.pack(">I2I2", sum, 0) .. data)
end

function frames.echo(src, dst, kind, number, data)
    local head, rest = string.pack("BB", kind, 0), string.pack(">I2I2", 1, number) .. data
    return frames.ipv4(src, dst, 1, head .. string.pack(">I2", checksum(head .. "\0\0" .. rest)) .. rest)
end

--- What asks the node of the nic `to` for an answer, from that of `from`.
function frames.ping(from, to, number, data)
    return frames.eth(to.mac, from.mac, 0x0800, frames.echo(from.ip, to.ip, 8, number or 1, data or ("x"):rep(56)))
end

function frames.arp(from, to)
    local body = string.pack(">I2I2BBI2", 1, 0x0800, 6, 4, 1) .. mac(from.mac) .. ip(from.ip) .. ("\0"):rep(6) .. ip(to.ip)
    return frames.eth("ff:ff:ff:ff:ff:ff", from.mac, 0x0806, body)
end

--- A datagram that nothing answers, of so many bytes as a frame.
function frames.datagram(from, to, size)
    return frames.eth(to.mac, from.mac, 0x0800, frames.udp(from.ip, to.ip, 9, 9, ("d"):rep((size or 60) - 42)))
end

return frames
