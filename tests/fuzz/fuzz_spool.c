/* A producer's spool after a crash: a first byte of 0 mod 2, the rest is a spool file; else it is frames, each
 * behind a length of two bytes, which are given their checksums here, so that what reads identities is
 * reached. What is handed out once is handed out again at the next open, the same. */
#include "client/spool.h"

#include "ch/alloc.h"
#include "ch/buffer.h"
#include "ch/checksum.h"
#include "ch/coding.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { PATH_BYTES = 64, ERROR_BYTES = 512 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct seen {
    uint64_t count, hash;
} seen_t;

static bool
note(void *context, uint64_t epoch, uint64_t seq, const char *producer, ch_bytes_t frame)
{
    seen_t *seen = context;
    size_t length = strnlen(producer, 65);
    if (length > 64 || !memmem(frame.data, frame.size, "producer", 8) ||
        (length > 0 && !memmem(frame.data, frame.size, producer, length)))
        __builtin_trap(); /* a name from nowhere */
    seen->count++;
    seen->hash = ch_hash64(frame.data, frame.size, seen->hash ^ epoch ^ seq);
    return true;
}

static void
build(ch_buffer_t *file, ch_bytes_t input)
{
    ch_buffer_append(file, "CHSPOOL1", 8);
    while (input.size >= 2) {
        size_t length = (size_t)input.data[0] << 8 | input.data[1];
        uint8_t head[8];
        length = length < input.size - 2 ? length : input.size - 2;
        ch_store_u32(head, (uint32_t)length);
        ch_store_u32(head + 4, ch_crc32c(input.data + 2, length));
        ch_buffer_append(file, head, sizeof head);
        ch_buffer_append(file, input.data + 2, length);
        input = ch_bytes(input.data + 2 + length, input.size - 2 - length);
    }
}

static void
write_file(const char *path, ch_bytes_t bytes)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, bytes.data, bytes.size) != (ssize_t)bytes.size)
        abort();
    (void)close(fd);
}

static bool
open_once(const char *directory, seen_t *seen)
{
    char error[ERROR_BYTES] = "";
    *seen = (seen_t){0};
    ch_spool_t *spool = ch_spool_open(directory, false, note, seen, error, sizeof error);
    if (!spool && !error[0])
        __builtin_trap(); /* refused without a word */
    bool fine = spool != NULL;
    ch_spool_destroy(&spool);
    return fine;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    char directory[PATH_BYTES] = "/tmp/cityhall-spool-XXXXXX", path[2 * PATH_BYTES];
    ch_buffer_t file = {0};
    seen_t first, second;
    if (!mkdtemp(directory))
        abort();
    if (data[0] % 2 == 0)
        ch_buffer_append(&file, data + 1, size - 1);
    else
        build(&file, ch_bytes(data + 1, size - 1));
    snprintf(path, sizeof path, "%s/0000000000000001.spool", directory);
    write_file(path, file.size ? ch_buffer_bytes(&file) : ch_bytes("", 0));
    if (open_once(directory, &first) &&
        (!open_once(directory, &second) || first.count != second.count ||
         first.hash != second.hash))
        __builtin_trap();
    (void)unlink(path);
    snprintf(path, sizeof path, "%s/lock", directory);
    (void)unlink(path);
    (void)rmdir(directory);
    ch_buffer_release(&file);
    return 0;
}
