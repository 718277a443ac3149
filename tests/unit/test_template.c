/* SPDX-License-Identifier: MIT */
#include "tests/unit/scratch.h"
#include "vmctl/cache.h"
#include "vmctl/template.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define KEY "0123456789abcdef0123456789abcdef"
#define MEMORY ((uint64_t)1 << 20)
#define NOTE "what the\0saver noted\n"
#define NOTE_LEN (sizeof(NOTE) - 1)

static struct scratch scratch;

/* The cache is in a scratch folder whose name is a pattern to some. */
static void open_cache(void)
{
    char path[64];
    scratch_open(&scratch);
    snprintf(path, sizeof(path), "%s/a[b]*", scratch.path);
    setenv("XDG_CACHE_HOME", path, 1);
    free(cache_folder());
}

/* Return: the path of a template's file, or of what else is called so; good until the next. */
static const char *place(const char *key, const char *name)
{
    static char path[256];
    snprintf(path, sizeof(path), "%s/a[b]*/qemunet/template-%s%s", scratch.path, key, name);
    return path;
}

static bool is_there(const char *key, const char *name)
{
    return access(place(key, name), F_OK) == 0;
}

static int count_entries(void)
{
    int n = 0;
    char *folder = cache_folder();
    DIR *cache = folder ? opendir(folder) : NULL;
    for (struct dirent *entry; cache && (entry = readdir(cache));)
        n += *entry->d_name != '.';
    if (cache)
        closedir(cache);
    free(folder);
    return n;
}

/* What a saved machine leaves. */
static void fill(const struct template_draft *draft)
{
    struct template_files files = template_draft_files(draft);
    CHECK_INT(pwrite(files.memory, "memory", 6, MEMORY / 2), 6);
    CHECK_INT(write(files.state, "devices", 7), 7);
}

static struct template *finish(struct template_draft *draft)
{
    struct template *t = NULL;
    int done;
    while ((done = template_digest(draft, 1)) == 0)
        ;
    CHECK_INT(done, 1);
    CHECK_INT(template_commit(draft, NOTE, NOTE_LEN, &t), 0);
    return t;
}

static struct template_draft *begin(const char *key)
{
    struct template_draft *draft = NULL;
    char *why = NULL;
    CHECK_INT(template_begin(&draft, key, MEMORY, NULL, NULL, &why), 0);
    CHECK(why == NULL);
    return draft;
}

static void make(const char *key)
{
    struct template_draft *draft = begin(key);
    fill(draft);
    template_close(finish(draft));
}

/* Return: 1 good, or negative errno. */
static int check_all(struct template *t)
{
    int done;
    while ((done = template_check(t, 1)) == 0)
        ;
    return done;
}

/* Return: 1 good, or why it cannot be used. */
static int verdict(const char *key)
{
    struct template *t = NULL;
    int err = template_open(&t, key);
    if (err)
        return err;
    err = check_all(t);
    template_close(t);
    return err;
}

/* The key */

static char keys[64][TEMPLATE_KEY_LEN + 1];
static int n_keys;

/* Keep the key if it is not the same as one before. Return: whether it is new. */
static bool is_new(const struct qemu_config *config, const char *more)
{
    CHECK_INT(template_key(keys[n_keys], config, more), 0);
    for (int i = 0; i < n_keys; i++) {
        if (strcmp(keys[i], keys[n_keys]) == 0)
            return false;
    }
    n_keys++;
    return true;
}

static void write_file(const char *path, const char *data)
{
    FILE *out = fopen(path, "we");
    CHECK(out && fputs(data, out) >= 0);
    fclose(out);
}

/* A folder with a QEMU of these bytes, on PATH and there alone. */
static void put_qemu(const char *bytes)
{
    char path[300];
    CHECK(mkdir("bin", 0700) == 0 || errno == EEXIST);
    snprintf(path, sizeof(path), "bin/%s", arch_default()->program);
    write_file(path, bytes);
    CHECK_INT(chmod(path, 0755), 0);
    snprintf(path, sizeof(path), "/nowhere::%s/bin", scratch.path);
    setenv("PATH", path, 1);
}

