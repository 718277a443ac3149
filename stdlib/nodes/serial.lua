-- SPDX-License-Identifier: MIT
-- A line of requests to a shell at the other end of a serial console, for guests that have no other way in. Whatever else
-- is written to the console, by the kernel or anybody, is told from an answer by a key that the guest's programs do not
-- see, and an answer that it was written into does not have its form, and is asked for again. The guest's side is
-- runtime/guest/console.sh.

local core = require "qemunet.core"
local quote = require "qemunet.text".quote

local serial = {}

-- A terminal takes lines of up to 4,095 bytes.
local FORMAT_BYTES = 3000
local LINE_BYTES = 1000
local SHORT_BYTES = 600 -- what is quicker in words
-- Linux keeps 64 KiB for a terminal whose reader is late; what is more is lost.
local PART_BYTES = 12 << 10
local TRIES = 8
local SILENCE, PATIENCE = 10, 60 -- seconds: without a byte, and for one answer
local MOST = 1 << 20 -- bytes of what may come between
local BLOCK, MOST_BLOCKS = 512, 128

local Line = {}
Line.__index = Line

--- A line that is not begun yet. `write(text)` types.
function serial.line(write)
    local function word() return ("%08x%08x"):format(core.random_seed() & 0xffffffff, core.random_seed() & 0xffffffff) end
    return setmetatable({ write = write, key = word(), tag = word(), received = "", count = 0, jobs = 0,
        tail = "", listeners = {}, news = core.future(), closed = false, folder = false, busy = false, stale = {} }, Line)
end

local function wake(self)
    self.news:set()
    self.news = core.future()
end

