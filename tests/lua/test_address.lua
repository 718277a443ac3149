-- SPDX-License-Identifier: MIT
-- IPv4 subnets and MAC addresses.

local address = require "qemunet.network.address"

local function hosts(subnet)
    local list = {}
    for ip in function() return subnet:next_host() end do list[#list + 1] = ip end
    return list
end

test("a subnet gives its host addresses in order, and then none", function()
    check.equal(hosts(address.subnet "10.1.0.0/30"), { "10.1.0.1", "10.1.0.2" })
    check.equal(hosts(address.subnet "192.168.7.8/29"),
        { "192.168.7.9", "192.168.7.10", "192.168.7.11", "192.168.7.12", "192.168.7.13", "192.168.7.14" })
    local big = hosts(address.subnet "10.2.0.0/22")
    check.equal(#big, 1022)
    check.equal(big[256], "10.2.1.0")
    check.equal(big[1022], "10.2.3.254")
end)

test("an address that was given back is given out again when no other is left", function()
    local subnet = address.subnet "10.1.0.0/29"
    local first, second = subnet:next_host(), subnet:next_host()
    subnet:release(second)
    subnet:release(first)
    check.equal(hosts(subnet), { "10.1.0.3", "10.1.0.4", "10.1.0.5", "10.1.0.6", second, first })
    check.is_nil(subnet:next_host())
end)

test("the high end of the address space", function()
    check.equal(hosts(address.subnet "255.255.255.252/30"), { "255.255.255.253", "255.255.255.254" })
end)

test("what is no subnet is named", function()
    for _, text in ipairs { "", "10.0.0.0", "10.0.0.0/", "10.0.0/24", "10.0.0.256/24", "10.0.0.0/31", "10.0.0.0/33",
        "10.0.0.0/-1", "10.0.0.0/24 ", "fe80::/64", "a.b.c.d/24", "1.2.3.4.5/8" } do
        local subnet, why = address.subnet(text)
        check.is_nil(subnet, text)
        check.equal(why, ('bad subnet %q (want "10.1.0.0/24")'):format(text))
    end
end)

test("host bits are named, with the network that was probably meant", function()
    local subnet, why = address.subnet "10.1.2.3/24"
    check.is_nil(subnet)
    check.equal(why, 'bad subnet "10.1.2.3/24": it has host bits set; its network is "10.1.2.0/24"')
end)

test("automatic subnets are all different", function()
    check.equal(address.automatic(0):next_host(), "10.0.0.1")
    check.equal(address.automatic(1):next_host(), "10.0.1.1")
    check.equal(address.automatic(256):next_host(), "10.1.0.1")
    check.equal(address.automatic(0xffff):next_host(), "10.255.255.1")
    check.is_nil(address.automatic(0x10000))
    for _, case in ipairs { { 0, 254, "10.0.0.0/24", 1 }, { 3, 255, "10.0.4.0/23", 6 }, { 1, 510, "10.0.2.0/23", 4 },
        { 5, 1000, "10.0.8.0/22", 12 }, { 1, 100000, "10.2.0.0/15", 1024 } } do
        local subnet, behind = address.automatic(case[1], case[2])
        check.equal({ tostring(subnet), behind }, { case[3], case[4] })
    end
    check.is_nil(address.automatic(0xffff, 255))
end)

test("MAC addresses carry both numbers", function()
    check.equal(address.mac(1, 1), "52:54:00:00:01:01")
    check.equal(address.mac(300, 16), "52:54:00:01:2c:10")
    check.equal(address.mac(65535, 255), "52:54:00:ff:ff:ff")
end)