static const struct qemu_nic two_nics[] = {{.number = 0, .fd = 5, .mac = {2, 0, 0, 0, 0, 1}},
                                           {.number = 1, .fd = 6, .mac = {2, 0, 0, 0, 0, 2}}};
static const struct qemu_nic others[] = {{.number = 0, .fd = 7, .mac = {2, 0, 0, 0, 0, 3}},
                                         {.number = 1, .fd = 8, .mac = {2, 0, 0, 0, 0, 4}}};
static const struct qemu_nic gap[] = {{.number = 0, .fd = 7}, {.number = 2, .fd = 8}};

static struct qemu_config configuration(void)
{
    return (struct qemu_config){.name = "a",
                                .kernel = "kernel",
                                .initrd = "initrd",
                                .append = "quiet",
                                .memory = 256 << 20,
                                .cpus = 1,
                                .nics = two_nics,
                                .n_nics = 2};
}

/* Runs a test of keys, with files, a QEMU and the PATH to it. */
static void with_files(void (*fn)(void))
{
    const char *before = getenv("PATH");
    char *path = strdup(before ? before : "/bin");
    n_keys = 0;
    scratch_open(&scratch);
    put_qemu("QEMU");
    for (const char *const *name = (const char *const[]){"kernel", "initrd", "disk", "root", NULL};
         *name; name++)
        write_file(*name, "content");
    fn();
    setenv("PATH", path, 1);
    free(path);
    scratch_close(&scratch);
}

static void each_setting(void)
{
    enum { MANY = 14 };
    static const char *const extra[] = {"-device", "x", NULL};
    struct qemu_config c[MANY];
    for (int i = 0; i < MANY; i++)
        c[i] = configuration();
    c[1].memory += 1024;
    c[2].cpus = 2;
    c[3].append = "quiet ";
    c[4].append = NULL;
    c[5].initrd = NULL;
    c[6].kvm = true;
    c[7].n_nics = 1;
    c[8].nics = gap;
    c[9].extra = extra;
    c[10].root = "root";
    c[11].disk = c[12].disk = "disk";
    c[11].disk_format = "raw";
    c[12].disk_format = "qcow2";
    c[13].generation_id = true;
    for (int i = 0; i < MANY; i++)
        CHECK(is_new(&c[i], "more"));
    CHECK(is_new(&c[0], "mor"));
}

static void what_does_not_matter(void)
{
    static const int inherited[] = {40};
    static const struct qemu_port ports[] = {{"qn.shell", 30}};
    struct qemu_config c = configuration();
    CHECK(is_new(&c, "more"));
    c.name = "another, with a comma";
    c.nics = others;
    c.monitor_fd = 20;
    c.console_fd = 21;
    c.ports = ports;
    c.n_ports = 1;
    c.inherited = inherited;
    c.n_inherited = 1;
    c.memory_in_file = c.memory_shared = c.incoming = true;
    c.memory_fd = 22;
    CHECK(!is_new(&c, "more"));
    c = configuration();
    c.seed_fd = 23;
    CHECK(is_new(&c, "more"));
    c.seed_fd = 24;
    CHECK(!is_new(&c, "more"));
}

/* Of the same size, and at the same place or another. */
static void each_file(void)
{
    const char *const names[] = {"kernel", "initrd", "disk", "root"};
    struct qemu_config c = configuration();
    c.disk = "disk";
    c.disk_format = "raw";
    c.root = "root";
    CHECK(is_new(&c, ""));
    CHECK(!is_new(&c, ""));
    for (int i = 0; i < 4; i++) {
        write_file("new", "another");
        CHECK_INT(rename("new", names[i]), 0);
        CHECK(is_new(&c, ""));
        const struct timespec long_ago[2] = {{1, 0}, {1, 0}};
        CHECK_INT(utimensat(AT_FDCWD, names[i], long_ago, 0), 0);
        CHECK(is_new(&c, ""));
    }
}

static void each_qemu(void)
{
    struct qemu_config c = configuration();
    CHECK(is_new(&c, ""));
    CHECK_INT(rename("bin", "old"), 0);
    put_qemu("QEMU");
    CHECK(is_new(&c, ""));
    char path[300];
    snprintf(path, sizeof(path), "%s/old", scratch.path);
    setenv("PATH", path, 1);
    CHECK(!is_new(&c, "")); /* it is the same where it is now */
    setenv("PATH", "/nowhere", 1);
    CHECK_INT(template_key(keys[n_keys], &c, ""), -ENOENT);
    put_qemu("QEMU");
    CHECK_INT(unlink("initrd"), 0);
    CHECK_INT(template_key(keys[n_keys], &c, ""), -ENOENT);
}

