/* Configuration: a first byte of 0 mod 2, the rest is one --set pair; else it is an INI file. What is taken is
 * printed, and the print must be taken and print the same. */
#include "ch/alloc.h"
#include "config.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { PATH_BYTES = 64 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static ch_status_t
load(ch_config_t *config, const void *text, size_t size)
{
    char path[PATH_BYTES];
    int fd = memfd_create("config", MFD_CLOEXEC);
    if (fd < 0 || (size > 0 && write(fd, text, size) != (ssize_t)size))
        abort();
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    ch_status_t status = ch_config_load_file(config, path);
    (void)close(fd);
    return status;
}

static char *
print(const ch_config_t *config, size_t *size_out)
{
    char *text = NULL;
    FILE *to = open_memstream(&text, size_out);
    if (!to)
        abort();
    ch_config_print(config, CH_CONFIG_PRINT_INI, to);
    (void)fclose(to);
    return text;
}

/* Comments say where a value came from, which is another place now: only `key = value` counts. */
static bool
says_the_same(const char *a, const char *b)
{
    for (;;) {
        while (*a == ';' || *a == '#')
            a += strcspn(a, "\n") + (strchr(a, '\n') != NULL);
        while (*b == ';' || *b == '#')
            b += strcspn(b, "\n") + (strchr(b, '\n') != NULL);
        size_t length = strcspn(a, "\n");
        if (length != strcspn(b, "\n") || memcmp(a, b, length) != 0)
            return false;
        if (!a[length] || !b[length])
            return a[length] == b[length];
        a += length + 1;
        b += length + 1;
    }
}

static void
check_print(const ch_config_t *config)
{
    ch_config_t again;
    size_t size, size_again;
    char *text = print(config, &size);
    ch_config_init(&again);
    if (load(&again, text, size) < 0)
        __builtin_trap();
    char *text_again = print(&again, &size_again);
    if (!says_the_same(text, text_again))
        __builtin_trap();
    ch_config_release(&again);
    free(text);
    free(text_again);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    ch_config_t config;
    ch_status_t status;
    ch_config_init(&config);
    if (data[0] % 2 == 0) {
        char *pair = ch_calloc(1, size); /* the input has no NUL at its end */
        memcpy(pair, data + 1, size - 1);
        status = ch_config_set_pair(&config, pair);
        ch_free(pair);
    } else {
        status = load(&config, data + 1, size - 1);
    }
    if (status == CH_OK && ch_config_check(&config) == CH_OK)
        check_print(&config);
    ch_config_release(&config);
    return 0;
}
