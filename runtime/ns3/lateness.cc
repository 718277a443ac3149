// SPDX-License-Identifier: MIT
#include "lateness.hh"

#include <algorithm>
#include <cmath>

namespace qn
{

// The smallest that is above all of a bucket.
static double bound(int bucket)
{
    return std::ldexp(1.0, bucket);
}

void Lateness::Add(int64_t ns, double at)
{
    ns = std::max<int64_t>(ns, 0);
    int bucket = 0;
    while (bucket < 63 && (ns >> bucket) != 0)
        bucket++;
    m_buckets[bucket]++;
    m_count++;
    m_sum += ns;
    if (ns > m_max) {
        m_max = ns;
        m_max_at = at;
    }
}

double Lateness::Quantile(double q) const
{
    double left = q * static_cast<double>(m_count);
    for (int i = 0; i < 64; i++) {
        left -= static_cast<double>(m_buckets[i]);
        if (left <= 0)
            return std::min(bound(i), static_cast<double>(m_max)) / 1e9;
    }
    return static_cast<double>(m_max) / 1e9;
}

Json Lateness::Report() const
{
    Json histogram = Json::Array();
    for (int i = 0; i < 64; i++) {
        if (m_buckets[i])
            histogram.Add(Json::Object().Set("below", bound(i) / 1e9).Set("count", m_buckets[i]));
    }
    double mean = m_count ? static_cast<double>(m_sum) / static_cast<double>(m_count) : 0;
    return Json::Object()
        .Set("count", m_count)
        .Set("mean", mean / 1e9)
        .Set("p50", Quantile(0.5))
        .Set("p99", Quantile(0.99))
        .Set("max", static_cast<double>(m_max) / 1e9)
        .Set("max_at", m_max_at)
        .Set("histogram", histogram);
}

} // namespace qn