static void key_settings(void)
{
    with_files(each_setting);
}

static void key_same(void)
{
    with_files(what_does_not_matter);
}

static void key_files(void)
{
    with_files(each_file);
}

static void key_qemu(void)
{
    with_files(each_qemu);
}

/* Making and using one */

static void check_new(const struct template_draft *draft)
{
    struct stat st;
    CHECK_INT(fstat(template_draft_files(draft).memory, &st), 0);
    CHECK_INT(st.st_size, MEMORY);
    CHECK_INT(st.st_blocks, 0);
}

/* That it holds what fill() has written. */
static void check_filled(const struct template *t)
{
    char byte[8] = "";
    size_t n;
    CHECK(t && template_is_unchanged(t));
    CHECK_INT(pread(template_files(t).memory, byte, 6, MEMORY / 2), 6);
    CHECK_STR(byte, "memory");
    CHECK_INT(template_files(t).disk, -1);
    CHECK(memcmp(template_note(t, &n), NOTE, NOTE_LEN) == 0 && n == NOTE_LEN);
}

static void from_draft_to_use(void)
{
    open_cache();
    CHECK_INT(verdict(KEY), -ENOENT);
    struct template_draft *draft = begin(KEY);
    check_new(draft);
    fill(draft);
    CHECK_INT(verdict(KEY), -ENOENT); /* until it is committed */
    struct template *t = finish(draft);
    check_filled(t);
    CHECK_INT(check_all(t), 1);
    template_close(t);
    CHECK_INT(verdict(KEY), 1);
    CHECK_INT(count_entries(), 1); /* no lock, nothing unfinished */
    CHECK_INT(template_open(&t, KEY), 0);
    template_discard(t);
    CHECK_INT(count_entries(), 0);
    CHECK_INT(verdict(KEY), -ENOENT);
    template_close(NULL);
    scratch_close(&scratch);
}

static void a_draft_given_up(void)
{
    struct template *t = NULL;
    open_cache();
    struct template_draft *draft = begin(KEY);
    CHECK_INT(count_entries(), 2);
    template_abort(draft);
    CHECK_INT(count_entries(), 0);
    draft = begin(KEY);
    CHECK_INT(template_commit(draft, NOTE, (size_t)17 << 20, &t), -EMSGSIZE);
    CHECK_INT(count_entries(), 0);
    draft = begin(KEY); /* without its digests, it is nothing */
    CHECK_INT(template_commit(draft, NOTE, NOTE_LEN, &t), -EBADMSG);
    CHECK_INT(count_entries(), 0);
    CHECK(t == NULL);
    scratch_close(&scratch);
}

static void two_drafts(void)
{
    struct template_draft *other = NULL;
    char *why = NULL;
    open_cache();
    struct template_draft *draft = begin(KEY);
    CHECK_INT(template_begin(&other, KEY, MEMORY, NULL, NULL, &why), -EWOULDBLOCK);
    struct template_draft *different = begin("ffffffffffffffffffffffffffffffff");
    template_abort(different);
    fill(draft);
    template_close(finish(draft));
    CHECK_INT(verdict(KEY), 1);
    draft = begin(KEY); /* in place of one that is there */
    fill(draft);
    template_close(finish(draft));
    CHECK_INT(verdict(KEY), 1);
    CHECK_INT(count_entries(), 1);
    scratch_close(&scratch);
}

static void no_room(void)
{
    struct template_draft *draft = NULL;
    char *why = NULL;
    open_cache();
    CHECK_INT(template_begin(&draft, KEY, (uint64_t)1 << 60, NULL, NULL, &why), -ENOSPC);
    CHECK_STR(why, "the disk has no room for 1099511627776 MiB");
    free(why);
    CHECK_INT(count_entries(), 0);
    scratch_close(&scratch);
    setenv("XDG_CACHE_HOME", "/proc/self/nowhere", 1);
    CHECK(template_begin(&draft, KEY, MEMORY, NULL, NULL, &why) < 0);
    CHECK(template_evict(0) < 0);
    CHECK(verdict(KEY) < 0);
}

