/* SPDX-License-Identifier: MIT */
#include "tests/unit/check.h"
#include "vmctl/qemu.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct qemu_config plain = {
    .name = "a", .memory = 256 << 20, .cpus = 2, .monitor_fd = 40, .console_fd = 41};

/* Return: whether the option is there with that value, anywhere. */
static bool has(const struct qemu_args *args, const char *option, const char *value)
{
    for (size_t i = 0; i + 1 < args->n; i++) {
        if (strcmp(args->argv[i], option) == 0 && strcmp(args->argv[i + 1], value) == 0)
            return true;
    }
    return false;
}

/* Return: the value of the option's first use, or NULL. */
static const char *value_of(const struct qemu_args *args, const char *option)
{
    for (size_t i = 0; i + 1 < args->n; i++) {
        if (strcmp(args->argv[i], option) == 0)
            return args->argv[i + 1];
    }
    return NULL;
}

static bool lists_fd(const struct qemu_args *args, int fd)
{
    for (size_t i = 0; i < args->n_fds; i++) {
        if (args->fds[i] == fd)
            return true;
    }
    return false;
}

static void versions(void)
{
    CHECK_INT(qemu_version_parse("QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7)\n"), 70222);
    CHECK_INT(qemu_version_parse("QEMU emulator version 10.0.2\n"), 100002);
    CHECK_INT(qemu_version_parse("QEMU emulator version 8.1\n"), 80100);
    CHECK_INT(qemu_version_parse("QEMU emulator version 9.2.0-rc1 (v9.2.0-rc1)"), 90200);
    CHECK_INT(qemu_version_parse(""), -EPROTO);
    CHECK_INT(qemu_version_parse("version"), -EPROTO);
    CHECK_INT(qemu_version_parse("QEMU emulator version x.y"), -EPROTO);
    CHECK_INT(qemu_version_parse("QEMU emulator version 7\n"), -EPROTO);
}

static void the_basics(void)
{
    struct qemu_args args;
    CHECK_INT(qemu_args_build(&args, &plain), 0);
    CHECK_STR(args.argv[0], "qemu-system-x86_64");
    CHECK(args.argv[args.n] == NULL);
    CHECK(has(&args, "-m", "262144k"));
    CHECK(has(&args, "-smp", "2"));
    CHECK(has(&args, "-device", "pvpanic-pci"));
    CHECK(has(&args, "-chardev", "socket,id=qmp,fd=40"));
    CHECK(has(&args, "-chardev", "socket,id=console,fd=41"));
    CHECK(!value_of(&args, "-kernel") && !value_of(&args, "-netdev"));
    CHECK_INT(args.n_fds, 2);
    CHECK(lists_fd(&args, 40) && lists_fd(&args, 41));
    qemu_args_free(&args);
    qemu_args_free(&args);
}

static void commas_are_doubled(void)
{
    struct qemu_config config = plain;
    struct qemu_args args;
    config.name = ",a,,b,process=evil";
    CHECK_INT(qemu_args_build(&args, &config), 0);
    CHECK_STR(value_of(&args, "-name"), ",,a,,,,b,,process=evil,debug-threads=on");
    qemu_args_free(&args);
}

static void generation_id(void)
{
    struct qemu_config config = plain;
    struct qemu_args args;
    CHECK_INT(qemu_args_build(&args, &config), 0);
    CHECK(!has(&args, "-device", "vmgenid,guid=auto"));
    qemu_args_free(&args);
    config.generation_id = true;
    CHECK_INT(qemu_args_build(&args, &config), 0);
    CHECK(has(&args, "-device", "vmgenid,guid=auto"));
    qemu_args_free(&args);
    config.arch = arch_find("aarch64");
    CHECK_INT(qemu_args_build(&args, &config), 0);
    CHECK(!has(&args, "-device", "vmgenid,guid=auto"));
    qemu_args_free(&args);
}

static void accelerators(void)
{
    struct qemu_config config = plain;
    struct qemu_args args;
    CHECK_INT(qemu_args_build(&args, &config), 0);
    CHECK(has(&args, "-accel", "tcg,tb-size=128"));
    CHECK_STR(value_of(&args, "-cpu"), "max,-erms,-fsrm");
    qemu_args_free(&args);
    config.kvm = true;
    CHECK_INT(qemu_args_build(&args, &config), 0);
    CHECK(has(&args, "-accel", "kvm"));
    CHECK_STR(value_of(&args, "-cpu"), "host");
    qemu_args_free(&args);
}

