/* SPDX-License-Identifier: MIT */
/* The seed volume of a guest with cloud-init: a small ISO 9660 file system that holds what is to be
 * configured. It lives in memory, has no name, and goes with its last descriptor. */
#ifndef QN_VMCTL_SEED_H
#define QN_VMCTL_SEED_H

#include <stddef.h>

/* What cloud-init's data source NoCloud looks for. */
#define SEED_LABEL "CIDATA"

struct seed_file {
    const char *name; /* in the volume's top folder; without a slash */
    const char *data;
    size_t size;
};

/** Make a volume of these files. Return: a descriptor for reading, or negative errno. */
int seed_make(const struct seed_file *files, size_t n);

#endif
