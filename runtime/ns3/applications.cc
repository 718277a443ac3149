// SPDX-License-Identifier: MIT
#include "applications.hh"

#include "attributes.hh"
#include "medium.hh"

#include <ns3/bulk-send-application.h>
#include <ns3/inet-socket-address.h>
#include <ns3/onoff-application.h>
#include <ns3/packet-sink.h>
#include <ns3/udp-echo-client.h>
#include <ns3/udp-echo-server.h>
#include <ns3/uinteger.h>

namespace qn
{

using namespace ns3;

struct Running {
    Ptr<Application> application;
    uint64_t tx_packets = 0, tx_bytes = 0, rx_packets = 0, rx_bytes = 0;
    bool stopped = false;
};

// An application stops at an instant that is set before it starts. One that is to stop when it is
// told to needs the function that is called then, which is private; naming a private member is
// allowed where a template is instantiated explicitly.
template <void (Application::*Function)()> struct Stopping {
    friend void stop_application(Application &application)
    {
        (application.*Function)();
    }
};
void stop_application(Application &application);
template struct Stopping<&Application::StopApplication>;

static void sent(Running *running, Ptr<const Packet> packet)
{
    running->tx_packets++;
    running->tx_bytes += packet->GetSize();
}

static void received(Running *running, Ptr<const Packet> packet)
{
    running->rx_packets++;
    running->rx_bytes += packet->GetSize();
}

static void received_from(Running *running, Ptr<const Packet> packet, const Address &)
{
    received(running, packet);
}

static void count(Ptr<Application> application, Running *running)
{
    bool is_sink = DynamicCast<PacketSink>(application) != nullptr;
    if (is_sink)
        application->TraceConnectWithoutContext("Rx", MakeBoundCallback(&received_from, running));
    else
        application->TraceConnectWithoutContext("Rx", MakeBoundCallback(&received, running));
    application->TraceConnectWithoutContext("Tx", MakeBoundCallback(&sent, running));
}

static bool has_attribute(Ptr<Application> application, const char *name)
{
    TypeId::AttributeInformation info;
    return application->GetInstanceTypeId().LookupAttributeByName(name, &info);
}

// Some have the two in one attribute, some in two.
static void set_remote(Ptr<Application> application, const Json &remote)
{
    Ipv4Address ip(remote.Text("ip").c_str());
    auto port = static_cast<uint16_t>(remote.Number("port"));
    if (has_attribute(application, "Remote")) {
        application->SetAttribute("Remote", AddressValue(InetSocketAddress(ip, port)));
        return;
    }
    if (!has_attribute(application, "RemoteAddress") || !has_attribute(application, "RemotePort"))
        throw Problem(application->GetInstanceTypeId().GetName() +
                      " sends to nobody in particular");
    application->SetAttribute("RemoteAddress", AddressValue(Address(ip)));
    application->SetAttribute("RemotePort", UintegerValue(port));
}

static void set_local(Ptr<Application> application, double port)
{
    if (has_attribute(application, "Local"))
        application->SetAttribute(
            "Local",
            AddressValue(InetSocketAddress(Ipv4Address::GetAny(), static_cast<uint16_t>(port))));
    else if (!has_attribute(application, "Port"))
        throw Problem(application->GetInstanceTypeId().GetName() + " listens on no port");
    else
        application->SetAttribute("Port", UintegerValue(static_cast<uint16_t>(port)));
}

uint64_t Applications::Start(Ptr<Node> node, const Json &request)
{
    auto running = std::make_shared<Running>();
    running->application =
        DynamicCast<Application>(create_object(request.Text("type"), request.Part("attributes")));
    if (!running->application)
        throw Problem(request.Text("type") + " is not an application");
    if (request.Has("remote"))
        set_remote(running->application, request.Part("remote"));
    if (request.Has("local"))
        set_local(running->application, request.Number("local"));
    count(running->application, running.get());
    node->AddApplication(running->application);
    m_running[++m_last] = running;
    return m_last;
}

Running &Applications::Find(uint64_t number) const
{
    auto found = m_running.find(number);
    if (found == m_running.end())
        throw Problem("there is no such application");
    return *found->second;
}

void Applications::Stop(uint64_t number)
{
    Running &running = Find(number);
    if (!running.stopped)
        stop_application(*running.application);
    running.stopped = true;
}

Json Applications::Report(uint64_t number) const
{
    Running &running = Find(number);
    return Json::Object()
        .Set("tx_packets", running.tx_packets)
        .Set("tx_bytes", running.tx_bytes)
        .Set("rx_packets", running.rx_packets)
        .Set("rx_bytes", running.rx_bytes);
}

} // namespace qn
