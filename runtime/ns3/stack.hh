// SPDX-License-Identifier: MIT
// The internet stack of a simulated node: IPv4, as all addresses here are.
#ifndef QN_NS3_STACK_HH
#define QN_NS3_STACK_HH

#include "json.hh"

#include <ns3/net-device.h>
#include <ns3/node.h>

namespace qn
{

void add_stack(ns3::Ptr<ns3::Node> node);
// Gives a device an address, and the queueing discipline that is ns-3's default.
void add_address(ns3::Ptr<ns3::NetDevice> device, const std::string &ip, unsigned prefix);
// The device is used no more.
void remove_address(ns3::Ptr<ns3::NetDevice> device);
// { network, prefix, via }
void add_route(ns3::Ptr<ns3::Node> node, const Json &request);
// Of a node with a stack: { network, prefix, via or nil, device } each.
Json routes_of(ns3::Ptr<ns3::Node> node);

} // namespace qn

#endif
