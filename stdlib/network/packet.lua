-- SPDX-License-Identifier: MIT
-- A packet that a trigger hands to a script: pkt.time, pkt.dir, pkt.data (the Ethernet frame), and its headers.

local class = require "qemunet.class"
local errors = require "qemunet.errors"

local packet = {}

local IPV4, IPV6, ARP = 0x0800, 0x86dd, 0x0806
local VLAN = { [0x8100] = true, [0x88a8] = true } -- IEEE 802.1Q
local TCP, UDP, ICMP, ICMPV6 = 6, 17, 1, 58

--- class packet: a packet that a trigger has seen; what its methods give is read from its bytes.
-- @field time number   experiment second at which it entered the link
-- @field dir string    "ab" or "ba"
-- @field data string   the bytes of the Ethernet frame
-- @example
--   local cable = link(responder("a"), responder("b"))
--   local seen = cable:on("", { count = 1 })
--   source(cable.ab, { rate = "1mbit", start = true })
--   local pkt = seen:wait(5)
--   print(pkt:eth().src, pkt:ip().ttl, pkt:udp().dst, pkt:tcp(), pkt:icmp(), pkt:arp())
--   check.equal(#pkt:replace(15, "\x46"), #pkt.data)
local Packet = {}
local meta = class.new("packet", Packet)

--- Makes one; dir is "ab" or "ba".
function packet.new(time, dir, data) return setmetatable({ time = time, dir = dir, data = data }, meta) end

local function bytes_text(data, format, separator)
    local parts = { data:byte(1, -1) }
    for i, byte in ipairs(parts) do parts[i] = format:format(byte) end
    return table.concat(parts, separator)
end

local function mac(data) return bytes_text(data, "%02x", ":") end
local function ipv4(data) return bytes_text(data, "%d", ".") end

-- RFC 5952: the first of the longest runs of two zeros or more is "::".
local function ipv6(data)
    local text = (":%x:%x:%x:%x:%x:%x:%x:%x:"):format(string.unpack(">I2I2I2I2I2I2I2I2", data))
    for n = 8, 2, -1 do
        local from, to = text:find(":" .. ("0:"):rep(n), 1, true)
        if from then return (text:sub(2, from - 1) .. "::" .. text:sub(to + 1, -2)) end
    end
    return text:sub(2, -2)
end

local function has(data, from, n) return #data >= from + n - 1 end

--- packet:eth() -> table: the Ethernet header.
-- @return  { dst, src = as "52:54:00:00:01:01", type, vlan = of the innermost tag, header = its length, payload = bytes };
--   nil when the frame is too short
function Packet:eth()
    local data = self.data
    if not has(data, 1, 14) then return nil end
    local kind, at, vlan = string.unpack(">I2", data, 13), 15, nil
    while VLAN[kind] and has(data, at, 4) do
        vlan, kind = string.unpack(">I2I2", data, at)
        vlan, at = vlan & 0xfff, at + 4
    end
    return { dst = mac(data:sub(1, 6)), src = mac(data:sub(7, 12)), type = kind, vlan = vlan, header = at - 1,
        payload = data:sub(at) }
end

--- packet:arp() -> table: what ARP says.
-- @return  { op, sender_mac, sender_ip, target_mac, target_ip }; nil for another packet
function Packet:arp()
    local eth = self:eth()
    if not eth or eth.type ~= ARP or #eth.payload < 28 then return nil end
    local p = eth.payload
    if p:sub(1, 6) ~= "\0\1\8\0\6\4" then return nil end -- IPv4 over Ethernet
    return { op = string.unpack(">I2", p, 7), sender_mac = mac(p:sub(9, 14)), sender_ip = ipv4(p:sub(15, 18)),
        target_mac = mac(p:sub(19, 24)), target_ip = ipv4(p:sub(25, 28)) }
end

local function read_ipv4(p)
    if #p < 20 or p:byte(1) >> 4 ~= 4 then return nil end
    local header, total = (p:byte(1) & 15) * 4, string.unpack(">I2", p, 3)
    if header < 20 or #p < header or total < header then return nil end
    local id, fragment, ttl, protocol = string.unpack(">I2I2BB", p, 5)
    return { version = 4, tos = p:byte(2), length = total, id = id, dont_fragment = fragment & 0x4000 ~= 0,
        more_fragments = fragment & 0x2000 ~= 0, offset = (fragment & 0x1fff) * 8, ttl = ttl, protocol = protocol, header = header,
        src = ipv4(p:sub(13, 16)), dst = ipv4(p:sub(17, 20)), payload = p:sub(header + 1, total) }
end

-- RFC 8200, 4: the headers between IPv6's own and the transport's; all begin with the next one's type, and a length.
local HOP_BY_HOP, ROUTING, FRAGMENT, DESTINATION = 0, 43, 44, 60
local EXTENSION = { [HOP_BY_HOP] = true, [ROUTING] = true, [FRAGMENT] = true, [DESTINATION] = true }

-- The protocol behind the extension headers, the length of all headers, and the fragment's offset.
local function skip_extensions(p, protocol)
    local header, offset = 40, 0
    while EXTENSION[protocol] and has(p, header + 1, 8) do
        local next_type, length, fragment = string.unpack(">BBI2", p, header + 1)
        if protocol == FRAGMENT then length, offset = 0, fragment & 0xfff8 end
        protocol, header = next_type, header + (length + 1) * 8
    end
    return protocol, header, offset
end

local function read_ipv6(p)
    if #p < 40 or p:byte(1) >> 4 ~= 6 then return nil end
    local length, first, ttl = string.unpack(">I2BB", p, 5)
    local protocol, header, offset = skip_extensions(p:sub(1, 40 + length), first)
    return { version = 6, length = 40 + length, ttl = ttl, protocol = protocol, offset = offset, header = header,
        src = ipv6(p:sub(9, 24)), dst = ipv6(p:sub(25, 40)), payload = p:sub(header + 1, 40 + length) }
end

--- packet:ip() -> table: the IP header, of IPv4 or IPv6.
-- @return  { version, src, dst, protocol, ttl, length = of the whole packet, header = the headers' length, offset = of a
--   fragment, payload = bytes; of IPv4 also tos, id, dont_fragment, more_fragments }; nil for another packet, or a broken one
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

--- packet:tcp() -> table: the TCP header.
-- @return  { src, dst = ports, seq, ack, flags = { syn = , ack = , fin = , ... }, window, payload = bytes, ip = that of
--   packet:ip() }; nil for another packet
function Packet:tcp()
    local p, ip = transport(self, TCP, 20)
    if not p then return nil end
    local src, dst, seq, ack, offset, bits, window = string.unpack(">I2I2I4I4BBI2", p)
    local header, flags = (offset >> 4) * 4, {}
    if header < 20 or header > #p then return nil end
    for i, name in ipairs(FLAGS) do flags[name] = bits >> (i - 1) & 1 == 1 end
    return { src = src, dst = dst, seq = seq, ack = ack, flags = flags, window = window, payload = p:sub(header + 1), ip = ip }
end

--- packet:udp() -> table: the UDP header.
-- @return  { src, dst = ports, length, payload = bytes, ip = that of packet:ip() }; nil for another packet
function Packet:udp()
    local p, ip = transport(self, UDP, 8)
    if not p then return nil end
    local src, dst, length = string.unpack(">I2I2I2", p)
    if length < 8 then return nil end
    return { src = src, dst = dst, length = length, payload = p:sub(9, length), ip = ip }
end

--- packet:icmp() -> table: what ICMP or ICMPv6 says.
-- @return  { type, code, payload = behind the checksum, ip = that of packet:ip() }; nil for another packet
function Packet:icmp()
    local p, ip = transport(self, ICMP, 4)
    if not p then p, ip = transport(self, ICMPV6, 4) end
    if not p then return nil end
    return { type = p:byte(1), code = p:byte(2), payload = p:sub(5), ip = ip }
end

--- The Internet checksum of bytes, RFC 1071.
function packet.checksum(data)
    local sum = 0
    if #data % 2 == 1 then data = data .. "\0" end
    for i = 1, #data, 2 do sum = sum + string.unpack(">I2", data, i) end
    while sum > 0xffff do sum = (sum & 0xffff) + (sum >> 16) end
    return ~sum & 0xffff
end

local function patch(data, at, bytes) return data:sub(1, at - 1) .. bytes .. data:sub(at + #bytes) end

-- Where in a transport's header its checksum is.
local CHECKSUM_AT = { [TCP] = 17, [UDP] = 7, [ICMP] = 3, [ICMPV6] = 3 }

local function pseudo_header(ip, addresses)
    if ip.protocol == ICMP then return "" end
    return addresses .. string.pack(ip.version == 4 and ">I2I2" or ">I4I4", ip.protocol, #ip.payload)
end

-- The transport's header and data with their right checksum; as they are where there is none, or not all is there.
local function sealed_payload(ip, addresses)
    local at, p = CHECKSUM_AT[ip.protocol], ip.payload
    local is_whole = ip.offset == 0 and not ip.more_fragments and ip.header + #p == ip.length
    if not at or not is_whole or #p < at + 1 then return p end
    local unused = ip.protocol == UDP and ip.version == 4 and string.unpack(">I2", p, at) == 0
    if unused then return p end
    local sum = packet.checksum(pseudo_header(ip, addresses) .. patch(p, at, "\0\0"))
    if sum == 0 and ip.protocol == UDP then sum = 0xffff end
    return patch(p, at, string.pack(">I2", sum))
end

-- The frame with the right checksums of IPv4, TCP, UDP and ICMP.
local function sealed(frame)
    local eth, ip = frame:eth(), frame:ip()
    if not ip then return frame.data end
    local at, data = eth.header + 1, frame.data
    local addresses = ip.version == 4 and data:sub(at + 12, at + 19) or data:sub(at + 8, at + 39)
    data = patch(data, at + ip.header, sealed_payload(ip, addresses))
    if ip.version == 6 then return data end
    local header = patch(data:sub(at, at + ip.header - 1), 11, "\0\0")
    return patch(data, at + 10, string.pack(">I2", packet.checksum(header)))
end

--- packet:replace(at, bytes) -> string: the frame with some of its bytes replaced, and its checksums as they have to be.
-- It is for a verdict's { data = }. Checksums of IPv4, TCP, UDP and ICMP are set right; to spoil one, change pkt.data itself.
-- @param at     place of the first replaced byte, from 1
-- @param bytes  a string
-- @error  bytes beyond the end of the frame
function Packet:replace(at, bytes)
    if math.type(at) ~= "integer" or type(bytes) ~= "string" then errors.raise("replace: want a place and bytes") end
    if at < 1 or at + #bytes - 1 > #self.data then
        errors.raise(("replace: bytes %d to %d are not in a frame of %d bytes"):format(at, at + #bytes - 1, #self.data))
    end
    return sealed(packet.new(self.time, self.dir, patch(self.data, at, bytes)))
end

local function describe_transport(self, ip)
    local tcp, udp = self:tcp(), self:udp()
    if tcp then return ("tcp %s:%d > %s:%d"):format(ip.src, tcp.src, ip.dst, tcp.dst) end
    if udp then return ("udp %s:%d > %s:%d"):format(ip.src, udp.src, ip.dst, udp.dst) end
    return ("ip protocol %d %s > %s"):format(ip.protocol, ip.src, ip.dst)
end

function meta.__tostring(self)
    local eth, ip = self:eth(), self:ip()
    local what = ip and describe_transport(self, ip) or eth and ("%s > %s type 0x%04x"):format(eth.src, eth.dst, eth.type)
    return ("packet (%.6f s, %s, %d bytes, %s)"):format(self.time, self.dir, #self.data, what or "no frame")
end

return packet
