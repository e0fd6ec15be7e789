/* spool.c - the producer's own little log.
 *
 * Rewriting (a new epoch numbers everything anew) writes a file with the next number and the suffix
 * `.new`, syncs it, renames it, syncs the directory, and only then deletes the older files. A crash in
 * between leaves older files beside a newer one whose first seq is 1 under a higher epoch: reading
 * takes only the files of the highest epoch.
 */
#include "spool.h"

#include "ch/alloc.h"
#include "ch/buffer.h"
#include "ch/coding.h"
#include "ch/cursor.h"
#include "ch/limits.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static const char magic[8] = {'C', 'H', 'S', 'P', 'O', 'O', 'L', '1'};

enum { RECORD_HEAD_BYTES = 8, PATH_BYTES = 512 };

typedef struct spool_file {
    uint64_t number;
    uint64_t last_seq; /* 0: holds nothing of this epoch */
} spool_file_t;

struct ch_spool {
    char path[PATH_BYTES - 32];
    bool sync;
    int lock;
    int directory;
    int file; /* the last one, open for appending; -1: none */
    uint64_t bytes;
    spool_file_t *files; /* ascending */
    size_t file_count;
    size_t file_capacity;
};

/* CRC-32C (Castagnoli), RFC 3720 B.4, a bit at a time over nibbles. */
uint32_t
ch_crc32c(const void *data, size_t size)
{
    static const uint32_t table[16] = {
        0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3,
        0x61c69362, 0x7198540d, 0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9,
        0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
    };
    const uint8_t *at = data;
    uint32_t crc = UINT32_MAX;
    for (size_t i = 0; i < size; i++) {
        crc ^= at[i];
        crc = crc >> 4 ^ table[crc & 15];
        crc = crc >> 4 ^ table[crc & 15];
    }
    return ~crc;
}

static bool
write_all(int fd, const void *data, size_t size)
{
    const uint8_t *at = data;
    while (size > 0) {
        ssize_t written = write(fd, at, size);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return false;
        at += written;
        size -= (size_t)written;
    }
    return true;
}

static void
file_path(const ch_spool_t *spool, uint64_t number, const char *suffix, char *out)
{
    snprintf(out, PATH_BYTES, "%s/%016" PRIx64 "%s", spool->path, number, suffix);
}

static spool_file_t *
add_file(ch_spool_t *spool, uint64_t number)
{
    if (spool->file_count == spool->file_capacity) {
        size_t capacity = spool->file_capacity ? spool->file_capacity * 2 : 16;
        spool_file_t *files = realloc(spool->files, capacity * sizeof *files);
        if (!files)
            return NULL;
        spool->files = files;
        spool->file_capacity = capacity;
    }
    spool->files[spool->file_count] = (spool_file_t){.number = number};
    return &spool->files[spool->file_count++];
}

static int
compare_files(const void *a, const void *b)
{
    const spool_file_t *x = a, *y = b;
    return (x->number > y->number) - (x->number < y->number);
}

/* ---- reading what is there */

typedef bool (*visit_t)(void *context, uint64_t epoch, uint64_t seq, const char *producer,
                        ch_bytes_t frame);

typedef struct reading {
    ch_spool_t *spool;
    visit_t visit;
    void *context;
    uint64_t epoch; /* the highest seen; lower ones are left-overs of a rewrite */
    uint64_t seq;   /* the last taken */
    char *error;
    size_t error_size;
} reading_t;

static bool
list_files(ch_spool_t *spool)
{
    DIR *directory = opendir(spool->path);
    if (!directory)
        return false;
    bool fine = true;
    for (struct dirent *entry; fine && (entry = readdir(directory));) {
        uint64_t number;
        int used = 0;
        if (strlen(entry->d_name) == 22 &&
            sscanf(entry->d_name, "%16" SCNx64 ".spool%n", &number, &used) == 1 &&
            used == 22)
            fine = add_file(spool, number) != NULL;
    }
    closedir(directory);
    if (spool->file_count)
        qsort(spool->files, spool->file_count, sizeof *spool->files, compare_files);
    return fine;
}

static bool
read_file(int fd, ch_buffer_t *out)
{
    struct stat info;
    if (fstat(fd, &info) < 0)
        return false;
    uint8_t *to = ch_buffer_reserve(out, (size_t)info.st_size + 1);
    while (to && out->size < (size_t)info.st_size) {
        ssize_t got = read(fd, out->data + out->size, (size_t)info.st_size - out->size);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            break;
        out->size += (size_t)got;
    }
    return to && out->size == (size_t)info.st_size;
}

