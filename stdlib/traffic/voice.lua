-- SPDX-License-Identifier: MIT
-- Telephone calls: voice.

local emodel = require "qemunet.traffic.emodel"
local flow = require "qemunet.traffic.flow"
local link = require "qemunet.network.link"
local options = require "qemunet.options"

local voice = {}

local PORT = 5004                     -- RFC 3551, 8
local RTP = 12                        -- bytes of header: RFC 3550, 5.1
local INTERVAL, CLOCK = 0.020, 8000   -- RFC 3551, 4.2 and table 4: 20 ms of speech in a packet, timestamps of 8 kHz

-- type: RTP's payload type (RFC 3551, table 4). payload: bytes of speech in a packet: 64 kbit/s of G.711, two frames of 10
-- bytes of G.729. delay: of coding and packetisation, ITU-T G.114 annex A: (N + 1) frames (G.711: samples) and look-ahead.
-- ie, bpl: impairment and robustness against loss, ITU-T G.113 appendix I (with G.107's 2005 formula): G.711 with concealment
-- of lost packets, and bare without; G.729's are those of G.729A with VAD.
local CODECS = {
    g711 = { type = 0, payload = 160, delay = 0.020, ie = 0, bpl = 25.1, bare = 4.3 },
    g729 = { type = 18, payload = 20, delay = 0.035, ie = 11, bpl = 19 },
}

--- class voice: telephone calls; what voice() returns. Its methods are those of a source.
local VOICE = options.register({
    codec = { type = "string", default = "g711", choices = { "g711", "g729" } },
    streams = { type = "integer", default = 1, min = 1, max = 10000 },
    both = { type = "boolean" },
    plc = { type = "boolean" },
    playout = { type = "duration", default = 0.060, min = 0.001, max = 10 },
}, "voice")
for name, entry in pairs(flow.OPTIONS) do VOICE[name] = entry end

-- What a conversation is worth, from what was played and when.
local function rate(report, s, codec, bpl)
    report.late = s.late
    if report.sent == report.in_flight then return end
    if report.received == 0 then
        report.r, report.mos = 0, 1
        return
    end
    local loss = math.min(1, (report.lost + s.late) / (report.sent - report.in_flight))
    local burst = emodel.burst_ratio(s.missed, s.bursts, loss)
    report.r = emodel.rating(s.played + codec.delay, loss, burst, codec.ie, bpl)
    report.mos = emodel.mos(report.r)
end

local function leg(a, b, checked, level)
    local codec = CODECS[checked.codec]
    local size = flow.HEADERS + RTP + codec.payload
    local way = flow.way(a, b, checked, "voice", level + 1)
    local made = flow.leg(way, { pattern = "cbr", size = size, rate = size * 8 / INTERVAL, playout = checked.playout, rtp = true,
        rtp_type = codec.type, rtp_step = CLOCK * INTERVAL }, checked.streams, "voice", level + 1)
    return made
end

local function check_both(a, b, level)
    for _, at in ipairs { a, b } do
        if link.is_direction(at) then error("voice: both=true wants two nodes, not a link end", level + 1) end
    end
end

--- voice(a, b, opts) -> voice: telephone calls from a to b, RTP in UDP, a packet each 20 ms.
-- The streams are not in step. The report's mos and r are those of ITU-T G.107's E-model for the mean of the streams: delay from
-- mouth to ear (the codec's, the network's and the playout buffer's), the packets lost or too late for the buffer (late), and
-- their bursts.
-- @param a  a node, or a link's direction
-- @param b  a node, or a link's direction, or nothing: the other end of the cable
-- @option codec    of the speech
-- @option streams  how many
-- @option both     true: as many go back; their report is the field back
-- @option playout  how long after the least delay of late the buffer plays
-- @option plc      whether lost packets of G.711 are concealed (default true)
-- @option port     UDP port (default 5004)
-- @options source
-- @error  plc= with G.729, which always conceals
-- @example
--   local a, b = responder("a"), responder("b")
--   link(a, b, { delay = "20ms" })
--   local calls = voice(a, b, { streams = 5, start = true })
--   eventually(5, function() return (calls:report().mos or 0) > 4 end, { every = "5ms" })
function voice.voice(a, b, opts)
    local checked = options.check(opts, VOICE, "voice", 2)
    checked.port = checked.port or PORT
    local codec = CODECS[checked.codec]
    if checked.plc ~= nil and not codec.bare then error("voice: plc= goes with g711; g729 always conceals", 2) end
    if checked.both then check_both(a, b, 2) end
    local legs = { leg(a, b, checked, 2) }
    if checked.both then legs[2] = leg(b, a, checked, 2) end
    local bpl = checked.plc == false and codec.bare or codec.bpl
    local self = flow.new("voice", legs, function(report, s) rate(report, s, codec, bpl) end)
    if checked.start then self:start() end
    return self
end

return voice
