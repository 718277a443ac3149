// SPDX-License-Identifier: MIT
#include "motion.hh"

#include "medium.hh"

#include <algorithm>
#include <ns3/constant-velocity-mobility-model.h>
#include <ns3/simulator.h>

namespace qn
{

using namespace ns3;

static Ptr<MobilityModel> make_model(const Json &request)
{
    if (!request.Has("mobility"))
        return CreateObject<ConstantVelocityMobilityModel>();
    Json wanted = request.Part("mobility");
    Ptr<MobilityModel> model =
        DynamicCast<MobilityModel>(create_object(wanted.Text("type"), wanted.Part("attributes")));
    if (!model)
        throw Problem(wanted.Text("type") + " is not a mobility model");
    return model;
}

Motion::Motion(Ptr<Node> node, const Json &request, Clock &clock)
    : m_model(make_model(request)), m_clock(clock)
{
    m_model->SetPosition(Vector(request.Number("x"), request.Number("y"), 0));
    node->AggregateObject(m_model);
}

void Motion::Go(Vector from, Vector velocity)
{
    m_model->SetPosition(from);
    if (auto model = DynamicCast<ConstantVelocityMobilityModel>(m_model))
        model->SetVelocity(velocity);
}

void Motion::Plan(const Json &request)
{
    Time now = Simulator::Now(), start = m_clock.At(request.Number("start"));
    Time end = start + Seconds(request.Number("duration"));
    Vector from(request.Number("x"), request.Number("y"), 0),
        velocity(request.Number("vx"), request.Number("vy"), 0);
    double over = request.Number("duration");
    Vector to(from.x + velocity.x * over, from.y + velocity.y * over, 0);
    for (Step &step : m_steps) {
        if (step.at >= start)
            step.event.Cancel();
    }
    m_steps.erase(std::remove_if(m_steps.begin(), m_steps.end(),
                                 [](Step &step) { return step.event.IsExpired(); }),
                  m_steps.end());
    if (start <= now) {
        double gone = std::min((now - start).GetSeconds(), over);
        Go(Vector(from.x + velocity.x * gone, from.y + velocity.y * gone, 0),
           end > now ? velocity : Vector());
    } else {
        m_steps.push_back(
            {start, Simulator::Schedule(start - now, &Motion::Go, this, from, velocity)});
    }
    if (end > now && over > 0)
        m_steps.push_back({end, Simulator::Schedule(end - now, &Motion::Go, this, to, Vector())});
}

} // namespace qn