/* Who sent a frame, and its number. */
static bool
frame_identity(ch_bytes_t frame, char producer[CH_PRODUCER_BYTES_MAX + 1],
               uint64_t *epoch, uint64_t *seq)
{
    ch_cursor_t cursor = ch_cursor(frame);
    ch_item_t map, key, value;
    producer[0] = 0;
    *epoch = *seq = 0;
    if (!ch_cursor_next(&cursor, &map) || map.kind != CH_ITEM_MAP)
        return false;
    for (uint32_t i = 0; i < map.count && !(producer[0] && *epoch && *seq); i++) {
        if (!ch_cursor_next(&cursor, &key))
            return false;
        ch_cursor_t at = cursor;
        if (!ch_cursor_next(&at, &value) || !ch_cursor_skip(&cursor, NULL))
            return false;
        if (ch_item_is(&key, "producer") && value.kind == CH_ITEM_STR &&
            value.bytes.size <= CH_PRODUCER_BYTES_MAX) {
            memcpy(producer, value.bytes.data, value.bytes.size);
            producer[value.bytes.size] = 0;
        } else if (ch_item_is(&key, "epoch") && value.kind == CH_ITEM_INT) {
            *epoch = value.u64;
        } else if (ch_item_is(&key, "seq") && value.kind == CH_ITEM_INT) {
            *seq = value.u64;
        }
    }
    return producer[0] && *epoch && *seq;
}

/* The record at the front of `left`; false when it is not whole. */
static bool
next_record(ch_bytes_t left, ch_bytes_t *frame_out)
{
    if (left.size < RECORD_HEAD_BYTES)
        return false;
    uint32_t size = ch_load_u32(left.data), check = ch_load_u32(left.data + 4);
    if (size > CH_SPOOL_FRAME_BYTES_MAX || size > left.size - RECORD_HEAD_BYTES)
        return false;
    *frame_out = ch_bytes(left.data + RECORD_HEAD_BYTES, size);
    return ch_crc32c(frame_out->data, size) == check;
}

static bool
fail_reading(reading_t *reading, uint64_t number, size_t offset, const char *what)
{
    errno = 0;
    snprintf(reading->error, reading->error_size,
             "spool %s: file %016" PRIx64 ".spool, byte %zu: %s", reading->spool->path,
             number, offset, what);
    return false;
}

/* Take one frame: of a lower epoch it is skipped, of the same it must follow. */
static bool
take_frame(reading_t *reading, spool_file_t *file, size_t offset, ch_bytes_t frame)
{
    char producer[CH_PRODUCER_BYTES_MAX + 1];
    uint64_t epoch = 0, seq = 0;
    if (!frame_identity(frame, producer, &epoch, &seq))
        return fail_reading(reading, file->number, offset, "a batch without identity");
    if (epoch < reading->epoch)
        return true;
    if (epoch == reading->epoch && reading->seq && seq != reading->seq + 1)
        return fail_reading(reading, file->number, offset, "a batch is missing");
    reading->epoch = epoch;
    reading->seq = seq;
    file->last_seq = seq;
    return reading->visit(reading->context, epoch, seq, producer, frame) ||
           fail_reading(reading, file->number, offset,
                        "the batch is another producer's, or there is no memory");
}

/* Read one file. A torn end is cut off when it is the last file. */
static bool
take_file(reading_t *reading, size_t place, ch_bytes_t content)
{
    spool_file_t *file = &reading->spool->files[place];
    bool last = place + 1 == reading->spool->file_count;
    char path[PATH_BYTES];
    size_t offset = sizeof magic;
    if (content.size < sizeof magic || memcmp(content.data, magic, sizeof magic) != 0)
        return (last && content.size < sizeof magic) ||
               fail_reading(reading, file->number, 0, "not a spool file");
    while (offset < content.size) {
        ch_bytes_t frame, left = ch_bytes(content.data + offset, content.size - offset);
        if (!next_record(left, &frame)) {
            if (!last && offset == sizeof magic) /* nothing would tell what is missing */
                return fail_reading(reading, file->number, offset, "a damaged record");
            if (!last) /* never sent, or damage: the next file's first seq tells which */
                return true;
            file_path(reading->spool, file->number, ".spool", path);
            return truncate(path, (off_t)offset) == 0 ||
                   fail_reading(reading, file->number, offset, "cannot cut a torn end");
        }
        if (!take_frame(reading, file, offset, frame))
            return false;
        offset += RECORD_HEAD_BYTES + frame.size;
    }
    return true;
}

