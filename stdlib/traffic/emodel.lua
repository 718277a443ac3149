-- SPDX-License-Identifier: MIT
-- The E-model of ITU-T G.107 (06/2015): how good a conversation is over a connection of given delay and loss, as a rating R
-- from 0 to 100, and as the mean opinion score that listeners would give it, from 1 to 4.5.

local emodel = {}

local exp, sqrt = math.exp, math.sqrt
local function lg(x) return math.log(x, 10) end
local function from_db(x) return 10 ^ (x / 10) end

-- G.107, table 2: the default values, of a digital connection between two telephones in rooms of usual noise.
local SLR, RLR, STMR, LSTR, DS = 8, 2, 15, 18, 3 -- loudness ratings and sidetone, in dB
local NC, NFOR = -70, -64                        -- circuit noise and noise floor, dBm0p and dBmp
local PS, PR = 35, 35                            -- room noise at both sides, dB(A)
local TELR, WEPL = 65, 110                       -- talker echo loudness rating, weighted echo path loss, dB
local QDU, A = 1, 0                              -- quantising distortion units, advantage factor
local MINIMUM_DELAY, SENSITIVITY = 100, 1        -- mT in ms and sT: the default class of delay sensitivity
local OLR = SLR + RLR

-- 7.2: the noise No, and the signal-to-noise ratio Ro.
local function noise()
    local nos = PS - SLR - DS - 100 + 0.004 * (PS - OLR - DS - 14) ^ 2
    local pre = PR + 10 * lg(1 + from_db(10 - LSTR))
    local nor = RLR - 121 + pre + 0.008 * (pre - 35) ^ 2
    local nfo = NFOR + RLR
    return 10 * lg(from_db(NC) + from_db(nos) + from_db(nor) + from_db(nfo))
end

local NO = noise()
local RO = 15 - 1.5 * (SLR + NO)

-- 7.3: what comes with the voice itself: loudness, sidetone, quantising.
local function simultaneous(t)
    local xolr = OLR + 0.2 * (64 + NO - RLR)
    local iolr = 20 * ((1 + (xolr / 8) ^ 8) ^ (1 / 8) - xolr / 8)
    local stmro = -10 * lg(from_db(-STMR) + exp(-t / 4) * from_db(-TELR))
    local ist = 12 * (1 + ((stmro - 13) / 6) ^ 8) ^ (1 / 8) - 28 * (1 + ((stmro + 1) / 19.4) ^ 35) ^ (1 / 35)
        - 13 * (1 + ((stmro - 3) / 33) ^ 13) ^ (1 / 13) + 29
    local q = 37 - 15 * lg(QDU)
    local g = 1.07 + 0.258 * q + 0.0602 * q ^ 2
    local y, z = (RO - 100) / 15 + 46 / 8.4 - g / 9, 46 / 30 - g / 40
    return iolr + ist + 15 * lg(1 + 10 ^ y + 10 ^ z)
end

-- 7.4: delay, with the echo that it makes heard. t: one-way, in ms; the same for T, Ta and half of Tr.
local function delayed(t)
    local terv = TELR - 40 * lg((1 + t / 10) / (1 + t / 150)) + 6 * exp(-0.3 * t ^ 2)
    local roe, re = -1.5 * (NO - RLR), 80 + 2.5 * (terv - 14)
    local talker = ((roe - re) / 2 + sqrt((roe - re) ^ 2 / 4 + 100) - 1) * (1 - exp(-t))
    local rle = 10.5 * (WEPL + 7) * (2 * t + 1) ^ -0.25
    local listener = (RO - rle) / 2 + sqrt((RO - rle) ^ 2 / 4 + 169)
    if t <= MINIMUM_DELAY then return talker + listener end
    local x, s = lg(t / MINIMUM_DELAY) / lg(2), 6 * SENSITIVITY
    return talker + listener + 25 * ((1 + x ^ s) ^ (1 / s) - 3 * (1 + (x / 3) ^ s) ^ (1 / s) + 2)
end

-- 7.5: the codec, and the loss of packets. In per cent, as the formula wants it.
local function equipment(ie, bpl, loss, burst)
    if loss == 0 then return ie end
    local ppl = 100 * loss
    return ie + (95 - ie) * ppl / (ppl / burst + bpl)
end

--- The rating R of a connection: delay, one way from mouth to ear, in seconds; loss, the fraction of packets that are not
--- played; burst, BurstR (1: they are lost independently; more: in bursts); ie and bpl of the codec: G.113, appendix I.
function emodel.rating(delay, loss, burst, ie, bpl)
    local t = 1000 * delay
    return RO - simultaneous(t) - delayed(t) - equipment(ie, bpl, loss, burst) + A
end

--- BurstR of losses: the mean length of the runs in which they came, against that of independent losses.
function emodel.burst_ratio(lost, bursts, loss)
    if bursts == 0 or loss >= 1 then return 1 end
    return math.max(1, lost / bursts * (1 - loss))
end

--- Annex B: the mean opinion score for a rating.
function emodel.mos(r)
    if r <= 0 then return 1 end
    if r >= 100 then return 4.5 end
    return math.max(1, 1 + 0.035 * r + r * (r - 60) * (100 - r) * 7e-6)
end

return emodel
