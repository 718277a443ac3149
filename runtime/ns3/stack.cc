// SPDX-License-Identifier: MIT
#include "stack.hh"

#include <ns3/internet-stack-helper.h>
#include <ns3/ipv4-list-routing.h>
#include <ns3/ipv4-routing-table-entry.h>
#include <ns3/ipv4-static-routing-helper.h>
#include <ns3/ipv4-static-routing.h>
#include <ns3/ipv4.h>
#include <ns3/net-device-queue-interface.h>
#include <ns3/queue-disc.h>
#include <ns3/traffic-control-helper.h>
#include <ns3/traffic-control-layer.h>
#include <sstream>

namespace qn
{

using namespace ns3;

void add_stack(Ptr<Node> node)
{
    Ipv4StaticRoutingHelper routing;
    InternetStackHelper stack;
    stack.SetIpv6StackInstall(false);
    stack.SetRoutingHelper(routing);
    stack.Install(node);
}

static Ipv4Mask mask_of(unsigned prefix)
{
    return Ipv4Mask(prefix == 0 ? 0 : ~0U << (32 - prefix));
}

// What the layer does for the devices that a node has when it begins to run, for one that comes
// later.
static void add_discipline(Ptr<NetDevice> device)
{
    Ptr<TrafficControlLayer> control = device->GetNode()->GetObject<TrafficControlLayer>();
    if (!control || !device->GetObject<NetDeviceQueueInterface>() ||
        control->GetRootQueueDiscOnDevice(device))
        return;
    TrafficControlHelper::Default().Install(device);
    control->ScanDevices();
    control->GetRootQueueDiscOnDevice(device)->Initialize();
}

void add_address(Ptr<NetDevice> device, const std::string &ip, unsigned prefix)
{
    Ptr<Node> node = device->GetNode();
    Ptr<Ipv4> ipv4 = node->GetObject<Ipv4>();
    uint32_t interface = ipv4->AddInterface(device);
    ipv4->AddAddress(interface, Ipv4InterfaceAddress(Ipv4Address(ip.c_str()), mask_of(prefix)));
    ipv4->SetMetric(interface, 1);
    ipv4->SetUp(interface);
    add_discipline(device);
}

void remove_address(Ptr<NetDevice> device)
{
    Ptr<Ipv4> ipv4 = device->GetNode()->GetObject<Ipv4>();
    int32_t interface = ipv4->GetInterfaceForDevice(device);
    if (interface >= 0)
        ipv4->SetDown(static_cast<uint32_t>(interface));
}

static Ptr<Ipv4StaticRouting> routing_of(Ptr<Node> node)
{
    Ptr<Ipv4> ipv4 = node->GetObject<Ipv4>();
    return ipv4 ? DynamicCast<Ipv4StaticRouting>(ipv4->GetRoutingProtocol()) : nullptr;
}

// The interface on whose subnet the next router is.
static uint32_t interface_to(Ptr<Ipv4> ipv4, Ipv4Address via)
{
    for (uint32_t i = 1; i < ipv4->GetNInterfaces(); i++) {
        for (uint32_t j = 0; j < ipv4->GetNAddresses(i); j++) {
            Ipv4InterfaceAddress own = ipv4->GetAddress(i, j);
            if (own.GetMask().IsMatch(own.GetLocal(), via))
                return i;
        }
    }
    std::ostringstream text;
    text << via << " is on none of the node's subnets";
    throw Problem(text.str());
}

void add_route(Ptr<Node> node, const Json &request)
{
    Ptr<Ipv4StaticRouting> routing = routing_of(node);
    if (!routing)
        throw Problem("the node has no static routing");
    Ipv4Address via(request.Text("via").c_str()), network(request.Text("network").c_str());
    auto prefix = static_cast<unsigned>(request.Number("prefix"));
    uint32_t interface = interface_to(node->GetObject<Ipv4>(), via);
    if (prefix == 0)
        routing->SetDefaultRoute(via, interface);
    else
        routing->AddNetworkRouteTo(network, mask_of(prefix), via, interface);
}

template <typename T> static std::string text_of(const T &value)
{
    std::ostringstream text;
    text << value;
    return text.str();
}

Json routes_of(Ptr<Node> node)
{
    Json routes = Json::Array();
    Ptr<Ipv4StaticRouting> routing = routing_of(node);
    for (uint32_t i = 0; routing && i < routing->GetNRoutes(); i++) {
        Ipv4RoutingTableEntry entry = routing->GetRoute(i);
        Json route = Json::Object()
                         .Set("network", text_of(entry.GetDestNetwork()))
                         .Set("prefix", entry.GetDestNetworkMask().GetPrefixLength())
                         .Set("interface", entry.GetInterface());
        if (entry.IsGateway())
            route.Set("via", text_of(entry.GetGateway()));
        routes.Add(route);
    }
    return routes;
}

} // namespace qn
