// SPDX-License-Identifier: MIT
#include "control.hh"

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <ns3/simulator.h>
#include <sys/socket.h>
#include <unistd.h>

namespace qn
{

static constexpr size_t LINE_MAX_SIZE = 1 << 20, OUTPUT_MAX_SIZE = 2 << 20;

void Control::Start(std::function<void()> ended)
{
    m_ended = std::move(ended);
    std::thread(&Control::Read, this).detach();
    std::thread(&Control::Write, this).detach();
}

void Control::Read()
{
    while (Receive() && TakeLines())
        ;
    m_ended();
}

static void take_descriptors(msghdr *message, std::deque<int> *into)
{
    for (cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < n; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
            into->push_back(fd);
        }
    }
}

bool Control::Receive()
{
    char data[65536];
    alignas(cmsghdr) char control[CMSG_SPACE(8 * sizeof(int))];
    iovec part = {data, sizeof(data)};
    msghdr message = {};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof(control);
    ssize_t n;
    do {
        n = recvmsg(m_fd, &message, MSG_CMSG_CLOEXEC);
    } while (n < 0 && errno == EINTR);
    if (n <= 0)
        return false;
    take_descriptors(&message, &m_descriptors);
    m_input.append(data, static_cast<size_t>(n));
    if (m_input.size() > LINE_MAX_SIZE)
        fprintf(stderr, "a request of more than %zu bytes\n", LINE_MAX_SIZE);
    return m_input.size() <= LINE_MAX_SIZE;
}

static bool is_urgent(const Json &request)
{
    const char *name = json_string_value(json_object_get(request.Get(), "call"));
    return name && strcmp(name, "stats") == 0;
}

void Control::Schedule(Json request, int fd)
{
    if (is_urgent(request)) {
        std::lock_guard lock(m_mutex);
        m_urgent.push_back(request.Release());
    } else {
        ns3::Simulator::ScheduleWithContext(ns3::Simulator::NO_CONTEXT, ns3::Time(0),
                                            &Control::Serve, this, request.Release(), fd);
    }
}

void Control::ServeUrgent()
{
    std::vector<json_t *> taken;
    {
        std::lock_guard lock(m_mutex);
        taken.swap(m_urgent);
    }
    for (json_t *request : taken)
        Serve(request, -1);
}

// Return: whether they could be read. Each is executed at an instant of the simulation, in their
// order.
bool Control::TakeLines()
{
    size_t begin = 0, end;
    while ((end = m_input.find('\n', begin)) != std::string::npos) {
        json_error_t why;
        Json request(json_loadb(m_input.data() + begin, end - begin, JSON_ALLOW_NUL, &why));
        begin = end + 1;
        int fd = -1;
        if (!request.IsObject()) {
            fprintf(stderr, "bad request: %s\n", why.text);
            return false;
        }
        if (request.Flag("fd") && !m_descriptors.empty()) {
            fd = m_descriptors.front();
            m_descriptors.pop_front();
        }
        Schedule(std::move(request), fd);
    }
    m_input.erase(0, begin);
    return true;
}

void Control::Serve(json_t *taken, int fd)
{
    Json request(taken), reply = Json::Object();
    reply.Set("id", Json(json_incref(json_object_get(taken, "id"))));
    try {
        reply.Set("value", m_handler(request, fd));
    } catch (const std::exception &problem) {
        reply.Set("error", problem.what());
    }
    Queue(reply, SIZE_MAX); // there are as many as there were requests
}

bool Control::Send(const Json &event)
{
    return Queue(event, OUTPUT_MAX_SIZE);
}

bool Control::Queue(const Json &message, size_t most)
{
    char *text = json_dumps(message.Get(), JSON_COMPACT | JSON_REAL_PRECISION(15));
    if (!text)
        return false;
    std::string line(text);
    free(text);
    line += '\n';
    std::unique_lock lock(m_mutex);
    if (m_output_size + line.size() > most)
        return false;
    m_output_size += line.size();
    m_output.push_back(std::move(line));
    m_changed.notify_all();
    return true;
}

static bool write_all(int fd, const std::string &data)
{
    for (size_t sent = 0; sent < data.size();) {
        ssize_t n = send(fd, data.data() + sent, data.size() - sent, MSG_NOSIGNAL);
        if (n < 0 && errno != EINTR)
            return false;
        sent += n > 0 ? static_cast<size_t>(n) : 0;
    }
    return true;
}

void Control::Write()
{
    std::unique_lock lock(m_mutex);
    for (;;) {
        m_changed.wait(lock, [this] { return !m_output.empty(); });
        std::string line = std::move(m_output.front());
        m_output.pop_front();
        lock.unlock();
        bool written = write_all(m_fd, line);
        lock.lock();
        m_output_size -= line.size();
        m_changed.notify_all();
        if (!written)
            return;
    }
}

void Control::Flush()
{
    std::unique_lock lock(m_mutex);
    m_changed.wait_for(lock, std::chrono::seconds(1), [this] { return m_output_size == 0; });
}

} // namespace qn