static void with_a_disk(void)
{
    struct template_draft *draft = NULL;
    char *why = NULL, magic[5] = "";
    open_cache();
    write_file("disk", "content");
    CHECK_INT(truncate("disk", 1 << 20), 0);
    int err = template_begin(&draft, KEY, MEMORY, "disk", "raw", &why);
    if (err == -ENOENT && why) {
        printf("# %s\n", why);
        free(why);
    } else {
        CHECK_INT(err, 0);
        CHECK_INT(pread(template_draft_files(draft).disk, magic, 4, 0), 4);
        CHECK_STR(magic, "QFI\xfb");
        fill(draft);
        template_close(finish(draft));
        CHECK_INT(verdict(KEY), 1);
        CHECK_INT(truncate(place(KEY, "/disk"), 1000), 0);
        CHECK_INT(verdict(KEY), -EBADMSG);
        CHECK(template_begin(&draft, KEY, MEMORY, "missing", "raw", &why) < 0);
        free(why);
        CHECK(template_begin(&draft, KEY, MEMORY, "disk", "no-such", &why) < 0);
        CHECK(why && strstr(why, "overlay"));
        free(why);
        CHECK(!is_there(KEY, ".tmp") && !is_there(KEY, ".lock"));
    }
    scratch_close(&scratch);
}

/* Damage */

static void flip_bit(const char *name, off_t at)
{
    char byte = 0;
    int fd = open(place(KEY, name), O_RDWR | O_CLOEXEC);
    CHECK_INT(pread(fd, &byte, 1, at), 1);
    byte ^= 0x10;
    CHECK_INT(pwrite(fd, &byte, 1, at), 1);
    close(fd);
}

static off_t size_of(const char *name)
{
    struct stat st = {0};
    CHECK_INT(stat(place(KEY, name), &st), 0);
    return st.st_size;
}

static void a_flipped_bit(void)
{
    static const char *const parts[] = {"/memory", "/state", "/about"};
    open_cache();
    for (int i = 0; i < 3; i++) {
        make(KEY);
        off_t size = size_of(parts[i]), step = i == 0 ? size / 4 : 1;
        for (off_t at = 0; at < size; at += step) {
            if (!is_there(KEY, "/about"))
                make(KEY);
            flip_bit(parts[i], at);
            CHECK_INT(verdict(KEY), -EBADMSG);
            if (is_there(KEY, "/about"))
                flip_bit(parts[i], at);
        }
    }
    scratch_close(&scratch);
}

static void a_short_file(void)
{
    static const char *const parts[] = {"/memory", "/state", "/about"};
    open_cache();
    for (int i = 0; i < 3; i++) {
        make(KEY);
        off_t size = size_of(parts[i]);
        CHECK_INT(truncate(place(KEY, parts[i]), size - 1), 0);
        CHECK_INT(verdict(KEY), -EBADMSG);
        make(KEY);
        CHECK_INT(truncate(place(KEY, parts[i]), size + 1), 0);
        CHECK_INT(verdict(KEY), -EBADMSG);
        make(KEY);
        CHECK_INT(truncate(place(KEY, parts[i]), 0), 0);
        CHECK_INT(verdict(KEY), -EBADMSG);
        make(KEY);
        CHECK_INT(unlink(place(KEY, parts[i])), 0);
        CHECK_INT(verdict(KEY), -EBADMSG);
        CHECK(!is_there(KEY, "")); /* it was removed when it was found to be so */
    }
    scratch_close(&scratch);
}

/* A pipe must not hold the reader up, nor a device or a large file fill its memory. */
static void no_files(void)
{
    static const char *const parts[] = {"/memory", "/state", "/about"};
    open_cache();
    for (int i = 0; i < 3; i++) {
        make(KEY);
        CHECK_INT(unlink(place(KEY, parts[i])), 0);
        CHECK_INT(mkfifo(place(KEY, parts[i]), 0600), 0);
        CHECK_INT(verdict(KEY), -EBADMSG);
        make(KEY);
        CHECK_INT(unlink(place(KEY, parts[i])), 0);
        CHECK_INT(symlink("/dev/zero", place(KEY, parts[i])), 0);
        CHECK_INT(verdict(KEY), -EBADMSG);
    }
    make(KEY);
    CHECK_INT(truncate(place(KEY, "/about"), (off_t)1 << 40), 0);
    CHECK_INT(verdict(KEY), -EBADMSG);
    scratch_close(&scratch);
}

