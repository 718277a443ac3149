-- SPDX-License-Identifier: MIT
-- Video streams: video.

local flow = require "qemunet.traffic.flow"
local options = require "qemunet.options"

local video = {}

local PORT, TYPE, CLOCK = 5004, 96, 90000 -- RFC 3551: the first dynamic payload type, and video's clock

local VIDEO = {
    rate = { type = "rate", default = 2e6, max = 1e11 },
    fps = { type = "number", default = 25, min = 0.1, max = 1000 },
    streams = { type = "integer", default = 1, min = 1, max = 10000 },
    key_interval = { type = "integer", default = 50, min = 1, max = 1 << 30 },
    key_ratio = { type = "number", default = 5, min = 1, max = 1000 },
    size = { type = "size", default = 1400, min = flow.SIZE_MIN + 12, max = flow.SIZE_MAX },
}
for name, entry in pairs(flow.OPTIONS) do VIDEO[name] = entry end

--- video(a, b, { rate="2mbit", fps=25, streams=1, key_interval=50, key_ratio=5, size=1400 }): video streams from a to b, RTP in
--- UDP. A picture's packets, of at most size bytes each, are sent at once. One picture of key_interval is a key picture, which
--- is key_ratio times as large as the others; the mean of all is rate / fps. size and rate are of Ethernet frames, as a
--- source's. Other options: port=5004, link, gateway, deliver, start, as for source. Gives :start(), :stop(), :report().
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
