// SPDX-License-Identifier: MIT
// What can be asked of the simulation: places, routes, powers, queues, counters.
#include "network.hh"
#include "stack.hh"

#include <ns3/channel.h>
#include <ns3/pointer.h>
#include <ns3/propagation-loss-model.h>
#include <ns3/queue-disc.h>
#include <ns3/simulator.h>
#include <ns3/traffic-control-layer.h>

#include <ns3/wifi-net-device.h>
#include <ns3/wifi-phy.h>

namespace qn
{

using namespace ns3;

static Motion &motion_of(Member &member, const std::string &name)
{
    if (!member.motion)
        throw Problem(name + " has no place: it is on no Wi-Fi medium");
    return *member.motion;
}

Json Network::Move(const Json &request, int)
{
    motion_of(FindMember(request), request.Text("node")).Plan(request);
    return Json::Of(true);
}

Json Network::PositionOf(const Json &request, int)
{
    Ptr<MobilityModel> model = motion_of(FindMember(request), request.Text("node")).GetModel();
    Vector position = model->GetPosition(), velocity = model->GetVelocity();
    return Json::Object()
        .Set("x", position.x)
        .Set("y", position.y)
        .Set("vx", velocity.x)
        .Set("vy", velocity.y);
}

Json Network::AddRoute(const Json &request, int)
{
    add_route(FindMember(request).node, request);
    return Json::Of(true);
}

Json Network::RoutesOf(const Json &request, int)
{
    return routes_of(FindMember(request).node);
}

static std::vector<Ptr<WifiPhy>> radios_of(Member &member, const std::string &name)
{
    std::vector<Ptr<WifiPhy>> radios;
    for (auto &port : member.ports) {
        auto device = DynamicCast<WifiNetDevice>(port->device);
        if (device && port->IsOn())
            radios.push_back(device->GetPhy());
    }
    if (radios.empty())
        throw Problem(name + " is on no Wi-Fi medium");
    return radios;
}

// The first pair of radios on one channel.
static std::pair<Ptr<WifiPhy>, Ptr<WifiPhy>>
radios_between(Member &from, const std::string &from_name, Member &to, const std::string &to_name)
{
    for (auto &sender : radios_of(from, from_name)) {
        for (auto &receiver : radios_of(to, to_name)) {
            if (sender->GetChannel() == receiver->GetChannel())
                return {sender, receiver};
        }
    }
    throw Problem(from_name + " and " + to_name + " are not on one Wi-Fi medium");
}

// By the propagation model at this instant, for the power that the one sends with, both with their
// gains.
Json Network::PowerOf(const Json &request, int)
{
    Member &from = FindMember(request, "from"), &to = FindMember(request, "to");
    auto [sender, receiver] = radios_between(from, request.Text("from"), to, request.Text("to"));
    PointerValue loss;
    sender->GetChannel()->GetAttribute("PropagationLossModel", loss);
    double dbm = loss.Get<PropagationLossModel>()->CalcRxPower(
        sender->GetTxPowerEnd() + sender->GetTxGain(), motion_of(from, "").GetModel(),
        motion_of(to, "").GetModel());
    return Json::Of(dbm + receiver->GetRxGain());
}

Json Network::QueuesOf(const Json &request, int)
{
    Member &member = FindMember(request);
    Ptr<TrafficControlLayer> control = member.node->GetObject<TrafficControlLayer>();
    Json queues = Json::Object();
    for (auto &port : member.ports) {
        if (!port->IsOn())
            continue;
        Json queue = port->medium->QueueOf(port->device);
        Ptr<QueueDisc> discipline =
            control ? control->GetRootQueueDiscOnDevice(port->device) : nullptr;
        if (discipline)
            queue.Set("discipline", Json::Object()
                                        .Set("type", discipline->GetInstanceTypeId().GetName())
                                        .Set("packets", discipline->GetNPackets())
                                        .Set("bytes", discipline->GetNBytes())
                                        .Set("drops", discipline->GetStats().nTotalDroppedPackets));
        queues.Set(port->medium_name.c_str(), queue);
    }
    return queues;
}

Json Network::CountersOf(const Json &request, int)
{
    Json all = Json::Object();
    for (auto &port : FindMember(request).ports) {
        const Counters &c = port->counters;
        Json one = Json::Object()
                       .Set("tx_packets", c.tx_packets)
                       .Set("tx_bytes", c.tx_bytes)
                       .Set("rx_packets", c.rx_packets)
                       .Set("rx_bytes", c.rx_bytes)
                       .Set("drops", c.drops);
        if (port->ghost)
            one.Set("overruns", port->ghost->GetOverruns())
                .Set("uncarried", port->ghost->GetUncarried());
        if (port->IsOn())
            all.Set(port->medium_name.c_str(), one);
    }
    return all;
}

Json Network::Stats(const Json &, int)
{
    uint64_t overruns = 0, uncarried = 0, drops = 0;
    for (auto &[name, member] : m_members) {
        for (auto &port : member.ports) {
            overruns += port->ghost ? port->ghost->GetOverruns() : 0;
            uncarried += port->ghost ? port->ghost->GetUncarried() : 0;
            drops += port->counters.drops;
        }
    }
    return Json::Object()
        .Set("events", Simulator::GetEventCount())
        .Set("lateness", m_clock.GetLateness().Report())
        .Set("overruns", overruns)
        .Set("uncarried", uncarried)
        .Set("drops", drops)
        .Set("missed", m_events.GetMissed());
}

} // namespace qn