static void put_about(const void *data, size_t n)
{
    int fd = open(place(KEY, "/about"), O_WRONLY | O_TRUNC | O_CLOEXEC);
    CHECK_INT(write(fd, data, n), n);
    close(fd);
}

/* What says the right sum of itself, and nothing else that is right. */
static void put_summed(const char *body)
{
    char text[512];
    uint64_t sum = cache_hash(CACHE_HASH_START, body, strlen(body));
    int n = snprintf(text, sizeof(text), TEMPLATE_FORMAT " %016" PRIx64 "\n%s", sum, body);
    put_about(text, (size_t)n);
}

#define D "0123456789abcdef0123456789abcdef"

static void strange_words(void)
{
    static const char *const summed[] = {"",
                                         "\n",
                                         "- - - 0\n",
                                         D " - - 0\n",
                                         "- " D " - 0\n",
                                         D " " D " - 1\n",
                                         D " " D " - 0",
                                         D " " D " - -1\n",
                                         D " " D " - 18446744073709551615\nx",
                                         D " " D " - 99999999999999999999999\nx",
                                         D D " " D " - 0\n",
                                         D " " D " " D " 0\n"};
    static const char *const plain[] = {"x",
                                        TEMPLATE_FORMAT,
                                        TEMPLATE_FORMAT " \n",
                                        TEMPLATE_FORMAT " zz\n",
                                        "qemunet template 0 0\n",
                                        "\n\n\n"};
    open_cache();
    for (size_t i = 0; i < sizeof(summed) / sizeof(*summed); i++) {
        make(KEY);
        put_summed(summed[i]);
        CHECK_INT(verdict(KEY), -EBADMSG);
    }
    for (size_t i = 0; i < sizeof(plain) / sizeof(*plain); i++) {
        make(KEY);
        put_about(plain[i], strlen(plain[i]));
        CHECK_INT(verdict(KEY), -EBADMSG);
        make(KEY);
        put_about(plain[i], strlen(plain[i]) + 1); /* with a NUL */
        CHECK_INT(verdict(KEY), -EBADMSG);
    }
    make(KEY);
    put_summed(D " " D " - 0\n"); /* well said, but not true */
    CHECK_INT(verdict(KEY), -EBADMSG);
    scratch_close(&scratch);
}

static void damage_while_it_is_open(void)
{
    struct template *t = NULL;
    open_cache();
    make(KEY);
    CHECK_INT(template_open(&t, KEY), 0);
    CHECK(template_is_unchanged(t));
    CHECK_INT(truncate(place(KEY, "/memory"), 100), 0);
    CHECK(!template_is_unchanged(t));
    template_close(t);
    scratch_close(&scratch);
}

/* The bound of all */

static const char *numbered(int i)
{
    static char key[TEMPLATE_KEY_LEN + 1];
    snprintf(key, sizeof(key), "%032d", i);
    return key;
}

static void set_used(const char *key, time_t when)
{
    const struct timespec times[2] = {{when, 0}, {when, 0}};
    CHECK_INT(utimensat(AT_FDCWD, place(key, "/about"), times, 0), 0);
}

struct totals {
    int n;
    uint64_t bytes;
    bool remove;
};

static bool add_up(void *arg, const char *path, uint64_t bytes, int64_t used)
{
    struct totals *totals = arg;
    CHECK(strstr(path, "/template-"));
    CHECK(used > 0);
    totals->n++;
    totals->bytes += bytes;
    return totals->remove;
}

static struct totals total(bool remove)
{
    struct totals totals = {.remove = remove};
    CHECK_INT(template_each(add_up, &totals), 0);
    return totals;
}

