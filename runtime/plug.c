/* SPDX-License-Identifier: MIT */
/* Hands a running machine descriptors, over the monitor's socket; and adds virtio-serial ports to
 * it: a descriptor becomes a character device, and that a port. */
#include "runtime/machine_private.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

/* A unit's two ports being added to the running machine. */
struct plug {
    struct machine *machine;
    unsigned number;
    int fds[2][2]; /* socket pairs: [which][0] ours, [1] QEMU's */
    unsigned replies_due;
    bool failed;
};

static void end_plug(struct plug *plug)
{
    struct machine *machine = plug->machine;
    for (int which = 0; which < 2; which++) {
        close(plug->fds[which][1]);
        if (plug->failed || !machine->channel)
            close(plug->fds[which][0]);
    }
    int fds[2] = {plug->fds[0][0], plug->fds[1][0]};
    if (machine->channel)
        channel_plugged(machine->channel, plug->number, plug->failed ? NULL : fds);
    free(plug);
}

static void on_plug_reply(void *arg, json_t *value, const char *error)
{
    struct plug *plug = arg;
    (void)value;
    plug->failed = plug->failed || error;
    if (--plug->replies_due == 0)
        end_plug(plug);
}

static void plug_command(struct plug *plug, const char *name, json_t *arguments)
{
    if (machine_qmp(plug->machine, name, arguments, on_plug_reply, plug))
        plug->failed = true;
    else
        plug->replies_due++;
}

int machine_pass_fd(struct machine *machine, const char *name, int fd)
{
    uint64_t id;
    char *line = qmp_command(&machine->qmp, "getfd", json_pack("{s:s}", "fdname", name), &id);
    int err = line ? stream_send_fd(machine->monitor, line, strlen(line), fd) : -ENOMEM;
    free(line);
    return err;
}

static void plug_port(struct plug *plug, int which)
{
    char name[24], device[32];
    snprintf(name, sizeof(name), "qn.%c%u", which ? 'e' : 'c', plug->number);
    snprintf(device, sizeof(device), "d-%s", name);
    if (machine_pass_fd(plug->machine, name, plug->fds[which][1]))
        plug->failed = true;
    plug_command(plug, "chardev-add",
                 json_pack("{s:s, s:{s:s, s:{s:{s:s, s:{s:s}}, s:b}}}", "id", name, "backend",
                           "type", "socket", "data", "addr", "type", "fd", "data", "str", name,
                           "server", 0));
    plug_command(plug, "device_add",
                 json_pack("{s:s, s:s, s:s, s:s, s:s}", "driver", "virtserialport", "bus",
                           "qnserial.0", "chardev", name, "id", device, "name", name));
}

int machine_plug_unit(void *arg, unsigned number)
{
    struct plug *plug = calloc(1, sizeof(*plug));
    if (!plug)
        return -ENOMEM;
    *plug = (struct plug){.machine = arg, .number = number, .fds = {{-1, -1}, {-1, -1}}};
    for (int which = 0; which < 2; which++) {
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, plug->fds[which]))
            plug->failed = true;
    }
    for (int which = 0; which < 2 && !plug->failed; which++)
        plug_port(plug, which);
    if (plug->replies_due)
        return 0;
    plug->failed = true;
    end_plug(plug);
    return -EIO;
}
