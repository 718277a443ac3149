// SPDX-License-Identifier: MIT
#include "clock.hh"

#include <algorithm>
#include <cmath>
#include <ctime>
#include <ns3/realtime-simulator-impl.h>
#include <ns3/simulator.h>

namespace qn
{

// Experiment seconds, so many that ns-3 can still count them, in ns.
static constexpr double NEVER = 4e9;

static int64_t real_now()
{
    auto simulator =
        ns3::DynamicCast<ns3::RealtimeSimulatorImpl>(ns3::Simulator::GetImplementation());
    return simulator->RealtimeNow().GetNanoSeconds();
}

void Clock::Start()
{
    timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    m_began = now.tv_sec * 1000000000LL + now.tv_nsec - m_origin - real_now();
}

double Clock::Seconds(ns3::Time t) const
{
    return static_cast<double>(t.GetNanoSeconds() + m_began) / 1e9;
}

ns3::Time Clock::At(double seconds) const
{
    return ns3::NanoSeconds(std::llround(std::min(seconds, NEVER) * 1e9) - m_began);
}

Lateness Clock::GetLateness() const
{
    Lateness lateness = m_lateness;
    int64_t now = real_now(), at = ns3::Simulator::Now().GetNanoSeconds();
    for (at += BEAT_NS; m_seen && at < now; at += BEAT_NS)
        lateness.Add(now - at, Seconds(ns3::NanoSeconds(at)));
    return lateness;
}

void Clock::Beat()
{
    if (m_seen)
        Sample();
}

int64_t Clock::Sample()
{
    m_seen = true;
    int64_t now = real_now(), late = now - ns3::Simulator::Now().GetNanoSeconds();
    urgency_note(&m_urgency, 1, now);
    m_lateness.Add(late, Seconds(ns3::Simulator::Now()));
    return late;
}

} // namespace qn
