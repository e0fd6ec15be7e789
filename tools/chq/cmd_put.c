#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "chq/chq.h"
#include "chq/text.h"

static cityhall_value_t
typed_value(const char *type, const char *text)
{
    cityhall_value_t value = cityhall_string(text, strlen(text));
    bool good = true;
    if (!type)
        return chq_value_parse(text);
    if (strcmp(type, "int") == 0) {
        value = cityhall_int(0);
        good = chq_int_parse(text, &value.as.i64);
    } else if (strcmp(type, "float") == 0) {
        value = cityhall_float(0);
        good = chq_double_parse(text, &value.as.f64);
    } else if (strcmp(type, "bool") == 0) {
        value = cityhall_bool(strcmp(text, "true") == 0);
        good = value.as.boolean || strcmp(text, "false") == 0;
    } else if (strcmp(type, "string") != 0) {
        chq_die(CHQ_EXIT_USAGE, "--type %s: int, float, bool or string", type);
    }
    if (!good)
        chq_die(CHQ_EXIT_USAGE, "\"%.40s\" is no %s", text, type);
    return value;
}

static void
say_reject(void *context, const cityhall_reject_t *reject)
{
    *(bool *)context = true;
    chq_say("refused: %s: %s", reject->code, reject->message);
}

int
chq_cmd_put(chq_t *chq)
{
    const char *type = chq_option(chq, "type");
    int64_t time = chq_time(chq, "time", CITYHALL_TIME_RECEIVED);
    chq_arguments(chq, 2, 2);
    cityhall_value_t value = typed_value(type, chq->argv[1]);
    char producer_name[CHQ_PRODUCER_BYTES];
    bool rejected = false;
    chq_producer_name(producer_name);
    cityhall_producer_options_t options = chq_producer_options(chq);
    options.producer = producer_name;
    options.on_reject = say_reject;
    options.on_reject_context = &rejected;
    cityhall_producer_t *producer = chq_producer(&options);
    cityhall_status_t status =
        cityhall_producer_point(producer, chq->argv[0], time, value);
    if (status < 0) {
        chq_say("%s", cityhall_producer_error(producer));
        cityhall_producer_destroy(&producer);
        return CHQ_EXIT_USAGE;
    }
    status = cityhall_producer_send(producer, NULL);
    if (status >= 0)
        status =
            cityhall_producer_wait(producer, CITYHALL_DURABLE, (int32_t)chq->timeout_ms);
    if (status < 0)
        chq_say("not durable within %.3g s: %s (--node, --ingest)", chq->timeout_ms / 1e3,
                cityhall_producer_error(producer));
    cityhall_producer_destroy(&producer);
    return status < 0 ? CHQ_EXIT_UNREACHABLE : rejected ? CHQ_EXIT_REFUSED : CHQ_EXIT_OK;
}
