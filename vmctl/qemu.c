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

/* What the translator keeps at most: by itself 1 GiB, which many machines do not have. A tiny guest
 * that has run a few programs has 13 MiB. */
#define TCG_CODE_MIB 128

/* In the PCI bus: behind the places that devices get by themselves. A slot has eight functions. */
#define PLUG_FIRST_SLOT 16

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

const struct arch *qemu_arch(const struct qemu_config *c)
{
    return c->arch ? c->arch : arch_default();
}

static int add_machine(struct qemu_args *args, const struct qemu_config *c)
{
    const struct arch *arch = qemu_arch(c);
    /* Nothing is there that is not asked for: each default device costs boot time. */
    const char *const fixed[] = {"-nodefaults", "-no-user-config", "-display",
                                 "none",        "-no-reboot",      NULL};
    char *name = escape_commas(c->name);
    int err = add(args, "%s", arch->program) || add(args, "-name") ||
              add(args, "%s,debug-threads=on", name ? name : "vm") || add_words(args, fixed) ||
              add(args, "-machine") ||
              add(args, "%s%s", arch->machine, c->memory_in_file ? ",memory-backend=ram" : "") ||
              add(args, "-accel") ||
              (c->kvm ? add(args, "kvm") : add(args, "tcg,tb-size=%d", TCG_CODE_MIB)) ||
              add(args, "-cpu") || add(args, "%s", c->kvm ? "host" : arch->cpu) ||
              add(args, "-m") || add(args, "%" PRIu64 "k", c->memory / 1024) || add(args, "-smp") ||
              add(args, "%u", c->cpus);
    free(name);
    return err;
}

/* Before the rest, which may be what a script adds. */
static int add_confinement(struct qemu_args *args, const struct qemu_config *c)
{
    if (!c->confined)
        return 0;
    return add(args, "-sandbox") ||
           add(args, "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny");
}

static int add_memory(struct qemu_args *args, const struct qemu_config *c)
{
    if (!c->memory_in_file)
        return 0;
    return add_fd(args, c->memory_fd) || add(args, "-object") ||
           add(args,
               "memory-backend-file,id=ram,size=%" PRIu64 "k,mem-path=/proc/self/fd/%d,share=%s",
               c->memory / 1024, c->memory_fd, c->memory_shared ? "on" : "off");
}

static int add_incoming(struct qemu_args *args, const struct qemu_config *c)
{
    return c->incoming ? add(args, "-incoming") || add(args, "defer") : 0;
}

