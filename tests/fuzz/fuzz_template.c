/* SPDX-License-Identifier: MIT */
/* What a template says about itself, in a folder with a memory and a state: it must be refused, or
 * be found damaged when it is checked, which no input can help. The input's first byte says whether
 * the right sum is put before it. */
#include "vmctl/cache.h"
#include "vmctl/template.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEY "0123456789abcdef0123456789abcdef"
#define INPUT_MAX 16384

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char folder[96];

static void remove_cache(void)
{
    *strstr(folder, "/qemunet/") = '\0';
    cache_remove(folder);
}

static void make_cache(void)
{
    char base[] = "/tmp/qn-fuzz-XXXXXX";
    if (!mkdtemp(base) || setenv("XDG_CACHE_HOME", base, 1))
        abort();
    free(cache_folder());
    snprintf(folder, sizeof(folder), "%s/qemunet/template-" KEY, base);
    atexit(remove_cache);
}

static void write_file(const char *name, const char *head, const void *data, size_t size)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *out = fopen(path, "we");
    if (!out || fputs(head, out) < 0 || fwrite(data, 1, size, out) != size || fclose(out))
        abort();
}

static void write_all(const uint8_t *data, size_t size)
{
    char head[64] = "";
    if (size && data[0] & 1)
        snprintf(head, sizeof(head), TEMPLATE_FORMAT " %016" PRIx64 "\n",
                 cache_hash(CACHE_HASH_START, data + 1, size - 1));
    mkdir(folder, 0700); /* which may have been removed as damaged */
    write_file("memory", "m", "", 0);
    write_file("state", "s", "", 0);
    write_file("about", head, size ? data + 1 : data, size ? size - 1 : 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct template *t = NULL;
    int good;
    size_t n;
    if (size > INPUT_MAX)
        return 0;
    if (!*folder)
        make_cache();
    write_all(data, size);
    if (template_open(&t, KEY))
        return 0;
    if (!template_note(t, &n) || n > size)
        abort();
    while ((good = template_check(t, 1)) == 0)
        ;
    if (good == 1)
        abort();
    template_close(t);
    return 0;
}
