#include "wal/wal_files.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "ch/alloc.h"
#include "ch/assert.h"

static void format_path(char out[CH_WAL_PATH_BYTES], const char *directory,
                        const char *format, uint64_t number)
    __attribute__((format(printf, 3, 0)));

static void
format_path(char out[CH_WAL_PATH_BYTES], const char *directory, const char *format,
            uint64_t number)
{
    int used = snprintf(out, CH_WAL_PATH_BYTES, "%s/", directory);
    CH_ASSERT(used > 0 && used < CH_WAL_PATH_BYTES - 64);
    snprintf(out + used, CH_WAL_PATH_BYTES - (size_t)used, format, number);
}

void
ch_wal_segment_path(const char *directory, uint64_t number, char out[CH_WAL_PATH_BYTES])
{
    format_path(out, directory, "%020" PRIu64 ".wal", number);
}

void
ch_wal_segment_tmp_path(const char *directory, uint64_t number,
                        char out[CH_WAL_PATH_BYTES])
{
    format_path(out, directory, "%020" PRIu64 ".wal.tmp", number);
}

void
ch_wal_spare_path(const char *directory, uint64_t number, char out[CH_WAL_PATH_BYTES])
{
    format_path(out, directory, "spare.%" PRIu64, number);
}

void
ch_wal_numbers_add(ch_wal_numbers_t *numbers, uint64_t number)
{
    if (numbers->count == numbers->capacity) {
        numbers->capacity = numbers->capacity ? numbers->capacity * 2 : 16;
        numbers->list =
            ch_realloc(numbers->list, numbers->capacity * sizeof *numbers->list);
    }
    numbers->list[numbers->count++] = number;
}

uint64_t
ch_wal_numbers_shift(ch_wal_numbers_t *numbers)
{
    CH_ASSERT(numbers->count > 0);
    uint64_t first = numbers->list[0];
    numbers->count--;
    memmove(numbers->list, numbers->list + 1, numbers->count * sizeof *numbers->list);
    return first;
}

void
ch_wal_numbers_release(ch_wal_numbers_t *numbers)
{
    ch_free(numbers->list);
    *numbers = (ch_wal_numbers_t){0};
}

/* Digits, as many as given (0: any number), then exactly `suffix`. */
static bool
parse_number(const char *name, size_t digits, const char *suffix, uint64_t *number_out)
{
    uint64_t number = 0;
    size_t used = 0;
    for (; name[used] >= '0' && name[used] <= '9'; used++) {
        if (number > (UINT64_MAX - 9) / 10)
            return false;
        number = number * 10 + (uint64_t)(name[used] - '0');
    }
    *number_out = number;
    return used > 0 && (digits == 0 || used == digits) &&
           strcmp(name + used, suffix) == 0;
}

static ch_status_t
list_name(void *context, const char *name)
{
    ch_wal_listing_t *listing = context;
    uint64_t number;
    if (parse_number(name, 20, ".wal", &number))
        ch_wal_numbers_add(&listing->segments, number);
    else if (parse_number(name, 20, ".wal.tmp", &number))
        ch_wal_numbers_add(&listing->tmps, number);
    else if (strncmp(name, "spare.", 6) == 0 && parse_number(name + 6, 0, "", &number))
        ch_wal_numbers_add(&listing->spares, number);
    return CH_OK;
}

static int
compare_numbers(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

static void
sort_numbers(ch_wal_numbers_t *numbers)
{
    if (numbers->count > 1)
        qsort(numbers->list, numbers->count, sizeof *numbers->list, compare_numbers);
}

ch_status_t
ch_wal_list(ch_fs_t *fs, const char *directory, ch_wal_listing_t *listing)
{
    ch_status_t status = ch_fs_list(fs, directory, list_name, listing);
    sort_numbers(&listing->segments);
    sort_numbers(&listing->tmps);
    sort_numbers(&listing->spares);
    return status;
}

void
ch_wal_listing_release(ch_wal_listing_t *listing)
{
    ch_wal_numbers_release(&listing->segments);
    ch_wal_numbers_release(&listing->tmps);
    ch_wal_numbers_release(&listing->spares);
}

static ch_status_t
sync_final(ch_status_t status)
{
    return status == CH_ERR_NOSPACE ? CH_ERR_IO : status;
}

ch_status_t
ch_wal_sync_file(ch_file_t *file)
{
    return sync_final(ch_fs_sync(file));
}

ch_status_t
ch_wal_sync_directory(ch_fs_t *fs, const char *directory)
{
    return sync_final(ch_fs_sync_dir(fs, directory));
}

ch_status_t
ch_wal_sync_parent(ch_fs_t *fs, const char *directory)
{
    char *parent = ch_strdup(directory);
    char *slash = strrchr(parent, '/');
    if (slash)
        slash[slash == parent ? 1 : 0] = '\0';
    ch_status_t status = ch_wal_sync_directory(fs, slash ? parent : ".");
    ch_free(parent);
    return status;
}