static void shared_root(void)
{
    struct qemu_config config = plain;
    struct qemu_args args;
    config.root = "/a,b";
    CHECK_INT(qemu_args_build(&args, &config), 0);
    CHECK(has(&args, "-drive", "file=file:/a,,b,format=raw,if=none,id=root,readonly=on"));
    CHECK(has(&args, "-device", "virtio-blk-pci,drive=root,serial=qn.root"));
    qemu_args_free(&args);
}

static void kernels(void)
{
    struct qemu_config config = plain;
    struct qemu_args args;
    config.kernel = "/k with space";
    config.initrd = "/i";
    config.append = "console=ttyS0 a=\"b c\"";
    CHECK_INT(qemu_args_build(&args, &config), 0);
    CHECK(has(&args, "-kernel", "/k with space"));
    CHECK(has(&args, "-initrd", "/i"));
    CHECK(has(&args, "-append", "console=ttyS0 a=\"b c\""));
    qemu_args_free(&args);
    config.initrd = config.append = NULL;
    CHECK_INT(qemu_args_build(&args, &config), 0);
    CHECK(!value_of(&args, "-initrd") && !value_of(&args, "-append"));
    qemu_args_free(&args);
}

/* A PC that goes on from a state has its kernel in memory; other machines make more of it. */
static void kernels_of_saved_machines(void)
{
    struct qemu_config config = plain;
    struct qemu_args args;
    config.kernel = "/k";
    config.incoming = true;
    CHECK_INT(qemu_args_build(&args, &config), 0);
    CHECK(has(&args, "-incoming", "defer") && !value_of(&args, "-kernel"));
    qemu_args_free(&args);
    config.arch = arch_find("aarch64");
    CHECK_INT(qemu_args_build(&args, &config), 0);
    CHECK(has(&args, "-kernel", "/k"));
    qemu_args_free(&args);
}

static void a_seed(void)
{
    struct qemu_config config = plain;
    struct qemu_args args;
    config.disk = "/d";
    config.disk_format = "raw";
    config.seed_fd = 44;
    CHECK_INT(qemu_args_build(&args, &config), 0);
    CHECK(strstr(value_of(&args, "-drive"), "file:/d"));
    CHECK(has(&args, "-drive", "file=file:/proc/self/fd/44,format=raw,if=virtio,read-only=on"));
    CHECK(lists_fd(&args, 44));
    qemu_args_free(&args);
}

static void interfaces(void)
{
    const struct qemu_nic nics[] = {{.number = 0, .fd = 50, .mac = {0x52, 0x54, 0, 1, 2, 0xff}},
                                    {.number = 7, .fd = 51, .mac = {0x52, 0x54, 0, 0xa, 0xb, 0xc}}};
    struct qemu_config config = plain;
    struct qemu_args args;
    config.nics = nics;
    config.n_nics = 2;
    CHECK_INT(qemu_args_build(&args, &config), 0);
    CHECK(has(&args, "-netdev", "dgram,id=net0,local.type=fd,local.str=50"));
    CHECK(has(&args, "-netdev", "dgram,id=net7,local.type=fd,local.str=51"));
    CHECK(has(
        &args, "-device",
        "virtio-net-pci,id=nic0,netdev=net0,romfile=,guest_announce=off,mac=52:54:00:01:02:ff"));
    CHECK(has(
        &args, "-device",
        "virtio-net-pci,id=nic7,netdev=net7,romfile=,guest_announce=off,mac=52:54:00:0a:0b:0c"));
    CHECK(lists_fd(&args, 50) && lists_fd(&args, 51));
    CHECK_INT(args.n_fds, 4);
    qemu_args_free(&args);
}

