/* authorized_keys: any bytes. What is taken is found again by each of its keys, and is taken again when it is
 * written out line by line from the table. */
#include "ch/alloc.h"
#include "ch/assert.h"
#include "ch/keyring.h"
#include "ch/selector.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static ch_status_t
check_series(const char *text)
{
    ch_selector_t *selector = NULL;
    ch_status_t status = ch_selector_parse(ch_bytes_text(text), &selector);
    ch_selector_destroy(&selector);
    return status;
}

static char *
print(const ch_keyring_t *keyring, size_t *size_out)
{
    char *text = NULL;
    FILE *to = open_memstream(&text, size_out);
    CH_ASSERT(to);
    for (size_t i = 0; i < ch_keyring_count(keyring); i++) {
        const ch_key_t *key = ch_keyring_at(keyring, i);
        char roles[40];
        ch_roles_format(key->roles, roles);
        fprintf(to, "%s %s %s", key->text, roles, key->name);
        if (key->producer[0])
            fprintf(to, " producer=%s", key->producer);
        if (key->rate)
            fprintf(to, " rate=%llu", (unsigned long long)key->rate);
        fprintf(to, "%s%s\n", key->series[0] ? " series=" : "", key->series);
    }
    (void)fclose(to);
    return text;
}

static void
compare(const ch_keyring_t *keyring, const ch_keyring_t *again)
{
    CH_ASSERT(ch_keyring_count(keyring) == ch_keyring_count(again));
    for (size_t i = 0; i < ch_keyring_count(keyring); i++) {
        const ch_key_t *a = ch_keyring_at(keyring, i), *b = ch_keyring_at(again, i);
        CH_ASSERT(ch_keyring_find(keyring, ch_bytes_text(a->text)) == a);
        CH_ASSERT(strcmp(a->text, b->text) == 0 && strcmp(a->name, b->name) == 0);
        CH_ASSERT(a->roles == b->roles && a->rate == b->rate);
        CH_ASSERT(strcmp(a->producer, b->producer) == 0);
        CH_ASSERT(strcmp(a->series, b->series) == 0);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ch_keyring_t *keyring = NULL, *again = NULL;
    if (ch_keyring_parse(ch_bytes(data, size), "keys", check_series, &keyring) < 0) {
        CH_ASSERT(!strchr(ch_fail_text(), '\n'));
        return 0;
    }
    size_t text_size = 0;
    char *text = print(keyring, &text_size);
    ch_status_t status =
        ch_keyring_parse(ch_bytes(text, text_size), "again", check_series, &again);
    CH_ASSERT(status == CH_OK);
    compare(keyring, again);
    free(text);
    ch_keyring_drop(&again);
    ch_keyring_drop(&keyring);
    return 0;
}
