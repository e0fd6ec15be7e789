#include "endpoints.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static bool
write_lines(FILE *file, const ch_endpoint_t *endpoints, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (fprintf(file, "%s %s\n", endpoints[i].name, endpoints[i].endpoint) < 0)
            return false;
    }
    return true;
}

ch_status_t
ch_endpoints_write(const char *data, const ch_endpoint_t *endpoints, size_t count)
{
    char path[PATH_MAX], fresh[PATH_MAX];
    int a = snprintf(path, sizeof path, "%s/endpoints", data);
    int b = snprintf(fresh, sizeof fresh, "%s/endpoints.new", data);
    if (a < 0 || b < 0 || (size_t)b >= sizeof fresh)
        return ch_fail(CH_ERR_INVALID, "%s: the path is too long", data);
    FILE *file = fopen(fresh, "we");
    if (!file)
        return ch_fail(CH_ERR_IO, "%s: cannot be written: %s", fresh,
                       strerrordesc_np(errno));
    bool written = write_lines(file, endpoints, count);
    if (fclose(file) != 0 || !written || rename(fresh, path) != 0) {
        (void)unlink(fresh);
        return ch_fail(CH_ERR_IO, "%s: cannot be written: %s", path,
                       strerrordesc_np(errno));
    }
    return CH_OK;
}

void
ch_endpoints_remove(const char *data)
{
    char path[PATH_MAX];
    if ((size_t)snprintf(path, sizeof path, "%s/endpoints", data) < sizeof path)
        (void)unlink(path); /* gone already is as good */
}
