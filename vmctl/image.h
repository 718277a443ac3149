/* SPDX-License-Identifier: MIT */
/* Guest images: a kernel and an initramfs, and for some a root file system that all machines share.
 * They are built on first use into the cache folder, by a recipe of vmctl/recipes, and keyed by
 * what they are built from. */
#ifndef QN_VMCTL_IMAGE_H
#define QN_VMCTL_IMAGE_H

#include <stdbool.h>
#include <stddef.h>

struct image {
    char *folder;          /* absolute, as all paths here; all are owned */
    char *kernel, *initrd; /* files */
    char *root;            /* a read-only file system image; NULL: the initramfs holds all */
    char *version;         /* the kernel's */
    bool system;           /* an init of its own starts its services */
};

/* What becomes part of an image: the file or folder @host of this machine as @guest. */
struct image_add {
    const char *guest, *host;
};

/* What an image is made of. */
struct image_spec {
    const char *recipe;   /* "tiny" or "debian"; the rest is for the latter */
    const char *name;     /* what people call it; not part of the key */
    const char *packages; /* one a line */
    const char *script; /* the text of what is run in it as root when it is built; NULL: nothing */
    const struct image_add *adds;
    size_t n_adds;
};

/** Find the image, building it if it is not there; two builders at once do no harm.
 * @building     called with a text for the person who waits when a build starts and as it goes on;
 *               may be NULL
 * @interrupted  asked from time to time; non-zero ends the build; may be NULL
 * @why          on failure a message to free, or NULL
 * Return: 0 or negative errno. */
int image_get(struct image *image, const struct image_spec *spec,
              void (*building)(const char *text), int (*interrupted)(void), char **why);

/** As image_get(), for the tiny image, which is the default. */
int image_tiny(struct image *image, void (*building)(const char *text), int (*interrupted)(void),
               char **why);

/** Open the built image in the folder. Return: 0 or negative errno (-ENOENT: there is none). */
int image_open(struct image *image, const char *folder);
void image_free(struct image *image);

#endif
