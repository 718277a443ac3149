// SPDX-License-Identifier: MIT
#include "network.hh"

#include "attributes.hh"
#include "stack.hh"

#include <ns3/names.h>
#include <ns3/pointer.h>

namespace qn
{

using namespace ns3;

const std::map<std::string, Network::Method> Network::METHODS = {
    {"hello", &Network::Hello},
    {"node", &Network::AddNode},
    {"csma", &Network::AddCsma},
    {"p2p", &Network::AddP2p},
    {"wifi", &Network::AddWifi},
    {"attach", &Network::Attach},
    {"detach", &Network::Detach},
    {"set", &Network::SetAttribute},
    {"get", &Network::GetAttribute},
    {"move", &Network::Move},
    {"position", &Network::PositionOf},
    {"route", &Network::AddRoute},
    {"routes", &Network::RoutesOf},
    {"power", &Network::PowerOf},
    {"queues", &Network::QueuesOf},
    {"counters", &Network::CountersOf},
    {"stats", &Network::Stats},
    {"on", &Network::Listen},
    {"off", &Network::Unlisten},
    {"at", &Network::At},
    {"start", &Network::StartApplication},
    {"stop", &Network::StopApplication},
    {"report", &Network::ReportApplication},
};

Json Network::Call(const Json &request, int fd)
{
    std::string name = request.Text("call");
    auto method = METHODS.find(name);
    if (method == METHODS.end())
        throw Problem("no request " + name);
    return (this->*method->second)(request, fd);
}

Member &Network::FindMember(const Json &request, const char *key)
{
    auto found = m_members.find(request.Text(key));
    if (found == m_members.end())
        throw Problem(request.Text(key) + " is on no medium of the simulation");
    return found->second;
}

Port &Network::FindPort(const Json &request)
{
    for (auto &port : FindMember(request).ports) {
        if (port->medium_name == request.Text("medium"))
            return *port;
    }
    throw Problem(request.Text("node") + " is not on " + request.Text("medium"));
}

Json Network::Hello(const Json &, int)
{
    m_clock.Start();
    return Json::Object().Set("began", m_clock.Seconds(Time(0)));
}

Member &Network::NewMember(const std::string &name, bool simulated)
{
    Member &member = m_members[name];
    member.node = CreateObject<Node>();
    member.simulated = simulated;
    Names::Add(name, member.node);
    return member;
}

Json Network::AddNode(const Json &request, int)
{
    if (m_members.count(request.Text("node")))
        throw Problem("there is a node " + request.Text("node") + " already");
    Member &member = NewMember(request.Text("node"), true);
    add_stack(member.node);
    return Json::Of(member.node->GetId());
}

Json Network::AddMedium(const Json &request, std::unique_ptr<Medium> medium)
{
    m_media[request.Text("medium")] = std::move(medium);
    return Json::Of(true);
}

Json Network::AddCsma(const Json &request, int)
{
    return AddMedium(request, make_csma(request));
}

Json Network::AddP2p(const Json &request, int)
{
    return AddMedium(request, make_p2p(request));
}

Json Network::AddWifi(const Json &request, int)
{
    return AddMedium(request, make_wifi(request));
}

// Counting ----------------------------------------------------------------------------------------

static void count_sent(Counters *counters, Ptr<const Packet> packet)
{
    counters->tx_packets++;
    counters->tx_bytes += packet->GetSize();
}

static void count_received(Counters *counters, Ptr<const Packet> packet)
{
    counters->rx_packets++;
    counters->rx_bytes += packet->GetSize();
}

static void count_drop(Counters *counters, Ptr<const Packet>)
{
    counters->drops++;
}

// The device has the trace sources, or its MAC in it.
static void count_all(Ptr<NetDevice> device, Counters *counters)
{
    PointerValue mac;
    Ptr<Object> source = device;
    if (device->GetAttributeFailSafe("Mac", mac) && mac.GetObject())
        source = mac.GetObject();
    source->TraceConnectWithoutContext("MacTx", MakeBoundCallback(&count_sent, counters));
    source->TraceConnectWithoutContext("MacRx", MakeBoundCallback(&count_received, counters));
    for (const char *name : {"MacTxDrop", "MacRxDrop"})
        source->TraceConnectWithoutContext(name, MakeBoundCallback(&count_drop, counters));
    if (source == device)
        source->TraceConnectWithoutContext("PhyRxDrop", MakeBoundCallback(&count_drop, counters));
}

// Joining -----------------------------------------------------------------------------------------

void Network::Place(Member &member, const Json &request)
{
    if (member.motion && request.Has("mobility"))
        throw Problem(request.Text("node") +
                      " has a mobility model already, of another Wi-Fi medium");
    if (request.Has("x") && !member.motion)
        member.motion = std::make_unique<Motion>(member.node, request, m_clock);
}

Json Network::Attach(const Json &request, int fd)
{
    std::string name = request.Text("node"), medium_name = request.Text("medium");
    auto found = m_media.find(medium_name);
    if (found == m_media.end())
        throw Problem("there is no medium " + medium_name);
    Member &member = m_members.count(name) ? m_members[name] : NewMember(name, false);
    Medium &medium = *found->second;
    Mac48Address mac(request.Text("mac").c_str());
    Place(member, request);
    auto port = std::make_unique<Port>();
    port->medium_name = medium_name;
    port->medium = &medium;
    port->device = medium.Attach(member.node, mac, request);
    count_all(port->device, &port->counters);
    if (request.Has("pcap"))
        medium.Capture(port->device, request.Text("pcap"));
    if (fd >= 0) {
        Ghost::Options options;
        options.mac = mac;
        options.mtu = static_cast<uint16_t>(request.Number("mtu", 1500));
        options.promiscuous = request.Flag("promiscuous");
        if (!medium.CarriesFrames())
            options.peer = [&medium, device = port->device] { return medium.PeerOf(device); };
        port->ghost = std::make_unique<Ghost>(member.node, fd, port->device, options, m_clock);
    } else if (request.Has("ip")) {
        add_address(port->device, request.Text("ip"),
                    static_cast<unsigned>(request.Number("prefix")));
    }
    Json reply =
        Json::Object().Set("node", member.node->GetId()).Set("device", port->device->GetIfIndex());
    member.ports.push_back(std::move(port));
    return reply;
}

Json Network::Detach(const Json &request, int)
{
    Port &port = FindPort(request);
    if (port.ghost)
        port.ghost->Close();
    else
        remove_address(port.device);
    port.medium->Detach(port.device);
    port.medium_name.clear();
    return Json::Of(true);
}

Json Network::SetAttribute(const Json &request, int)
{
    return set_attribute(request);
}

Json Network::GetAttribute(const Json &request, int)
{
    return get_attribute(request);
}

// What happens, and what runs ---------------------------------------------------------------------

Json Network::Listen(const Json &request, int)
{
    std::map<std::string, Ptr<Node>> nodes;
    if (request.Has("node"))
        nodes[request.Text("node")] = FindMember(request).node;
    else
        for (auto &[name, member] : m_members)
            nodes[name] = member.node;
    m_events.Listen(request, nodes);
    return Json::Of(true);
}

Json Network::Unlisten(const Json &request, int)
{
    m_events.Unlisten(static_cast<uint64_t>(request.Number("listener")));
    return Json::Of(true);
}

Json Network::At(const Json &request, int)
{
    m_events.At(request);
    return Json::Of(true);
}

Json Network::StartApplication(const Json &request, int)
{
    Member &member = FindMember(request);
    if (!member.simulated)
        throw Problem(request.Text("node") +
                      " is not a simulated node: it runs programs of its own");
    return Json::Of(m_applications.Start(member.node, request));
}

Json Network::StopApplication(const Json &request, int)
{
    m_applications.Stop(static_cast<uint64_t>(request.Number("application")));
    return Json::Of(true);
}

Json Network::ReportApplication(const Json &request, int)
{
    return m_applications.Report(static_cast<uint64_t>(request.Number("application")));
}

} // namespace qn
