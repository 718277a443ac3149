// SPDX-License-Identifier: MIT
// qemunet-ns3 { origin, seed, run, hard_limit }: an ns-3 simulation in real time for qemunet, which
// is at the other end of the standard input, a socket (see control.hh). It ends when that does, or
// by SIGTERM; what ns-3 says goes to the standard error.
#include "clock.hh"
#include "control.hh"
#include "network.hh"

#include <atomic>
#include <csignal>
#include <cstdio>
#include <ns3/boolean.h>
#include <ns3/config.h>
#include <ns3/global-value.h>
#include <ns3/nstime.h>
#include <ns3/realtime-simulator-impl.h>
#include <ns3/rng-seed-manager.h>
#include <ns3/simulator.h>
#include <ns3/string.h>
#include <sys/prctl.h>
#include <thread>
#include <unistd.h>

using namespace ns3;
using namespace qn;

// How long the end may take.
static constexpr unsigned END_S = 3;

static std::atomic<bool> ending;

// What is done all the time, whatever happens in the simulation: its lateness is measured, and how
// it fares is told.
static void beat(Clock *clock, Control *control)
{
    clock->Beat();
    control->ServeUrgent();
    if (ending)
        Simulator::Stop();
    Simulator::Schedule(NanoSeconds(Clock::BEAT_NS), &beat, clock, control);
}

// From any thread. The next beat sees it, even in a simulation that is far behind; one that does
// not come to it is killed by the alarm.
static void end()
{
    if (!ending.exchange(true))
        alarm(END_S);
}

static void wait_for_signal(sigset_t wanted)
{
    int number;
    sigwait(&wanted, &number);
    end();
}

static void configure(const Json &options)
{
    // The type has to be known before the simulator is made by its name.
    RealtimeSimulatorImpl::GetTypeId();
    GlobalValue::Bind("SimulatorImplementationType", StringValue("ns3::RealtimeSimulatorImpl"));
    GlobalValue::Bind("ChecksumEnabled", BooleanValue(true));
    RngSeedManager::SetSeed(static_cast<uint32_t>(options.Number("seed")));
    RngSeedManager::SetRun(static_cast<uint64_t>(options.Number("run", 1)));
    if (options.Has("hard_limit")) {
        Config::SetDefault("ns3::RealtimeSimulatorImpl::SynchronizationMode",
                           StringValue("HardLimit"));
        Config::SetDefault("ns3::RealtimeSimulatorImpl::HardLimit",
                           TimeValue(Seconds(options.Number("hard_limit"))));
    }
}

static int run(const Json &options)
{
    sigset_t term;
    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &term, nullptr);
    std::thread(wait_for_signal, term).detach();
    prctl(PR_SET_TIMERSLACK, 1);
    configure(options);
    Clock clock(static_cast<int64_t>(options.Number("origin")));
    // Both stay until the process ends: its threads may still use them.
    static Network *network;
    static Control control(STDIN_FILENO,
                           [](const Json &request, int fd) { return network->Call(request, fd); });
    network = new Network(clock, control);
    Simulator::Schedule(Time(0), &beat, &clock, &control);
    Simulator::Schedule(Time(0), [] { control.Start(end); });
    Simulator::Run();
    control.Flush();
    Simulator::Destroy();
    delete network; // with the last references to devices their captures are closed
    return 0;
}

int main(int argc, char **argv)
{
    json_error_t why;
    Json options(argc == 2 ? json_loads(argv[1], 0, &why) : nullptr);
    if (!options.IsObject()) {
        fprintf(stderr, "usage: qemunet-ns3 OPTIONS; it is started by qemunet\n");
        return 2;
    }
    int status = run(options);
    fflush(nullptr);
    _exit(status); // the threads that wait have nothing to give back
}
