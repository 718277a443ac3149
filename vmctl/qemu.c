/* SPDX-License-Identifier: MIT */
#include "vmctl/qemu.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Room for the ports that are added while the machine runs; each takes half a MiB of guest memory
 * only once it exists. */
#define QEMU_MAX_PORTS 256

static int grow(void **items, size_t *room, size_t n, size_t size)
{
    if (n < *room)
        return 0;
    size_t want = n * 2 + 16;
    void *more = realloc(*items, want * size);
    if (!more)
        return -ENOMEM;
    *items = more;
    *room = want;
    return 0;
}

static int add_string(struct qemu_args *args, char *text)
{
    if (!text || grow((void **)&args->argv, &args->room, args->n + 1, sizeof(*args->argv))) {
        free(text);
        return -ENOMEM;
    }
    args->argv[args->n++] = text;
    args->argv[args->n] = NULL;
    return 0;
}

/* A comma inside a value of QEMU's option syntax is written twice. */
static char *escape_commas(const char *text)
{
    char *out = malloc(strlen(text) * 2 + 1), *to = out;
    while (out && *text) {
        if (*text == ',')
            *to++ = ',';
        *to++ = *text++;
    }
    if (out)
        *to = '\0';
    return out;
}

__attribute__((format(printf, 2, 3))) static int add(struct qemu_args *args, const char *format,
                                                     ...)
{
    char *text = NULL;
    va_list ap;
    va_start(ap, format);
    int n = vasprintf(&text, format, ap);
    va_end(ap);
    return add_string(args, n < 0 ? NULL : text);
}

static int add_words(struct qemu_args *args, const char *const *words)
{
    int err = 0;
    for (; words && *words && !err; words++)
        err = add_string(args, strdup(*words));
    return err;
}

static int add_fd(struct qemu_args *args, int fd)
{
    if (grow((void **)&args->fds, &args->fds_room, args->n_fds, sizeof(*args->fds)))
        return -ENOMEM;
    args->fds[args->n_fds++] = fd;
    return 0;
}

static int add_socket(struct qemu_args *args, const char *id, int fd)
{
    return add_fd(args, fd) || add(args, "-chardev") || add(args, "socket,id=%s,fd=%d", id, fd);
}

static int add_machine(struct qemu_args *args, const struct qemu_config *c)
{
    /* Nothing is there that is not asked for: each default device costs boot time. HPET off: its
     * emulation wakes QEMU for ticks that the guest does not need. */
    const char *const fixed[] = {"-nodefaults", "-no-user-config", "-display",
                                 "none",        "-no-reboot",      NULL};
    /* TCG copies a byte at a time where the guest trusts in fast "rep movsb", and eight otherwise:
     * a cold boot takes 2.19 s of processor time instead of 2.35 s (medians of 12, on a busy
     * machine; the time to start a program differed by less than its spread). */
    const char *cpu = c->kvm ? "host" : "max,-erms,-fsrm";
    char *name = escape_commas(c->name);
    int err = add(args, QEMU_PROGRAM) || add(args, "-name") ||
              add(args, "%s,debug-threads=on", name ? name : "vm") || add_words(args, fixed) ||
              add(args, "-machine") ||
              add(args, "pc,accel=%s,usb=off,vmport=off,hpet=off", c->kvm ? "kvm" : "tcg") ||
              add(args, "-cpu") || add(args, "%s", cpu) || add(args, "-m") ||
              add(args, "%" PRIu64 "k", c->memory / 1024) || add(args, "-smp") ||
              add(args, "%u", c->cpus);
    free(name);
    return err;
}

static int add_kernel(struct qemu_args *args, const struct qemu_config *c)
{
    if (!c->kernel)
        return 0;
    return add(args, "-kernel") || add(args, "%s", c->kernel) ||
           (c->initrd && (add(args, "-initrd") || add(args, "%s", c->initrd))) ||
           (c->append && (add(args, "-append") || add(args, "%s", c->append)));
}

