/* SPDX-License-Identifier: MIT */
/* The user's cache folder: what can be made again. $XDG_CACHE_HOME/qemunet, else ~/.cache/qemunet.
 */
#ifndef QN_VMCTL_CACHE_H
#define QN_VMCTL_CACHE_H

#include <stddef.h>
#include <stdint.h>

/** Make the folder if need be. Return: its malloc'ed path, or NULL with errno set. */
char *cache_folder(void);

/** Make the folder @path, for this user only, and those above it, which others may read. @path is
 * changed meanwhile. Return: 0, or -1 with errno set. */
int cache_make_folders(char *path);

/** Return: the malloc'ed path FOLDER/NAME, or NULL with errno set. */
char *cache_path(const char *folder, const char *name);

/** Return: the malloc'ed path of what has this name in the cache folder, which is made if need be,
 * or NULL with errno set. */
char *cache_entry(const char *name);

/** Take the exclusive lock NAME.lock in the cache folder, waiting for another holder; it is
 * released when the descriptor is closed or the process dies.
 * @interrupted  asked while waiting; may be NULL
 * Return: a descriptor, or negative errno (-EINTR: interrupted). */
int cache_lock(const char *name, int (*interrupted)(void));

/** Take the lock if it is free. Return: a descriptor for cache_unlock(), -EWOULDBLOCK when another
 * holds it, or another negative errno. */
int cache_try_lock(const char *name);

/** Release a lock, and remove its file. */
void cache_unlock(const char *name, int fd);

/** Remove the file or the folder at @path with all that is in it, as far as that can be done. */
void cache_remove(const char *path);

/* FNV-1a, 64 bit: http://www.isthe.com/chongo/tech/comp/fnv/ */
#define CACHE_HASH_START 0xcbf29ce484222325U

/** Return: @hash gone on with @n bytes. Keys a cache entry by its inputs; not a defence. */
uint64_t cache_hash(uint64_t hash, const void *data, size_t n);

#endif