/* What goes on from a state has its kernel in memory, and does not boot: -no-reboot. */
static int add_kernel(struct qemu_args *args, const struct qemu_config *c)
{
    if (!c->kernel || (c->incoming && qemu_arch(c)->kernel_only_boots))
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

/* Behind the disk, which a firmware boots from and a guest calls the first. */
static int add_seed(struct qemu_args *args, const struct qemu_config *c)
{
    if (c->seed_fd <= 0)
        return 0;
    return add_fd(args, c->seed_fd) || add(args, "-drive") ||
           add(args, "file=file:/proc/self/fd/%d,format=raw,if=virtio,read-only=on", c->seed_fd);
}

static int add_control(struct qemu_args *args, const struct qemu_config *c)
{
    return add_socket(args, "qmp", c->monitor_fd) || add(args, "-mon") ||
           add(args, "chardev=qmp,mode=control") || add_socket(args, "console", c->console_fd) ||
           add(args, "-serial") || add(args, "chardev:console") || add(args, "-device") ||
           add(args, "pvpanic-pci") || add(args, "-device") || add(args, "virtio-rng-pci") ||
           add(args, "-device") ||
           add(args, "virtio-serial-pci,id=qnserial,ioeventfd=off,max_ports=%d", QEMU_MAX_PORTS);
}

static int add_generation_id(struct qemu_args *args, const struct qemu_config *c)
{
    if (!c->generation_id || !qemu_arch(c)->has_generation_id)
        return 0;
    return add(args, "-device") || add(args, "vmgenid,guid=auto");
}

static int add_port(struct qemu_args *args, const struct qemu_port *port)
{
    return add_socket(args, port->name, port->fd) || add(args, "-device") ||
           add(args, "virtserialport,bus=qnserial.0,chardev=%s,id=d-%s,name=%s", port->name,
               port->name, port->name);
}

/* They need no place for old-style I/O, of which there is little. */
static int add_plug_port(struct qemu_args *args, unsigned i)
{
    return add(args, "-device") ||
           add(args, "pcie-root-port,id=plug%u,chassis=%u,addr=%x.%u,multifunction=on,io-reserve=0",
               i, i + 1, PLUG_FIRST_SLOT + i / 8, i % 8);
}

static int add_plug_ports(struct qemu_args *args, const struct qemu_config *c)
{
    unsigned spare = qemu_arch(c)->spare_ports, n = spare;
    int err = 0;
    for (size_t i = 0; i < c->n_nics && spare; i++) {
        unsigned at_least = c->nics[i].number + 1 + spare;
        n = n < at_least ? at_least : n;
    }
    for (unsigned i = 0; i < n && !err; i++)
        err = add_plug_port(args, i);
    return err;
}

/* guest_announce=off: a machine that goes on from a template is not to announce the addresses of
 * the saved one; and QEMU 7.2, told by announce-rounds=0 alone, crashes when such a device is
 * reset. */
static int add_nic(struct qemu_args *args, const struct qemu_nic *nic, bool in_port)
{
    const uint8_t *m = nic->mac;
    char place[24] = "";
    if (in_port)
        snprintf(place, sizeof(place), ",bus=plug%u", nic->number);
    return add_fd(args, nic->fd) || add(args, "-netdev") ||
           add(args, "dgram,id=net%u,local.type=fd,local.str=%d", nic->number, nic->fd) ||
           add(args, "-device") ||
           add(args,
               "virtio-net-pci,id=nic%u,netdev=net%u,romfile=,guest_announce=off,"
               "mac=%02x:%02x:%02x:%02x:%02x:%02x%s",
               nic->number, nic->number, m[0], m[1], m[2], m[3], m[4], m[5], place);
}

static int add_nics(struct qemu_args *args, const struct qemu_config *c)
{
    int err = add_plug_ports(args, c);
    for (size_t i = 0; i < c->n_nics && !err; i++)
        err = add_nic(args, &c->nics[i], qemu_arch(c)->spare_ports > 0);
    return err;
}

int qemu_args_build(struct qemu_args *args, const struct qemu_config *c)
{
    *args = (struct qemu_args){0};
    int err = add_machine(args, c) || add_confinement(args, c) || add_memory(args, c) ||
              add_incoming(args, c) || add_kernel(args, c) || add_disk(args, c) ||
              add_root(args, c) || add_seed(args, c) || add_control(args, c) ||
              add_generation_id(args, c);
    for (size_t i = 0; i < c->n_inherited && !err; i++)
        err = add_fd(args, c->inherited[i]);
    for (size_t i = 0; i < c->n_ports && !err; i++)
        err = add_port(args, &c->ports[i]);
    err = err || add_nics(args, c) || add_words(args, c->extra);
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

int qemu_version(const struct arch *arch)
{
    char line[256] = "", command[64];
    snprintf(command, sizeof(command), "%s --version 2>/dev/null", arch->program);
    FILE *out = popen(command, "re");
    if (!out)
        return -errno;
    char *got = fgets(line, sizeof(line), out);
    int status = pclose(out);
    if (!got)
        return status ? -ENOENT : -EPROTO;
    return qemu_version_parse(line);
}

char *qemu_missing(const struct arch *arch)
{
    char *text = NULL;
    if (asprintf(&text, "%s is not installed (or not on PATH): install the package %s",
                 arch->program, arch->package) < 0)
        return NULL;
    return text;
}
