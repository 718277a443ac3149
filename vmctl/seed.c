/* SPDX-License-Identifier: MIT */
#include "vmctl/seed.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static int add_file(struct archive *volume, const struct seed_file *file)
{
    struct archive_entry *entry = archive_entry_new();
    if (!entry)
        return -ENOMEM;
    archive_entry_set_pathname(entry, file->name);
    archive_entry_set_filetype(entry, AE_IFREG);
    archive_entry_set_perm(entry, 0444);
    archive_entry_set_size(entry, (la_int64_t)file->size);
    int failed = archive_write_header(volume, entry);
    archive_entry_free(entry);
    if (failed || archive_write_data(volume, file->data, file->size) != (la_ssize_t)file->size)
        return -EIO;
    return 0;
}

static int write_volume(struct archive *volume, int fd, const struct seed_file *files, size_t n)
{
    int err = archive_write_set_format_iso9660(volume) ||
                      archive_write_set_format_option(volume, "iso9660", "volume-id", SEED_LABEL) ||
                      archive_write_open_fd(volume, fd)
                  ? -EIO
                  : 0;
    for (size_t i = 0; i < n && !err; i++)
        err = add_file(volume, &files[i]);
    return err || archive_write_close(volume) ? -EIO : 0;
}

static int reopen_for_reading(int fd)
{
    char path[40];
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    int again = open(path, O_RDONLY | O_CLOEXEC);
    return again < 0 ? -errno : again;
}

int seed_make(const struct seed_file *files, size_t n)
{
    int fd = memfd_create("qemunet-seed", MFD_CLOEXEC);
    if (fd < 0)
        return -errno;
    struct archive *volume = archive_write_new();
    int err = volume ? write_volume(volume, fd, files, n) : -ENOMEM;
    archive_write_free(volume);
    int readable = err ? err : reopen_for_reading(fd);
    close(fd);
    return readable;
}
