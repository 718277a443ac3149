-- SPDX-License-Identifier: MIT
-- Runs an experiment or suite file: its environment, its verdict, its records, its end.

local accelerator = require "qemunet.nodes.accelerator"
local control = require "qemunet.live.control"
local core = require "qemunet.core"
local errors = require "qemunet.errors"
local excerpt = require "qemunet.record.excerpt"
local exit = require "qemunet.program.exit"
local faults = require "qemunet.faults.faults"
local fidelity = require "qemunet.fidelity.fidelity"
local host = require "qemunet.nodes.host"
local image = require "qemunet.nodes.image"
local inventory = require "qemunet.report.inventory"
local language = require "qemunet.program.language"
local limit = require "qemunet.suite.limit"
local live_status = require "qemunet.live.status"
local modules = require "qemunet.program.modules"
local nat = require "qemunet.network.nat"
local paths = require "qemunet.paths"
local recorder = require "qemunet.record.recorder"
local report_page = require "qemunet.report.report"
local runner = require "qemunet.suite.runner"
local series = require "qemunet.record.series"
local state = require "qemunet.live.state"
local status = require "qemunet.program.status"
local strain = require "qemunet.fidelity.strain"
local suite = require "qemunet.suite.suite"
local task_log = require "qemunet.record.task_log"
local tasks = require "qemunet.tasks"
local testbed = require "qemunet.testbed"
local text = require "qemunet.text"
local vm = require "qemunet.nodes.vm"

local run = {}

local STOPPED = {
    ["interrupted"] = { verdict = "interrupted", status = status.INTERRUPTED, error = "interrupted" },
    ["timed out"] = { verdict = "timed out", status = status.TIMED_OUT, error = "the experiment's time limit has passed" },
    ["deadlock"] = { verdict = "failed", status = status.FAILED,
        error = "deadlock: every task waits, and nothing is left that could wake one" },
}

recorder.on_folder(control.open)

local isolation

-- Leaves this machine's network, and a process for nat in it; builds before what is built from there.
local function isolate()
    image.build_declared()
    nat.prepare()
    isolation = table.pack(core.isolate())
    image.isolated = true
end

-- What has to be there before the first link or node that runs. The images come before the isolation, which cuts this process
-- off from the network that their packages come from. Returns whether the isolation succeeded, and if not why.
local function prepare(with_image)
    recorder.folder()
    if with_image then vm.find_images() end
    if not isolation then
        isolate()
        if not isolation[1] then core.log(0, "no private network namespace: " .. isolation[2]) end
    end
    return isolation[1], isolation[2]
end

local GONE = { down = true, crashed = true }

-- What the machines that run, or may yet, take of this machine's memory, in bytes.
local function declared_memory()
    local sum = 0
    for _, each in ipairs(testbed.nodes()) do
        if vm.is(each) and not GONE[each.state] then sum = sum + each.opts.mem end
    end
    return sum
end

local function preparer_for_vm(opts)
    return function()
        if opts.claim then opts.claim(declared_memory()) end
        return prepare(true)
    end
end

local function are_declared(kind)
    for _, each in ipairs(testbed.nodes()) do
        if kind.is(each) then return true end
    end
    return false
end

-- Hosts alone need no image.
local function prepare_as_declared() return prepare(are_declared(vm)) end

-- The isolation of an ordinary user is not possible any more once the fabric's thread runs: when it is about to start, before
-- what it is for is known, it is now, unless an image may still have to be built.
local function prepare_for_fabric()
    if isolation then return end
    if are_declared(vm) then
        prepare(true)
    elseif are_declared(host) or #(core.images() or {}) > 0 then
        isolate()
    end
end

local function base_name(path) return (path:gsub("^.*/", ""):gsub("%.lua$", "")) end

-- A script's main part and what it left, under the handler: nil, or the failure.
local function attempt(fn)
    local ok, failure = xpcall(fn, errors.handler)
    if not ok then return errors.failure(failure) end
end

-- Whether the run has begun to run a file's tests.
local testing

-- A suite file ends by itself: what ends it before has left tests out.
local function exit_verdict(opts)
    local asked = exit.asked()
    local code = opts.suite and status.FAILED or asked.status
    if testing and code == status.PASSED then code = status.FAILED end
    if code == status.PASSED then return { verdict = "passed", status = code } end
    return { verdict = "failed", status = code, error = asked.text .. " ended it", trace = asked.trace }
end

local function stop_verdict(opts)
    if core.stop_reason() == "exit" then return exit_verdict(opts) end
    return STOPPED[core.stop_reason() or ""]
end

-- Where the script waited when its time had passed, or for what never comes, is what a person looks for.
local function cancelled_verdict(failure, opts)
    local verdict = stop_verdict(opts) or STOPPED["interrupted"]
    if verdict ~= STOPPED["timed out"] and verdict ~= STOPPED["deadlock"] then return verdict end
    return { verdict = verdict.verdict, status = verdict.status, error = verdict.error, trace = failure.trace }
end

