/* SPDX-License-Identifier: MIT */
/* QEMU's command line for one virtual machine, and which QEMU there is. */
#ifndef QN_VMCTL_QEMU_H
#define QN_VMCTL_QEMU_H

#include "vmctl/arch.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct qemu_nic {
    unsigned number; /* its names in QEMU: device nicN, backend netN */
    int fd;          /* QEMU's end of a Unix datagram socket pair: a frame a datagram */
    uint8_t mac[6];
};

struct qemu_port {
    char name[24]; /* as the guest sees it in /sys/class/virtio-ports */
    int fd;        /* QEMU's end of a Unix stream socket pair */
};

struct qemu_config {
    const char *name;
    const struct arch *arch;              /* NULL: the default */
    const char *kernel, *initrd, *append; /* direct kernel boot; append may be NULL */
    /* A disk image, or NULL, and its format in QEMU's words. Written to only if disk_writable; else
     * what the guest writes goes to an unlinked file of QEMU's in TMPDIR. */
    const char *disk, *disk_format;
    const char *root; /* a raw image, only read, of the serial number "qn.root"; or NULL */
    bool disk_writable;
    int seed_fd;     /* a volume beside them that can only be read, see seed.h; 0: none */
    uint64_t memory; /* bytes */
    /* The file that holds the memory, if it is one, and whether what the guest writes goes there or
     * stays private to it. */
    bool memory_in_file, memory_shared;
    int memory_fd;
    /* A number that is another whenever the guest goes on from a state, which a kernel that knows
     * the device (Linux from 5.18) seeds its random generator with. Where the architecture has it.
     */
    bool generation_id;
    /* Do not boot, but wait for the monitor's migrate-incoming. */
    bool incoming;
    bool kvm;
    /* It is to start no programs and to gain no rights: QEMU's own filter of system calls. */
    bool confined;
    unsigned cpus;
    int monitor_fd, console_fd; /* QEMU's ends of stream socket pairs */
    const struct qemu_nic *nics;
    size_t n_nics;
    const struct qemu_port *ports;
    size_t n_ports;
    const int *inherited; /* descriptors that other values name as /proc/self/fd/N */
    size_t n_inherited;
    const char *const *extra; /* NULL-terminated further arguments, or NULL */
};

/** Return: its architecture, the default where it names none. */
const struct arch *qemu_arch(const struct qemu_config *config);

struct qemu_args {
    char **argv; /* NULL-terminated */
    size_t n, room;
    int *fds; /* the descriptors that the command line names */
    size_t n_fds, fds_room;
};

/** Build the command line. Every string is copied.
 * Return: 0 or -ENOMEM; free with qemu_args_free() either way. */
int qemu_args_build(struct qemu_args *args, const struct qemu_config *config);
void qemu_args_free(struct qemu_args *args);

/** Which QEMU there is for an architecture.
 * Return: the version as major * 10000 + minor * 100 + micro, or negative errno (-ENOENT: not
 * installed). */
int qemu_version(const struct arch *arch);

/** Return: in words, to free, that QEMU for this architecture is missing and which package holds
 * it. */
char *qemu_missing(const struct arch *arch);

/** Parse the first line of `qemu-system-... --version`. Return: as above, or -EPROTO. */
int qemu_version_parse(const char *line);

#endif
