// SPDX-License-Identifier: MIT
// What a machine or host is in the simulation: a node without a stack of its own, with two devices.
// The outer one is the socket that the fabric hands over; the inner one is on a medium, and has the
// hardware address of the machine's interface.
#ifndef QN_NS3_GHOST_HH
#define QN_NS3_GHOST_HH

#include "clock.hh"

#include <functional>
#include <ns3/fd-net-device.h>
#include <ns3/mac48-address.h>
#include <ns3/node.h>

namespace qn
{

// It never waits for its reader: what does not fit the socket's queue is lost, and counted.
class SocketDevice : public ns3::FdNetDevice
{
  public:
    explicit SocketDevice(int fd);

    uint64_t m_overruns = 0;

    // The descriptor is about to be closed: its number may become another's.
    void Forget()
    {
        m_socket = -1;
    }

  private:
    ssize_t Write(uint8_t *data, size_t size) override;

    int m_socket;
};

class Ghost
{
  public:
    struct Options {
        ns3::Mac48Address mac; // of the machine's interface
        uint16_t mtu = 1500;
        bool promiscuous = false; // it is given what is for others, too
        // Set where the medium carries no Ethernet frames but IP packets: the address of who is at
        // its other end.
        std::function<ns3::Mac48Address()> peer;
    };

    Ghost(ns3::Ptr<ns3::Node> node, int fd, ns3::Ptr<ns3::NetDevice> inner, Options options,
          Clock &clock);
    // The machine's interface is gone.
    void Close();

    // Frames that the machine took too slowly, and those that the medium cannot carry: not IP, on a
    // point-to-point link.
    uint64_t GetOverruns() const
    {
        return m_outer->m_overruns;
    }
    uint64_t GetUncarried() const
    {
        return m_uncarried;
    }

  private:
    void FromMachine(ns3::Ptr<ns3::NetDevice> device, ns3::Ptr<const ns3::Packet> packet,
                     uint16_t protocol, const ns3::Address &from, const ns3::Address &to,
                     ns3::NetDevice::PacketType type);
    void FromMedium(ns3::Ptr<ns3::NetDevice> device, ns3::Ptr<const ns3::Packet> packet,
                    uint16_t protocol, const ns3::Address &from, const ns3::Address &to,
                    ns3::NetDevice::PacketType type);
    void SendPacket(ns3::Ptr<const ns3::Packet> packet, uint16_t protocol);
    void AnswerArp(ns3::Ptr<const ns3::Packet> request);

    ns3::Ptr<ns3::Node> m_node;
    ns3::Ptr<SocketDevice> m_outer;
    ns3::Ptr<ns3::NetDevice> m_inner;
    Options m_options;
    Clock &m_clock;
    ns3::Node::ProtocolHandler m_from_machine, m_from_medium;
    uint64_t m_uncarried = 0;
};

} // namespace qn

#endif
