// SPDX-License-Identifier: MIT
// ns3_relay FD FD - joins two taps through an ns-3 simulation in real time: each is a device of a
// node that bridges it to a link of 10 Gbit/s, 10 ms and 0.1 % loss. For `qemunet bench fabric`, by
// QEMUNET_BENCH_NS3. The link is of SimpleNetDevice: point-to-point devices cannot be bridged, and
// a CSMA channel carries one frame at a time, so that with 10 ms of delay it takes 100 frames a
// second.
#include <cstdio>
#include <cstdlib>
#include <ns3/bridge-helper.h>
#include <ns3/core-module.h>
#include <ns3/fd-net-device-module.h>
#include <ns3/network-module.h>

using namespace ns3;

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: ns3_relay FD FD\n");
        return 2;
    }
    GlobalValue::Bind("SimulatorImplementationType", StringValue("ns3::RealtimeSimulatorImpl"));
    NodeContainer nodes;
    nodes.Create(2);
    Ptr<RateErrorModel> loss = CreateObject<RateErrorModel>();
    loss->SetUnit(RateErrorModel::ERROR_UNIT_PACKET);
    loss->SetRate(0.001);
    SimpleNetDeviceHelper link;
    link.SetNetDevicePointToPointMode(true);
    link.SetDeviceAttribute("DataRate", StringValue("10Gbps"));
    link.SetDeviceAttribute("ReceiveErrorModel", PointerValue(loss));
    link.SetChannelAttribute("Delay", StringValue("10ms"));
    link.SetQueue("ns3::DropTailQueue", "MaxSize", StringValue("1000p"));
    NetDeviceContainer wires = link.Install(nodes);
    for (uint32_t i = 0; i < 2; i++) {
        Ptr<FdNetDevice> tap = CreateObject<FdNetDevice>();
        tap->SetAddress(Mac48Address::Allocate());
        nodes.Get(i)->AddDevice(tap);
        tap->SetFileDescriptor(atoi(argv[1 + i]));
        NetDeviceContainer both(tap);
        both.Add(wires.Get(i));
        BridgeHelper().Install(nodes.Get(i), both);
    }
    Simulator::Run();
    return 0;
}
