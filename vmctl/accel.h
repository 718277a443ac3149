/* SPDX-License-Identifier: MIT */
/* Whether KVM works here. That /dev/kvm opens proves nothing: on some hosts guests then hang. So a
 * small guest is booted under it once, and the verdict is kept for this host boot and QEMU version.
 */
#ifndef QN_VMCTL_ACCEL_H
#define QN_VMCTL_ACCEL_H

#include "vmctl/image.h"

#include <stdbool.h>

#define ACCEL_PROBE_MS 3000

struct accel {
    bool kvm;
    bool probed;   /* this call booted a guest to find out */
    char why[160]; /* why not KVM; empty with kvm */
};

/** Find out, from the cache or by a probe that takes at most ACCEL_PROBE_MS.
 * @device        normally "/dev/kvm"
 * @qemu_version  as from qemu_version()
 * Return: 0, or -EINTR. Everything else that goes wrong is a reason for TCG. */
int accel_probe(struct accel *accel, const char *device, int qemu_version,
                const struct image *image, int (*interrupted)(void));

#endif
