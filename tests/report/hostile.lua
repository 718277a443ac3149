-- SPDX-License-Identifier: MIT
-- A run whose guest, and whose script, put into its records what a page could stumble over. Its verdict is failed.
local a, b = host("a"), host("b")
link(a, b, { delay = "1ms" })
boot()

local ATTACK = [[</script><script>alert("ran")</script><img src=x onerror=alert(1)><!--]]

a:run([[printf '%s\n' '</script><script>alert("ran")</script><img src=x onerror=alert(1)><!-- end of attack']])
a:run([[printf '\001\033[2J\033]0;title\007\r\n\377\376\200 \342\200\256 control \342\200\250 characters\000end']])
a:run("yes 0123456789abcdef | head -c 10000000")
a:run("echo '" .. ATTACK .. "' >&2; exit 7")
mark(ATTACK)
pcall(all, { go(error, ATTACK) })
record { [ATTACK] = ATTACK, ["__proto__"] = "prototype", constructor = { [ATTACK] = 1 } }
series(ATTACK, '"><b>'):add(1)
test(ATTACK, function() error(ATTACK .. "\u{2028}") end)
