/* SPDX-License-Identifier: MIT */
#include "tests/unit/check.h"
#include "vmctl/seed.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The primary volume descriptor is in sector 16; its label has 32 characters (ECMA-119, 8.4). */
static void its_label(void)
{
    char label[33] = "";
    int fd = seed_make(&(struct seed_file){"meta-data", "x\n", 2}, 1);
    CHECK(fd > 0);
    CHECK_INT(pread(fd, label, 32, 16L * 2048 + 40), 32);
    CHECK(strncmp(label, SEED_LABEL "  ", strlen(SEED_LABEL) + 2) == 0);
    close(fd);
}

static void its_files(void)
{
    enum { LARGE = 100000 };
    char *large = malloc(LARGE), *back = malloc(LARGE + 1);
    memset(large, 'y', LARGE);
    const struct seed_file files[] = {
        {"user-data", "", 0}, {"meta-data", "a\0b", 3}, {"vendor-data", large, LARGE}};
    int fd = seed_make(files, 3), found = 0;
    struct archive *volume = archive_read_new();
    struct archive_entry *entry;
    CHECK_INT(archive_read_support_format_iso9660(volume), ARCHIVE_OK);
    CHECK_INT(archive_read_open_fd(volume, fd, 2048), ARCHIVE_OK);
    while (archive_read_next_header(volume, &entry) == ARCHIVE_OK) {
        for (int i = 0; i < 3; i++) {
            if (strcmp(archive_entry_pathname(entry), files[i].name) != 0)
                continue;
            found++;
            CHECK_INT(archive_read_data(volume, back, LARGE + 1), files[i].size);
            CHECK(memcmp(back, files[i].data, files[i].size) == 0);
        }
    }
    CHECK_INT(found, 3);
    archive_read_free(volume);
    close(fd);
    free(large);
    free(back);
}

static void for_reading_alone(void)
{
    int fd = seed_make(&(struct seed_file){"meta-data", "x\n", 2}, 1);
    CHECK_INT(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDONLY);
    CHECK(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    close(fd);
}

static const struct check_test tests[] = {
    {"a seed volume has the label that cloud-init looks for", its_label},
    {"its files are as they were given", its_files},
    {"it is for reading alone, and not for every child", for_reading_alone},
};

CHECK_MAIN(tests)
