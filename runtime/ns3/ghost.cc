// SPDX-License-Identifier: MIT
#include "ghost.hh"

#include <cstring>
#include <ns3/packet.h>
#include <ns3/uinteger.h>
#include <sys/socket.h>

namespace qn
{

using namespace ns3;

static constexpr uint16_t IPV4 = 0x0800, ARP = 0x0806, IPV6 = 0x86dd;
static constexpr uint16_t LENGTH_MAX =
    1500; // up to here, Ethernet's type is a length: IEEE 802.3, 3.2.6

// A burst finds room until the fabric's thread comes to it; the kernel may grant less.
static constexpr int SEND_BUFFER = 1 << 20;
// Its reader sleeps for 0.1 s when so many frames wait: as many as keep the simulation busy
// meanwhile.
static constexpr uint32_t WAITING_MAX = 4000;

SocketDevice::SocketDevice(int fd) : m_socket(fd)
{
    if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &SEND_BUFFER, sizeof(SEND_BUFFER)))
        setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &SEND_BUFFER, sizeof(SEND_BUFFER));
    SetFileDescriptor(fd);
}

ssize_t SocketDevice::Write(uint8_t *data, size_t size)
{
    ssize_t n = send(m_socket, data, size, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n < 0)
        m_overruns++;
    return n;
}

Ghost::Ghost(Ptr<Node> node, int fd, Ptr<NetDevice> inner, Options options, Clock &clock)
    : m_node(node), m_outer(CreateObject<SocketDevice>(fd)), m_inner(inner),
      m_options(std::move(options)), m_clock(clock)
{
    m_outer->SetAddress(Mac48Address::Allocate());
    m_outer->SetMtu(m_options.mtu);
    m_outer->SetAttribute("RxQueueSize", UintegerValue(WAITING_MAX));
    m_node->AddDevice(m_outer);
    m_from_machine = MakeCallback(&Ghost::FromMachine, this);
    m_from_medium = MakeCallback(&Ghost::FromMedium, this);
    m_node->RegisterProtocolHandler(m_from_machine, 0, m_outer, true);
    // Promiscuous in any case: a handler that is not hears nothing of the address that a frame was
    // for.
    m_node->RegisterProtocolHandler(m_from_medium, 0, m_inner, true);
}

void Ghost::Close()
{
    m_node->UnregisterProtocolHandler(m_from_machine);
    m_node->UnregisterProtocolHandler(m_from_medium);
    m_outer->Forget();
    m_outer->Stop(Time(0));
}

void Ghost::FromMachine(Ptr<NetDevice>, Ptr<const Packet> packet, uint16_t protocol,
                        const Address &from, const Address &to, NetDevice::PacketType)
{
    m_clock.Sample();
    if (m_options.peer)
        SendPacket(packet, protocol);
    else if (protocol <= LENGTH_MAX)
        m_uncarried++;
    else if (m_inner->SupportsSendFrom())
        m_inner->SendFrom(packet->Copy(), from, to, protocol);
    else
        m_inner->Send(packet->Copy(), to, protocol);
}

// PPP carries IP alone, so the addresses stay here, and who is at the other end is known without
// being asked.
void Ghost::SendPacket(Ptr<const Packet> packet, uint16_t protocol)
{
    if (protocol == ARP)
        AnswerArp(packet);
    else if (protocol == IPV4 || protocol == IPV6)
        m_inner->Send(packet->Copy(), m_inner->GetBroadcast(), protocol);
    else
        m_uncarried++;
}

// RFC 826, for Ethernet and IPv4. A question of who does not have an address yet (RFC 5227) gets no
// answer, nor an announcement.
struct ArpMessage {
    uint8_t kinds[6];
    uint8_t operation[2];
    uint8_t sender_mac[6], sender_ip[4], target_mac[6], target_ip[4];
};

void Ghost::AnswerArp(Ptr<const Packet> request)
{
    static const uint8_t kinds[6] = {0, 1, 8, 0, 6, 4}, question[2] = {0, 1}, answer[2] = {0, 2},
                         none[4] = {};
    ArpMessage message;
    if (request->CopyData(reinterpret_cast<uint8_t *>(&message), sizeof(message)) < sizeof(message))
        return;
    if (memcmp(message.kinds, kinds, 6) != 0 || memcmp(message.operation, question, 2) != 0 ||
        memcmp(message.sender_ip, none, 4) == 0 ||
        memcmp(message.sender_ip, message.target_ip, 4) == 0)
        return;
    uint8_t asked[4];
    memcpy(asked, message.target_ip, 4);
    memcpy(message.operation, answer, 2);
    memcpy(message.target_mac, message.sender_mac, 6);
    memcpy(message.target_ip, message.sender_ip, 4);
    m_options.peer().CopyTo(message.sender_mac);
    memcpy(message.sender_ip, asked, 4);
    m_outer->SendFrom(Create<Packet>(reinterpret_cast<uint8_t *>(&message), sizeof(message)),
                      m_options.peer(), m_options.mac, ARP);
}

// Where a packet that came without one is for: who is at this end, or a group (RFC 1112, 6.4; RFC
// 2464, 7).
static Mac48Address destination_of(Ptr<const Packet> packet, uint16_t protocol, Mac48Address mac)
{
    uint8_t header[40];
    uint32_t n = packet->CopyData(header, sizeof(header));
    if (protocol == IPV4 && n >= 20) {
        Ipv4Address ip = Ipv4Address::Deserialize(header + 16);
        if (ip.IsBroadcast())
            return Mac48Address::GetBroadcast();
        return ip.IsMulticast() ? Mac48Address::GetMulticast(ip) : mac;
    }
    if (protocol == IPV6 && n >= 40) {
        Ipv6Address ip = Ipv6Address::Deserialize(header + 24);
        return ip.IsMulticast() ? Mac48Address::GetMulticast(ip) : mac;
    }
    return mac;
}

void Ghost::FromMedium(Ptr<NetDevice>, Ptr<const Packet> packet, uint16_t protocol,
                       const Address &from, const Address &to, NetDevice::PacketType type)
{
    if (type == NetDevice::PACKET_OTHERHOST && !m_options.promiscuous && !m_options.peer)
        return;
    m_clock.Sample();
    // What is larger would end the simulation: it can only come of a simulated node with a larger
    // MTU.
    if (packet->GetSize() > m_outer->GetMtu())
        m_uncarried++;
    else if (m_options.peer)
        m_outer->SendFrom(packet->Copy(), m_options.peer(),
                          destination_of(packet, protocol, m_options.mac), protocol);
    else
        m_outer->SendFrom(packet->Copy(), from, to, protocol);
}

} // namespace qn
