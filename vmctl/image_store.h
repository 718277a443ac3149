/* SPDX-License-Identifier: MIT */
/* The built images in the cache: which there are, their names, their removal. */
#ifndef QN_VMCTL_IMAGE_STORE_H
#define QN_VMCTL_IMAGE_STORE_H

#include <stdint.h>
#include <time.h>

struct image_info {
    const char *folder;   /* its path */
    const char *recipe;   /* "tiny" or "debian" */
    const char *name;     /* what it was first built as; NULL: unknown */
    const char *packages; /* that were asked for, one a line; NULL: none */
    uint64_t size;        /* bytes on disk */
    time_t built, used;
};

/** Call @fn with each built image. Return: 0 or negative errno. */
int image_store_each(void (*fn)(void *arg, const struct image_info *info), void *arg);

/** Call @fn with each given name and the folder of its image. Return: 0 or negative errno. */
int image_store_names(void (*fn)(void *arg, const char *name, const char *folder), void *arg);

/** Give the image in this folder of the cache a name, which it takes from another that had it.
 * @name  has no "/" and is neither "." nor ".."
 * Return: 0 or negative errno. */
int image_store_name(const char *name, const char *folder);

/** Take the name away; the image stays. Return: 0 or negative errno. */
int image_store_unname(const char *name);

/** Remove an image, waiting for who builds it. Return: 0 or negative errno. */
int image_store_remove(const char *folder, int (*interrupted)(void));

#endif
