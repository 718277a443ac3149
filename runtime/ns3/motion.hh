// SPDX-License-Identifier: MIT
// Where a node is, and how it moves: as the fabric's radios have it, or a mobility model of ns-3's.
#ifndef QN_NS3_MOTION_HH
#define QN_NS3_MOTION_HH

#include "clock.hh"
#include "json.hh"

#include <ns3/event-id.h>
#include <ns3/mobility-model.h>
#include <ns3/node.h>
#include <vector>

namespace qn
{

class Motion
{
  public:
    // @request: x, y; and perhaps mobility = { type, attributes }.
    Motion(ns3::Ptr<ns3::Node> node, const Json &request, Clock &clock);

    // { x, y, vx, vy, start, duration }: metres, metres a second, seconds of the experiment. One
    // that starts later than another follows it, and replaces those that were to start later still.
    void Plan(const Json &request);
    ns3::Ptr<ns3::MobilityModel> GetModel() const
    {
        return m_model;
    }

  private:
    struct Step {
        ns3::Time at;
        ns3::EventId event;
    };

    void Go(ns3::Vector from, ns3::Vector velocity);

    ns3::Ptr<ns3::MobilityModel> m_model;
    Clock &m_clock;
    std::vector<Step> m_steps;
};

} // namespace qn

#endif