/* "file:": a path with a colon is no protocol's address. */
static int add_disk(struct qemu_args *args, const struct qemu_config *c)
{
    if (!c->disk)
        return 0;
    char *path = escape_commas(c->disk);
    int err = !path || add(args, "-drive") ||
              add(args, "file=file:%s,format=%s,if=virtio,snapshot=%s", path, c->disk_format,
                  c->disk_writable ? "off" : "on");
    free(path);
    return err;
}

/* After the disk, which is the first for the guest whatever else there is. */
static int add_root(struct qemu_args *args, const struct qemu_config *c)
{
    if (!c->root)
        return 0;
    char *path = escape_commas(c->root);
    int err = !path || add(args, "-drive") ||
              add(args, "file=file:%s,format=raw,if=none,id=root,readonly=on", path) ||
              add(args, "-device") || add(args, "virtio-blk-pci,drive=root,serial=qn.root");
    free(path);
    return err;
}

static int add_control(struct qemu_args *args, const struct qemu_config *c)
{
    return add_socket(args, "qmp", c->monitor_fd) || add(args, "-mon") ||
           add(args, "chardev=qmp,mode=control") || add_socket(args, "console", c->console_fd) ||
           add(args, "-serial") || add(args, "chardev:console") || add(args, "-device") ||
           add(args, "pvpanic-pci") || add(args, "-device") || add(args, "virtio-rng-pci") ||
           add(args, "-device") ||
           add(args, "virtio-serial-pci,id=qnserial,max_ports=%d", QEMU_MAX_PORTS);
}

static int add_port(struct qemu_args *args, const struct qemu_port *port)
{
    return add_socket(args, port->name, port->fd) || add(args, "-device") ||
           add(args, "virtserialport,bus=qnserial.0,chardev=%s,id=d-%s,name=%s", port->name,
               port->name, port->name);
}

static int add_nic(struct qemu_args *args, const struct qemu_nic *nic)
{
    const uint8_t *m = nic->mac;
    return add_fd(args, nic->fd) || add(args, "-netdev") ||
           add(args, "dgram,id=net%u,local.type=fd,local.str=%d", nic->number, nic->fd) ||
           add(args, "-device") ||
           add(args,
               "virtio-net-pci,id=nic%u,netdev=net%u,romfile=,mac=%02x:%02x:%02x:%02x:%02x:%02x",
               nic->number, nic->number, m[0], m[1], m[2], m[3], m[4], m[5]);
}

int qemu_args_build(struct qemu_args *args, const struct qemu_config *c)
{
    *args = (struct qemu_args){0};
    int err = add_machine(args, c) || add_kernel(args, c) || add_disk(args, c) ||
              add_root(args, c) || add_control(args, c);
    for (size_t i = 0; i < c->n_ports && !err; i++)
        err = add_port(args, &c->ports[i]);
    for (size_t i = 0; i < c->n_nics && !err; i++)
        err = add_nic(args, &c->nics[i]);
    err = err || add_words(args, c->extra);
    return err ? -ENOMEM : 0;
}

void qemu_args_free(struct qemu_args *args)
{
    for (size_t i = 0; i < args->n; i++)
        free(args->argv[i]);
    free(args->argv);
    free(args->fds);
    *args = (struct qemu_args){0};
}

int qemu_version_parse(const char *line)
{
    const char *at = strstr(line, "version ");
    int major = 0, minor = 0, micro = 0;
    if (!at || sscanf(at, "version %d.%d.%d", &major, &minor, &micro) < 2)
        return -EPROTO;
    return major * 10000 + minor * 100 + micro;
}

int qemu_version(void)
{
    char line[256] = "";
    FILE *out = popen(QEMU_PROGRAM " --version 2>/dev/null", "re");
    if (!out)
        return -errno;
    char *got = fgets(line, sizeof(line), out);
    int status = pclose(out);
    if (!got)
        return status ? -ENOENT : -EPROTO;
    return qemu_version_parse(line);
}
