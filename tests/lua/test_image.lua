-- SPDX-License-Identifier: MIT
-- image{}: what is wrong with a declaration is said at its line, before anything is built. Suite vm's test_image builds one.
local blames = require "blames".matching

test("image: names, packages and options", function()
    blames(function() image {} end, "^image: want a name first")
    blames(function() image { "a b" } end, '^image a b: bad name "a b" %(want letters, digits')
    blames(function() image { "../x" } end, '^image %.%./x: bad name')
    blames(function() image { "tiny" } end, '^image tiny: "tiny" is the name of an image that is always there$')
    blames(function() image { "x", package = {} } end, '^image: unknown option "package"; did you mean "packages"%?$') -- no check
    blames(function() image { "x", packages = { "FRR" } } end, '^image x: packages: "FRR" is no name of a Debian package$')
    blames(function() image { "x", packages = { "--help" } } end, "no name of a Debian package$")
    blames(function() image { "x", packages = { frr = true } } end, "^image x: packages: want a list of names$")
    blames(function() image { "x", packages = 5 } end, "^image: packages: ") -- no check
    blames(function() image { "x", setup = { 5 } } end, "^image x: setup: want commands, not 5$")
end)

test("image: scripts and files that are not there", function()
    blames(function() image { "x", run = "no/such.sh" } end, "^image x: run: no/such%.sh is not there")
    blames(function() image { "x", run = "/etc" } end, "^image x: run: /etc is a folder")
    blames(function() image { "x", add = { "/no/such" } } end, "^image x: add: /no/such: No such file")
    blames(function() image { "x", add = { relative = "/etc/hosts" } } end, "^image x: add: relative: want an absolute path")
    blames(function() image { "x", add = { ["/a/../b"] = "/etc/hosts" } } end,
        "^image x: add: /a/%.%./b: want an absolute path")
    blames(function() image { "x", add = { "/etc/hosts", "/etc/../etc/hosts" } } end,
        "^image x: add: /root/hosts is there twice$")
    blames(function() image { "x", add = { "/dev/null" } } end, "^image x: add: /dev/null is neither a file nor a folder$")
end)

test("vm: an image by its value or name; what goes with it", function()
    local img = image { "tools", packages = "jq socat jq", run = "echo made >/made", add = { ["/etc/x"] = "/etc/hosts" } }
    blames(function() image { "tools" } end, '^image: there is an image "tools" already$')
    check.equal({ vm("one", { image = img }).image, vm { "two", image = "tools" }.image }, { img, img })
    check.equal(vm("three").image.name, "tiny")
    blames(function() vm("x", { image = "tols" }) end,
        '^vm: unknown image "tols" %(known: tiny, .*tools.*%), and no file of that name; did you mean "tools"%?$')
    blames(function() vm("x", { image = {} }) end, "^vm: image: want a name, a path or what image{} has returned$")
    blames(function() vm("x", { image = img, kernel = "/k" }) end,
        "^vm x: image= goes with neither kernel= nor a second disk=$")
    blames(function() vm("x", { image = img, user = "me" }) end,
        "^vm x: user= is for a guest that is logged in to .*the tools guest")
    blames(function() vm("x", { image = img, mem = "80M" }) end,
        "^vm x: mem 80 MiB is too small: the tools guest needs at least")
    blames(function() img:boot() end, '^an image has no field or method "boot"') -- no check
end)

test("vm: a path is another's disk, and needs a log-in", function()
    blames(function() vm("x", { image = "/no/such.qcow2" }) end, "^vm x: disk /no/such%.qcow2: No such file")
    local v = vm("v", { image = "/etc/hosts", user = "me", password = "secret" })
    check.equal({ v.image, v.opts.disk }, { false, "/etc/hosts" })
    blames(function() vm("x", { image = "/etc/hosts", disk = "/etc/hosts" }) end,
        "goes with neither kernel= nor a second disk=$")
end)
