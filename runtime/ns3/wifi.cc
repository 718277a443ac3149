// SPDX-License-Identifier: MIT
// Wi-Fi, ad hoc or with an access point.
#include "medium.hh"

#include "attributes.hh"

#include <ns3/adhoc-wifi-mac.h>
#include <ns3/frame-exchange-manager.h>
#include <ns3/propagation-delay-model.h>
#include <ns3/propagation-loss-model.h>
#include <ns3/ssid.h>
#include <ns3/string.h>
#include <ns3/wifi-helper.h>
#include <ns3/wifi-mac-helper.h>
#include <ns3/wifi-mac-queue.h>
#include <ns3/wifi-net-device.h>
#include <ns3/wifi-remote-station-manager.h>
#include <ns3/wifi-standards.h>
#include <ns3/yans-wifi-channel.h>
#include <ns3/yans-wifi-helper.h>

namespace qn
{

using namespace ns3;

static WifiStandard find_standard(const std::string &name)
{
    static const std::pair<const char *, WifiStandard> standards[] = {
        {"802.11a", WIFI_STANDARD_80211a},   {"802.11b", WIFI_STANDARD_80211b},
        {"802.11g", WIFI_STANDARD_80211g},   {"802.11p", WIFI_STANDARD_80211p},
        {"802.11n", WIFI_STANDARD_80211n},   {"802.11ac", WIFI_STANDARD_80211ac},
        {"802.11ax", WIFI_STANDARD_80211ax},
    };
    std::string known;
    for (auto &[known_name, standard] : standards) {
        if (name == known_name)
            return standard;
        known += (known.empty() ? "" : ", ") + std::string(known_name);
    }
    throw Problem("no standard " + name + "; there are: " + known);
}

class Wifi : public Medium
{
  public:
    explicit Wifi(const Json &request)
        : m_ssid(request.Text("medium")), m_adhoc(request.Text("mode") == "adhoc"),
          m_phy_options(request.Part("phy")), m_channel(CreateObject<YansWifiChannel>())
    {
        Json loss = request.Part("loss"), manager = request.Part("manager");
        auto model = DynamicCast<PropagationLossModel>(
            create_object(loss.Text("type"), loss.Part("attributes")));
        if (!model)
            throw Problem(loss.Text("type") + " is not a model of propagation loss");
        create_object("ns3::YansWifiPhy", m_phy_options); // says what is wrong with them
        m_channel->SetPropagationLossModel(model);
        m_channel->SetPropagationDelayModel(CreateObject<ConstantSpeedPropagationDelayModel>());
        m_phy.SetChannel(m_channel);
        m_wifi.SetStandard(find_standard(request.Text("standard")));
        SetManager(manager.Text("type"), manager.Part("attributes"));
    }

    // The device has the machine's own address, and sends with no other: neither ad hoc stations
    // nor those of an access point can send for somebody else.
    Ptr<NetDevice> Attach(Ptr<Node> node, Mac48Address mac, const Json &request) override
    {
        WifiMacHelper helper;
        if (m_adhoc)
            helper.SetType("ns3::AdhocWifiMac");
        else if (request.Flag("ap"))
            helper.SetType("ns3::ApWifiMac", "Ssid", SsidValue(m_ssid));
        else
            helper.SetType("ns3::StaWifiMac", "Ssid", SsidValue(m_ssid), "ActiveProbing",
                           BooleanValue(false));
        auto device = DynamicCast<WifiNetDevice>(m_wifi.Install(m_phy, helper, node).Get(0));
        SetAddress(device, mac);
        m_phy_options.Each([&](const std::string &name, const std::string &value) {
            set_checked(device->GetPhy(), name, value);
        });
        return device;
    }

    void Detach(Ptr<NetDevice> device) override
    {
        DynamicCast<WifiNetDevice>(device)->GetPhy()->SetOffMode();
    }

    // The sum of the queues: each class of traffic has its own.
    Json QueueOf(Ptr<NetDevice> device) const override
    {
        Ptr<WifiMac> mac = DynamicCast<WifiNetDevice>(device)->GetMac();
        uint64_t packets = 0, bytes = 0, limit = 0;
        for (AcIndex ac : {AC_BE, AC_BK, AC_VI, AC_VO, AC_BE_NQOS}) {
            if (mac->GetQosSupported() != (ac != AC_BE_NQOS))
                continue;
            Ptr<WifiMacQueue> queue = mac->GetTxopQueue(ac);
            packets += queue->GetNPackets();
            bytes += queue->GetNBytes();
            limit += queue->GetMaxSize().GetValue();
        }
        return Json::Object().Set("packets", packets).Set("bytes", bytes).Set("limit", limit);
    }

    void Capture(Ptr<NetDevice> device, const std::string &path) const override
    {
        YansWifiPhyHelper helper = m_phy;
        helper.SetPcapDataLinkType(WifiPhyHelper::DLT_IEEE802_11_RADIO);
        helper.EnablePcap(path, device, false, true);
    }

  private:
    void SetManager(const std::string &type, const Json &attributes)
    {
        std::vector<std::pair<std::string, std::string>> list;
        if (!DynamicCast<WifiRemoteStationManager>(create_object(type, attributes)))
            throw Problem(type + " is not a manager of Wi-Fi stations");
        attributes.Each([&](const std::string &name, const std::string &value) {
            list.emplace_back(name, value);
        });
        list.resize(std::max<size_t>(list.size(), 4));
        if (list.size() > 4)
            throw Problem("manager: at most 4 attributes");
        auto value = [&](size_t i) { return StringValue(list[i].second); };
        // Those without a name are none.
        m_wifi.SetRemoteStationManager(find_type(type).GetName(), list[0].first, value(0),
                                       list[1].first, value(1), list[2].first, value(2),
                                       list[3].first, value(3));
    }

    // What exchanges the frames keeps the address that the device had when it was made.
    static void SetAddress(Ptr<WifiNetDevice> device, Mac48Address mac)
    {
        device->SetAddress(mac);
        device->GetMac()->GetFrameExchangeManager()->SetAddress(mac);
    }

    Ssid m_ssid;
    bool m_adhoc;
    Json m_phy_options;
    Ptr<YansWifiChannel> m_channel;
    YansWifiPhyHelper m_phy;
    WifiHelper m_wifi;
};

std::unique_ptr<Medium> make_wifi(const Json &request)
{
    return std::make_unique<Wifi>(request);
}

} // namespace qn