static void least_recently_used(void)
{
    struct template *t = NULL;
    open_cache();
    for (int i = 0; i < 4; i++) {
        make(numbered(i));
        set_used(numbered(i), 1000 + i);
    }
    struct totals all = total(false);
    CHECK_INT(all.n, 4);
    CHECK(all.bytes > 0 && all.bytes < MEMORY); /* holes count nothing */
    CHECK_INT(template_evict(all.bytes), 0);
    CHECK_INT(total(false).n, 4);
    CHECK_INT(template_open(&t, numbered(0)), 0); /* is its last use */
    CHECK_INT(template_evict(all.bytes / 2), 0);
    CHECK(total(false).bytes <= all.bytes / 2);
    CHECK(is_there(numbered(0), "/memory") && is_there(numbered(3), "/memory"));
    CHECK(!is_there(numbered(1), "") && !is_there(numbered(2), ""));
    CHECK_INT(template_evict(0), 0);
    CHECK_INT(count_entries(), 0);
    CHECK_INT(check_all(t), 1); /* who has it open can go on */
    template_close(t);
    scratch_close(&scratch);
}

static void no_others(void)
{
    char path[256];
    open_cache();
    make(KEY);
    CHECK_INT(mkdir(place("not-a-key", ""), 0700), 0);
    CHECK_INT(mkdir(place("0123456789abcdef0123456789abcdeX", ""), 0700), 0);
    snprintf(path, sizeof(path), "%s/a[b]*/qemunet/tiny-1", scratch.path);
    CHECK_INT(mkdir(path, 0700), 0);
    CHECK_INT(total(true).n, 1);
    CHECK_INT(template_evict(0), 0);
    CHECK_INT(count_entries(), 3);
    scratch_close(&scratch);
}

/* Return: a process that makes a template, once it has begun. */
static pid_t fork_maker(const char *key)
{
    int ready[2];
    char c;
    CHECK_INT(pipe2(ready, O_CLOEXEC), 0);
    pid_t pid = fork();
    if (pid == 0) {
        fill(begin(key));
        if (write(ready[1], "x", 1) != 1)
            _exit(1);
        for (;;)
            pause();
    }
    close(ready[1]);
    CHECK_INT(read(ready[0], &c, 1), 1);
    close(ready[0]);
    return pid;
}

static void end(pid_t pid)
{
    kill(pid, SIGKILL);
    CHECK_INT(waitpid(pid, NULL, 0), pid);
}

static void killed_makers(void)
{
    open_cache();
    pid_t dead = fork_maker(numbered(1)), alive = fork_maker(numbered(2)),
          again = fork_maker(numbered(3));
    end(dead);
    end(again);
    write_file(place(numbered(4), ".lock"), ""); /* of one that had come no further */
    make(numbered(3));                           /* what was left does not matter to the next */
    CHECK(is_there(numbered(1), ".tmp"));
    CHECK_INT(template_evict(UINT64_MAX), 0);
    CHECK(!is_there(numbered(1), ".tmp") && !is_there(numbered(1), ".lock"));
    CHECK(!is_there(numbered(4), ".lock"));
    CHECK(is_there(numbered(2), ".tmp/memory") && is_there(numbered(2), ".lock"));
    CHECK_INT(verdict(numbered(3)), 1);
    end(alive);
    CHECK_INT(template_evict(UINT64_MAX), 0);
    CHECK_INT(count_entries(), 1);
    scratch_close(&scratch);
}

static const struct check_test tests[] = {
    {"each setting has a key of its own", key_settings},
    {"names, descriptors and hardware addresses are nothing to the key", key_same},
    {"each change of a file is another key", key_files},
    {"another QEMU is another key", key_qemu},
    {"from the draft to its use", from_draft_to_use},
    {"a draft that is given up leaves nothing", a_draft_given_up},
    {"one at a time makes it", two_drafts},
    {"a disk without room, a cache that cannot be", no_room},
    {"with a disk", with_a_disk},
    {"a bit is flipped", a_flipped_bit},
    {"a file is too short, too long, empty or missing", a_short_file},
    {"what are no files, or too large, hold nobody up", no_files},
    {"strange words about it", strange_words},
    {"one that changes while it is open", damage_while_it_is_open},
    {"the least recently used goes first", least_recently_used},
    {"what are no templates stays", no_others},
    {"what killed makers left is swept", killed_makers},
};

CHECK_MAIN(tests)
