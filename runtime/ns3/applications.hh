// SPDX-License-Identifier: MIT
// Applications of ns-3 on simulated nodes.
#ifndef QN_NS3_APPLICATIONS_HH
#define QN_NS3_APPLICATIONS_HH

#include "json.hh"

#include <map>
#include <memory>
#include <ns3/application.h>
#include <ns3/node.h>

namespace qn
{

struct Running;

class Applications
{
  public:
    // { type, attributes, remote = { ip, port }, local = port } starts one now. Return: its number.
    uint64_t Start(ns3::Ptr<ns3::Node> node, const Json &request);
    void Stop(uint64_t number);
    // { tx_packets, tx_bytes, rx_packets, rx_bytes }
    Json Report(uint64_t number) const;

  private:
    Running &Find(uint64_t number) const;

    std::map<uint64_t, std::shared_ptr<Running>> m_running;
    uint64_t m_last = 0;
};

} // namespace qn

#endif
