-- SPDX-License-Identifier: MIT
-- The command line: qemunet COMMAND [OPTIONS]. A chunk that returns a function for the words of the command line.

local core = require "qemunet.core"
local errors = require "qemunet.errors"
local options = require "qemunet.options"
local status = require "qemunet.program.status"
local tasks = require "qemunet.tasks"
local units = require "qemunet.units"
local usages = require "qemunet.program.usage"

-- What only some commands need is loaded at its first use.
local function later(name) return setmetatable({}, { __index = function(_, key) return require(name)[key] end }) end

local attach = later "qemunet.live.attach"
local batch = later "qemunet.batch.batch"
local child = later "qemunet.batch.child"
local comparison = later "qemunet.report.comparison"
local doctor = later "qemunet.program.doctor"
local faults = later "qemunet.faults.faults"
local fault_record = later "qemunet.faults.record"
local images = later "qemunet.program.images"
local ps = later "qemunet.live.ps"
local recorder = later "qemunet.record.recorder"
local repl = later "qemunet.repl.repl"
local report = later "qemunet.report.report"
local run = later "qemunet.program.run"
local shrink = later "qemunet.program.shrink"
local watch = later "qemunet.live.watch"

-- Raised for a wrong command line.
local function usage(message) error({ usage = message }, 0) end

-- Options of run and test: name -> {takes a value, function(opts, value)}.
local function set(key, convert)
    return function(opts, value, name) opts[key] = convert and convert(value, name) or value end
end

local function set_true(key)
    return function(opts) opts[key] = true end
end

local function to_seed(value, name)
    local n = math.tointeger(tonumber(value))
    if not n or n < 0 then usage(("%s %s: want a whole number"):format(name, value)) end
    return n
end

local function to_duration(value, name)
    local ok, seconds = pcall(units.duration, value, name)
    if not ok then usage((tostring(seconds):gsub("^[^:]*:%d+: ", ""))) end
    return seconds
end

local function to_accel(value)
    if value ~= "auto" and value ~= "kvm" and value ~= "tcg" then
        usage(("--accel %s: want auto, kvm or tcg"):format(value))
    end
    return value
end

local function add_param(opts, value)
    local name, text = value:match("^([%w_.-]+)=(.*)$")
    if not name then usage(("--param %s: want NAME=VALUE"):format(value)) end
    opts.params[name] = text
end

local COMMON = {
    ["--seed"] = { true, set("seed", to_seed) },
    ["--accel"] = { true, set("accel", to_accel) },
    ["--timeout"] = { true, set("timeout", to_duration) },
    ["--param"] = { true, add_param },
    ["--allow-host"] = { false, set_true("allow_host") },
    ["--no-templates"] = { false, set_true("no_templates") },
    ["--strict"] = { false, set_true("strict") },
    ["-q"] = { false, function(opts) opts.level = -1 end },
    ["-v"] = { false, function(opts) opts.level = 1 end },
}

local function with_common(own)
    for name, entry in pairs(COMMON) do own[name] = entry end
    return own
end

local function to_count(value, name)
    local n = math.tointeger(tonumber(value))
    if not n or n < 1 then usage(("%s %s: want a number, at least 1"):format(name, value)) end
    return n
end

local RUN = with_common {
    ["--out"] = { true, set("out") },
    ["--replay"] = { true, set("replay_path") },
    ["--repl-on-failure"] = { false, set_true("repl_on_failure") },
    ["--shrink"] = { false, set_true("shrink") },
    ["--shrink-runs"] = { true, set("shrink_runs", to_count) },
    ["--shrink-time"] = { true, set("shrink_time", to_duration) },
}
local REPL = with_common { ["--out"] = { true, set("out") } }
local TEST = with_common {
    ["--fail-fast"] = { false, set_true("fail_fast") },
    ["--file-timeout"] = { true, set("file_timeout", to_duration) },
    ["--filter"] = { true, set("filter") },
    ["--jobs"] = { true, set("jobs", to_count) },
    ["--junit"] = { true, set("junit") },
    ["--retries"] = { true, set("retries", to_seed) },
    ["--shuffle"] = { "perhaps", function(opts, value, name) opts.shuffle = value and to_seed(value, name) or true end },
    ["--tap"] = { false, set_true("tap") },
    ["--test-timeout"] = { true, set("test_timeout", to_duration) },
}

