-- SPDX-License-Identifier: MIT
-- The normal distribution and Student's t, as statistics needs them.

local distributions = {}

-- log(gamma(x)), x > 0: Lanczos' approximation with g = 7 and nine terms (Lanczos, SIAM J. Numer. Anal. B 1, 1964;
-- coefficients by Godfrey, 2001); its relative error is about 1e-15.
local LANCZOS = {
    676.5203681218851, -1259.1392167224028, 771.32342877765313, -176.61502916214059, 12.507343278686905,
    -0.13857109526572012, 9.9843695780195716e-6, 1.5056327351493116e-7,
}
local function log_gamma(x)
    local series = 0.99999999999980993
    for i, c in ipairs(LANCZOS) do series = series + c / (x - 1 + i) end
    local base = x + 6.5
    return 0.5 * math.log(2 * math.pi) + (x - 0.5) * math.log(base) - base + math.log(series)
end

-- The continued fraction of the incomplete beta function (DLMF 8.17.22) by the modified Lentz method (Thompson &
-- Barnett, J. Comput. Phys. 64, 1986); it converges fast for x < (a + 1) / (a + b + 2).
local function beta_fraction(x, a, b)
    local TINY = 1e-300
    local function nonzero(v) return math.abs(v) < TINY and TINY or v end
    local c, d = 1.0, 1 / nonzero(1 - (a + b) * x / (a + 1))
    local value = d
    for m = 1, 10000 do
        local even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        local odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        d, c = 1 / nonzero(1 + even * d), nonzero(1 + even / c)
        value = value * d * c
        d, c = 1 / nonzero(1 + odd * d), nonzero(1 + odd / c)
        value = value * d * c
        if math.abs(d * c - 1) < 1e-15 then break end
    end
    return value
end

-- The regularised incomplete beta function I_x(a, b), given x and y = 1 - x, each exact to its own last digit.
local function beta(x, y, a, b)
    if x <= 0 then return 0.0 end
    if y <= 0 then return 1.0 end
    local front = math.exp(log_gamma(a + b) - log_gamma(a) - log_gamma(b) + a * math.log(x) + b * math.log(y))
    if x < (a + 1) / (a + b + 2) then return front * beta_fraction(x, a, b) / a end
    return 1 - front * beta_fraction(y, b, a) / b
end

-- P(T > t), t >= 0, of Student's t (Abramowitz & Stegun 26.7.1): half of I_x(df/2, 1/2) at x = df / (df + t^2).
local function t_tail(t, df)
    local square = t * t
    return 0.5 * beta(df / (df + square), square / (df + square), df / 2, 0.5)
end

-- P(Z > z), z >= 0, of the normal distribution, by the series of Abramowitz & Stegun 26.2.11.
local function normal_tail(z)
    local term, total, k = z, z, 1
    while term > total * 1e-17 do
        k = k + 2
        term = term * z * z / k
        total = total + term
    end
    return 0.5 - total * math.exp(-z * z / 2) / math.sqrt(2 * math.pi)
end

--- P(Z <= z) of the normal distribution, for any z.
function distributions.normal_cdf(z)
    if z < 0 then return normal_tail(-z) end
    return 1 - normal_tail(z)
end

-- The t >= 0 at which a falling tail function is p, by bisection to the last bit.
local function solve_tail(tail, p)
    local lo, hi = 0.0, 1.0
    while tail(hi) > p and hi < 1e300 do lo, hi = hi, hi * 2 end
    for _ = 1, 1100 do
        local middle = lo + (hi - lo) / 2
        if middle <= lo or middle >= hi then break end
        if tail(middle) > p then lo = middle else hi = middle end
    end
    return hi
end

-- Beyond this the cancellation of log_gamma costs more than 1/df, which is what t differs from z by, relatively.
local NEARLY_NORMAL = 1e7

--- The t >= 0 that Student's t with df degrees of freedom exceeds with probability `tail`, at most 0.5; df may be math.huge.
function distributions.t_upper(tail, df)
    if tail == 0.5 then return 0.0 end
    if df <= NEARLY_NORMAL then return solve_tail(function(t) return t_tail(t, df) end, tail) end
    local z = solve_tail(normal_tail, tail)
    return z + (z * z * z + z) / (4 * df) -- Abramowitz & Stegun 26.7.5, first term
end

--- P(|T| > |t|) of Student's t with df degrees of freedom.
function distributions.t_both(t, df)
    return 2 * (df <= NEARLY_NORMAL and t_tail(math.abs(t), df) or normal_tail(math.abs(t)))
end

--- The p-quantile of the normal distribution, 0 < p < 1.
function distributions.normal_quantile(p)
    if p < 0.5 then return -solve_tail(normal_tail, p) end
    return p == 0.5 and 0.0 or solve_tail(normal_tail, 1 - p)
end

return distributions
