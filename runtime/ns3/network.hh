// SPDX-License-Identifier: MIT
// All that was made in the simulation, by name; and the requests about it.
#ifndef QN_NS3_NETWORK_HH
#define QN_NS3_NETWORK_HH

#include "applications.hh"
#include "clock.hh"
#include "events.hh"
#include "ghost.hh"
#include "medium.hh"
#include "motion.hh"

#include <map>
#include <memory>
#include <ns3/node.h>
#include <string>
#include <vector>

namespace qn
{

// What went through a device, and what was lost in it.
struct Counters {
    uint64_t tx_packets = 0, tx_bytes = 0, rx_packets = 0, rx_bytes = 0, drops = 0;
};

// A node on a medium, or that was on one: devices of ns-3 stay.
struct Port {
    std::string medium_name; // "" when it has left
    Medium *medium;
    ns3::Ptr<ns3::NetDevice> device;
    std::unique_ptr<Ghost> ghost; // of a node that is not simulated
    Counters counters;

    bool IsOn() const
    {
        return !medium_name.empty();
    }
};

struct Member {
    ns3::Ptr<ns3::Node> node;
    bool simulated;
    std::vector<std::unique_ptr<Port>> ports;
    std::unique_ptr<Motion> motion; // of one that has a place
};

class Network
{
  public:
    Network(Clock &clock, Control &control) : m_clock(clock), m_events(clock, control)
    {
    }

    // Answers a request. @fd: a descriptor that came with it, or -1.
    Json Call(const Json &request, int fd);

    // Raise a Problem when there is none of that name.
    Member &FindMember(const Json &request, const char *key = "node");
    Port &FindPort(const Json &request);

  private:
    using Method = Json (Network::*)(const Json &request, int fd);
    static const std::map<std::string, Method> METHODS;

    Json Hello(const Json &request, int fd);
    Json AddNode(const Json &request, int fd);
    Json AddCsma(const Json &request, int fd);
    Json AddP2p(const Json &request, int fd);
    Json AddWifi(const Json &request, int fd);
    Json AddMedium(const Json &request, std::unique_ptr<Medium> medium);
    Json Attach(const Json &request, int fd);
    Json Detach(const Json &request, int fd);
    Json SetAttribute(const Json &request, int fd);
    Json GetAttribute(const Json &request, int fd);
    Json Move(const Json &request, int fd);
    Json PositionOf(const Json &request, int fd);
    Json AddRoute(const Json &request, int fd);
    Json RoutesOf(const Json &request, int fd);
    Json PowerOf(const Json &request, int fd);
    Json QueuesOf(const Json &request, int fd);
    Json CountersOf(const Json &request, int fd);
    Json Stats(const Json &request, int fd);
    Json Listen(const Json &request, int fd);
    Json Unlisten(const Json &request, int fd);
    Json At(const Json &request, int fd);
    Json StartApplication(const Json &request, int fd);
    Json StopApplication(const Json &request, int fd);
    Json ReportApplication(const Json &request, int fd);

    Member &NewMember(const std::string &name, bool simulated);
    void Place(Member &member, const Json &request);

    Clock &m_clock;
    Events m_events;
    Applications m_applications;
    std::map<std::string, Member> m_members;
    std::map<std::string, std::unique_ptr<Medium>> m_media;
};

} // namespace qn

#endif
