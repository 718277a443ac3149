/* SPDX-License-Identifier: MIT */
/* Guest images. "tiny" is the default: a distribution's kernel and a small initramfs, built on
 * first use into the cache folder and keyed by what it is built from. */
#ifndef QN_VMCTL_IMAGE_H
#define QN_VMCTL_IMAGE_H

#include "vmctl/arch.h"

#include <stdbool.h>

struct image {
    char *kernel, *initrd; /* paths; owned */
    char *version;         /* the kernel's */
};

/** Find the tiny image, building it if it is not there; two builders at once do no harm.
 * @building     called with a text for the person who waits when a build starts; may be NULL
 * @interrupted  asked from time to time; non-zero ends the build; may be NULL
 * @why          on failure a message to free, or NULL
 * Return: 0 or negative errno. */
int image_tiny(struct image *image, const struct arch *arch, void (*building)(const char *text),
               int (*interrupted)(void), char **why);
void image_free(struct image *image);

/** Call @fn with the path of each built image in the cache, and remove it after that if @remove.
 * Return: 0 or negative errno. */
int image_each(bool remove, void (*fn)(void *arg, const char *path), void *arg);

#endif
