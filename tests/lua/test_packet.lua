-- SPDX-License-Identifier: MIT
-- What a packet says of its headers, read from bytes made by hand; garbage is never an error.

local frames = require "frames"
local packet = require "qemunet.network.packet"

local A, B = { mac = "52:54:00:00:01:01", ip = "10.0.0.1" }, { mac = "52:54:00:00:02:01", ip = "10.0.0.2" }

local function read(data) return packet.new(1.5, "ab", data) end
local function frame(payload, kind) return read(frames.eth(B.mac, A.mac, kind or 0x0800, payload)) end

local SRC = "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01"
local DST = "\xfe\x80\0\0\0\0\0\0\x50\x54\0\xff\xfe\0\0\x02"

local function ipv6(protocol, payload)
    return string.pack(">I4I2BB", 6 << 28, #payload, protocol, 63) .. SRC .. DST .. payload
end

test("Ethernet", function()
    local eth = frame("data", 0x88b5):eth()
    check.equal(eth, { dst = B.mac, src = A.mac, type = 0x88b5, header = 14, payload = "data" })
    local tagged = frame("\x20\x05\x08\x06data", 0x8100):eth()
    check.equal({ tagged.vlan, tagged.type, tagged.header, tagged.payload }, { 5, 0x0806, 18, "data" })
    local twice = frame("\0\7\x81\0\x00\x09\x08\0data", 0x88a8):eth()
    check.equal({ twice.vlan, twice.type, twice.payload }, { 9, 0x0800, "data" })
end)

test("ARP", function()
    local arp = read(frames.arp(A, B)):arp()
    check.equal(arp, { op = 1, sender_mac = A.mac, sender_ip = A.ip, target_mac = "00:00:00:00:00:00", target_ip = B.ip })
    check.is_nil(frame("\0\6" .. ("\0"):rep(40), 0x0806):arp())
end)

test("UDP, TCP and ICMP over IPv4, tagged or not", function()
    for _, tag in ipairs { false, "\0\7\x08\0" } do
        local function of(payload) return tag and frame(tag .. payload, 0x8100) or frame(payload) end
        local p = of(frames.udp(A.ip, B.ip, 1000, 53, "hello") .. ("\0"):rep(13)) -- padded
        local ip = p:ip()
        check.equal({ ip.version, ip.src, ip.dst, ip.protocol, ip.ttl, ip.length, ip.header, ip.id, ip.dont_fragment },
            { 4, A.ip, B.ip, 17, 64, 33, 20, 7, true })
        local udp = p:udp()
        check.equal({ udp.src, udp.dst, udp.length, udp.payload, udp.ip }, { 1000, 53, 13, "hello", ip })
        check.equal({ p:tcp(), p:icmp(), p:arp() }, {})
        local tcp = of(frames.tcp(A.ip, B.ip, 80, 4000, 0x12, "body")):tcp()
        check.equal({ tcp.src, tcp.dst, tcp.seq, tcp.ack, tcp.window, tcp.payload }, { 80, 4000, 1000, 2000, 512, "body" })
        check.equal({ tcp.flags.syn, tcp.flags.ack, tcp.flags.fin, tcp.flags.rst }, { true, true, false, false })
        local icmp = of(frames.echo(A.ip, B.ip, 8, 3, "abc")):icmp()
        check.equal({ icmp.type, icmp.code, icmp.payload }, { 8, 0, "\0\1\0\3abc" })
    end
end)

test("IPv6, and what stands between its header and the transport's", function()
    local udp = string.pack(">I2I2I2I2", 5, 7, 12, 0) .. "data"
    local p = frame(ipv6(17, udp), 0x86dd)
    local ip = p:ip()
    check.equal({ ip.version, ip.src, ip.dst, ip.protocol, ip.ttl, ip.length, ip.header },
        { 6, "2001:db8::1", "fe80::5054:ff:fe00:2", 17, 63, 52, 40 })
    check.equal({ p:udp().dst, p:udp().payload }, { 7, "data" })
    local options = frame(ipv6(0, "\x3c\0" .. ("\0"):rep(6) .. "\x11\1" .. ("\0"):rep(14) .. udp), 0x86dd)
    check.equal({ options:ip().protocol, options:ip().header, options:udp().payload }, { 17, 64, "data" })
    local fragment = frame(ipv6(44, "\x11\0\0\x08\0\0\0\1" .. udp), 0x86dd)
    check.equal({ fragment:ip().offset, fragment:udp() }, { 8 })
    check.equal(frame(ipv6(58, "\x80\0\0\0"), 0x86dd):icmp().type, 128)
    local function address(bytes) return frame(ipv6(59, ""):sub(1, 8) .. bytes .. DST, 0x86dd):ip().src end
    check.equal(address(("\0"):rep(16)), "::")
    check.equal(address(("\0"):rep(15) .. "\1"), "::1")
    check.equal(address("\0\1" .. ("\0"):rep(4) .. ("\0\1"):rep(3) .. ("\0"):rep(4)), "1::1:1:1:0:0")
    check.equal(address(("\0\1\0\0"):rep(4)), "1:0:1:0:1:0:1:0")
end)

test("fragments, truncated and broken packets give nil", function()
    local whole = frames.udp(A.ip, B.ip, 1, 2, "hello")
    check.is_nil(frame(whole:sub(1, 6) .. "\x20\1" .. whole:sub(9)):udp()) -- a later fragment
    check.is_nil(frame("\x44" .. whole:sub(2)):ip()) -- a header of 16 bytes
    check.is_nil(frame("\x4f" .. whole:sub(2, 30)):ip()) -- one of 60
    check.is_nil(frame(whole:sub(1, 2) .. "\0\5" .. whole:sub(5)):ip()) -- five bytes in all
    check.is_nil(frame("\x65" .. whole:sub(2)):ip()) -- version 6 in IPv4's place
    check.is_nil(frame(frames.ipv4(A.ip, B.ip, 17, "\0\1\0\2\0\7\0\0")):udp()) -- a length of 7
    check.is_nil(frame(frames.ipv4(A.ip, B.ip, 6, ("\0"):rep(12) .. "\xf0" .. ("\0"):rep(7))):tcp()) -- a header of 60
    check.is_nil(frame(whole, 0x86dd):ip())
end)

local METHODS = { "eth", "ip", "tcp", "udp", "icmp", "arp" }

test("every beginning of a frame, and random bytes: no error, and text for people", function()
    local whole = {
        frames.eth(B.mac, A.mac, 0x8100, "\0\1\x08\0" .. frames.tcp(A.ip, B.ip, 1, 2, 2, "x")), frames.arp(A, B),
        frames.eth(B.mac, A.mac, 0x86dd, ipv6(0, "\x2c\0" .. ("\0"):rep(6) .. "\x3a\0\0\0\0\0\0\0\x80\0\0\0")),
        frames.eth(B.mac, A.mac, 0x0800, frames.udp(A.ip, B.ip, 1, 2, "x")),
    }
    for _, data in ipairs(whole) do
        for n = 0, #data do
            local p = read(data:sub(1, n))
            for _, method in ipairs(METHODS) do p[method](p) end
            check.match(tostring(p), "^packet %(1%.500000 s, ab, " .. n .. " bytes, ")
        end
    end
    for n = 1, 300 do
        local bytes = {}
        for i = 1, n % 70 do bytes[i] = string.char(math.random(0, 255)) end
        local kind = ({ 0x0800, 0x86dd, 0x0806, 0x8100 })[n % 4 + 1]
        local first = kind == 0x0800 and "\x45" or kind == 0x86dd and "\x60" or ""
        local p = frame(first .. table.concat(bytes), kind)
        for _, method in ipairs(METHODS) do p[method](p) end
        check.is_true(#p:replace(1, "\0") == #p.data)
    end
end)

test("replace: other bytes, and the checksums that belong to them", function()
    local before = frame(frames.udp(A.ip, B.ip, 1000, 53, "hello") .. "\0\0\0")
    local function with_port(port, text) return frames.eth(B.mac, A.mac, 0x0800, frames.udp(A.ip, B.ip, 1000, port, text)) end
    check.equal(before:replace(37, "\0\x35"), with_port(53, "hello") .. "\0\0\0")
    check.equal(before:replace(37, "\0\x50"), with_port(80, "hello") .. "\0\0\0")
    check.equal(before:replace(before.data:find("ello", 1, true), "allo"), with_port(53, "hallo") .. "\0\0\0")
    local tcp = frame(frames.tcp(A.ip, B.ip, 1, 2, 0x18, "odd"))
    check.equal(tcp:replace(#tcp.data, "e"), frame(frames.tcp(A.ip, B.ip, 1, 2, 0x18, "ode")).data)
    check.equal(tcp:replace(31, "\10\0\0\9"), frame(frames.tcp(A.ip, "10.0.0.9", 1, 2, 0x18, "odd")).data)
    local echo = frame(frames.echo(A.ip, B.ip, 8, 3, "abc"))
    check.equal(echo:replace(35, "\0"), frame(frames.echo(A.ip, B.ip, 0, 3, "abc")).data)
    local silent = frame(frames.ipv4(A.ip, B.ip, 17, string.pack(">I2I2I2I2", 1, 2, 9, 0) .. "x"))
    check.equal(silent:replace(43, "y"):sub(41), "\0\0y") -- sent without a checksum
    local fragment = frame("\x45\0\0\x18\0\7\x20\0\x40\x11\0\0" .. "\10\0\0\1\10\0\0\2" .. "abcd")
    check.equal(fragment:replace(35, "A"):sub(35), "Abcd")
    check.equal(frame("any", 0x88b5):replace(15, "A"), frame("Any", 0x88b5).data)
    check.raises(function() echo:replace(0, "x") end, "test_packet.lua:%d+: replace: bytes 0 to 0 are not in a frame")
    check.raises(function() echo:replace(#echo.data, "xy") end, "are not in a frame of 45 bytes")
    check.raises(function() echo:replace("x") end, "test_packet.lua:%d+: replace: want a place and bytes")
end)

test("a misspelt method is named", function()
    check.raises(function() return frame("x"):upd() end, 'test_packet.lua:%d+: a packet has no field or method "upd"')
end)