static void another_architecture(void)
{
    const struct qemu_nic nic = {.number = 3, .fd = 50, .mac = {0x52, 0x54, 0, 1, 2, 3}};
    struct qemu_config config = plain;
    struct qemu_args args;
    config.arch = arch_find("aarch64");
    config.nics = &nic;
    config.n_nics = 1;
    CHECK(config.arch && !arch_find("pdp11"));
    CHECK_INT(qemu_args_build(&args, &config), 0);
    CHECK_STR(args.argv[0], "qemu-system-aarch64");
    CHECK(strncmp(value_of(&args, "-machine"), "virt,", 5) == 0);
    CHECK(has(&args, "-accel", "tcg,tb-size=128"));
    CHECK(has(&args, "-device",
              "virtio-net-pci,id=nic3,netdev=net3,romfile=,guest_announce=off,mac=52:54:00:01:02:"
              "03,bus=plug3"));
    /* Ports 0 to 3, and the spare ones; eight in a slot. */
    CHECK(has(&args, "-device",
              "pcie-root-port,id=plug0,chassis=1,addr=10.0,multifunction=on,io-reserve=0"));
    CHECK(has(&args, "-device",
              "pcie-root-port,id=plug11,chassis=12,addr=11.3,multifunction=on,io-reserve=0"));
    CHECK(!has(&args, "-device",
               "pcie-root-port,id=plug12,chassis=13,addr=11.4,multifunction=on,io-reserve=0"));
    qemu_args_free(&args);
}

/* More than fit in one growth of the lists. */
static void ports(void)
{
    enum { N = 40 };
    struct qemu_port list[N];
    struct qemu_config config = plain;
    struct qemu_args args;
    char device[128];
    for (int i = 0; i < N; i++) {
        list[i].fd = 100 + i;
        snprintf(list[i].name, sizeof(list[i].name), "qn.c%d", i);
    }
    config.ports = list;
    config.n_ports = N;
    CHECK_INT(qemu_args_build(&args, &config), 0);
    CHECK_INT(args.n_fds, N + 2);
    for (int i = 0; i < N; i++) {
        snprintf(device, sizeof(device),
                 "virtserialport,bus=qnserial.0,chardev=qn.c%d,id=d-qn.c%d,name=qn.c%d", i, i, i);
        CHECK(has(&args, "-device", device));
        snprintf(device, sizeof(device), "socket,id=qn.c%d,fd=%d", i, 100 + i);
        CHECK(has(&args, "-chardev", device));
        CHECK(lists_fd(&args, 100 + i));
    }
    qemu_args_free(&args);
}

static void extra_arguments_come_last(void)
{
    static const char *const extra[] = {"-device", "isa-debug-exit,iobase=0xf4", NULL};
    struct qemu_config config = plain;
    struct qemu_args args;
    config.extra = extra;
    CHECK_INT(qemu_args_build(&args, &config), 0);
    CHECK_STR(args.argv[args.n - 2], "-device");
    CHECK_STR(args.argv[args.n - 1], "isa-debug-exit,iobase=0xf4");
    qemu_args_free(&args);
}

/* Through a program on PATH that says so, and one that is not there. */
static void the_installed_version(void)
{
    const char *old = getenv("PATH");
    char folder[] = "/tmp/qn-test-qemu-XXXXXX", path[128], *before = strdup(old ? old : "/bin");
    CHECK(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/qemu-system-x86_64", folder);
    setenv("PATH", folder, 1);
    CHECK_INT(qemu_version(arch_default()), -ENOENT);
    FILE *program = fopen(path, "w");
    fputs("#!/bin/sh\necho 'QEMU emulator version 8.2.1 (made up)'\n", program);
    fchmod(fileno(program), 0755);
    fclose(program);
    CHECK_INT(qemu_version(arch_default()), 80201);
    CHECK_INT(qemu_version(arch_find("aarch64")), -ENOENT);
    setenv("PATH", before, 1);
    free(before);
    unlink(path);
    rmdir(folder);
}

static const struct check_test tests[] = {
    {"versions are parsed", versions},
    {"the basic arguments", the_basics},
    {"commas in the name are doubled", commas_are_doubled},
    {"a generation ID, where it is known", generation_id},
    {"KVM and TCG", accelerators},
    {"a root that is shared", shared_root},
    {"a kernel, with and without its companions", kernels},
    {"the kernel of a machine that goes on from a state", kernels_of_saved_machines},
    {"a seed volume comes behind the disk", a_seed},
    {"network interfaces", interfaces},
    {"another architecture", another_architecture},
    {"many ports", ports},
    {"extra arguments come last", extra_arguments_come_last},
    {"the installed version, or that there is none", the_installed_version},
};

CHECK_MAIN(tests)
