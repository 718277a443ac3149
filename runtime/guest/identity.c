/* SPDX-License-Identifier: MIT */
/* By system calls alone: each program that a fresh clone of a machine starts costs it some 10 ms,
 * its translator being cold. */
#include "identity.h"
#include "words.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <net/route.h>
#include <stdbool.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/timex.h>
#include <time.h>

#define MACHINE_ID "/etc/machine-id"
#define MACHINE_ID_LEN 32

#define NS_PER_S 1000000000L
#define US_PER_S 1000000L
/* Interfaces are numbered from 1; each that comes gets the next number. */
#define IFINDEX_MAX 65536
#define IFINDEX_GAP 256

/* From linux/random.h, which the small C library does not have. */
#define RNDADDENTROPY _IOW('R', 0x03, int[2])
#define RNDRESEEDCRNG _IO('R', 0x07)

struct lines {
    char *at, *end;
    void (*say)(const char *line);
    int socket; /* -1: not open yet */
};

static char *next_line(struct lines *lines)
{
    char *line = lines->at, *end = memchr(line, '\n', (size_t)(lines->end - line));
    if (!end)
        _exit(1);
    *end = '\0';
    lines->at = end + 1;
    return line;
}

static const char *next_block(struct lines *lines, size_t n)
{
    char *block = lines->at;
    if (n > (size_t)(lines->end - block))
        _exit(1);
    lines->at += n;
    return block;
}

static int write_file(const char *path, const char *data, size_t n)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0)
        return -1;
    ssize_t written = 0;
    while (n && (written = write(fd, data, n)) > 0) {
        data += written;
        n -= (size_t)written;
    }
    close(fd);
    return n ? -1 : 0;
}

static const char *take_file(struct lines *lines, char *at)
{
    const char *path = next_word(&at);
    size_t n = next_number(&at);
    return write_file(path, next_block(lines, n), n) ? path : NULL;
}

/* Return: whether the guest has one. */
static bool read_machine_id(char id[MACHINE_ID_LEN + 1])
{
    int fd = open(MACHINE_ID, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, id, MACHINE_ID_LEN);
    close(fd);
    id[MACHINE_ID_LEN] = '\0';
    return n == MACHINE_ID_LEN && strspn(id, "0123456789abcdef") == MACHINE_ID_LEN;
}

/* A journal goes on in the folder of the old number, but is looked for in that of the new one. */
static void link_journal(const char *journals, const char *old, const char *new)
{
    char old_folder[80], new_folder[80];
    stpcpy(stpcpy(old_folder, journals), old);
    stpcpy(stpcpy(new_folder, journals), new);
    if (access(old_folder, F_OK) == 0)
        symlink(old, new_folder);
}

/* Of a guest that has none or lets it not be written, nothing is amiss. */
static void take_machine_id(const char *new)
{
    char old[MACHINE_ID_LEN + 1];
    if (strlen(new) != MACHINE_ID_LEN)
        _exit(1);
    bool had = read_machine_id(old);
    int fd = open(MACHINE_ID, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0444);
    ssize_t written = fd < 0 ? -1 : write(fd, new, MACHINE_ID_LEN);
    if (written == MACHINE_ID_LEN && write(fd, "\n", 1) == 1 && had) {
        link_journal("/var/log/journal/", old, new);
        link_journal("/run/log/journal/", old, new);
    }
    close(fd);
}

/* Writing to /dev/urandom would mix it in without a reseed: the next bytes read would still be
 * those of every other clone. */
static const char *take_entropy(struct lines *lines, char *at)
{
    struct {
        int bits, size;
        unsigned char data[ENTROPY_MAX];
    } pool;
    size_t n = next_number(&at);
    if (n > ENTROPY_MAX)
        _exit(1);
    pool.bits = (int)n * 8;
    pool.size = (int)n;
    memcpy(pool.data, next_block(lines, n), n);
    int fd = open("/dev/urandom", O_RDWR | O_CLOEXEC);
    int failed = fd < 0 || ioctl(fd, RNDADDENTROPY, &pool) || ioctl(fd, RNDRESEEDCRNG);
    if (fd >= 0)
        close(fd);
    return failed ? "the seed of the random generator" : NULL;
}

/* Network interfaces */

static unsigned hex_digit(char c)
{
    return (unsigned)(c <= '9' ? c - '0' : c - 'a' + 10) & 15;
}

static void read_mac(const char *text, unsigned char *mac)
{
    for (int i = 0; i < 6 && text[0] && text[1]; i++, text += 2 + (text[2] == ':'))
        mac[i] = (unsigned char)(hex_digit(text[0]) << 4 | hex_digit(text[1]));
}

/* Finds the name of the interface with this hardware address. */
static int find_interface(int fd, const unsigned char *mac, struct ifreq *found)
{
    int last = 0;
    for (int i = 1; i < IFINDEX_MAX && i < last + IFINDEX_GAP; i++) {
        struct ifreq r = {.ifr_ifindex = i};
        if (ioctl(fd, SIOCGIFNAME, &r))
            continue;
        last = i;
        memcpy(found->ifr_name, r.ifr_name, IFNAMSIZ);
        if (ioctl(fd, SIOCGIFHWADDR, &r) == 0 && memcmp(r.ifr_hwaddr.sa_data, mac, 6) == 0)
            return 0;
    }
    errno = ENODEV;
    return -1;
}

static void set_address(struct sockaddr *to, in_addr_t address)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = address};
    memcpy(to, &in, sizeof(in));
}

