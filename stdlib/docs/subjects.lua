-- SPDX-License-Identifier: MIT
-- What of the language belongs together, in the order in which the reference tells of it; and which methods of its objects
-- are the library's own.

local subjects = {}

--- { title, names= globals in order, classes= of objects }. The functions of a library ("stats") follow it.
subjects.LIST = {
    { title = "Nodes", names = "vm vms host hosts responder image boot defaults",
        classes = "node vm host responder image result job console" },
    { title = "Network", names = "link switch lan hub nat radio mobility partition capture_all topology",
        classes = "link direction switch radio mobility trigger packet partition capture topology" },
    { title = "ns-3", names = "ns3", classes = "net medium simulated application tracer" },
    { title = "Traffic", names = "source sink voice video", classes = "source sink voice video" },
    { title = "Time and tasks", names = "now sleep after at every go all any event barrier sync timeout eventually always",
        classes = "task event barrier" },
    { title = "Measuring and recording", names = "series probe repeat_until record mark stats fidelity", classes = "series" },
    { title = "Faults", names = "faults", classes = "storm" },
    { title = "Data and text", names = "re json csv inspect columns print rng", classes = "rng" },
    { title = "Parameters", names = "param args", classes = "" },
    { title = "Suites", names = "test setup teardown skip check", classes = "" },
    { title = "Help and debugging", names = "help breakpoint", classes = "" },
}

-- Why a method of a class is none of the language's.
local INTERNAL = {
    { "what all{}, any{} and join ask of what can be waited for", {
        task = "outcome", event = "outcome", job = "outcome", trigger = "outcome", storm = "outcome", mobility = "outcome",
        tracer = "outcome" } },
    { "how the library boots and ends a node", {
        vm = "power_on power_off close commander", host = "power_on power_off close commander", responder = "close",
        simulated = "close", node = "start_up channel cut taking_file console_tail" } },
    { "how a link adds and removes interfaces", { node = "add_nic remove_nic plug set_carrier", link = "carrier take_away" } },
    { "how a node learns of other nodes' names", { node = "update_hosts" } },
    { "how what a job does is held back until all are ready", { job = "release" } },
    { "how an image is built and found", { image = "files" } },
    { "how links leave what they are plugged into", { switch = "forget close", radio = "forget", medium = "forget" } },
    { "how the simulation is asked", { net = "call names_changed" } },
}

--- Why a method is not for experiments: the reason, or nil for one that is. `class_names`: its class, and the class's kinds.
function subjects.internal(class_names, method)
    for _, group in ipairs(INTERNAL) do
        for _, class_name in ipairs(class_names) do
            for name in (group[2][class_name] or ""):gmatch("%S+") do
                if name == method then return group[1] end
            end
        end
    end
end

--- The subject of a global or a class ("classes"); nil when it is in none.
function subjects.of(name, kind)
    for _, subject in ipairs(subjects.LIST) do
        for word in subject[kind or "names"]:gmatch("%S+") do
            if word == name then return subject end
        end
    end
end

return subjects