-- Lines "TAG NUMBER" say that a command has ended.
local function look_for_news(self, data)
    local text, done = self.tail .. data, 1
    for number, next_at in text:gmatch(self.tag .. " (%d+)\r?\n()") do
        done = next_at
        local listener = self.listeners[tonumber(number)]
        if listener then listener() end
    end
    self.tail = text:sub(math.max(done, #text - 63))
end

--- Bytes came from the console.
function Line:feed(data)
    look_for_news(self, data)
    self.received = self.received .. data
    if #self.received > MOST then self.received = self.received:sub(-MOST // 2) end
    if data:find("\n", 1, true) then wake(self) end
end

--- No more will come; `why` says so in errors.
function Line:close(why)
    if self.closed then return end
    self.closed = why
    wake(self)
    for _, listener in pairs(self.listeners) do listener() end
end

-- Waits for a pattern in what comes. Returns its captures; nil and why.
local function await(self, pattern)
    local deadline = core.now() + PATIENCE
    while true do
        local found = table.pack(self.received:match(pattern))
        if found[1] then return table.unpack(found, 1, found.n) end
        if self.closed then return nil, self.closed end
        local left = math.min(SILENCE, deadline - core.now())
        if left <= 0 or not core.wait({ self.news }, left) then return nil, "the console does not answer" end
    end
end

-- One request at a time.
local function lock(self)
    while self.busy do core.wait { self.busy } end
    local busy = core.future()
    self.busy = busy
    return setmetatable({}, { __close = function()
        self.busy = false
        busy:set()
    end })
end


local function ask_once(self, message)
    self.count = self.count + 1
    self.received = ""
    local sent, why = self.write(message(self.count))
    if not sent then return nil, why end
    local answer, problem = await(self, ("%s<%d\r?\n(.-)\r?\n%s>%d\r?\n"):format(self.key, self.count, self.key, self.count))
    if not answer then return nil, problem end
    return (answer:gsub("\r", ""):gsub(self.tag .. " %d+\n", ""))
end

-- `message(number)`: what is typed to ask for the answer of that number.
local function ask(self, message, check, tries)
    local held <close> = lock(self)
    local why
    for _ = 1, tries or TRIES do
        local answer
        answer, why = ask_once(self, message)
        if self.closed then return nil, self.closed end
        local values = answer and table.pack(check(answer))
        if values and values[1] ~= nil then return table.unpack(values, 1, values.n) end
        why = why or "something else writes to the console all the time"
    end
    return nil, why
end

--- Makes a request. `check(answer)` returns what is in the answer, or nothing if it does not have its form: then it is made
--- again, up to `tries` times. Returns what check gave; nil and why.
function Line:ask(request, check, tries)
    return ask(self, function(number) return ("qn %d %s\n"):format(number, quote(request)) end, check, tries)
end

--- A check for an answer that is a line of words, by a pattern without its end. Whole lines of others are passed over.
function serial.words(pattern)
    return function(answer)
        for line in answer:gmatch("[^\n]+") do
            local values = table.pack(line:match("^" .. pattern .. " %.$"))
            if values[1] then return table.unpack(values, 1, values.n) end
        end
    end
end

-- Files --------------------------------------------------------------------------------------------------------------

-- What printf takes for the bytes of `data` from `at` on, and how many of them.
local function format_of(data, at)
    local part = data:sub(at, at + FORMAT_BYTES - 1)
    local parts, n, taken = {}, 0, 0
    for i = 1, #part do
        local byte = part:byte(i)
        local harmless = byte > 32 and byte < 127 and byte ~= 39 and byte ~= 37 and byte ~= 92 or byte == 32
        local text = harmless and string.char(byte) or ("\\%03o"):format(byte)
        if n + #text > FORMAT_BYTES then break end
        parts[i], n, taken = text, n + #text, i
    end
    return table.concat(parts), taken
end

local ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

-- In lines that a terminal takes.
local function encode_base64(data)
    local function letter(n) return ALPHABET:sub(n + 1, n + 1) end
    local text = data:gsub("..?.?", function(three)
        local a, b, c = three:byte(1, 3)
        local n = a << 16 | (b or 0) << 8 | (c or 0)
        return letter(n >> 18) .. letter(n >> 12 & 63) .. (b and letter(n >> 6 & 63) or "=") .. (c and letter(n & 63) or "=")
    end)
    return (text:gsub(("."):rep(LINE_BYTES), "%0\n"))
end

-- The two ways to append: as a request's words, and as a text that follows one.
local function append_words(self, file, size, data, at)
    local format, taken = format_of(data, at)
    local now, why = self:ask(("qn_add %s %d %s"):format(file, size, quote(format)), serial.words "size (%d+)")
    return now, why, taken
end

local function append_text(self, file, size, data, at)
    local part = data:sub(at, at + PART_BYTES - 1)
    local text = encode_base64(part)
    local _, ends = text:gsub("\n", "\n")
    -- What stands before it ends an earlier one of which a line was lost.
    local now, why = ask(self, function(number)
        return (":\nqn_take %d %s %d %d %d\n%s\n"):format(number, file, size, #part, ends + 1, text)
    end, serial.words "size (%d+)")
    return now, why, #part
end

--- Appends to a file of the line's folder that has `size` bytes now, as much of `data` from `at` on as one request holds.
--- Returns how much; nil and why.
function Line:append(file, size, data, at)
    for _ = 1, TRIES do
        local append = self.code == "base64" and #data - at >= SHORT_BYTES and append_text or append_words
        local now, why, taken = append(self, file, size, data, at)
        if not now then return nil, why end
        if tonumber(now) == size + taken then return taken end
    end
    return nil, "the guest could not keep what it was sent (is there no room left?)"
end

--- Makes a file of the line's folder. Returns true; nil and why.
function Line:put(file, data)
    local at = 1
    while at <= #data do
        local taken, why = self:append(file, at - 1, data, at)
        if not taken then return nil, why end
        at = at + taken
    end
    return true
end

local SIX_BITS = {}
for i = 1, 64 do SIX_BITS[ALPHABET:sub(i, i)] = i - 1 end
SIX_BITS["="] = 0

local function decode_base64(text)
    local short = #text:match("=*$")
    local data = text:gsub("(.)(.)(.)(.)", function(a, b, c, d)
        local n = SIX_BITS[a] << 18 | SIX_BITS[b] << 12 | SIX_BITS[c] << 6 | SIX_BITS[d]
        return string.char(n >> 16, n >> 8 & 255, n & 255)
    end)
    return data:sub(1, -1 - short)
end

local function decode_hex(text)
    return (text:gsub(" (%x%x)", function(digits) return string.char(tonumber(digits, 16)) end))
end

-- The form of their lines, all but the last of which have that width. No message looks like that.
local CODES = {
    base64 = { line = "^[%w+/]+=?=?$", width = 76, decode = decode_base64 },
    od = { line = "^[ %x]+$", width = 48, decode = decode_hex },
}

-- The bytes that an answer stands for, or nil when it is not of that form.
local function decode(self, answer)
    local lines = {}
    local code = CODES[self.code]
    for line in answer:gmatch("[^\n]+") do
        if line:find(code.line) then
            if lines[1] and #lines[#lines] ~= code.width then return nil end
            lines[#lines + 1] = line
        end
    end
    return code.decode(table.concat(lines))
end

--- Bytes `from` (0: the first) to `to` of a file of the line's folder, which has that many at least, and perhaps not all of
--- them at once: returns a part from the beginning on; nil and why.
function Line:get(file, from, to)
    local block, why = from // BLOCK, nil
    local count = math.min(MOST_BLOCKS, (to - block * BLOCK + BLOCK - 1) // BLOCK)
    while count > 0 do
        local least, most = math.min(count * BLOCK, to - block * BLOCK), count * BLOCK
        local data
        data, why = self:ask(("qn_get %s %d %d"):format(file, block, count), function(answer)
            local data = decode(self, answer)
            return data and #data >= least and #data <= most and data or nil
        end, count > 1 and 2 or TRIES)
        if data then return data:sub(from - block * BLOCK + 1, least) end
        if self.closed then return nil, why end
        count = count // 4
    end
    return nil, why
end

-- Beginning and end --------------------------------------------------------------------------------------------------

-- Reads requests, a line each. What it is told to leave is the key itself.
local LOOP = [[sh -c 'qn_t=$(stty -g);stty -echo -isig -ixon -ixoff icanon;qn_k=%s;echo "$qn_k""up";]] ..
    [[while IFS= read -r qn_l&&[ "$qn_l" != "$qn_k" ];do eval "$qn_l";done;stty "$qn_t"']] .. "\n"

-- Makes a request and brackets its answer; and, for a request, appends to a file what printf makes of a format, if the
-- file has that size.
local ANSWER = [[qn(){ echo;echo "$qn_k<$1";eval "$2" </dev/null 2>&1;echo;echo "$qn_k>$1";}]] .. "\n"
local ADD = [[qn_add(){ : >>"$qn_d/$1";[ "$(wc -c <"$qn_d/$1")" -ne "$2" ]||printf "$3" >>"$qn_d/$1";]] ..
    [[[ ! -e "$qn_d/${1%.w}.n" ]||echo 1<>"$qn_d/${1%.w}.n";echo size $(wc -c <"$qn_d/$1") .;}]] .. "\n"

local FOLDER = [[umask 077; for qn_d in /tmp /var/tmp /run /dev/shm "$HOME"; do
qn_d=$qn_d/.qn.%s; mkdir "$qn_d" 2>/dev/null || [ -w "$qn_d" ] && break; done; umask 022; qn_tag=%s; [ -w "$qn_d" ] && echo folder "$qn_d" .]]

--- Starts the reading of requests from the shell that waits at the console now, and gives it its functions. Returns true;
--- nil and why.
function Line:begin()
    self.received = ""
    self.write(LOOP:format(self.key))
    local up, why = await(self, "(" .. self.key .. "up)\r?\n")
    if not up then return nil, "the shell at the console did not start another: " .. why end
    self.write(ANSWER .. ADD)
    local folder, problem = self:ask(FOLDER:gsub("\n", " "):format(self.key:sub(1, 8), self.tag), serial.words "folder (%S+)", 3)
    if not folder then return nil, "no folder of the guest can be written to (/tmp, /run, the home): " .. problem end
    self.folder = folder
    local put, trouble = self:put("functions", core.guest_file("console.sh"))
    if not put then return nil, trouble end
    local code, fault = self:ask('. "$qn_d/functions"; echo code ${qn_code%% *} .', serial.words "code (%l+%d*)", 3)
    if not code then return nil, "its functions do not run: " .. fault end
    self.code = code
    return true
end

--- Gives the console back to the shell that was there.
function Line:leave()
    self:ask('rm -rf "$qn_d"; echo removed .', serial.words "(removed)", 2)
    self.write(self.key .. "\n")
    self:close("the console was given back")
end

return serial