local function unknown_option(word, spec)
    usage(("unknown option %s%s"):format(word, options.hint(word, spec)))
end

local function parse(words, spec)
    local opts = { params = {}, args = {}, files = {}, level = 0 }
    local i = 1
    while i <= #words do
        local word = words[i]
        local name, attached = word:match("^(%-%-[%w-]+)=(.*)$")
        local entry = spec[name or word]
        if word == "--" then
            opts.args = table.move(words, i + 1, #words, 1, {})
            break
        elseif not entry and word:sub(1, 1) == "-" and word ~= "-" then
            unknown_option(name or word, spec)
        elseif not entry then
            opts.files[#opts.files + 1] = word
        elseif entry[1] == true and not attached then
            i = i + 1
            if not words[i] then usage(("%s wants a value"):format(word)) end
            entry[2](opts, words[i], word)
        else
            if attached and not entry[1] then usage(("%s takes no value"):format(name)) end
            entry[2](opts, attached, name or word)
        end
        i = i + 1
    end
    return opts
end

-- A script that is stopped has so many seconds to tidy up, and as many again in which that is cancelled, too.
local PATIENCE = 10

local function start(opts)
    core.stop_within(PATIENCE, PATIENCE)
    core.progress_open(opts.level)
    opts.seed = opts.seed or core.random_seed()
    if opts.timeout then core.time_limit(opts.timeout) end
end

local commands = {}

-- Runs with the schedules of an earlier run, and with what that was started with where nothing else is given.
local function replay(opts)
    if not opts.replay_path then return end
    local document, why = fault_record.read(opts.replay_path)
    if not document then usage("--replay " .. why) end
    opts.replay, opts.seed = document, opts.seed or document.seed
    for name, value in pairs(document.params or {}) do opts.params[name] = opts.params[name] or tostring(value) end
    if #opts.args == 0 then opts.args = document.args or opts.args end
end

-- What a person may want next after a run that failed.
local function advise(opts, verdict)
    if opts.replay and not faults.happened() then core.log(0, "--replay: the experiment has no faults{}") end
    if verdict.status ~= status.FAILED or not faults.happened() then return end
    core.log(0, ("its faults again: qemunet run %s --replay %s; the fewest of them: and --shrink"):format(opts.file,
        recorder.made()))
end

local function is_file(path) return core.stat(path) == "file" end

-- Says where to look: at the report, where there is one.
local function tell_end(verdict)
    local folder = recorder.made()
    if not folder then return end
    local name = is_file(folder .. "/report.html") and "/report.html" or is_file(folder .. "/result.json") and "/result.json" or ""
    core.log(0, ("%s: %s%s"):format(verdict.verdict, folder, name))
end

-- A pipe can be opened once only, and that is when it is read.
local function check_readable(path)
    local kind = core.stat(path)
    if kind == "folder" then usage(("cannot read %s: this is a folder"):format(path)) end
    if kind == "other" then return end
    local file, why = io.open(path, "rb")
    if not file then usage("cannot read " .. why) end
    file:close()
end

function commands.run(words)
    local opts = parse(words, RUN)
    if #opts.files ~= 1 then usage(#opts.files == 0 and "run wants a file" or "run wants one file; arguments go behind --") end
    if not opts.shrink and (opts.shrink_runs or opts.shrink_time) then usage("--shrink-runs and --shrink-time go with --shrink") end
    opts.file = opts.files[1]
    check_readable(opts.file)
    replay(opts)
    if opts.shrink then
        core.progress_open(opts.level)
        opts.seed = opts.seed or core.random_seed()
        return shrink.run(opts)
    end
    start(opts)
    local verdict = run.file(opts)
    for _, name in ipairs(recorder.unused_params()) do
        core.log(0, ("--param %s: the experiment never asks for it"):format(name))
    end
    tell_end(verdict)
    advise(opts, verdict)
    return verdict.status
end

function commands.repl(words)
    local opts = parse(words, REPL)
    local file = opts.files[1]
    if opts.files[2] then usage("repl wants one file; arguments go behind --") end
    if file then check_readable(file) end
    start(opts)
    opts.file, opts.lazy, opts.session = file or "repl", true, function(env) repl.run(env, file) end
    local verdict = run.file(opts)
    tell_end(verdict)
    return verdict.status
end

function commands.test(words) return batch.run(parse(words, TEST), usage) end

-- What runs each file of a batch; not for people.
commands["test-file"] = function()
    local code, why = child.run()
    if not code then usage("test-file: " .. why) end
    return code
end

local REPORT = { ["--out"] = { true, set("out") } }

local function written(path, why)
    if path then print(path) return status.PASSED end
    io.stderr:write("qemunet: report: ", why, "\n")
    return status.MACHINERY
end

-- The page of a run that is over.
local function report_run(folder)
    if core.stat(folder .. "/events.jsonl") ~= "file" then
        usage(("report %s: no run's folder: it has no events.jsonl"):format(folder))
    end
    return written(report.write(folder))
end

-- The page of several, side by side.
local function compare_runs(folders, out)
    if #folders > comparison.RUNS then
        usage(("report compares %d runs at most, not %d"):format(comparison.RUNS, #folders))
    end
    local runs, why = comparison.read(folders)
    if not runs then usage("report: " .. why) end
    for _, note in ipairs(comparison.notes(runs)) do io.stderr:write("qemunet: report: ", note, "\n") end
    return written(comparison.write(runs, out or "comparison.html"))
end

function commands.report(words)
    local opts = parse(words, REPORT)
    local folders = {}
    for i, folder in ipairs(opts.files) do folders[i] = folder:gsub("(.)/+$", "%1") end
    if #folders == 0 then usage("report wants the folder of a run, or of several to compare") end
    if #folders > 1 then return compare_runs(folders, opts.out) end
    if opts.out then usage("report --out is for several runs: of one, report.html is in its folder") end
    return report_run(folders[1])
end

-- Runs what looks at an experiment that is under way, in a task, which a signal can end. Returns the exit status.
local function look_at_run(command, fn, ...)
    core.progress_open(0)
    local values, failure = tasks.settle(tasks.start(errors.try, fn, ...))
    if values and values[1] then return status.PASSED end
    local why = values and values[2] or failure.message
    if why == errors.CANCEL then return status.INTERRUPTED end
    io.stderr:write("qemunet: ", command, ": ", tostring(why), "\n")
    return status.FAILED
end

function commands.ps(words)
    local opts = parse(words, { ["--json"] = { false, set_true("json") } })
    if opts.files[1] then usage("ps wants no file") end
    return look_at_run("ps", ps.show, opts.json)
end

function commands.attach(words)
    local opts = parse(words, { ["--run"] = { true, set("run") } })
    if #opts.files ~= 1 then usage("attach wants the name of a node") end
    return look_at_run("attach", attach.to, opts.files[1], opts.run)
end

function commands.watch(words)
    local opts = parse(words, {})
    if opts.files[2] then usage("watch wants one experiment: the number of its process, or its folder") end
    return look_at_run("watch", watch.run, opts.files[1])
end

local function add_path(opts, value)
    local host, guest = value:match("^(.+):(/.*)$")
    opts.add = opts.add or {}
    if guest then opts.add[guest] = host else table.insert(opts.add, value) end
end

local IMAGE = {
    ["--packages"] = { true, set("packages") },
    ["--run"] = { true, set("run") },
    ["--add"] = { true, add_path },
}

function commands.image(words)
    local opts = parse(words, IMAGE)
    images.command(opts.files, opts, usage)
    return status.PASSED
end

local DOCTOR = { ["--json"] = { false, set_true("json") } }

function commands.doctor(words)
    local opts = parse(words, DOCTOR)
    if opts.files[1] then usage("doctor wants no file") end
    core.progress_open(-1)
    return doctor.report(opts.json) and status.PASSED or status.MACHINERY
end

local BENCHES = { boot = "bench.boot", commands = "bench.commands", fabric = "bench.fabric", ns3 = "bench.ns3",
    sync = "bench.sync" }

local BENCH = with_common {
    ["--rounds"] = { true, set("rounds", to_count) },
    ["--vms"] = { true, set("vms", to_count) },
    ["--json"] = { true, set("json") },
}

local function list_benches()
    for _, name in ipairs { "boot", "commands", "fabric", "ns3", "sync" } do
        print(("%-10s%s"):format(name, require("qemunet." .. BENCHES[name]).about))
    end
    return status.PASSED
end

function commands.bench(words)
    local opts = parse(words, BENCH)
    local name = opts.files[1]
    if not name then return list_benches() end
    if not BENCHES[name] or opts.files[2] then
        usage(("unknown benchmark %s%s"):format(opts.files[2] or name, options.hint(name, BENCHES)))
    end
    start(opts)
    local module = require("qemunet." .. BENCHES[name])
    local own = { rounds = opts.rounds or module.rounds or 200, vms = opts.vms or module.vms or 20, json = opts.json }
    opts.file, opts.lazy = "bench-" .. name, true
    opts.chunk = function() module.run(own) end
    return run.file(opts).status
end

function commands.version() print("qemunet " .. core.VERSION) return status.PASSED end

function commands.check(words)
    local opts = parse(words, {})
    if #opts.files == 0 then usage("check wants files") end
    return require "qemunet.check.command" (opts.files)
end

function commands.doc(words)
    local opts = parse(words, { ["--luals"] = { false, set_true("luals") } })
    require "qemunet.docs.command".doc(opts.luals, opts.files, usage)
    return status.PASSED
end

function commands.help(words)
    local opts = parse(words, {})
    require "qemunet.docs.command".help(opts.files, usage)
    return status.PASSED
end

commands["--help"], commands["-h"], commands["--version"] = commands.help, commands.help, commands.version

-- Whether a command is only asked how it is used.
local function is_asked(words)
    for i = 2, #words do
        if words[i] == "--" then return false end
        if words[i] == "--help" or words[i] == "-h" then return usages.of(words[1]) ~= nil end
    end
    return false
end

local function dispatch(words)
    local command = commands[words[1] or ""]
    if not words[1] then usage("no command") end
    if not command then
        usage(("unknown command %s%s"):format(words[1], options.hint(words[1], commands)))
    end
    if is_asked(words) then
        print(usages.of(words[1]))
        return status.PASSED
    end
    return command(table.move(words, 2, #words, 1, {}))
end

return function(words)
    local ok, outcome = xpcall(dispatch, function(err)
        if type(err) == "table" and err.usage then return err end
        return errors.handler(err)
    end, words)
    if ok then return core.finish(outcome) end
    outcome = errors.failure(outcome)
    if outcome.usage then
        io.stderr:write("qemunet: ", outcome.usage, "\n", words[1] and "try: qemunet help" ..
            (usages.of(words[1]) and " " .. words[1] or "") or usages.TEXT, "\n")
        return core.finish(status.USAGE)
    end
    local stopped = outcome.message == errors.CANCEL and (core.stop_reason() or "interrupted")
    local is_late = stopped == "timed out"
    io.stderr:write("qemunet: ", is_late and "timed out: the time limit has passed" or stopped or errors.text(outcome.message), "\n")
    if stopped then return core.finish(is_late and status.TIMED_OUT or status.INTERRUPTED) end
    return core.finish(status.MACHINERY)
end
