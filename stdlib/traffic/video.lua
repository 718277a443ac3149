-- SPDX-License-Identifier: MIT
-- Video streams: video.

local flow = require "qemunet.traffic.flow"
local options = require "qemunet.options"

local video = {}

local PORT, TYPE, CLOCK = 5004, 96, 90000 -- RFC 3551: the first dynamic payload type, and video's clock

--- class video: video streams; what video() returns. Its methods are those of a source.
local VIDEO = options.register({
    rate = { type = "rate", default = 2e6, max = 1e11 },
    fps = { type = "number", default = 25, min = 0.1, max = 1000 },
    streams = { type = "integer", default = 1, min = 1, max = 10000 },
    key_interval = { type = "integer", default = 50, min = 1, max = 1 << 30 },
    key_ratio = { type = "number", default = 5, min = 1, max = 1000 },
    size = { type = "size", default = 1400, min = flow.SIZE_MIN + 12, max = flow.SIZE_MAX },
}, "video")
for name, entry in pairs(flow.OPTIONS) do VIDEO[name] = entry end

--- video(a, b, opts) -> video: video streams from a to b, RTP in UDP.
-- A picture's packets are sent at once. The mean of all pictures is rate / fps.
-- @param a  a node, or a link's direction
-- @param b  a node, or a link's direction, or nothing: the other end of the cable
-- @option rate          of Ethernet frames, of one stream
-- @option fps           pictures per second
-- @option streams       how many
-- @option key_interval  one picture of so many is a key picture
-- @option key_ratio     a key picture is so many times as large as the others
-- @option size          of the largest frames, bytes
-- @option port          UDP port (default 5004)
-- @options source
-- @example
--   local a, b = responder("a"), responder("b")
--   link(a, b)
--   local film = video(a, b, { rate = "4mbit", fps = 50, start = true })
--   eventually(5, function() return film:report().received > 2 end, { every = "5ms" })
function video.video(a, b, opts)
    local checked = options.check(opts, VIDEO, "video", 2)
    checked.port = checked.port or PORT
    if checked.rate / 8 / checked.fps < flow.SIZE_MIN + 12 then
        error(("video: rate= is too low: a picture would have %d bytes, less than a packet's headers"):format(
            checked.rate // (8 * checked.fps)), 2)
    end
    local way = flow.way(a, b, checked, "video", 2)
    local leg = flow.leg(way, { pattern = "video", rate = checked.rate, fps = checked.fps, size = checked.size,
        key_interval = checked.key_interval, key_ratio = checked.key_ratio, rtp = true, rtp_type = TYPE,
        rtp_step = CLOCK // checked.fps }, checked.streams, "video", 2)
    local self = flow.new("video", { leg })
    if checked.start then self:start() end
    return self
end

return video
