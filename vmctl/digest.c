/* SPDX-License-Identifier: MIT */
#include "vmctl/digest.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#define BLOCK ((size_t)64 << 10)

struct digest {
    int fd;
    off_t at, size;
    XXH3_state_t *state;
    char block[BLOCK];
};

int digest_new(struct digest **out, int fd)
{
    struct stat st;
    if (fstat(fd, &st))
        return -errno;
    struct digest *digest = malloc(sizeof(*digest));
    if (!digest)
        return -ENOMEM;
    *digest = (struct digest){.fd = fd, .size = st.st_size, .state = XXH3_createState()};
    if (!digest->state) {
        free(digest);
        return -ENOMEM;
    }
    XXH3_128bits_reset(digest->state);
    *out = digest;
    return 0;
}

void digest_free(struct digest *digest)
{
    if (!digest)
        return;
    XXH3_freeState(digest->state);
    free(digest);
}

static bool is_zero(const char *data, size_t n)
{
    return n == 0 || (*data == 0 && memcmp(data, data + 1, n - 1) == 0);
}

/* Return: bytes read, short at the end of the file only, or negative errno. */
static ssize_t read_block(struct digest *digest)
{
    size_t n = 0;
    while (n < BLOCK) {
        ssize_t got = pread(digest->fd, digest->block + n, BLOCK - n, digest->at + (off_t)n);
        if (got < 0 && errno != EINTR)
            return -errno;
        if (got == 0)
            break;
        n += got > 0 ? (size_t)got : 0;
    }
    return (ssize_t)n;
}

static void add_block(struct digest *digest, size_t n)
{
    uint64_t place = (uint64_t)digest->at;
    if (is_zero(digest->block, n))
        return;
    XXH3_128bits_update(digest->state, &place, sizeof(place));
    XXH3_128bits_update(digest->state, digest->block, n);
}

/* To the block in which there is data again, or the end: where the file system does not tell, the
 * next block is read. */
static void skip_hole(struct digest *digest)
{
    off_t data = lseek(digest->fd, digest->at, SEEK_DATA);
    if (data < 0 && errno == ENXIO)
        digest->at = digest->size;
    else if (data > digest->at)
        digest->at = data - data % (off_t)BLOCK;
}

int digest_step(struct digest *digest, uint64_t bytes)
{
    for (uint64_t done = 0; done < bytes; done += BLOCK) {
        skip_hole(digest);
        if (digest->at >= digest->size)
            return 1;
        ssize_t n = read_block(digest);
        if (n <= 0)
            return n < 0 ? (int)n : 1;
        add_block(digest, (size_t)n);
        digest->at += n;
    }
    return 0;
}

void digest_text(const struct digest *digest, char text[DIGEST_LEN + 1])
{
    XXH128_hash_t hash = XXH3_128bits_digest(digest->state);
    hash.low64 ^= (uint64_t)digest->size; /* which trailing zeros leave no other trace of */
    snprintf(text, DIGEST_LEN + 1, "%016" PRIx64 "%016" PRIx64, hash.high64, hash.low64);
}
