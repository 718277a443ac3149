/* SPDX-License-Identifier: MIT */
/* The socket at which a run can be asked, by other processes of the same user: a file named by the
 * run's process in a folder that is the user's alone. */
#ifndef QN_RUNTIME_CONTROL_H
#define QN_RUNTIME_CONTROL_H

#include <uv.h>

struct control;

/** Return: the path of the folder of all sockets of this user, to be freed: qemunet in
 * $XDG_RUNTIME_DIR, or else /tmp/qemunet-UID. It need not exist. NULL: no memory. To be called
 * before this process enters a user namespace, where it has another number. */
char *control_folder(void);

/** Return: 0 if @folder is nobody's but ours; -ENOENT if there is none; or negative errno, -EPERM
 * if others can write there. */
int control_check(const char *folder);

/** Make this process's socket in @folder and call @connected, which takes the descriptor, for each
 * process of this user that connects. Return: 0 or negative errno. At most one is open. */
int control_open(struct control **out, uv_loop_t *loop, const char *folder,
                 void (*connected)(void *arg, int fd), void *arg);

/** Take the socket away. NULL is allowed. */
void control_close(struct control *control);

/** Remove the file if the socket is still there; for signal handlers. */
void control_remove(void);

/** Return: a descriptor connected to the socket at @path, whose other end is this user's; or
 * negative errno, -ECONNREFUSED if the process that made it is gone. */
int control_connect(const char *path);

#endif
