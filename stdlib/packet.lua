-- SPDX-License-Identifier: MIT
-- A packet that a trigger hands to a script: pkt.time, pkt.dir, pkt.data (the Ethernet frame), and its headers.

local packet = {}

local IPV4, IPV6, ARP, VLAN = 0x0800, 0x86dd, 0x0806, 0x8100
local TCP, UDP, ICMP = 6, 17, 1

local Packet = { __name = "packet" }
Packet.__index = Packet

--- Makes one; dir is "ab" or "ba".
function packet.new(time, dir, data) return setmetatable({ time = time, dir = dir, data = data }, Packet) end

local function bytes_text(data, format, separator)
    local parts = { data:byte(1, -1) }
    for i, byte in ipairs(parts) do parts[i] = format:format(byte) end
    return table.concat(parts, separator)
end

local function mac(data) return bytes_text(data, "%02x", ":") end
local function ipv4(data) return bytes_text(data, "%d", ".") end

-- RFC 5952, but without the shortening of zeros to "::".
local function ipv6(data)
    return ("%x:%x:%x:%x:%x:%x:%x:%x"):format(string.unpack(">I2I2I2I2I2I2I2I2", data))
end

local function has(data, from, n) return #data >= from + n - 1 end

--- pkt:eth() -> { dst, src, type, vlan, payload }; nil when the frame is too short.
function Packet:eth()
    local data = self.data
    if not has(data, 1, 14) then return nil end
    local kind, at, vlan = string.unpack(">I2", data, 13), 15, nil
    while kind == VLAN and has(data, at, 4) do
        vlan, kind = string.unpack(">I2I2", data, at)
        vlan, at = vlan & 0xfff, at + 4
    end
    return { dst = mac(data:sub(1, 6)), src = mac(data:sub(7, 12)), type = kind, vlan = vlan, payload = data:sub(at) }
end

--- pkt:arp() -> { op, sender_mac, sender_ip, target_mac, target_ip }, or nil.
function Packet:arp()
    local eth = self:eth()
    if not eth or eth.type ~= ARP or #eth.payload < 28 then return nil end
    local p = eth.payload
    return { op = string.unpack(">I2", p, 7), sender_mac = mac(p:sub(9, 14)), sender_ip = ipv4(p:sub(15, 18)),
        target_mac = mac(p:sub(19, 24)), target_ip = ipv4(p:sub(25, 28)) }
end

local function read_ipv4(p)
    if #p < 20 or p:byte(1) >> 4 ~= 4 then return nil end
    local header, total = (p:byte(1) & 15) * 4, string.unpack(">I2", p, 3)
    if header < 20 or #p < header or total < header then return nil end
    local id, fragment, ttl, protocol = string.unpack(">I2I2BB", p, 5)
    return { version = 4, tos = p:byte(2), length = total, id = id, dont_fragment = fragment & 0x4000 ~= 0,
        more_fragments = fragment & 0x2000 ~= 0, offset = (fragment & 0x1fff) * 8, ttl = ttl, protocol = protocol,
        src = ipv4(p:sub(13, 16)), dst = ipv4(p:sub(17, 20)), payload = p:sub(header + 1, total) }
end

-- Extension headers are not followed.
local function read_ipv6(p)
    if #p < 40 or p:byte(1) >> 4 ~= 6 then return nil end
    local length, protocol, ttl = string.unpack(">I2BB", p, 5)
    return { version = 6, length = 40 + length, ttl = ttl, protocol = protocol, offset = 0, src = ipv6(p:sub(9, 24)),
        dst = ipv6(p:sub(25, 40)), payload = p:sub(41, 40 + length) }
end

--- pkt:ip() -> { version, src, dst, protocol, ttl, length, payload; IPv4 also tos, id, offset, dont_fragment,
--- more_fragments }; nil when it is no IP packet, or a broken one.
function Packet:ip()
    local eth = self:eth()
    if eth and eth.type == IPV4 then return (read_ipv4(eth.payload)) end
    if eth and eth.type == IPV6 then return (read_ipv6(eth.payload)) end
end

-- The payload of an IP packet that carries this protocol and begins with at least n bytes of its header, and the packet.
local function transport(self, protocol, n)
    local ip = self:ip()
    if ip and ip.protocol == protocol and ip.offset == 0 and #ip.payload >= n then return ip.payload, ip end
end

local FLAGS = { "fin", "syn", "rst", "psh", "ack", "urg", "ece", "cwr" } -- from bit 0 on; RFC 9293

--- pkt:tcp() -> { src, dst (ports), seq, ack, flags={syn=, ack=, fin=, ...}, window, payload, ip }, or nil.
function Packet:tcp()
    local p, ip = transport(self, TCP, 20)
    if not p then return nil end
    local src, dst, seq, ack, offset, bits, window = string.unpack(">I2I2I4I4BBI2", p)
    local header, flags = (offset >> 4) * 4, {}
    if header < 20 then return nil end
    for i, name in ipairs(FLAGS) do flags[name] = bits >> (i - 1) & 1 == 1 end
    return { src = src, dst = dst, seq = seq, ack = ack, flags = flags, window = window, payload = p:sub(header + 1), ip = ip }
end

--- pkt:udp() -> { src, dst (ports), length, payload, ip }, or nil.
function Packet:udp()
    local p, ip = transport(self, UDP, 8)
    if not p then return nil end
    local src, dst, length = string.unpack(">I2I2I2", p)
    return { src = src, dst = dst, length = length, payload = p:sub(9, math.max(8, length)), ip = ip }
end

--- pkt:icmp() -> { type, code, payload, ip }, or nil.
function Packet:icmp()
    local p, ip = transport(self, ICMP, 4)
    if not p then return nil end
    return { type = p:byte(1), code = p:byte(2), payload = p:sub(5), ip = ip }
end

local function describe_transport(self, ip)
    local tcp, udp = self:tcp(), self:udp()
    if tcp then return ("tcp %s:%d > %s:%d"):format(ip.src, tcp.src, ip.dst, tcp.dst) end
    if udp then return ("udp %s:%d > %s:%d"):format(ip.src, udp.src, ip.dst, udp.dst) end
    return ("ip protocol %d %s > %s"):format(ip.protocol, ip.src, ip.dst)
end

function Packet:__tostring()
    local eth, ip = self:eth(), self:ip()
    local what = ip and describe_transport(self, ip) or eth and ("%s > %s type 0x%04x"):format(eth.src, eth.dst, eth.type)
    return ("packet (%.6f s, %s, %d bytes, %s)"):format(self.time, self.dir, #self.data, what or "no frame")
end

return packet
