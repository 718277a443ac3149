// SPDX-License-Identifier: MIT
// What nodes are joined by: a channel of ns-3, and a device for each node on it.
#ifndef QN_NS3_MEDIUM_HH
#define QN_NS3_MEDIUM_HH

#include "json.hh"

#include <memory>
#include <ns3/mac48-address.h>
#include <ns3/net-device.h>
#include <ns3/node.h>
#include <ns3/queue-size.h>

namespace qn
{

class Medium
{
  public:
    virtual ~Medium() = default;

    // A device on it for a node, which is to have the address. @request: what else was asked for.
    virtual ns3::Ptr<ns3::NetDevice> Attach(ns3::Ptr<ns3::Node> node, ns3::Mac48Address mac,
                                            const Json &request) = 0;
    // A node's last word on it.
    virtual void Detach(ns3::Ptr<ns3::NetDevice>)
    {
    }
    // Whether it carries Ethernet frames, or IP packets between two.
    virtual bool CarriesFrames() const
    {
        return true;
    }
    // The address of the other one, on a medium of two.
    virtual ns3::Mac48Address PeerOf(ns3::Ptr<ns3::NetDevice>) const
    {
        return ns3::Mac48Address::GetBroadcast();
    }
    // What waits in a device: { packets, bytes, limit }.
    virtual Json QueueOf(ns3::Ptr<ns3::NetDevice> device) const = 0;
    // All that the device sends and receives goes into a file.
    virtual void Capture(ns3::Ptr<ns3::NetDevice> device, const std::string &path) const = 0;
};

std::unique_ptr<Medium> make_csma(const Json &request);
std::unique_ptr<Medium> make_p2p(const Json &request);
std::unique_ptr<Medium> make_wifi(const Json &request);

// { packets, bytes, limit } of one of ns-3's queues.
template <typename Queue> Json queue_report(ns3::Ptr<Queue> queue)
{
    ns3::QueueSize limit = queue->GetMaxSize();
    return Json::Object()
        .Set("packets", queue->GetNPackets())
        .Set("bytes", queue->GetNBytes())
        .Set("limit", limit.GetValue());
}

// Creates an object of a type with attributes; both by ns-3's names. A Problem for what does not
// exist.
ns3::Ptr<ns3::Object> create_object(const std::string &type, const Json &attributes);

} // namespace qn

#endif
