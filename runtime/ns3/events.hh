// SPDX-License-Identifier: MIT
// What happens in the simulation, told as it happens: trace sources that somebody listens to, and
// instants.
#ifndef QN_NS3_EVENTS_HH
#define QN_NS3_EVENTS_HH

#include "clock.hh"
#include "control.hh"

#include <functional>
#include <map>
#include <memory>
#include <ns3/node.h>
#include <ns3/object.h>
#include <vector>

namespace qn
{

class Events;
struct Listener;

// One trace source of one object that a listener hears.
struct Sink {
    Events *events;
    uint64_t id; // the listener's
    std::string node, source;
    std::function<void()> disconnect;
};

// Listens to a source of an object with a function of the source's type. Return: whether it could.
using Connect =
    std::function<bool(ns3::Ptr<ns3::Object> object, const std::string &source, Sink *sink)>;

class Events
{
  public:
    Events(Clock &clock, Control &control) : m_clock(clock), m_control(control)
    {
    }

    // { id, nth, count, kind or path }: nth: from this time on; count: so often, 0: always. @nodes:
    // those that a kind is listened to at, by name.
    void Listen(const Json &request, const std::map<std::string, ns3::Ptr<ns3::Node>> &nodes);
    void Unlisten(uint64_t id);
    // { id, at } tells of an instant.
    void At(const Json &request);

    // What could not be told, since too much was.
    uint64_t GetMissed() const
    {
        return m_missed;
    }
    // What connects to a trace source, known from its first time on: {[type and source]}.
    std::map<std::string, Connect> &GetConnects()
    {
        return m_connects;
    }
    // A source has fired; @add puts what it says into the event.
    void Fire(const Sink &sink, const std::function<void(Json &)> &add);

  private:
    void Tell(uint64_t id, Json event);
    void Forget(uint64_t id);

    Clock &m_clock;
    Control &m_control;
    std::map<uint64_t, std::shared_ptr<Listener>> m_listeners;
    std::map<std::string, Connect> m_connects;
    uint64_t m_missed = 0;
};

} // namespace qn

#endif
