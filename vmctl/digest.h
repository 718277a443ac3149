/* SPDX-License-Identifier: MIT */
/* The digest of a large file with holes, in steps, so that whoever computes it can do other things
 * in between. A hole and a block of zeros are the same. Against accidents, not forgers: XXH3, 128
 * bit, which is as fast as memory is read (github.com/Cyan4973/xxHash). */
#ifndef QN_VMCTL_DIGEST_H
#define QN_VMCTL_DIGEST_H

#include <stdint.h>

#define DIGEST_LEN 32 /* hexadecimal digits */

struct digest;

/** @fd stays the caller's, and open until digest_free().
 * Return: 0 or negative errno. */
int digest_new(struct digest **out, int fd);

/** Read on, about @bytes of data. Return: 1 at the end of the file, 0 when there is more, or
 * negative errno. */
int digest_step(struct digest *digest, uint64_t bytes);

/** The digest of what was read, and of the file's size. */
void digest_text(const struct digest *digest, char text[DIGEST_LEN + 1]);

void digest_free(struct digest *digest);

#endif
