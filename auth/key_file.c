#include "ch/key_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { OTHERS = 077, OTHERS_WRITE = 022, MODE_BITS = 07777 };

static const char *
kind_name(mode_t mode)
{
    if (S_ISDIR(mode))
        return "a directory";
    if (S_ISFIFO(mode))
        return "a pipe";
    return S_ISSOCK(mode) ? "a socket" : "a device";
}

static ch_status_t
fail_open(const char *path)
{
    if (errno == ELOOP)
        return ch_fail(CH_ERR_INVALID,
                       "%s: is a symbolic link; name the file itself, so that nobody "
                       "else chooses it",
                       path);
    if (errno == ENXIO)
        return ch_fail(CH_ERR_INVALID, "%s: is a socket, not a file", path);
    return ch_fail(CH_ERR_IO, "%s: cannot be read: %s", path, strerrordesc_np(errno));
}

static ch_status_t
check_owner(const char *path, ch_key_file_kind_t kind, const struct stat *found)
{
    bool ours = found->st_uid == geteuid();
    if (ours || (kind == CH_KEY_FILE_TRUSTED && found->st_uid == 0))
        return CH_OK;
    return ch_fail(CH_ERR_INVALID,
                   "%s: belongs to uid %u, and this runs as uid %u; chown it", path,
                   (unsigned)found->st_uid, (unsigned)geteuid());
}

static ch_status_t
check_mode(const char *path, ch_key_file_kind_t kind, const struct stat *found)
{
    unsigned mode = found->st_mode & MODE_BITS;
#ifdef CH_FAULT_KEYFILE_MODE_UNCHECKED
    mode = 0;
#endif
    if (kind == CH_KEY_FILE_SECRET && (mode & OTHERS))
        return ch_fail(CH_ERR_INVALID,
                       "%s: its mode %04o lets others at the secret key; chmod 600 it, "
                       "and make new keys if others could read it",
                       path, mode);
    if (kind == CH_KEY_FILE_TRUSTED && (mode & OTHERS_WRITE))
        return ch_fail(CH_ERR_INVALID,
                       "%s: its mode %04o lets others write who gets in; chmod go-w it",
                       path, mode);
    return CH_OK;
}

static ch_status_t
check(const char *path, ch_key_file_kind_t kind, int fd)
{
    struct stat found;
    if (fstat(fd, &found) != 0)
        return ch_fail(CH_ERR_IO, "%s: cannot be looked at: %s", path,
                       strerrordesc_np(errno));
    if (!S_ISREG(found.st_mode))
        return ch_fail(CH_ERR_INVALID, "%s: is %s, not a file", path,
                       kind_name(found.st_mode));
    ch_status_t status = check_owner(path, kind, &found);
    return status < 0 ? status : check_mode(path, kind, &found);
}

static ch_status_t
read_all(const char *path, int fd, char *buffer, size_t size, size_t *size_out)
{
    size_t have = 0;
    for (;;) {
        char more;
        bool full = have == size;
        ssize_t got = full ? read(fd, &more, 1) : read(fd, buffer + have, size - have);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return ch_fail(CH_ERR_IO, "%s: cannot be read: %s", path,
                           strerrordesc_np(errno));
        if (got == 0)
            break;
        if (full)
            return ch_fail(CH_ERR_LIMIT, "%s: is longer than %zu bytes", path, size);
        have += (size_t)got;
    }
    if (have == 0)
        return ch_fail(CH_ERR_INVALID, "%s: is empty", path);
    *size_out = have;
    return CH_OK;
}

ch_status_t
ch_key_file_read(const char *path, ch_key_file_kind_t kind, char *buffer, size_t size,
                 size_t *size_out)
{
    /* O_NONBLOCK: a pipe without a writer must not hold us up before it is refused */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return fail_open(path);
    ch_status_t status = check(path, kind, fd);
    if (status == CH_OK)
        status = read_all(path, fd, buffer, size, size_out);
    close(fd);
    return status;
}
