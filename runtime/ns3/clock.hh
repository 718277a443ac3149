// SPDX-License-Identifier: MIT
// Simulation time and experiment time: the simulator's second 0 is when it began to run.
#ifndef QN_NS3_CLOCK_HH
#define QN_NS3_CLOCK_HH

#include "lateness.hh"

#include <ns3/nstime.h>

extern "C" {
#include "runtime/fabric/urgency.h"
}

namespace qn
{

class Clock
{
  public:
    // @origin: experiment second 0 by CLOCK_MONOTONIC, in ns.
    // The calling thread is the simulator's: it is scheduled as the fabric's is.
    explicit Clock(int64_t origin) : m_origin(origin)
    {
        urgency_begin(&m_urgency);
    }

    // To be called in an event: from here on the two times are known by each other.
    void Start();
    // Experiment seconds of an instant of the simulation; and the other way.
    double Seconds(ns3::Time t) const;
    ns3::Time At(double seconds) const;
    // By how much the present event, which is seen from outside, is late, in ns; it is counted.
    int64_t Sample();
    // The same, for one that is not; counted from the first on that is. What happens before, while
    // the network is made, hurts nobody by being late.
    void Beat();

    // What was counted, and how late the beats are that are overdue now: of a simulation that is
    // far behind they are most.
    Lateness GetLateness() const;

    // The time between two beats, of the simulation.
    static constexpr int64_t BEAT_NS = 10'000'000;

  private:
    bool m_seen = false;
    int64_t m_origin, m_began = 0; // m_began: simulation second 0, in ns of the experiment
    Lateness m_lateness;
    urgency m_urgency;
};

} // namespace qn

#endif
