/* cmd_auth.c - keys: make a pair, and change the table of those who get in. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

#include "ch/keyring_edit.h"
#include "ch/secret.h"
#include "ch/selector.h"
#include "chq/chq.h"

enum { LINE_BYTES = CH_KEYRING_LINE_MAX + 1 };

static int
fail(ch_status_t status)
{
    chq_say("%s", ch_fail_text());
    if (status == CH_NOT_FOUND)
        return CHQ_EXIT_NOTHING;
    return status == CH_ERR_PARSE ? CHQ_EXIT_USAGE : CHQ_EXIT_LOCAL;
}

/* ---- keygen */

static bool
is_plain(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* A public key that begins with - or # would be hard to type behind a command or into a file. */
static bool
make_pair(ch_secret_t *secret)
{
    do {
        if (zmq_curve_keypair(secret->public_key, secret->secret_key) != 0)
            return false;
    } while (!is_plain(secret->public_key[0]));
    return true;
}

static void
take_server(chq_t *chq, ch_secret_t *secret, const char *server)
{
    uint8_t key[CH_KEY_BYTES];
    if (!server)
        return;
    if (!ch_z85_decode(server, strlen(server), key))
        chq_die(CHQ_EXIT_USAGE, "%s: --server is the node's public key, 40 characters",
                chq->command);
    memcpy(secret->server_key, server, CH_KEY_TEXT_BYTES);
}

int
chq_cmd_keygen(chq_t *chq)
{
    const char *server = chq_option(chq, "server");
    chq_arguments(chq, 1, 1);
    ch_secret_t *secret = NULL;
    ch_status_t status = ch_secret_new(&secret);
    if (status < 0)
        return fail(status);
    take_server(chq, secret, server);
    if (!make_pair(secret))
        chq_die(CHQ_EXIT_LOCAL, "libzmq here was built without CURVE: no keys");
    status = ch_secret_save(chq->argv[0], secret);
    if (status == CH_OK)
        (void)printf("%s\n", secret->public_key);
    ch_secret_destroy(&secret);
    return status < 0 ? fail(status) : CHQ_EXIT_OK;
}

/* ---- auth */

static ch_status_t
check_selector(const char *text)
{
    ch_selector_t *selector = NULL;
    ch_status_t status = ch_selector_parse(ch_bytes_text(text), &selector);
    ch_selector_destroy(&selector);
    return status;
}

static const char *
take_file(chq_t *chq)
{
    const char *file = chq_option(chq, "file");
    if (!file)
        file = getenv("CHQ_AUTHORIZED_KEYS");
    if (!file || !*file)
        chq_die(CHQ_EXIT_USAGE, "auth: --file names the authorized_keys of the node (or "
                                "CHQ_AUTHORIZED_KEYS)");
    return file;
}

static int
add(chq_t *chq, const char *file)
{
    char line[LINE_BYTES];
    const char *producer = chq_option(chq, "producer"), *rate = chq_option(chq, "rate");
    const char *series = chq_option(chq, "series");
    chq_arguments(chq, 3, 3);
    for (int i = 0; i < 3; i++)
        if (!*chq->argv[i] || strpbrk(chq->argv[i], " \t\n"))
            chq_die(CHQ_EXIT_USAGE, "auth add: KEY, ROLES and NAME are one word each");
    if ((producer && strpbrk(producer, " \t\n")) || (rate && strpbrk(rate, " \t\n")))
        chq_die(CHQ_EXIT_USAGE, "auth add: --producer and --rate are one word each");
    int size = snprintf(line, sizeof line, "%s %s %s%s%s%s%s%s%s", chq->argv[0],
                        chq->argv[1], chq->argv[2], producer ? " producer=" : "",
                        producer ? producer : "", rate ? " rate=" : "", rate ? rate : "",
                        series ? " series=" : "", series ? series : "");
    if (size < 0 || (size_t)size >= sizeof line)
        chq_die(CHQ_EXIT_USAGE, "auth add: that is longer than a line of %d bytes",
                CH_KEYRING_LINE_MAX);
    ch_status_t status = ch_keyring_edit_add(file, line, check_selector);
    return status < 0 ? fail(status) : CHQ_EXIT_OK;
}

static int
rm(chq_t *chq, const char *file)
{
    chq_arguments(chq, 1, 1);
    ch_status_t status = ch_keyring_edit_remove(file, chq->argv[0], check_selector);
    return status != CH_OK ? fail(status) : CHQ_EXIT_OK;
}

static void
print_key(chq_output_t *output, const ch_key_t *key)
{
    char roles[40], rate[24];
    ch_roles_format(key->roles, roles);
    (void)snprintf(rate, sizeof rate, "%" PRIu64, key->rate);
    chq_cell_t cells[6] = {chq_cell_text(key->name),     chq_cell_text(roles),
                           chq_cell_text(key->producer), chq_cell_literal(rate),
                           chq_cell_text(key->series),   chq_cell_text(key->text)};
    chq_output_row(output, cells);
}

static int
list(chq_t *chq, const char *file)
{
    static const char *const columns[] = {"name", "roles",  "producer",
                                          "rate", "series", "key"};
    ch_keyring_t *keyring = NULL;
    chq_arguments(chq, 0, 0);
    ch_status_t status = ch_keyring_load(file, check_selector, &keyring);
    if (status < 0)
        return fail(status);
    chq_output_t *output = chq_output_new(stdout, chq->format, chq->color, columns, 6);
    for (size_t i = 0; i < ch_keyring_count(keyring); i++)
        print_key(output, ch_keyring_at(keyring, i));
    ch_keyring_drop(&keyring);
    long rows = chq_output_end(&output);
    if (rows == 0 && !chq->quiet)
        chq_say("%s: no keys: nobody gets in", file);
    return rows < 0 ? CHQ_EXIT_LOCAL : rows ? CHQ_EXIT_OK : CHQ_EXIT_NOTHING;
}

int
chq_cmd_auth(chq_t *chq)
{
    static const struct {
        const char *name;
        int (*run)(chq_t *chq, const char *file);
    } verbs[] = {{"add", add}, {"rm", rm}, {"ls", list}};
    const char *file = take_file(chq);
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++) {
        if (chq->argc == 0 || strcmp(chq->argv[0], verbs[i].name) != 0)
            continue;
        chq_take(chq, 0, 1);
        return verbs[i].run(chq, file);
    }
    chq_die(CHQ_EXIT_USAGE, "auth: say add, rm or ls; see chq help auth");
}
