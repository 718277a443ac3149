-- SPDX-License-Identifier: MIT
-- What the command line takes, as text: of all commands, and of one.

local usage = {}

-- A command begins at the third column; each of its lines there is a form of it.
local TEXT = [=[
usage: qemunet COMMAND ...

  run FILE [--param NAME=VALUE]... [--seed N] [--out DIR] [--accel auto|kvm|tcg]
      [--timeout D] [--no-templates] [--strict] [--allow-host] [-q|-v] [-- ARGS]
                      run an experiment; --no-templates: every machine boots;
                      --allow-host: it may run commands of this machine, and
                      write files outside its run's folder;
                      --strict: it fails if this machine did not keep up with it
      --replay FILE|DIR
                      with the faults{} of an earlier run, its seed and parameters
      --repl-on-failure
                      if it fails, open a prompt there, with all still running
      --shrink [--shrink-runs N] [--shrink-time D]
                      if it fails: again and again, to find the fewest faults with
                      which it does (at most 100 runs, 15 minutes)
  repl [FILE] [--param NAME=VALUE]... [--seed N] [--out DIR] [--accel A]
      [--timeout D] [--no-templates] [--strict] [--allow-host] [-q|-v] [-- ARGS]
                      a prompt, after running the file: Lua lines, with all of the
                      language; :help there says more
  test [PATH...] [--jobs N] [--filter RE] [--retries N] [--shuffle[=SEED]]
      [--fail-fast] [--test-timeout D] [--file-timeout D] [--timeout D] [--tap]
      [--junit FILE] [--param NAME=VALUE]... [--seed N] [--accel A]
      [--no-templates] [--strict] [--allow-host] [-q|-v] [-- ARGS]
                      run test files, each in a process of its own; of folders,
                      test_*.lua and *_test.lua (without PATH: of tests, or here);
                      --filter: tests whose NAME, or "FILE: NAME", matches (PCRE2);
                      --retries: what failed runs again, and is flaky if it passes;
                      --test-timeout 10m, --file-timeout 1h, --jobs as many as there
                      are processors, and memory for; --tap and --junit: reports for
                      programs
  ps [--json]         the experiments of this user that are running
  attach NODE [--run PID|FOLDER]
                      the console of a virtual machine of a running experiment, on
                      this terminal; Ctrl-] leaves
  watch [PID|FOLDER]  the report of a running experiment as it grows, at an address
                      for a browser on this machine; ends with it, or by Ctrl-C
  report DIR          write report.html into the folder of an earlier run
  report DIR DIR... [--out FILE]
                      write comparison.html: 2 to 20 runs side by side, what
                      differs in them, what they recorded, their series in one plot
  image list          the images in the cache
  image build NAME [--packages "A B"] [--run SCRIPT] [--add PATH[:PLACE]]...
                      build a Debian system for vm{image="NAME"}
  image remove NAME...|templates
                      remove images, or all warm templates of machines
  doctor [--json]     what this machine can do for experiments, and what to change
  check FILE...       look for errors without running: syntax, names, options, units
  doc [--luals [DIR]] the reference of the language; --luals: annotations for
                      editors with the Lua language server, and a .luarc.json
  bench [NAME] [--rounds N] [--vms N] [--json FILE]
                      run a benchmark; without a name, list them
  version             what version this is
  help [COMMAND|NAME|language]
                      this text, or what there is to know of a command or of a
                      name of the language; language: all names of it

exit status: 0 passed, 1 failed, 2 usage, 3 the machinery failed, 4 timed out,
5 unsound with --strict, 130 interrupted]=]

--- The whole text.
usage.TEXT = TEXT

-- The lines of a command, each of its forms as it is typed; empty for an unknown one.
local function lines_of(command)
    local lines, is_wanted = {}, false
    for line in TEXT:gmatch("[^\n]+") do
        local name = line:match("^  (%l+)")
        is_wanted = name and name == command or not name and is_wanted and line:find("^    ") ~= nil
        if is_wanted then lines[#lines + 1] = name and "  qemunet " .. line:sub(3) or line end
    end
    return lines
end

--- The usage of one command; nil when there is none such.
function usage.of(command)
    local lines = lines_of(command)
    if #lines == 0 then return nil end
    return "usage:\n" .. table.concat(lines, "\n")
end

--- The names of the commands, as keys.
function usage.commands()
    local names = {}
    for name in TEXT:gmatch("\n  (%l+)") do names[name] = true end
    return names
end

return usage
