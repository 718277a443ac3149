// SPDX-License-Identifier: MIT
// How late the simulator runs: by how much an event that was executed is behind the instant that it
// is for. In the form of the fabric's lateness: a bucket for each power of two of nanoseconds.
#ifndef QN_NS3_LATENESS_HH
#define QN_NS3_LATENESS_HH

#include "json.hh"

#include <array>
#include <cstdint>

namespace qn
{

class Lateness
{
  public:
    // @at: when, in experiment seconds.
    void Add(int64_t ns, double at);
    Json Report() const;

  private:
    double Quantile(double q) const;

    std::array<uint64_t, 64> m_buckets{};
    uint64_t m_count = 0;
    int64_t m_sum = 0, m_max = 0;
    double m_max_at = 0;
};

} // namespace qn

#endif
