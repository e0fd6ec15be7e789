/* secret.c - the one place that has a secret key in its hands.
 *
 * Everything happens in the secret's own page: the file's text is read into it, taken apart in place
 * and wiped. Nothing goes through stdio, whose buffers nobody wipes.
 */
#include "ch/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "ch/key_file.h"

enum { TEXT_BYTES = 2048 };

/* What is mapped: the part that is handed out comes first. */
typedef struct page {
    ch_secret_t secret;
    char text[TEXT_BYTES];
} page_t;

ch_status_t
ch_secret_new(ch_secret_t **secret_out)
{
    page_t *page = mmap(NULL, sizeof *page, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED)
        return ch_fail(CH_ERR_LIMIT, "no memory for a key: %s", strerrordesc_np(errno));
    page->secret.locked = mlock(page, sizeof *page) == 0;
    (void)madvise(page, sizeof *page, MADV_DONTDUMP);
    *secret_out = &page->secret;
    return CH_OK;
}

void
ch_secret_destroy(ch_secret_t **secret)
{
    if (!*secret)
        return;
    page_t *page = (page_t *)(void *)*secret;
    explicit_bzero(page, sizeof *page);
    (void)munmap(page, sizeof *page);
    *secret = NULL;
}

/* ---- reading */

static char *
slot_of(ch_secret_t *secret, const char *word, size_t size)
{
    if (size == 6 && memcmp(word, "public", size) == 0)
        return secret->public_key;
    if (size == 6 && memcmp(word, "secret", size) == 0)
        return secret->secret_key;
    if (size == 6 && memcmp(word, "server", size) == 0)
        return secret->server_key;
    return NULL;
}

/* One line. Messages tell no text of the line: it may hold the secret. */
static ch_status_t
take_line(ch_secret_t *secret, const char *path, unsigned number, const char *line,
          size_t size)
{
    while (size > 0 && memchr(" \t\r", line[size - 1], 3))
        size--;
    if (size == 0 || line[0] == '#')
        return CH_OK;
    const char *space = memchr(line, ' ', size);
    size_t word = space ? (size_t)(space - line) : size;
    char *slot = slot_of(secret, line, word);
    if (!slot)
        return ch_fail(CH_ERR_PARSE,
                       "%s:%u: the line is none of `public KEY`, `secret KEY`, `server "
                       "KEY`; chq keygen makes such files",
                       path, number);
    if (slot[0])
        return ch_fail(CH_ERR_PARSE, "%s:%u: the %.*s key stands there twice", path,
                       number, (int)word, line);
    uint8_t key[CH_KEY_BYTES];
    size_t at = space ? word + 1 : size;
    bool valid = ch_z85_decode(line + at, size - at, key);
    explicit_bzero(key, sizeof key);
    if (!valid)
        return ch_fail(CH_ERR_PARSE, "%s:%u: the %.*s key is not 40 characters of Z85",
                       path, number, (int)word, line);
    memcpy(slot, line + at, CH_KEY_TEXT);
    return CH_OK;
}

static ch_status_t
parse(ch_secret_t *secret, const char *path, const char *text, size_t size)
{
    unsigned number = 1;
    for (size_t at = 0; at < size; number++) {
        const char *end = memchr(text + at, '\n', size - at);
        size_t length = end ? (size_t)(end - text) - at : size - at;
        ch_status_t status = take_line(secret, path, number, text + at, length);
        if (status < 0)
            return status;
        at += length + 1;
    }
    const char *missing = !secret->secret_key[0] ? "secret" : "public";
    if (!secret->public_key[0] || !secret->secret_key[0])
        return ch_fail(CH_ERR_PARSE,
                       "%s: has no %s key; chq keygen makes a file with both", path,
                       missing);
    return CH_OK;
}

ch_status_t
ch_secret_load(const char *path, ch_secret_t **secret_out)
{
    ch_secret_t *secret = NULL;
    ch_status_t status = ch_secret_new(&secret);
    if (status < 0)
        return status;
    page_t *page = (page_t *)(void *)secret;
    size_t size = 0;
    status =
        ch_key_file_read(path, CH_KEY_FILE_SECRET, page->text, sizeof page->text, &size);
    if (status == CH_OK)
        status = parse(secret, path, page->text, size);
    explicit_bzero(page->text, sizeof page->text);
    if (status < 0) {
        ch_secret_destroy(&secret);
        return status;
    }
    *secret_out = secret;
    return CH_OK;
}

/* ---- writing */

static void
append(char **at, const char *text)
{
    size_t size = strlen(text);
    memcpy(*at, text, size);
    *at += size;
}

/* The text of the file, at most four short lines. */
static size_t
compose(const ch_secret_t *secret, char text[TEXT_BYTES])
{
    char *at = text;
    append(&at, "# A CityHall key pair. The secret key is for nobody else's eyes: mode "
                "0600.\npublic ");
    append(&at, secret->public_key);
    append(&at, "\nsecret ");
    append(&at, secret->secret_key);
    if (secret->server_key[0]) {
        append(&at, "\nserver ");
        append(&at, secret->server_key);
    }
    append(&at, "\n");
    return (size_t)(at - text);
}

static bool
write_synced(int fd, const char *text, size_t size)
{
    while (size > 0) {
        ssize_t written = write(fd, text, size);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return false;
        text += written;
        size -= (size_t)written;
    }
    return fsync(fd) == 0;
}

ch_status_t
ch_secret_save(const char *path, const ch_secret_t *secret)
{
    ch_secret_t *scratch = NULL; /* a page to compose the text in */
    ch_status_t status = ch_secret_new(&scratch);
    if (status < 0)
        return status;
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        status = errno == EEXIST
                     ? ch_fail(CH_ERR_EXISTS,
                               "%s: is there already, and keys are never overwritten; "
                               "choose another name",
                               path)
                     : ch_fail(CH_ERR_IO, "%s: cannot be made: %s", path,
                               strerrordesc_np(errno));
    } else {
        page_t *page = (page_t *)(void *)scratch;
        size_t size = compose(secret, page->text);
        bool written = write_synced(fd, page->text, size);
        int failure = errno;
        written = close(fd) == 0 && written;
        if (!written) {
            (void)unlink(path); /* half a key pair is none */
            status = ch_fail(CH_ERR_IO, "%s: cannot be written: %s", path,
                             strerrordesc_np(failure));
        }
    }
    ch_secret_destroy(&scratch);
    return status;
}