local function failure_verdict(failure, opts)
    if failure.message == errors.CANCEL then return cancelled_verdict(failure, opts) end
    local machinery = errors.is_machinery(failure.message)
    local skipped = suite.skipped(failure.message)
    if skipped then return { verdict = "skipped", status = status.PASSED, error = skipped } end
    return {
        verdict = machinery and "machinery failed" or "failed", status = machinery and status.MACHINERY or status.FAILED,
        error = errors.text(failure.message), trace = failure.trace,
    }
end

local function folder_of(path) return path:match("^(.*)/[^/]*$") or "." end

-- Lua's own require, which is there with --allow-host, finds modules beside the file, before those elsewhere.
local function search_beside(path)
    local folder = folder_of(path)
    package.path = ("%s/?.lua;%s/?/init.lua;%s"):format(folder, folder, package.path)
end

local function report(verdict)
    if verdict.verdict == "passed" then return end
    local why = text.visible(verdict.error or "see above")
    if verdict.verdict == "skipped" then return core.log(0, "skipped: " .. why) end
    if verdict.verdict ~= verdict.error then core.log(-1, ("%s: %s"):format(verdict.verdict, why)) end
    if verdict.trace and verdict.trace ~= "" then core.log(-1, "  where:\n" .. text.visible(verdict.trace)) end
end

local function versions()
    return { qemunet = core.VERSION, lua = _VERSION, qemu = core.qemu_version(), accelerator = accelerator.used(),
        guest_kernel = vm.kernel_version }
end

-- How long the main part may take to clean up when it is cancelled: longer than a test that it runs.
local MAIN_GRACE = tasks.CANCEL_GRACE + 2

-- Waits for the end of the main part, or of what it does when the run is stopped or another task has failed. `watcher`: a task
-- that waits for the same, and is cancelled then.
local function wait_for_main(main, watcher)
    core.wait { watcher.done }
    if core.wait({ main.done }, MAIN_GRACE) then return end
    core.log(0, ("its clean-up is cut off: it took more than %d s"):format(MAIN_GRACE))
    main:cancel()
end

-- The main part runs in a task of its own, so that the failure of another task can end it.
local function run_main(fn)
    local failure, thrown
    local main = tasks.start(function()
        tasks.show_waits()
        failure = attempt(function()
            -- A stop that came before cancels it at its next wait, which may never come.
            if core.stop_reason() then error(errors.CANCEL, 0) end
            return fn()
        end)
    end)
    local watcher = tasks.try(function() core.wait { main.done } end)
    tasks.on_failure = function(other)
        thrown = thrown or other
        main:cancel()
        watcher:cancel()
    end
    wait_for_main(main, watcher)
    if thrown then return thrown end
    if failure then return failure end
    return tasks.unjoined_failures()[1]
end

local function suite_status(summary)
    for _, result in ipairs(summary.results) do
        if result.machinery then return status.MACHINERY end
    end
    return summary.failed > 0 and status.FAILED or status.PASSED
end

local function suite_verdict(summary)
    local failed = summary.failed > 0
    return { verdict = failed and "failed" or "passed", status = suite_status(summary),
        error = failed and ("%d of %d tests failed"):format(summary.failed, summary.failed + summary.passed) or nil,
        tests = summary.results }
end

-- Whatever the script has made of the name, in the run's folder.
local function console_path(name) return ("%s/console/%s.log"):format(recorder.folder(), tostring(name):gsub("[/%c]", "_")) end

local function new_suite()
    return suite.new { fatal = function(err) return err == errors.CANCEL end, machinery = errors.is_machinery }
end

local function setup_run(opts)
    testing = false
    core.set_seed(opts.seed)
    math.randomseed(opts.seed)
    accelerator.default, vm.templates = opts.accel or "auto", not opts.no_templates
    vm.prepare, vm.console_path = preparer_for_vm(opts), console_path
    host.prepare, nat.ready = prepare_as_declared, prepare_as_declared
    testbed.prepare = prepare_for_fabric
    series.reset()
    excerpt.reset()
    task_log.reset()
    fidelity.reset()
    state.reset(opts.file, opts.seed)
    core.status(live_status.lines)
    paths.set(opts.allow_host or opts.chunk ~= nil, recorder.folder, recorder.made)
    recorder.start { name = base_name(opts.file), out = opts.out, seed = opts.seed, params = opts.params, file = opts.file,
        args = opts.args, lazy = opts.lazy }
    faults.start { file = opts.file, seed = opts.seed, params = opts.params, args = opts.args, replay = opts.replay,
        folder = recorder.folder }
end

local function tell_test(result)
    state.tell_test(result)
    core.event { t = core.now(), kind = "test", name = result.name, outcome = result.outcome, duration = result.duration }
end

local function passed() return { verdict = "passed", status = status.PASSED } end

-- What opens a prompt, which few runs want.
local function breakpoints() return require "qemunet.repl.breakpoint" end

-- A prompt where it failed, while all of it is still there.
local function show_failure(env, failure)
    if stop_verdict() or failure.message == errors.CANCEL or suite.skipped(failure.message) then return end
    run_main(function() breakpoints().at_failure(env, failure) end)
end

