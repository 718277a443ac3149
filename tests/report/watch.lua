-- SPDX-License-Identifier: MIT
-- What watch.mjs looks at while it goes on, until the file "go" is there.

local a, b = host("alpha"), responder("beta")
local l = link(a, b, { rate = "5mbit" })
boot()
local s = source(l.ba, { to = a, rate = "1mbit", size = 500 })
s:start()
local n = 0
repeat
    n = n + 1
    a:run("echo '<script>alert(1)</script>' " .. n)
    sleep("200ms")
until io.open("go")
s:stop()