/* The highest epoch of any file's first batch, so that left-overs of a rewrite are skipped. */
static uint64_t
highest_epoch(const ch_buffer_t *contents, size_t count)
{
    uint64_t highest = 0;
    for (size_t i = 0; i < count; i++) {
        ch_bytes_t frame;
        char producer[CH_PRODUCER_BYTES_MAX + 1];
        uint64_t epoch = 0, seq;
        if (contents[i].size > sizeof magic &&
            next_record(ch_bytes(contents[i].data + sizeof magic,
                                 contents[i].size - sizeof magic),
                        &frame) &&
            frame_identity(frame, producer, &epoch, &seq) && epoch > highest)
            highest = epoch;
    }
    return highest;
}

static bool
read_files(reading_t *reading, ch_buffer_t *contents)
{
    ch_spool_t *spool = reading->spool;
    for (size_t i = 0; i < spool->file_count; i++) {
        char path[PATH_BYTES];
        file_path(spool, spool->files[i].number, ".spool", path);
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        bool fine = fd >= 0 && read_file(fd, &contents[i]);
        int problem = errno;
        if (fd >= 0)
            close(fd);
        if (!fine) {
            fail_reading(reading, spool->files[i].number, 0, strerror(problem));
            return false;
        }
    }
    reading->epoch = highest_epoch(contents, spool->file_count);
    for (size_t i = 0; i < spool->file_count; i++)
        if (!take_file(reading, i,
                       contents[i].size ? ch_buffer_bytes(&contents[i])
                                        : ch_bytes("", 0)))
            return false;
    return true;
}

/* Hand out everything held. */
static bool
read_all(reading_t *reading)
{
    ch_spool_t *spool = reading->spool;
    size_t count = spool->file_count;
    ch_buffer_t *contents = calloc(count + 1, sizeof *contents);
    bool fine = contents && read_files(reading, contents);
    for (size_t i = 0; contents && i < count; i++)
        ch_buffer_release(&contents[i]);
    free(contents);
    return fine;
}

/* ---- open and close */

static bool
fail_open(ch_spool_t *spool, char *error, size_t size, const char *what)
{
    snprintf(error, size, "spool %s: %s: %s", spool->path, what,
             errno ? strerror(errno) : "failed");
    return false;
}

static bool
open_directory(ch_spool_t *spool, char *error, size_t size)
{
    char path[PATH_BYTES];
    if (mkdir(spool->path, 0700) < 0 && errno != EEXIST)
        return fail_open(spool, error, size, "cannot make the directory");
    spool->directory = open(spool->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (spool->directory < 0)
        return fail_open(spool, error, size, "cannot open the directory");
    snprintf(path, sizeof path, "%s/lock", spool->path);
    spool->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (spool->lock < 0)
        return fail_open(spool, error, size, "cannot open the lock");
    if (flock(spool->lock, LOCK_EX | LOCK_NB) < 0)
        return fail_open(spool, error, size, "another producer uses it");
    if (!list_files(spool))
        return fail_open(spool, error, size, "cannot list its files");
    return true;
}

/* Delete files from the front that hold nothing above `seq`. */
static void
delete_files(ch_spool_t *spool, uint64_t seq)
{
    size_t gone = 0;
    while (gone < spool->file_count && spool->files[gone].last_seq <= seq) {
        char path[PATH_BYTES];
        bool open_one = gone + 1 == spool->file_count && spool->file >= 0;
        file_path(spool, spool->files[gone].number, ".spool", path);
        if (open_one) {
            close(spool->file);
            spool->file = -1;
        }
        unlink(path);
        gone++;
    }
    if (gone == 0)
        return;
    spool->file_count -= gone;
    memmove(spool->files, spool->files + gone, spool->file_count * sizeof *spool->files);
}

ch_spool_t *
ch_spool_open(const char *path, bool sync, visit_t visit, void *context, char *error,
              size_t error_size)
{
    ch_spool_t *spool = calloc(1, sizeof *spool);
    if (!spool) {
        snprintf(error, error_size, "out of memory");
        return NULL;
    }
    spool->sync = sync;
    spool->lock = spool->directory = spool->file = -1;
    reading_t reading = {.spool = spool,
                         .visit = visit,
                         .context = context,
                         .error = error,
                         .error_size = error_size};
    if (strlen(path) >= sizeof spool->path) {
        snprintf(error, error_size, "spool: the path is too long");
        ch_spool_destroy(&spool);
        return NULL;
    }
    memcpy(spool->path, path, strlen(path) + 1);
    if (!open_directory(spool, error, error_size) || !read_all(&reading)) {
        ch_spool_destroy(&spool);
        return NULL;
    }
    delete_files(spool, 0); /* empty ones, and left-overs of a rewrite */
    return spool;
}

void
ch_spool_destroy(ch_spool_t **spool_p)
{
    ch_spool_t *spool = ch_take(spool_p);
    if (!spool)
        return;
    if (spool->file >= 0)
        close(spool->file);
    if (spool->directory >= 0)
        close(spool->directory);
    if (spool->lock >= 0)
        close(spool->lock);
    free(spool->files);
    free(spool);
}

/* ---- writing */

static bool
start_file(ch_spool_t *spool)
{
    char path[PATH_BYTES];
    uint64_t number =
        spool->file_count ? spool->files[spool->file_count - 1].number + 1 : 1;
    file_path(spool, number, ".spool", path);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0)
        return false;
    if (!write_all(fd, magic, sizeof magic) ||
        (spool->sync && fsync(spool->directory) < 0) || !add_file(spool, number)) {
        close(fd);
        unlink(path);
        return false;
    }
    if (spool->file >= 0)
        close(spool->file);
    spool->file = fd;
    spool->bytes = sizeof magic;
    return true;
}

