/* SPDX-License-Identifier: MIT */
/* Warm templates: a machine that was booted once, stopped and saved in the cache, from which others
 * like it go on. Each is a folder template-KEY of
 *
 * - memory  the guest's memory, which a clone maps privately: what it does not write, all share
 * - state   what QEMU's migration says of the devices, without the memory (x-ignore-shared)
 * - disk    where there is one: an overlay with what the guest wrote before it was saved
 * - about   text: a digest of each, and what the saver noted
 *
 * A folder with that name is whole: it is made beside it and renamed. It is never changed, but can
 * go at any time, when the cache has to become smaller: who uses one has its files open. */
#ifndef QN_VMCTL_TEMPLATE_H
#define QN_VMCTL_TEMPLATE_H

#include "vmctl/qemu.h"

#define TEMPLATE_KEY_LEN 32
/* The first words of "about". Another number whenever what is saved, or how, changes. */
#define TEMPLATE_FORMAT "qemunet template 1"

struct template_files {
    int memory, state, disk; /* descriptors; -1: none */
};

/** The key of what @config boots: everything on QEMU's command line but names, descriptors and
 * hardware addresses; which QEMU it is; the identity of the files that it reads (device, inode,
 * size, times). @more: whatever else makes a difference.
 * Return: 0, -ENOENT where a file is missing, or another negative errno. */
int template_key(char key[TEMPLATE_KEY_LEN + 1], const struct qemu_config *config,
                 const char *more);

struct template;

/** Open the template of this key. It is to be used only after template_check() has found it good.
 * Return: 0, -ENOENT when there is none, -EBADMSG when what was there was not whole, and is
 * removed, or another negative errno. */
int template_open(struct template **out, const char *key);

/** Compare with the digests, about @bytes further. Return: 1 good, 0 not at the end yet, -EBADMSG
 * when it is damaged, or another negative errno. */
int template_check(struct template *t, uint64_t bytes);

/** Return: whether its files are as they were when it was opened. */
bool template_is_unchanged(const struct template *t);

/** The descriptors stay the template's. */
struct template_files template_files(const struct template *t);
/** Return: what the saver noted, @n bytes; the template's. */
const char *template_note(const struct template *t, size_t *n);

/** Remove it from the cache, and free. */
void template_discard(struct template *t);
void template_close(struct template *t);

struct template_draft;

/** Begin to make one, if nobody else does. @disk: a disk image for whose changes it gets an
 * overlay, or NULL, and its format.
 * @why  on failure a message to free, or NULL
 * Return: 0, -EWOULDBLOCK when another process makes it, -ENOSPC when the disk has not room for all
 * of the memory, or another negative errno. */
int template_begin(struct template_draft **out, const char *key, uint64_t memory, const char *disk,
                   const char *disk_format, char **why);

/** The descriptors stay the draft's. */
struct template_files template_draft_files(const struct template_draft *draft);

/** Compute the digests, about @bytes further. Return: 1 done, 0 not yet, or negative errno. */
int template_digest(struct template_draft *draft, uint64_t bytes);

/** Put it into the cache, once its digests are done, and free.
 * @out  gets the template, which is good: open before others, who may evict it, can see it
 * Return: 0 or negative errno. */
int template_commit(struct template_draft *draft, const char *note, size_t n,
                    struct template **out);

/** Give it up, and free. */
void template_abort(struct template_draft *draft);

/** Remove the template in this folder, for others all at once. */
void template_remove(const char *folder);

/** Remove what is left of makers that were killed, and the templates that were used least recently
 * until all take at most @limit bytes on disk.
 * Return: 0 or negative errno. */
int template_evict(uint64_t limit);

/** Call @fn for each template in the cache, with its bytes on disk and the time of its last use;
 * remove those for which it returns true. Return: 0 or negative errno. */
int template_each(bool (*fn)(void *arg, const char *path, uint64_t bytes, int64_t used), void *arg);

#endif
