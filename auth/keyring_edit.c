#include "ch/keyring_edit.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include "ch/alloc.h"
#include "ch/key_file.h"

/* What stands in a file without keys: one without a byte looks like an accident, and is refused. */
static const char empty_file[] = "# no keys\n";

typedef struct edit {
    const char *path;
    char fresh[PATH_MAX]; /* what is renamed over it; locked */
    int fd;               /* of fresh */
    char *text;           /* CH_KEYRING_BYTES_MAX */
    size_t size;
} edit_t;

static ch_status_t
fail_write(const char *path)
{
    return ch_fail(CH_ERR_IO, "%s: cannot be written: %s", path, strerrordesc_np(errno));
}

/* Is the file behind `fd` still the one of this name? Whoever had the lock before us renamed it. */
static bool
is_current(int fd, const char *path)
{
    struct stat ours, named;
    return fstat(fd, &ours) == 0 && lstat(path, &named) == 0 &&
           ours.st_ino == named.st_ino && ours.st_dev == named.st_dev;
}

static ch_status_t
lock(edit_t *edit)
{
    int size = snprintf(edit->fresh, sizeof edit->fresh, "%s.new", edit->path);
    if (size < 0 || (size_t)size >= sizeof edit->fresh)
        return ch_fail(CH_ERR_INVALID, "%s: the path is too long", edit->path);
    for (;;) {
        edit->fd = open(edit->fresh, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
        if (edit->fd < 0)
            return fail_write(edit->fresh);
        if (flock(edit->fd, LOCK_EX) == 0 && is_current(edit->fd, edit->fresh))
            return CH_OK;
        close(edit->fd);
    }
}

/* The file as it is; `may_miss`: none is like one without lines. */
static ch_status_t
read_old(edit_t *edit, bool may_miss)
{
    struct stat found;
    if (may_miss && lstat(edit->path, &found) != 0 && errno == ENOENT)
        return CH_OK;
    return ch_key_file_read(edit->path, CH_KEY_FILE_TRUSTED, edit->text,
                            CH_KEYRING_BYTES_MAX, &edit->size);
}

/* Mode and owner stay what they were. */
static bool
take_over(const edit_t *edit)
{
    struct stat old, fresh;
    if (stat(edit->path, &old) != 0)
        return errno == ENOENT;
    if (fstat(edit->fd, &fresh) != 0)
        return false;
    bool same = fresh.st_uid == old.st_uid && fresh.st_gid == old.st_gid;
    return (same || fchown(edit->fd, old.st_uid, old.st_gid) == 0) &&
           fchmod(edit->fd, old.st_mode & 07777) == 0;
}

static bool
write_all(int fd, const char *text, size_t size)
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
    return true;
}

static bool
sync_folder(const char *path)
{
    char folder[PATH_MAX];
    const char *slash = strrchr(path, '/');
    size_t size = slash ? (size_t)(slash - path) + 1 : 0;
    (void)snprintf(folder, sizeof folder, "%.*s", (int)size, path);
    int fd = open(size ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool synced = fd >= 0 && fsync(fd) == 0;
    if (fd >= 0)
        close(fd);
    return synced;
}

static ch_status_t
replace(edit_t *edit, ch_selector_check_t check)
{
    ch_keyring_t *keyring = NULL;
    ch_status_t status =
        ch_keyring_parse(ch_bytes(edit->text, edit->size), edit->path, check, &keyring);
    ch_keyring_drop(&keyring);
    if (status < 0)
        return status;
    if (ftruncate(edit->fd, 0) != 0 || !write_all(edit->fd, edit->text, edit->size) ||
        !take_over(edit) || fsync(edit->fd) != 0 || rename(edit->fresh, edit->path) != 0)
        return fail_write(edit->path);
    return sync_folder(edit->path) ? CH_OK : fail_write(edit->path);
}

static ch_status_t
begin(edit_t *edit, const char *path, bool may_miss)
{
    *edit = (edit_t){.path = path, .fd = -1};
    ch_status_t status = lock(edit);
    if (status < 0)
        return status;
    edit->text = ch_alloc(CH_KEYRING_BYTES_MAX);
    return read_old(edit, may_miss);
}

static void
end(edit_t *edit, ch_status_t status)
{
    if (status != CH_OK && edit->fd >= 0 && is_current(edit->fd, edit->fresh))
        (void)unlink(edit->fresh);
    if (edit->fd >= 0)
        close(edit->fd); /* and with it the lock */
    ch_free(edit->text);
}

static ch_status_t
append(edit_t *edit, const char *line)
{
    size_t size = strlen(line);
    if (strchr(line, '\n') || edit->size + size + 2 > CH_KEYRING_BYTES_MAX)
        return ch_fail(CH_ERR_PARSE, "%s: the new line does not fit", edit->path);
    if (edit->size > 0 && edit->text[edit->size - 1] != '\n')
        edit->text[edit->size++] = '\n';
    memcpy(edit->text + edit->size, line, size);
    edit->size += size;
    edit->text[edit->size++] = '\n';
    return CH_OK;
}

ch_status_t
ch_keyring_edit_add(const char *path, const char *line, ch_selector_check_t check)
{
    edit_t edit;
    ch_status_t status = begin(&edit, path, true);
    if (status == CH_OK)
        status = append(&edit, line);
    if (status == CH_OK)
        status = replace(&edit, check);
    end(&edit, status);
    return status;
}

/* ---- remove */

static ch_status_t
find_line(const edit_t *edit, const char *name_or_key, ch_selector_check_t check,
          unsigned *line_out)
{
    ch_keyring_t *keyring = NULL;
    ch_status_t status =
        ch_keyring_parse(ch_bytes(edit->text, edit->size), edit->path, check, &keyring);
    if (status < 0)
        return status;
    *line_out = 0;
    for (size_t i = 0; i < ch_keyring_count(keyring); i++) {
        const ch_key_t *key = ch_keyring_at(keyring, i);
        if (strcmp(key->name, name_or_key) == 0 || strcmp(key->text, name_or_key) == 0)
            *line_out = key->line;
    }
    ch_keyring_drop(&keyring);
    if (*line_out)
        return CH_OK;
    (void)ch_fail(CH_NOT_FOUND, "%s: has no key %s", edit->path, name_or_key);
    return CH_NOT_FOUND;
}

static void
cut_line(edit_t *edit, unsigned line)
{
    char *at = edit->text, *end = edit->text + edit->size;
    for (unsigned i = 1; i < line; i++)
        at = (char *)memchr(at, '\n', (size_t)(end - at)) + 1;
    char *next = memchr(at, '\n', (size_t)(end - at));
    next = next ? next + 1 : end;
    memmove(at, next, (size_t)(end - next));
    edit->size -= (size_t)(next - at);
    if (edit->size == 0) {
        edit->size = sizeof empty_file - 1;
        memcpy(edit->text, empty_file, edit->size);
    }
}

ch_status_t
ch_keyring_edit_remove(const char *path, const char *name_or_key,
                       ch_selector_check_t check)
{
    edit_t edit;
    unsigned line = 0;
    ch_status_t status = begin(&edit, path, false);
    if (status == CH_OK)
        status = find_line(&edit, name_or_key, check, &line);
    if (status == CH_OK) {
        cut_line(&edit, line);
        status = replace(&edit, check);
    }
    end(&edit, status);
    return status;
}
