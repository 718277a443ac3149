/* SPDX-License-Identifier: MIT */
/* The processor architectures that guests can have, and the machine that QEMU is for each. */
#ifndef QN_VMCTL_ARCH_H
#define QN_VMCTL_ARCH_H

#include <stdbool.h>

struct arch {
    const char *name;              /* as uname -m says */
    const char *dpkg;              /* as dpkg says */
    const char *program, *package; /* QEMU's, and the Debian package that holds it */
    const char *machine;           /* the value of -machine, without the accelerator */
    const char *cpu;               /* the processor that TCG is */
    /* 0: the machine's own bus takes interfaces while it runs. Else each interface is in a port of
     * its own, nicN in plugN, and there are so many ports beyond those of the interfaces that the
     * machine starts with. */
    unsigned spare_ports;
    /* Whether a machine that goes on from a saved state may do without -kernel: what it makes of it
     * is no part of the state, and QEMU would hold the kernel's 14 MB once more. */
    bool kernel_only_boots;
    bool has_generation_id; /* QEMU's device vmgenid */
};

/** Return: the architecture of this name, or NULL. */
const struct arch *arch_find(const char *name);

/** Return: the one that is meant where none is named: x86_64. */
const struct arch *arch_default(void);

/** Whether this machine's processors can run it, so that KVM could. */
bool arch_is_native(const struct arch *arch);

#endif