static bool
write_record(int fd, ch_bytes_t frame)
{
    uint8_t head[RECORD_HEAD_BYTES];
    ch_store_u32(head, (uint32_t)frame.size);
    ch_store_u32(head + 4, ch_crc32c(frame.data, frame.size));
    return write_all(fd, head, sizeof head) && write_all(fd, frame.data, frame.size);
}

bool
ch_spool_append(ch_spool_t *spool, uint64_t seq, ch_bytes_t frame)
{
    uint64_t size = RECORD_HEAD_BYTES + frame.size;
    bool full = spool->bytes + size > CH_SPOOL_FILE_BYTES && spool->bytes > sizeof magic;
    if ((spool->file < 0 || full) && !start_file(spool))
        return false;
    if (!write_record(spool->file, frame) ||
        (spool->sync && fdatasync(spool->file) < 0)) {
        int problem = errno;
        if (ftruncate(spool->file, (off_t)spool->bytes) <
            0) {                /* a torn record in the middle */
            close(spool->file); /* would be damage: never append */
            spool->file = -1;   /* behind it */
        }
        errno = problem;
        return false;
    }
    spool->bytes += size;
    spool->files[spool->file_count - 1].last_seq = seq;
    return true;
}

void
ch_spool_release(ch_spool_t *spool, uint64_t seq)
{
    delete_files(spool, seq);
}

/* Write all frames to `path`. */
static bool
write_frames(const char *path, bool (*next)(void *, size_t, ch_bytes_t *), void *context,
             uint64_t *count_out)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    bool fine = fd >= 0 && write_all(fd, magic, sizeof magic);
    ch_bytes_t frame;
    uint64_t count = 0;
    for (; fine && next(context, (size_t)count, &frame); count++)
        fine = write_record(fd, frame);
    fine = fine && fsync(fd) == 0;
    int problem = errno;
    if (fd >= 0)
        close(fd);
    errno = problem;
    *count_out = count;
    return fine;
}

bool
ch_spool_rewrite(ch_spool_t *spool, bool (*next)(void *, size_t, ch_bytes_t *),
                 void *context)
{
    char fresh[PATH_BYTES], path[PATH_BYTES];
    uint64_t count,
        number = spool->file_count ? spool->files[spool->file_count - 1].number + 1 : 1;
    file_path(spool, number, ".new", fresh);
    file_path(spool, number, ".spool", path);
    if (!write_frames(fresh, next, context, &count) || rename(fresh, path) < 0 ||
        fsync(spool->directory) < 0)
        return false;
    if (spool->file >= 0)
        close(spool->file);
    spool->file = -1;
    delete_files(spool, UINT64_MAX);
    spool_file_t *file = add_file(spool, number);
    if (!file)
        return false;
    file->last_seq = count;
    return true;
}
