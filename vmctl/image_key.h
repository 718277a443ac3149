/* SPDX-License-Identifier: MIT */
/* What tells one image from another: a hash of all that it is built from. */
#ifndef QN_VMCTL_IMAGE_KEY_H
#define QN_VMCTL_IMAGE_KEY_H

#include "vmctl/embed.h"
#include "vmctl/image.h"

#include <stdint.h>

/** Whether an embedded file belongs to the recipe: one of its own, or one that all share. */
bool image_key_uses(const char *recipe, const struct embedded_file *file);

/** Hash the recipe's files, this machine's busybox and package sources, and what the spec names,
 * with the contents of the files and folders that are added.
 * @why  on failure a message to free, or NULL
 * Return: 0 or negative errno. */
int image_key(uint64_t *key, const struct image_spec *spec, char **why);

#endif