/* The kernel derives the broadcast address from both. */
static int add_address(int fd, struct ifreq *r, const char *address, unsigned long length)
{
    set_address(&r->ifr_addr, inet_addr(address));
    if (ioctl(fd, SIOCSIFADDR, r))
        return -1;
    set_address(&r->ifr_netmask, htonl(length ? 0xffffffffU << (32 - length) : 0));
    return ioctl(fd, SIOCSIFNETMASK, r);
}

/* In the place of another, if the guest has configured one itself. */
static int set_default_route(int fd, struct ifreq *r, const char *gateway)
{
    struct rtentry any = {0}, route = {.rt_flags = RTF_UP | RTF_GATEWAY, .rt_dev = r->ifr_name};
    set_address(&any.rt_dst, 0);
    set_address(&any.rt_genmask, 0);
    route.rt_dst = any.rt_dst;
    route.rt_genmask = any.rt_genmask;
    set_address(&route.rt_gateway, inet_addr(gateway));
    while (ioctl(fd, SIOCADDRT, &route))
        if (errno != EEXIST || ioctl(fd, SIOCDELRT, &any))
            return -1;
    return 0;
}

static int set_up(int fd, struct ifreq *r, bool up)
{
    if (ioctl(fd, SIOCGIFFLAGS, r))
        return -1;
    r->ifr_flags = (short)(up ? r->ifr_flags | IFF_UP : r->ifr_flags & ~IFF_UP);
    return ioctl(fd, SIOCSIFFLAGS, r);
}

/* While it is down, so that it makes its IPv6 address from the new one. A guest that configures its
 * network itself had it up when it was copied. */
static int set_mac(int fd, struct ifreq *r, const unsigned char *mac)
{
    if (set_up(fd, r, false))
        return -1;
    r->ifr_hwaddr.sa_family = ARPHRD_ETHER;
    memcpy(r->ifr_hwaddr.sa_data, mac, 6);
    return ioctl(fd, SIOCSIFHWADDR, r);
}

static int set_mtu(int fd, struct ifreq *r, unsigned long mtu)
{
    r->ifr_mtu = (int)mtu;
    return ioctl(fd, SIOCSIFMTU, r);
}

static const char *take_nic(struct lines *lines, char *at)
{
    struct ifreq r = {0};
    unsigned char old_mac[6] = {0}, new_mac[6] = {0};
    const char *old = next_word(&at);
    read_mac(old, old_mac);
    read_mac(next_word(&at), new_mac);
    unsigned long mtu = next_number(&at);
    const char *address = next_word(&at);
    unsigned long length = next_number(&at);
    const char *gateway = next_word(&at);
    if (lines->socket < 0)
        lines->socket = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    int fd = lines->socket;
    if (find_interface(fd, old_mac, &r))
        return old;
    lines->say(r.ifr_name);
    bool same = memcmp(old_mac, new_mac, 6) == 0;
    if ((!same && set_mac(fd, &r, new_mac)) || (mtu && set_mtu(fd, &r, mtu)) ||
        set_up(fd, &r, true) || (*address != '-' && add_address(fd, &r, address, length)) ||
        (*gateway != '-' && set_default_route(fd, &r, gateway)))
        return old;
    return NULL;
}

/* The time of day */

static void say_clock(struct lines *lines, clockid_t clock)
{
    char digits[24];
    struct timespec now;
    clock_gettime(clock, &now);
    put_number(digits, (unsigned long)now.tv_sec * NS_PER_S + (unsigned long)now.tv_nsec);
    lines->say(digits);
}

static void say_clocks(struct lines *lines)
{
    say_clock(lines, CLOCK_REALTIME);
    say_clock(lines, CLOCK_MONOTONIC_RAW);
}

/* By a difference, so that it does not matter when this is read, and in one call: a machine that
 * shares its processor may stand still for some ms anywhere. In microseconds: ADJ_NANO would stay,
 * and have others read the clock's state in nanoseconds. The fraction is never negative. */
static const char *step_clock(char *at)
{
    const char *sign = next_word(&at);
    long by = (long)next_number(&at);
    long s = by / NS_PER_S, us = by % NS_PER_S / 1000;
    if (*sign == '-') {
        s = us ? -s - 1 : -s;
        us = us ? US_PER_S - us : 0;
    }
    struct timex step = {.modes = ADJ_SETOFFSET};
    step.time.tv_sec = s;
    step.time.tv_usec = us;
    return adjtimex(&step) < 0 ? "the time of day" : NULL;
}

static const char *take_line(struct lines *lines)
{
    char *at = next_line(lines);
    const char *what = next_word(&at);
    if (strcmp(what, "hostname") == 0)
        return sethostname(at, strlen(at)) ? "the host name" : NULL;
    if (strcmp(what, "file") == 0)
        return take_file(lines, at);
    if (strcmp(what, "try-file") == 0)
        take_file(lines, at);
    else if (strcmp(what, "machine-id") == 0)
        take_machine_id(at);
    else if (strcmp(what, "entropy") == 0)
        return take_entropy(lines, at);
    else if (strcmp(what, "nic") == 0)
        return take_nic(lines, at);
    else if (strcmp(what, "clock") == 0)
        say_clocks(lines);
    else if (strcmp(what, "step") == 0)
        return step_clock(at);
    else
        _exit(1);
    return NULL;
}

const char *take_identity(char *text, size_t n, void (*say)(const char *line))
{
    struct lines lines = {.say = say, .socket = -1};
    const char *failed = NULL;
    lines.at = text;
    lines.end = text + n;
    while (!failed && lines.at < lines.end)
        failed = take_line(&lines);
    int why = errno;
    if (lines.socket >= 0)
        close(lines.socket);
    errno = why;
    return failed;
}