-- Runs the loaded chunk, and then the tests that it registered.
local function run_chunk(chunk, registry, opts, env)
    local summary
    local failure = run_main(function()
        if opts.suite then
            opts.suite.told = tell_test
            summary = runner.run_file(registry, base_name(opts.file), chunk, opts.suite)
        else
            chunk()
            testing = #registry.tests > 0
            if testing then
                summary = runner.run(registry, { print = function(line) core.print(line .. "\n") end, clock = core.now,
                    limit = limit.run, unjoined = tasks.take_unjoined, told = tell_test, on_failure = opts.repl_on_failure and
                        function(each) breakpoints().at_failure(env, each) end or nil })
            end
        end
    end)
    if failure and opts.repl_on_failure then show_failure(env, failure) end
    if failure then return failure_verdict(failure, opts), summary end
    return stop_verdict(opts) or summary and suite_verdict(summary) or passed(), summary
end

-- links.csv: what the links did over time.
local function write_link_samples()
    local folder, names = recorder.made(), state.link_cells()
    local written, why = core.link_samples_end(folder and next(names) and folder .. "/links.csv" or nil, names)
    if not written then core.log(0, "cannot write links.csv: " .. why) end
end

-- A run's verdict does not depend on it.
local function write_report()
    local folder = recorder.made()
    if not folder then return end
    local written, why = report_page.write(folder)
    if not written then core.log(0, "no report.html: " .. why) end
end

-- Runs what there is to run. Returns the verdict, and the suite's summary if it was one.
local function run_script(opts)
    local registry = new_suite()
    local env = language.environment(language.names(suite.globals(registry), opts.args), folder_of(opts.file))
    search_beside(opts.file)
    if opts.repl_on_failure then breakpoints().keep_frames() end
    local chunk, problem = opts.chunk
    if opts.session then chunk = function() opts.session(env) end end
    if not chunk then chunk, problem = modules.read_chunk(opts.file, env) end
    if not chunk then return { verdict = "failed", status = status.FAILED, error = problem } end
    return run_chunk(chunk, registry, opts, env)
end

-- With --strict, a run that passed and was unsound has not passed.
local function judged(verdict, kept_up, opts)
    if not opts.strict or kept_up.verdict ~= "unsound" or verdict.status ~= status.PASSED then return verdict end
    return { verdict = "unsound", status = status.UNSOUND, tests = verdict.tests,
        error = "this machine did not keep up: " .. fidelity.reasons(kept_up) }
end

-- A run that passed, and whose folder is not whole, has not passed.
local function recorded(verdict, is_whole)
    if is_whole or verdict.status ~= status.PASSED then return verdict end
    return { verdict = "machinery failed", status = status.MACHINERY, tests = verdict.tests,
        error = "what this run recorded is incomplete; see above" }
end

-- A neighbour that never booted answers nothing, which looks like a fault of the network.
local function tell_unbooted()
    local names, is_used = {}, false
    for _, node in ipairs(testbed.nodes()) do
        if node.state == "defined" and #node.nics > 0 then names[#names + 1] = node.name end
        is_used = is_used or node.state and node.state ~= "defined"
    end
    if not is_used or #names == 0 then return end
    local shown = table.concat(names, ", ", 1, math.min(#names, 5)) .. (#names > 5 and ", ..." or "")
    core.log(0, ("never booted, nor used: %s; boot() boots all nodes"):format(shown))
end

-- Ends all that runs, and writes down what came of it. Returns the verdict.
local function wind_up(verdict, opts)
    tasks.end_all()
    core.wind_up()
    if not opts.suite then tell_unbooted() end
    local counters, topology = strain.collect(), recorder.made() and inventory.collect()
    write_link_samples()
    core.event { t = core.now(), kind = "teardown" }
    core.status(nil)
    testbed.teardown()
    local kept_up = fidelity.judge(counters)
    verdict = judged(verdict, kept_up, opts)
    fidelity.tell(kept_up, verdict.status ~= status.UNSOUND)
    verdict = recorded(verdict, core.record_is_whole())
    core.event { t = core.now(), kind = "end", verdict = verdict.verdict }
    local written = recorder.finish(verdict, recorder.made() and versions() or nil, counters, series.summary(), kept_up,
        topology or nil)
    write_report()
    return recorded(verdict, written)
end

--- Runs a file. `opts`: {file=, params={}, args={}, seed=, out=, accel=, no_templates=, suite= options for a suite run, lazy=,
--- strict= whether an unsound run fails, allow_host= whether it may do on this machine what it likes (see sandbox),
--- chunk= a function instead of the file, claim= fn(bytes) that is called, and may wait, before a machine of the run boots: how
--- much memory its machines take, session= fn(globals), which is called in the file's place, repl_on_failure= whether a failure
--- opens a prompt}.
--- Returns the verdict, {verdict=, status=, error=, trace=, tests=}, and the suite's summary if it was one.
function run.file(opts)
    setup_run(opts)
    local verdict, summary = run_script(opts)
    state.tell_verdict(verdict.verdict)
    verdict = wind_up(verdict, opts)
    control.close()
    if not opts.suite then report(verdict) end
    return verdict, summary
end

return run
