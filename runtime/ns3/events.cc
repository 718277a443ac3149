// SPDX-License-Identifier: MIT
#include "events.hh"

#include "attributes.hh"

#include <ns3/data-rate.h>
#include <ns3/ipv4-l3-protocol.h>
#include <ns3/mac48-address.h>
#include <ns3/mobility-model.h>
#include <ns3/names.h>
#include <ns3/node-list.h>
#include <ns3/node.h>
#include <ns3/pointer.h>
#include <ns3/queue-disc.h>
#include <ns3/queue-item.h>
#include <ns3/sequence-number.h>
#include <ns3/simulator.h>
#include <ns3/traffic-control-layer.h>
#include <ns3/wifi-mac.h>
#include <ns3/wifi-mpdu.h>
#include <ns3/wifi-phy.h>
#include <sstream>

namespace qn
{

using namespace ns3;

struct Listener {
    uint64_t skip, left; // left: 0: always
    bool over = false;
    std::vector<std::unique_ptr<Sink>> sinks;

    ~Listener()
    {
        for (auto &sink : sinks)
            sink->disconnect();
    }
};

// What a source says ------------------------------------------------------------------------------
// A trace source has a function type, which its registration names, and what listens to it must
// have the same, or ns-3 ends the simulation. So there is a function for each type that is known
// here, by its name.

template <typename T> static std::string text_of(const T &value)
{
    std::ostringstream text;
    text << value;
    return text.str();
}

static void describe(Json &event, const char *, const Ptr<const Packet> &packet)
{
    event.Set("size", packet->GetSize()).Set("packet", packet->GetUid());
}
static void describe(Json &event, const char *, const Ptr<const QueueDiscItem> &item)
{
    event.Set("size", item->GetSize()).Set("packet", item->GetPacket()->GetUid());
}
static void describe(Json &event, const char *, const Ptr<const WifiMpdu> &mpdu)
{
    event.Set("size", mpdu->GetSize()).Set("packet", mpdu->GetPacket()->GetUid());
}
static void describe(Json &event, const char *, const Ptr<const MobilityModel> &model)
{
    Vector position = model->GetPosition(), velocity = model->GetVelocity();
    event.Set("x", position.x).Set("y", position.y).Set("vx", velocity.x).Set("vy", velocity.y);
}
static void describe(Json &event, const char *, const Ipv4Header &header)
{
    event.Set("from", text_of(header.GetSource())).Set("to", text_of(header.GetDestination()));
}
static void describe(Json &, const char *, const Ptr<Ipv4> &)
{
}
static void describe(Json &event, const char *, Ipv4L3Protocol::DropReason reason)
{
    static const char *const names[] = {
        "none",           "ttl expired", "no route",         "bad checksum",
        "interface down", "route error", "fragment timeout", "duplicate"};
    event.Set("reason", reason < std::size(names) ? names[reason] : "other");
}
static void describe(Json &event, const char *, WifiPhyRxfailureReason reason)
{
    event.Set("reason", text_of(reason));
}
static void describe(Json &event, const char *, WifiMacDropReason reason)
{
    static const char *const names[] = {"failed enqueue", "expired lifetime", "reached retry limit",
                                        "qos old packet"};
    event.Set("reason", reason < std::size(names) ? names[reason] : "other");
}
static void describe(Json &event, const char *, const char *reason)
{
    event.Set("reason", reason);
}
static void describe(Json &event, const char *key, const Time &value)
{
    event.Set(key, value.GetSeconds());
}
static void describe(Json &event, const char *key, const DataRate &value)
{
    event.Set(key, value.GetBitRate());
}
static void describe(Json &event, const char *key, const SequenceNumber32 &value)
{
    event.Set(key, value.GetValue());
}
static void describe(Json &event, const char *, const Mac48Address &value)
{
    event.Set("address", text_of(value));
}
static void describe(Json &event, const char *key, const Address &value)
{
    event.Set(key, text_of(value));
}
template <typename T, typename = std::enable_if_t<std::is_arithmetic_v<T>>>
static void describe(Json &event, const char *key, T value)
{
    if constexpr (std::is_floating_point_v<T>)
        event.Set(key, static_cast<double>(value));
    else
        event.Set(key, value);
}

template <typename... Args> static void fire(Sink *sink, Args... args)
{
    sink->events->Fire(*sink, [&](Json &event) { (describe(event, "value", args), ...); });
}

template <typename T> static void fire_change(Sink *sink, T before, T now)
{
    sink->events->Fire(*sink, [&](Json &event) {
        describe(event, "old", before);
        describe(event, "value", now);
    });
}

template <typename Callback>
static bool connect_callback(Ptr<Object> object, const std::string &source, Sink *sink,
                             const Callback &callback)
{
    sink->disconnect = [object, source, callback] {
        object->TraceDisconnectWithoutContext(source, callback);
    };
    return object->TraceConnectWithoutContext(source, callback);
}

template <typename... Args> static Connect listening()
{
    return [](Ptr<Object> object, const std::string &source, Sink *sink) {
        return connect_callback(object, source, sink, MakeBoundCallback(&fire<Args...>, sink));
    };
}

template <typename T> static Connect watching()
{
    return [](Ptr<Object> object, const std::string &source, Sink *sink) {
        return connect_callback(object, source, sink, MakeBoundCallback(&fire_change<T>, sink));
    };
}

// Function types by the names that sources are registered with. Some are registered with the name
// of another.
static const std::multimap<std::string, Connect> &known_types()
{
    static const std::multimap<std::string, Connect> known = {
        {"ns3::Packet::TracedCallback", listening<Ptr<const Packet>>()},
        {"ns3::Packet::TracedCallback", listening<Ptr<const Packet>, WifiPhyRxfailureReason>()},
        {"ns3::Packet::AddressTracedCallback", listening<Ptr<const Packet>, const Address &>()},
        {"ns3::QueueDiscItem::TracedCallback", listening<Ptr<const QueueDiscItem>>()},
        {"ns3::QueueDiscItem::TracedCallback", listening<Ptr<const QueueDiscItem>, const char *>()},
        {"ns3::WifiMpdu::TracedCallback", listening<Ptr<const WifiMpdu>>()},
        {"ns3::Mac48Address::TracedCallback", listening<Mac48Address>()},
        {"ns3::Time::TracedCallback", listening<Time>()},
        {"ns3::MobilityModel::TracedCallback", listening<Ptr<const MobilityModel>>()},
        {"ns3::WifiPhy::PhyTxBeginTracedCallback", listening<Ptr<const Packet>, double>()},
        {"ns3::WifiMac::DroppedMpduCallback", listening<WifiMacDropReason, Ptr<const WifiMpdu>>()},
        {"ns3::Ipv4L3Protocol::SentTracedCallback",
         listening<const Ipv4Header &, Ptr<const Packet>, uint32_t>()},
        {"ns3::Ipv4L3Protocol::TxRxTracedCallback",
         listening<Ptr<const Packet>, Ptr<Ipv4>, uint32_t>()},
        {"ns3::Ipv4L3Protocol::DropTracedCallback",
         listening<const Ipv4Header &, Ptr<const Packet>, Ipv4L3Protocol::DropReason, Ptr<Ipv4>,
                   uint32_t>()},
        {"ns3::TracedValueCallback::Bool", watching<bool>()},
        {"ns3::TracedValueCallback::Uint8", watching<uint8_t>()},
        {"ns3::TracedValueCallback::Uint16", watching<uint16_t>()},
        {"ns3::TracedValueCallback::Uint32", watching<uint32_t>()},
        {"ns3::TracedValueCallback::Uint64", watching<uint64_t>()},
        {"ns3::TracedValueCallback::Double", watching<double>()},
        {"ns3::TracedValueCallback::Time", watching<Time>()},
        {"ns3::TracedValueCallback::DataRate", watching<DataRate>()},
        {"ns3::TracedValueCallback::SequenceNumber32", watching<SequenceNumber32>()},
        {"ns3::SequenceNumber32TracedValueCallback", watching<SequenceNumber32>()},
    };
    return known;
}

static std::string sources_of(TypeId type)
{
    std::string names;
    for (;; type = type.GetParent()) {
        for (size_t i = 0; i < type.GetTraceSourceN(); i++)
            names += (names.empty() ? "" : ", ") + type.GetTraceSource(i).name;
        if (!type.HasParent() || type.GetParent() == type)
            return names.empty() ? "none" : names;
    }
}

// Connecting with another type than the source's aborts.
static Connect try_all(Ptr<Object> object, const std::string &source, const std::string &type)
{
    auto [begin, end] = known_types().equal_range(type);
    for (auto i = begin; i != end; i++) {
        Sink sink;
        if (succeeds_apart([&] { return i->second(object, source, &sink); }))
            return i->second;
    }
    throw Problem("the trace source " + object->GetInstanceTypeId().GetName() + "::" + source +
                  " tells of a " + type + ", which cannot be heard from outside");
}

static const Connect &find_connect(std::map<std::string, Connect> &known, Ptr<Object> object,
                                   const std::string &source)
{
    TypeId::TraceSourceInformation info;
    TypeId type = object->GetInstanceTypeId();
    if (!type.LookupTraceSourceByName(source, &info))
        throw Problem(type.GetName() + " has no trace source " + source +
                      "; it has: " + sources_of(type));
    std::string key = type.GetName() + "::" + source;
    auto found = known.find(key);
    if (found == known.end())
        found = known.emplace(key, try_all(object, source, info.callback)).first;
    return found->second;
}

// Whose it is -------------------------------------------------------------------------------------

// What a kind of event stands for: trace sources of a node's devices, or of what they are made of.
static std::vector<std::string> sources_of_kind(const std::string &kind)
{
    static const std::map<std::string, std::vector<std::string>> kinds = {
        {"tx", {"MacTx"}},
        {"rx", {"MacRx"}},
        {"drop", {"MacTxDrop", "MacRxDrop", "PhyTxDrop", "PhyRxDrop", "DroppedMpdu", "Drop"}},
        {"course_change", {"CourseChange"}},
    };
    auto found = kinds.find(kind);
    if (found == kinds.end())
        throw Problem("no kind of event " + kind);
    return found->second;
}

static void add_part(std::vector<Ptr<Object>> &parts, Ptr<Object> whole, const char *name)
{
    PointerValue part;
    if (whole->GetAttributeFailSafe(name, part) && part.GetObject())
        parts.push_back(part.GetObject());
}

// The socket to the machine is not of the simulated network, nor is the loopback.
static bool is_on_medium(Ptr<NetDevice> device)
{
    std::string type = device->GetInstanceTypeId().GetName();
    return type != "ns3::FdNetDevice" && type != "ns3::LoopbackNetDevice";
}

static std::vector<Ptr<Object>> parts_of(Ptr<Node> node)
{
    std::vector<Ptr<Object>> parts;
    for (uint32_t i = 0; i < node->GetNDevices(); i++) {
        Ptr<NetDevice> device = node->GetDevice(i);
        if (!is_on_medium(device))
            continue;
        parts.push_back(device);
        add_part(parts, device, "Mac");
        add_part(parts, device, "Phy");
    }
    if (auto mobility = node->GetObject<MobilityModel>())
        parts.push_back(mobility);
    if (auto ip = node->GetObject<Ipv4L3Protocol>())
        parts.push_back(ip);
    auto control = node->GetObject<TrafficControlLayer>();
    for (uint32_t i = 0; control && i < node->GetNDevices(); i++) {
        if (auto discipline = control->GetRootQueueDiscOnDevice(node->GetDevice(i)))
            parts.push_back(discipline);
    }
    return parts;
}

// The name of the node that a path leads through, if it is one: /NodeList/3/..., /Names/a/...
static std::string node_in(const std::string &path)
{
    unsigned id;
    if (sscanf(path.c_str(), "/NodeList/%u", &id) == 1 && id < NodeList::GetNNodes())
        return Names::FindName(NodeList::GetNode(id));
    std::string begin = "/Names/";
    if (path.rfind(begin, 0) != 0)
        return "";
    std::string name = path.substr(begin.size());
    name = name.substr(0, name.find('/'));
    return Names::Find<Node>(name) ? name : "";
}

static void connect(Listener &listener, Events *events, uint64_t id, Ptr<Object> object,
                    const std::string &source, const std::string &node)
{
    const Connect &function = find_connect(events->GetConnects(), object, source);
    auto sink = std::make_unique<Sink>(Sink{events, id, node, source, nullptr});
    if (!function(object, source, sink.get()))
        throw Problem(source + " cannot be listened to");
    listener.sinks.push_back(std::move(sink));
}

static void connect_kind(Listener &listener, Events *events, uint64_t id, const std::string &kind,
                         const std::map<std::string, Ptr<Node>> &nodes)
{
    for (auto &[name, node] : nodes) {
        for (const Ptr<Object> &part : parts_of(node)) {
            for (const std::string &source : sources_of_kind(kind)) {
                if (part->GetInstanceTypeId().LookupTraceSourceByName(source))
                    connect(listener, events, id, part, source, name);
            }
        }
    }
    if (listener.sinks.empty())
        throw Problem("there is nothing yet that could tell of " + kind);
}

// @whose: of which node alone, or "".
static void connect_path(Listener &listener, Events *events, uint64_t id, const std::string &path,
                         const std::string &whose)
{
    std::string source;
    Config::MatchContainer found = find_objects(path, &source);
    for (size_t i = 0; i < found.GetN(); i++) {
        std::string node = node_in(found.GetMatchedPath(static_cast<uint32_t>(i)));
        if (whose.empty() || node == whose)
            connect(listener, events, id, found.Get(i), source, node);
    }
    if (listener.sinks.empty())
        throw Problem("no object of " + whose + " has the path " + path);
}

void Events::Listen(const Json &request, const std::map<std::string, Ptr<Node>> &nodes)
{
    auto listener = std::make_shared<Listener>();
    auto id = static_cast<uint64_t>(request.Number("listener"));
    listener->skip = static_cast<uint64_t>(request.Number("nth", 1)) - 1;
    listener->left = static_cast<uint64_t>(request.Number("count", 0));
    if (request.Has("path"))
        connect_path(*listener, this, id, request.Text("path"), request.Text("node", ""));
    else
        connect_kind(*listener, this, id, request.Text("kind"), nodes);
    m_listeners[id] = listener;
}

void Events::Unlisten(uint64_t id)
{
    m_listeners.erase(id);
}

void Events::Forget(uint64_t id)
{
    m_listeners.erase(id);
}

// Telling -----------------------------------------------------------------------------------------

void Events::Tell(uint64_t id, Json event)
{
    event.Set("event", id).Set("late", static_cast<double>(m_clock.Sample()) / 1e9);
    event.Set("time", m_clock.Seconds(Simulator::Now()));
    if (!m_control.Send(event))
        m_missed++;
}

// A source must not lose its listener while it calls it.
void Events::Fire(const Sink &sink, const std::function<void(Json &)> &add)
{
    auto found = m_listeners.find(sink.id);
    if (found == m_listeners.end() || found->second->over)
        return;
    Listener &listener = *found->second;
    if (listener.skip > 0) {
        listener.skip--;
        return;
    }
    Json event = Json::Object();
    event.Set("node", sink.node).Set("source", sink.source);
    add(event);
    listener.over = listener.left > 0 && --listener.left == 0;
    if (listener.over) {
        event.Set("last", true);
        Simulator::ScheduleNow(&Events::Forget, this, sink.id);
    }
    Tell(sink.id, event);
}

void Events::At(const Json &request)
{
    auto id = static_cast<uint64_t>(request.Number("listener"));
    Time delay = Max(m_clock.At(request.Number("at")) - Simulator::Now(), Time(0));
    Simulator::Schedule(delay, [this, id] { Tell(id, Json::Object().Set("last", true)); });
}

} // namespace qn
