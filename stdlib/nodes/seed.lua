-- SPDX-License-Identifier: MIT
-- A seed for cloud-init, which vendors' disk images configure themselves with at boot: a volume of the files that its data
-- source NoCloud reads. What is ours goes into vendor-data, as a hook of each boot, so that nothing of it gets in the way of
-- what the script gives; it starts the shell that commands go to, and no log-in is needed.

local computer = require "qemunet.nodes.computer"
local core = require "qemunet.core"
local job = require "qemunet.nodes.job"
local node = require "qemunet.nodes.node"
local options = require "qemunet.options"
local units = require "qemunet.units"

local seed = {}

-- Text as cloud-init reads it, or a table, which becomes YAML.
seed.OPTIONS = {
    user_data = { type = { "string", "table" }, default = "#cloud-config\n{}\n" },
    meta_data = { type = { "string", "table" } },
    network_config = { type = { "string", "table" } },
}

-- Where the script leaves the network to us, cloud-init is not to wait for an answer by DHCP, and what waits for a network
-- that only comes after the boot would wait in vain (systemd-networkd's for 120 s): the hook has it not start. For that, it
-- has to run before the network is awaited, as it does from a local data source.
local NO_NETWORK = "config: disabled\n"
local LOCAL = "local"
local NO_WAIT = [[
systemctl mask --runtime --now --no-block systemd-networkd-wait-online NetworkManager-wait-online >/dev/null 2>&1
]]

-- What tells cloud-init of which kind user data is: "#cloud-config", "#!", "## template: jinja"; MIME; gzip.
local BEGINNINGS = { "^#", "^[Cc]ontent%-[Tt]ype:", "^MIME%-Version:", "^From ", "^\x1f\x8b" }

local function has_kind(text)
    for _, beginning in ipairs(BEGINNINGS) do
        if text:find(beginning) then return true end
    end
    return false
end

local function encode(value, where, level)
    if type(value) == "string" then return value end
    local text, why = core.json_encode(value, true) -- JSON is YAML
    if not text then error(("%s: %s"):format(where, why), level + 1) end
    return text .. "\n"
end

-- A file's text of an option's value.
local function file_of(checked, option, where, level)
    local text = encode(checked[option], where .. option, level + 1)
    if option ~= "user_data" then return text end
    if type(checked.user_data) == "table" then return "#cloud-config\n" .. text end
    if not has_kind(text) then
        error(where .. 'user_data: cloud-init passes over a text that does not begin with "#cloud-config", "#!" or the like',
            level + 1)
    end
    return text
end

-- Of the machine, and another where it is to be configured otherwise: what cloud-init does once, it does once for each.
local function instance_id(name, files, password)
    local sum = core.sum()
    for _, file in ipairs { "user-data", "network-config" } do sum:add(("%d\n%s"):format(#files[file], files[file])) end
    sum:add(password or "")
    return ("qemunet-%s-%s"):format(name, sum:text():sub(1, 12))
end

local function meta_data(given, name, id, mode, where, level)
    if type(given) == "string" then return given end
    local all = { ["instance-id"] = id, ["local-hostname"] = name, dsmode = mode }
    for key, value in pairs(given or {}) do all[key] = value end
    return encode(all, where .. "meta_data", level + 1)
end

local function vendor_data(password, prologue)
    local set = password and ("printf '%%s\\n' %s | chpasswd"):format(node.quote("root:" .. password)) or ""
    return "#cloud-boothook\n" .. core.guest_file("boothook.sh") .. prologue .. set .. "\n"
end

--- Checks the options of machine `name`, raising at `level`. Returns the files of its seed volume, text by name; nothing
--- without cloud_init=, which is true, or {user_data= text ("#cloud-config...", "#!...") or a table, meta_data= a table
--- (added to instance-id and local-hostname) or text, network_config= likewise (by default cloud-init leaves the network
--- alone, and it is configured as that of any machine)}. password= becomes root's, for the console.
function seed.check(opts, name, level)
    local given = opts.cloud_init
    if not given then return false end
    local where = ("vm %s: cloud_init"):format(name)
    for _, option in ipairs { "user", "prompt" } do
        if opts[option] then error(("%s: %s= is for a log-in, and none is needed"):format(where, option), level + 1) end
    end
    local checked = options.check(given ~= true and given or {}, seed.OPTIONS, where, level + 1)
    where = where .. ": "
    local is_ours = not checked.network_config
    if is_ours then checked.network_config = NO_NETWORK end
    local files = { ["vendor-data"] = vendor_data(opts.password, is_ours and NO_WAIT or "") }
    files["user-data"] = file_of(checked, "user_data", where, level + 1)
    files["network-config"] = file_of(checked, "network_config", where, level + 1)
    local id = instance_id(name, files, opts.password)
    files["meta-data"] = meta_data(checked.meta_data, name, id, is_ours and LOCAL or nil, where, level + 1)
    return files
end

-- The file is there when all is done; "cloud-init status --wait" ends with the first error.
local WAIT = [[
command -v cloud-init >/dev/null || exit 0
until [ -e /run/cloud-init/result.json ] || [ -e /run/cloud-init/disabled ]; do sleep 0.5; done
cloud-init status --long 2>&1]]

--- Waits, at most so many seconds, until cloud-init has done all: it writes to files such as /etc/hosts, and the script
--- counts on what it asked for.
function seed.await(vm, seconds)
    local running = job.start(vm, vm:commander(),
        { cmd = WAIT, text = WAIT, timeout = seconds, max_output = 1 << 16, internal = true })
    core.wait { running.done }
    local result = running.result
    if result.ok then return end
    if result.error or result.timed_out then
        vm:crash()
        vm.why = result.error or ("cloud-init is not done after %s more (boot_timeout= gives it more time)"):format(
            units.format_duration(seconds))
        computer.boot_failed(vm)
    end
    core.log(0, ("%s: cloud-init has had errors; see /var/log/cloud-init.log there:\n%s"):format(vm.name, result.stdout))
end

return seed
