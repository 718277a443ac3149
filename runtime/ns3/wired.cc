// SPDX-License-Identifier: MIT
// CSMA and point-to-point links.
#include "medium.hh"

#include <ns3/csma-channel.h>
#include <ns3/csma-helper.h>
#include <ns3/csma-net-device.h>
#include <ns3/data-rate.h>
#include <ns3/drop-tail-queue.h>
#include <ns3/net-device-queue-interface.h>
#include <ns3/nstime.h>
#include <ns3/point-to-point-channel.h>
#include <ns3/point-to-point-helper.h>
#include <ns3/point-to-point-net-device.h>
#include <ns3/string.h>

namespace qn
{

using namespace ns3;

static Ptr<Queue<Packet>> new_queue(const std::string &size)
{
    Ptr<DropTailQueue<Packet>> queue = CreateObject<DropTailQueue<Packet>>();
    queue->SetAttribute("MaxSize", StringValue(size));
    return queue;
}

// As the helpers of ns-3 do: a simulated node's queueing discipline is told when the device's queue
// is full.
static void add_queue_interface(Ptr<NetDevice> device, Ptr<Queue<Packet>> queue)
{
    Ptr<NetDeviceQueueInterface> interface = CreateObject<NetDeviceQueueInterface>();
    interface->GetTxQueue(0)->ConnectQueueTraces(queue);
    device->AggregateObject(interface);
}

class Csma : public Medium
{
  public:
    explicit Csma(const Json &request)
        : m_queue(request.Text("queue")), m_channel(CreateObject<CsmaChannel>())
    {
        m_channel->SetAttribute(
            "DataRate", DataRateValue(DataRate(static_cast<uint64_t>(request.Number("rate")))));
        m_channel->SetAttribute("Delay", TimeValue(Seconds(request.Number("delay"))));
    }

    Ptr<NetDevice> Attach(Ptr<Node> node, Mac48Address mac, const Json &request) override
    {
        Ptr<CsmaNetDevice> device = CreateObject<CsmaNetDevice>();
        Ptr<Queue<Packet>> queue = new_queue(m_queue);
        device->SetAddress(mac);
        device->SetMtu(static_cast<uint16_t>(request.Number("mtu", 1500)));
        node->AddDevice(device);
        device->SetQueue(queue);
        device->Attach(m_channel);
        add_queue_interface(device, queue);
        return device;
    }

    void Detach(Ptr<NetDevice> device) override
    {
        m_channel->Detach(DynamicCast<CsmaNetDevice>(device));
    }

    Json QueueOf(Ptr<NetDevice> device) const override
    {
        return queue_report(DynamicCast<CsmaNetDevice>(device)->GetQueue());
    }

    void Capture(Ptr<NetDevice> device, const std::string &path) const override
    {
        CsmaHelper().EnablePcap(path, device, true, true);
    }

  private:
    std::string m_queue;
    Ptr<CsmaChannel> m_channel;
};

// ns-3's point-to-point devices speak PPP, which carries IP and no Ethernet frames, so that they
// cannot be bridged. A SimpleNetDevice could carry frames, but has none of their trace sources,
// counters and captures, and no simulated node expects it. So a machine's ghost takes the frames
// off and answers ARP for the one at the other end; what is not IP does not pass, as on any such
// link.
class PointToPoint : public Medium
{
  public:
    explicit PointToPoint(const Json &request)
        : m_queue(request.Text("queue")), m_rate(static_cast<uint64_t>(request.Number("rate"))),
          m_channel(CreateObject<PointToPointChannel>())
    {
        m_channel->SetAttribute("Delay", TimeValue(Seconds(request.Number("delay"))));
    }

    Ptr<NetDevice> Attach(Ptr<Node> node, Mac48Address mac, const Json &request) override
    {
        if (m_channel->GetNDevices() == 2)
            throw Problem("a point-to-point link has two ends");
        Ptr<PointToPointNetDevice> device = CreateObject<PointToPointNetDevice>();
        Ptr<Queue<Packet>> queue = new_queue(m_queue);
        device->SetAddress(mac);
        device->SetMtu(static_cast<uint16_t>(request.Number("mtu", 1500)));
        device->SetAttribute("DataRate", DataRateValue(m_rate));
        node->AddDevice(device);
        device->SetQueue(queue);
        device->Attach(m_channel);
        add_queue_interface(device, queue);
        return device;
    }

    bool CarriesFrames() const override
    {
        return false;
    }

    Mac48Address PeerOf(Ptr<NetDevice> device) const override
    {
        for (size_t i = 0; i < m_channel->GetNDevices(); i++) {
            Ptr<NetDevice> other = m_channel->GetDevice(i);
            if (other != device)
                return Mac48Address::ConvertFrom(other->GetAddress());
        }
        return Mac48Address::GetBroadcast();
    }

    Json QueueOf(Ptr<NetDevice> device) const override
    {
        return queue_report(DynamicCast<PointToPointNetDevice>(device)->GetQueue());
    }

    void Capture(Ptr<NetDevice> device, const std::string &path) const override
    {
        PointToPointHelper().EnablePcap(path, device, true, true);
    }

  private:
    std::string m_queue;
    DataRate m_rate;
    Ptr<PointToPointChannel> m_channel;
};

std::unique_ptr<Medium> make_csma(const Json &request)
{
    return std::make_unique<Csma>(request);
}

std::unique_ptr<Medium> make_p2p(const Json &request)
{
    return std::make_unique<PointToPoint>(request);
}

} // namespace qn
