/* SPDX-License-Identifier: MIT */
#include "vmctl/accel.h"

#include "vmctl/cache.h"
#include "vmctl/child.h"
#include "vmctl/qemu.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* Kernel messages reach the console long before the shell does; the shell is what counts. */
#define PROBE_QUESTION "echo qemunet-$((6*7))\n"
#define PROBE_ANSWER "qemunet-42"

static int64_t now_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* Return: 1 when the guest answered, 0 when it did not in time or QEMU ended, -EINTR. */
static int wait_for_answer(int fd, int (*interrupted)(void))
{
    char seen[4096];
    size_t n = 0;
    int64_t deadline = now_ms() + ACCEL_PROBE_MS;
    while (now_ms() < deadline && n < sizeof(seen)) {
        struct pollfd in = {.fd = fd, .events = POLLIN};
        if (interrupted && interrupted())
            return -EINTR;
        if (poll(&in, 1, 50) <= 0)
            continue;
        ssize_t got = read(fd, seen + n, sizeof(seen) - n);
        if (got <= 0)
            return 0;
        n += (size_t)got;
        if (memmem(seen, n, PROBE_ANSWER, strlen(PROBE_ANSWER)))
            return 1;
    }
    return 0;
}

/* The shell port first: its pair is what the question goes through. */
enum { SHELL, MONITOR, CONSOLE, PAIRS };

static int spawn_guest(struct child *child, const struct image *image, int pairs[PAIRS][2])
{
    struct qemu_port port = {.name = "qn.shell", .fd = pairs[SHELL][1]};
    struct qemu_config config = {.name = "kvm-probe",
                                 .kernel = image->kernel,
                                 .initrd = image->initrd,
                                 .append = "quiet",
                                 .memory = 128 << 20,
                                 .cpus = 1,
                                 .kvm = true,
                                 .monitor_fd = pairs[MONITOR][1],
                                 .console_fd = pairs[CONSOLE][1],
                                 .ports = &port,
                                 .n_ports = 1};
    struct qemu_args args;
    int err = qemu_args_build(&args, &config);
    if (!err)
        err = child_spawn(&(struct child_spec){.argv = (const char *const *)args.argv,
                                               .inherit = args.fds,
                                               .n_inherit = args.n_fds,
                                               .stdout_fd = -1,
                                               .stderr_fd = -1,
                                               .death_signal = SIGKILL},
                          child);
    qemu_args_free(&args);
    return err;
}

static int ask_guest(struct child *child, const struct image *image, int pairs[PAIRS][2],
                     int (*interrupted)(void))
{
    int err = spawn_guest(child, image, pairs);
    for (int i = 0; i < PAIRS; i++) {
        close(pairs[i][1]);
        pairs[i][1] = -1;
    }
    if (err)
        return 0;
    ssize_t sent = send(pairs[SHELL][0], PROBE_QUESTION, strlen(PROBE_QUESTION), MSG_NOSIGNAL);
    int answered = sent > 0 ? wait_for_answer(pairs[SHELL][0], interrupted) : 0;
    child_stop(child, 0);
    child_close(child);
    return answered;
}

/* Return: as wait_for_answer(). */
static int boot_under_kvm(const struct image *image, int (*interrupted)(void))
{
    int pairs[PAIRS][2], answered = 0, n = 0;
    struct child child;
    while (n < PAIRS && socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pairs[n]) == 0)
        n++;
    if (n == PAIRS)
        answered = ask_guest(&child, image, pairs, interrupted);
    for (int i = 0; i < n; i++) {
        close(pairs[i][0]);
        if (pairs[i][1] >= 0)
            close(pairs[i][1]);
    }
    return answered;
}

static char *verdict_path(int qemu_version)
{
    char boot_id[40] = "unknown", *path = NULL, *folder = cache_folder();
    FILE *in = fopen("/proc/sys/kernel/random/boot_id", "re");
    if (in) {
        if (fgets(boot_id, sizeof(boot_id), in))
            boot_id[strcspn(boot_id, "\n")] = '\0';
        fclose(in);
    }
    if (folder && asprintf(&path, "%s/kvm-%s-%d", folder, boot_id, qemu_version) < 0)
        path = NULL;
    free(folder);
    return path;
}

static bool read_verdict(const char *path, bool *kvm)
{
    FILE *in = path ? fopen(path, "re") : NULL;
    int c = in ? fgetc(in) : EOF;
    if (in)
        fclose(in);
    *kvm = c == 'y';
    return c == 'y' || c == 'n';
}

static void write_verdict(const char *path, bool kvm)
{
    FILE *out = path ? fopen(path, "we") : NULL;
    if (!out)
        return; /* then the next run probes again */
    fputs(kvm ? "y\n" : "n\n", out);
    fclose(out);
}

int accel_probe(struct accel *accel, const char *device, int qemu_version,
                const struct image *image, int (*interrupted)(void))
{
    *accel = (struct accel){0};
    int fd = open(device, O_RDWR | O_CLOEXEC);
    if (fd < 0) {
        snprintf(accel->why, sizeof(accel->why), "%s: %s", device, strerror(errno));
        return 0;
    }
    close(fd);
    char *path = verdict_path(qemu_version);
    int answer = 0;
    if (!read_verdict(path, &accel->kvm)) {
        accel->probed = true;
        answer = boot_under_kvm(image, interrupted);
        accel->kvm = answer > 0;
        if (answer >= 0)
            write_verdict(path, accel->kvm);
    }
    free(path);
    if (!accel->kvm)
        snprintf(accel->why, sizeof(accel->why),
                 "%s opens, but a guest under it did not reach its shell within %d s", device,
                 ACCEL_PROBE_MS / 1000);
    return answer < 0 ? answer : 0;
}
