#include "zap.h"

#include <stdio.h>

enum { VERSION, REQUEST_ID, DOMAIN, ADDRESS, ROUTING_ID, MECHANISM, CREDENTIALS, FRAMES };

static bool
is_text(ch_bytes_t frame, const char *text)
{
    return ch_bytes_equal(frame, ch_bytes_text(text));
}

/* Foreign text, cut to fit; what is no printable ASCII becomes a dot. */
static void
copy_text(ch_bytes_t frame, char *out, size_t size)
{
    size_t i = 0;
    for (; i < frame.size && i + 1 < size; i++)
        out[i] = frame.data[i] >= ' ' && frame.data[i] < 0x7f ? (char)frame.data[i] : '.';
    out[i] = '\0';
}

static unsigned
roles_of(const char *domain)
{
    static const struct {
        const char *domain;
        unsigned roles;
    } table[] = {{"ingest", CH_ROLE_WRITE},
                 {"query", CH_ROLE_ANY},
                 {"publish", CH_ROLE_REPLICATE}};
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (strcmp(table[i].domain, domain) == 0)
            return table[i].roles;
    return 0;
}

static void
refuse(ch_zap_answer_t *answer, const char *code, const char *reason)
{
    answer->admitted = false;
    answer->code = code;
    answer->reason = reason;
}

static void
judge_key(const ch_keyring_t *keyring, ch_zap_answer_t *answer)
{
    answer->key = ch_keyring_find(keyring, ch_bytes_text(answer->user));
    unsigned wanted = roles_of(answer->domain);
    if (!answer->key)
        refuse(answer, "400", "key not authorized");
    else if (!(answer->key->roles & wanted))
        refuse(answer, "400", "role not authorized here");
#ifdef CH_FAULT_ZAP_ADMITS_ALL
    answer->admitted = true;
    answer->code = "200";
    answer->reason = "";
#endif
}

void
ch_zap_judge(const ch_zap_request_t *request, const ch_keyring_t *keyring,
             ch_zap_answer_t *answer_out)
{
    const ch_bytes_t *frames = request->frames;
    *answer_out = (ch_zap_answer_t){.admitted = true, .code = "200", .reason = ""};
    if (request->count != FRAMES || !is_text(frames[VERSION], "1.0")) {
        refuse(answer_out, "500", "not understood");
        return;
    }
    copy_text(frames[DOMAIN], answer_out->domain, sizeof answer_out->domain);
    copy_text(frames[ADDRESS], answer_out->address, sizeof answer_out->address);
    if (!is_text(frames[MECHANISM], "CURVE") ||
        frames[CREDENTIALS].size != CH_KEY_BYTES) {
        refuse(answer_out, "400", "a CURVE key is needed");
        return;
    }
    ch_z85_encode(frames[CREDENTIALS].data, answer_out->user);
    judge_key(keyring, answer_out);
}
