// SPDX-License-Identifier: MIT
// The socket to qemunet: lines of JSON. A request is { id, call, ... }, its reply { id, value } or
// { id, error }; in between go events, { event, ... }. A descriptor that comes with a request
// (SCM_RIGHTS) belongs to that which says "fd": true.
#ifndef QN_NS3_CONTROL_HH
#define QN_NS3_CONTROL_HH

#include "json.hh"

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace qn
{

class Control
{
  public:
    // Called in the simulator, with a descriptor or -1, which is its own from there on.
    using Handler = std::function<Json(const Json &request, int fd)>;

    Control(int fd, Handler handler) : m_fd(fd), m_handler(std::move(handler))
    {
    }

    // Requests are read from now on; @ended is called in another thread when there will be no more.
    void Start(std::function<void()> ended);
    // To be called often in the simulator: answers those that ask how the simulation fares. All
    // others are answered at the instant of the simulation that they came at, which may be far
    // behind.
    void ServeUrgent();
    // Queue the line of an event. Return: false when who is to read them is far behind; then it is
    // lost.
    bool Send(const Json &event);
    // Wait until all is sent, for a second at most.
    void Flush();

  private:
    void Read();
    bool Receive();
    bool TakeLines();
    void Schedule(Json request, int fd);
    void Serve(json_t *request, int fd);
    bool Queue(const Json &message, size_t most);
    void Write();

    int m_fd;
    Handler m_handler;
    std::function<void()> m_ended;
    std::string m_input;
    std::deque<int> m_descriptors;
    std::vector<json_t *> m_urgent; // under m_mutex
    std::mutex m_mutex;
    std::condition_variable m_changed;
    std::deque<std::string> m_output;
    size_t m_output_size = 0;
};

} // namespace qn

#endif
