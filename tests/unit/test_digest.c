/* SPDX-License-Identifier: MIT */
#include "tests/unit/scratch.h"
#include "vmctl/digest.h"

#include <errno.h>
#include <stdbool.h>

#define BLOCK 65536

static struct scratch scratch;
static char text[DIGEST_LEN + 1];

/* Return: an empty file that has no name. */
static int new_file(void)
{
    int fd = open(scratch.path, O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
    CHECK(fd >= 0);
    return fd;
}

static void put(int fd, const char *data, off_t at)
{
    CHECK_INT(pwrite(fd, data, strlen(data), at), strlen(data));
}

/* Return: 1, or negative errno. */
static int finish(struct digest *digest)
{
    int done;
    while ((done = digest_step(digest, BLOCK)) == 0)
        ;
    return done;
}

/* Return: the digest, which is good until the next. */
static const char *digest_of(int fd)
{
    struct digest *digest = NULL;
    CHECK_INT(digest_new(&digest, fd), 0);
    CHECK_INT(finish(digest), 1);
    digest_text(digest, text);
    digest_free(digest);
    return text;
}

static void keep(char digest[DIGEST_LEN + 1], int fd)
{
    memcpy(digest, digest_of(fd), DIGEST_LEN + 1);
}

static bool changes(int fd, const char *before)
{
    return strcmp(digest_of(fd), before) != 0;
}

static void what_it_depends_on(void)
{
    char first[DIGEST_LEN + 1];
    scratch_open(&scratch);
    int fd = new_file();
    CHECK_INT(strlen(digest_of(fd)), DIGEST_LEN);
    put(fd, "some text", 3L * BLOCK + 7);
    keep(first, fd);
    CHECK_STR(digest_of(fd), first);
    put(fd, "t", 3L * BLOCK + 7); /* a bit of one byte less, so to speak */
    CHECK(changes(fd, first));
    put(fd, "s", 3L * BLOCK + 7);
    CHECK_STR(digest_of(fd), first);
    CHECK_INT(ftruncate(fd, 3L * BLOCK + 17), 0); /* one zero more */
    CHECK(changes(fd, first));
    CHECK_INT(ftruncate(fd, 3L * BLOCK + 15), 0);
    CHECK(changes(fd, first));
    close(fd);
    scratch_close(&scratch);
}

static void data_elsewhere(void)
{
    char first[DIGEST_LEN + 1];
    scratch_open(&scratch);
    int one = new_file(), other = new_file();
    CHECK_INT(ftruncate(one, 10L * BLOCK) | ftruncate(other, 10L * BLOCK), 0);
    put(one, "x", 2L * BLOCK);
    put(other, "x", 3L * BLOCK);
    keep(first, one);
    CHECK(changes(other, first));
    close(one);
    close(other);
    scratch_close(&scratch);
}

static void holes_are_zeros(void)
{
    static const char zeros[3 * BLOCK];
    char first[DIGEST_LEN + 1];
    scratch_open(&scratch);
    int sparse = new_file(), full = new_file();
    for (int i = 0; i < 5; i++)
        CHECK_INT(pwrite(full, zeros, sizeof(zeros), (off_t)i * (off_t)sizeof(zeros)),
                  sizeof(zeros));
    CHECK_INT(ftruncate(sparse, 15L * BLOCK), 0);
    keep(first, sparse);
    CHECK_STR(digest_of(full), first);
    put(sparse, "in the middle of a hole", 7L * BLOCK + 100);
    put(full, "in the middle of a hole", 7L * BLOCK + 100);
    CHECK(changes(sparse, first));
    keep(first, sparse);
    CHECK_STR(digest_of(full), first);
    close(sparse);
    close(full);
    scratch_close(&scratch);
}

static void in_steps(void)
{
    struct digest *digest = NULL;
    char first[DIGEST_LEN + 1];
    int steps = 0, done;
    scratch_open(&scratch);
    int fd = new_file();
    for (int i = 0; i < 8; i++)
        put(fd, "data", (off_t)i * BLOCK);
    keep(first, fd);
    CHECK_INT(digest_new(&digest, fd), 0);
    for (; (done = digest_step(digest, 1)) == 0; steps++)
        ;
    CHECK_INT(done, 1);
    CHECK_INT(steps, 8);
    CHECK_INT(digest_step(digest, 1), 1); /* and stays at the end */
    digest_text(digest, text);
    CHECK_STR(text, first);
    digest_free(digest);
    close(fd);
    scratch_close(&scratch);
}

/* It is as large as when the digest was begun, or another. */
static void a_file_that_shrinks(void)
{
    struct digest *digest = NULL;
    char first[DIGEST_LEN + 1];
    scratch_open(&scratch);
    int fd = new_file();
    put(fd, "data", 0);
    put(fd, "data", 5L * BLOCK);
    keep(first, fd);
    CHECK_INT(digest_new(&digest, fd), 0);
    CHECK_INT(digest_step(digest, 1), 0);
    CHECK_INT(ftruncate(fd, 10), 0);
    CHECK_INT(finish(digest), 1);
    digest_text(digest, text);
    CHECK(strcmp(text, first) != 0);
    digest_free(digest);
    close(fd);
    scratch_close(&scratch);
}

static void what_cannot_be_read(void)
{
    struct digest *digest = NULL;
    CHECK_INT(digest_new(&digest, -1), -EBADF);
    scratch_open(&scratch);
    int fd = open("there", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    put(fd, "data", 0);
    CHECK_INT(digest_new(&digest, fd), 0);
    CHECK_INT(finish(digest), -EBADF);
    digest_free(digest);
    digest_free(NULL);
    close(fd);
    scratch_close(&scratch);
}

static const struct check_test tests[] = {
    {"each byte and the size matter", what_it_depends_on},
    {"so does the place of data among holes", data_elsewhere},
    {"a hole is the same as zeros", holes_are_zeros},
    {"in steps it is the same", in_steps},
    {"a file that shrinks meanwhile has another", a_file_that_shrinks},
    {"what cannot be read is said", what_cannot_be_read},
};

CHECK_MAIN(tests)
