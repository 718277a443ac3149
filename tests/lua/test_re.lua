-- SPDX-License-Identifier: MIT
-- Regular expressions on strings.

local blames = require "blames".exactly

local function all(s, pattern)
    local list = {}
    for match in re.gmatch(s, pattern) do list[#list + 1] = match[0] end
    return list
end

test("match gives the match, its groups and its place", function()
    check.equal(re.match("eth0: 10.0.0.1/24", [[(\d+)\.(\d+)]]), { [0] = "10.0", "10", "0", from = 7, to = 10 })
    check.equal(re.match("abc", "b"), { [0] = "b", from = 2, to = 2 })
    check.equal(re.match("abc", "$"), { [0] = "", from = 4, to = 3 })
    check.is_nil(re.match("abc", "x"))
    check.equal(re.match("", "a*")[0], "")
    check.equal(re.match(42, "2")[0], "2")
end)

test("named groups", function()
    local match = re.match("rtt min/avg = 1.5/2.5 ms", [[(?<min>[\d.]+)/(?<avg>[\d.]+) (?<unit>\w+)(?<no>x)?]])
    check.equal(match.min, "1.5")
    check.equal(match.avg, "2.5")
    check.equal(match.unit, "ms")
    check.equal(match[3], "ms")
    check.is_nil(match.no)
    check.is_nil(match[4])
    check.equal(re.match("b", "(?J)(?<x>a)|(?<x>b)").x, "b")
    check.equal(re.match("ab", "(?<from>b)").from, 2, "the place goes before a group of that name")
end)

test("match and find start where they are told", function()
    check.equal({ re.find("abcabc", "bc") }, { 2, 3 })
    check.equal({ re.find("abcabc", "bc", 3) }, { 5, 6 })
    check.equal({ re.find("abcabc", "bc", -2) }, { 5, 6 })
    check.equal({ re.find("abcabc", "bc", -100) }, { 2, 3 })
    check.equal({ re.find("abc", "$", 4) }, { 4, 3 })
    check.is_nil(re.find("abc", "", 5))
    check.is_nil(re.find("abc", "x"))
    check.equal(re.match("abab", "a(.)", 2).from, 3)
    check.is_nil(re.find("ab", "^b", 2), "^ is the string's start, wherever the search starts")
    check.equal({ re.find("ab", "(?<=a)b", 2) }, { 2, 2 })
end)

test("PCRE2's syntax and options", function()
    check.equal(re.match("Hello", "(?i)hELLO")[0], "Hello")
    check.equal(re.match("a\nb", "(?m)^b")[0], "b")
    check.is_nil(re.match("a\nb", "^b"))
    check.equal(re.match("a(b(c))d", [[\((?:[^()]++|(?R))*\)]])[0], "(b(c))")
    check.equal(re.match("foobar foobaz", [[\bfoo(?!bar)\w+]])[0], "foobaz")
    check.equal(re.match("aa", [[(*LIMIT_MATCH=1000)a+]])[0], "aa")
end)

test("bytes, and characters when asked for", function()
    check.equal(re.match("a\0b\xff", [[\x00b\xff]]), { [0] = "\0b\xff", from = 2, to = 4 })
    check.equal(re.match("\0", "\0")[0], "\0")
    check.equal(re.match("é", ".")[0], "\xc3")
    check.equal(re.match("é", "(*UTF).")[0], "é")
    blames(function() re.match("\xc3", "(*UTF).") end,
        're.match: "(*UTF).": the text is not UTF-8 there, and the pattern asks for it')
end)

test("gmatch goes through all matches", function()
    check.equal(all("one two  three", [[\w+]]), { "one", "two", "three" })
    check.equal(all("baac", "a*"), { "", "aa", "", "" })
    check.equal(all("abc", ""), { "", "", "", "" })
    check.equal(all("", "x"), {})
    check.equal(all("aXbX", "X|$"), { "X", "X", "" })
    local keys = {}
    for match in re.gmatch("a=1, b=2", [[(?<key>\w)=(?<value>\d)]]) do keys[match.key] = match.value end
    check.equal(keys, { a = "1", b = "2" })
    local next_match = re.gmatch("a", "a")
    check.equal(next_match().from, 1)
    check.is_nil(next_match())
    check.is_nil(next_match())
end)

test("replace fills in groups", function()
    check.equal({ re.replace("hello world", "o", "0") }, { "hell0 w0rld", 2 })
    check.equal({ re.replace("hello world", "o", "0", 1) }, { "hell0 world", 1 })
    check.equal({ re.replace("hello", "l", "L", 0) }, { "hello", 0 })
    check.equal(re.replace("john smith", [[(\w+) (\w+)]], "$2, $1"), "smith, john")
    check.equal(re.replace("john", [[(?<name>\w+)]], "<${name}>, <$name>, <${1}0>, <$0>"), "<john>, <john>, <john0>, <john>")
    check.equal(re.replace("5", [[\d]], "$$$0"), "$5")
    check.equal(re.replace("ac", "a(b)?c", "[$1]"), "[]")
    check.equal(re.replace("abc", "x*", "-"), "-a-b-c-")
    check.equal(re.replace("a.b", [[\.]], "%1\\1"), "a%1\\1b")
    check.equal({ re.replace("abc", "x", "y") }, { "abc", 0 })
    check.equal(re.replace("a\0b", "\0", "\0\0"), "a\0\0b")
end)

test("replace calls a function", function()
    check.equal(re.replace("1 2 3", [[\d]], function(match) return match[0] * 2 end), "2 4 6")
    check.equal(re.replace("a1 b2", [[(?<k>\w)(\d)]], function(match) return match[2] .. match.k end), "1a 2b")
    check.equal({ re.replace("abc", "[ab]", function(match) return match[0] == "a" and "A" or nil end) }, { "Abc", 2 })
    blames(function() re.replace("a", "a", function() return {} end) end,
        "re.replace: the function gave a table, not a string")
    check.equal(re.replace("aa", "a", function() sleep(0.001) return "b" end), "bb")
end)

test("misuse raises at the script's line", function()
    blames(function() re.match("x", "ab(c") end, 're.match: bad pattern "ab(c": missing closing parenthesis at offset 4')
    blames(function() re.find("x", "*") end,
        're.find: bad pattern "*": quantifier does not follow a repeatable item at offset 0')
    blames(function() re.match(nil, "x") end, "re.match: want a string to search in, not nil")
    blames(function() re.match("x", {}) end, "re.match: want a pattern, a string, not table")
    blames(function() re.match("x", "x", "y") end, "re.match: want a place in the string, not y")
    blames(function() re.gmatch("x") end, "re.gmatch: want a pattern, a string, not nil")
    blames(function() re.replace("x", "x") end, "re.replace: want a string or a function for the replacement, not nil")
    blames(function() re.replace("x", "x", "$1") end, 're.replace: the pattern has no group "1"')
    blames(function() re.replace("x", "(?<a>x)", "${b}") end, 're.replace: the pattern has no group "b"')
    blames(function() re.replace("x", "x", "5$") end,
        're.replace: "$" in a replacement wants a group behind it, as "$1" or "${name}"; "$$" is a dollar')
    blames(function() re.replace("x", "x", "y", 1.5) end, "re.replace: want a number of replacements, not 1.5")
end)

test("a pattern that would take for ever raises", function()
    blames(function() re.match(("a"):rep(100) .. "!b", "(a+)+b$") end,
        're.match: "(a+)+b$": the pattern takes too many steps on this text')
    check.raises(function() re.find(("a"):rep(100) .. "!;", [[(\w*\w*)*;;]]) end, "too many steps")
end)

test("many patterns, more than are kept", function()
    for i = 1, 1000 do check.equal(re.match("<" .. i .. ">", "<" .. i .. "(>)")[1], ">") end
    for i = 1, 1000 do check.equal(re.find("<" .. i .. ">", "<" .. i .. ">"), 1) end
end)

test("a long text", function()
    local text = ("0123456789 line\n"):rep(65536)
    check.equal({ re.find(text .. "needle", "ne+dle") }, { #text + 1, #text + 6 })
    check.is_nil(re.match(text, [[(\w+): (\d+)]]))
    local _, count = re.replace(text, [[(\d+) (?<word>\w+)]], "$word $1")
    check.equal(count, 65536)
    check.equal(re.match(("x"):rep(1 << 20), "(?s)^(.*)x$")[1], ("x"):rep((1 << 20) - 1))
end)
