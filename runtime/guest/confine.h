/* SPDX-License-Identifier: MIT */
/* What keeps the commands of a container off the machine that it is on. */
#ifndef QN_RUNTIME_GUEST_CONFINE_H
#define QN_RUNTIME_GUEST_CONFINE_H

/** Of the calling process's mount namespace, which it has to itself: make all files read-only, put
 * file systems in memory over what programs usually write, and leave of the devices those that
 * every program has. To be called before /proc and /sys are the container's.
 * Return: NULL, or with errno set what could not be done. */
const char *confine_files(void);

/** Make read-only what in the container's /proc and /sys is the whole machine's.
 * Return: as above. */
const char *confine_kernel(void);

/** Enter the user namespace that owns the network namespace which the process is in, so that root
 * here has no rights outside, and cannot undo the above. Return: as above. */
const char *confine_rights(void);

#endif
