#include "devops.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "ch/alloc.h"
#include "ch/rng.h"

enum { DEVIATES = 4096 }; /* normal deviates made once: a walk looks one up */

const char *const ch_devops_fields[CH_DEVOPS_FIELDS] = {
    "usage_user", "usage_system",  "usage_idle",  "usage_nice",  "usage_iowait",
    "usage_irq",  "usage_softirq", "usage_steal", "usage_guest", "usage_guest_nice"};

enum {
    ARCH,
    DATACENTER,
    HOSTNAME,
    OS,
    RACK,
    REGION,
    SERVICE,
    ENVIRONMENT,
    VERSION,
    TEAM
};

const char *const ch_devops_tags[CH_DEVOPS_TAGS] = {
    "arch",    "datacenter",          "hostname",        "os",  "rack", "region",
    "service", "service_environment", "service_version", "team"};

static const struct {
    const char *name;
    uint32_t zones;
} regions[] = {{"us-east-1", 5},      {"us-west-1", 2},      {"us-west-2", 3},
               {"eu-west-1", 3},      {"eu-central-1", 2},   {"ap-southeast-1", 2},
               {"ap-southeast-2", 2}, {"ap-northeast-1", 2}, {"sa-east-1", 3}};

static const char *
pick(ch_rng_t *rng, const char *const *choices, size_t count)
{
    return choices[ch_rng_below(rng, count)];
}

#define PICK(rng, choices) pick(rng, choices, sizeof(choices) / sizeof(choices)[0])

static void
host_tags(ch_devops_host_t *host, uint32_t number, ch_rng_t *rng)
{
    static const char *const systems[] = {"Ubuntu16.10", "Ubuntu16.04LTS", "Ubuntu15.10"};
    static const char *const arches[] = {"x64", "x86"};
    static const char *const teams[] = {"SF", "NYC", "LON", "CHI"};
    static const char *const environments[] = {"production", "staging", "test"};
    size_t region = ch_rng_below(rng, sizeof regions / sizeof regions[0]);
    char(*tags)[24] = host->tag_values;
    const size_t size = sizeof tags[0];
    snprintf(tags[HOSTNAME], size, "host_%u", number);
    snprintf(tags[REGION], size, "%s", regions[region].name);
    snprintf(tags[DATACENTER], size, "%s%c", regions[region].name,
             (char)('a' + (int)ch_rng_below(rng, regions[region].zones)));
    snprintf(tags[RACK], size, "%d", (int)ch_rng_below(rng, 100));
    snprintf(tags[OS], size, "%s", PICK(rng, systems));
    snprintf(tags[ARCH], size, "%s", PICK(rng, arches));
    snprintf(tags[TEAM], size, "%s", PICK(rng, teams));
    snprintf(tags[SERVICE], size, "%d", (int)ch_rng_below(rng, 20));
    snprintf(tags[VERSION], size, "%d", (int)ch_rng_below(rng, 2));
    snprintf(tags[ENVIRONMENT], size, "%s", PICK(rng, environments));
}

static void
host_texts(ch_devops_host_t *host)
{
    /* The order in which TSBS writes its tags. */
    static const int order[] = {HOSTNAME, REGION, DATACENTER, RACK,    OS,
                                ARCH,     TEAM,   SERVICE,    VERSION, ENVIRONMENT};
    const size_t room = CH_DEVOPS_LABELS_BYTES;
    for (int i = 0; i < CH_DEVOPS_TAGS; i++)
        host->tags[i] = ch_bytes_text(host->tag_values[i]);
    for (int i = 0; i < CH_DEVOPS_TAGS; i++)
        host->labels_size += (size_t)snprintf(
            host->labels + host->labels_size, room - host->labels_size, "%s%s=\"%s\"",
            i ? "," : "", ch_devops_tags[i], host->tag_values[i]);
    host->influx_size = (size_t)snprintf(host->influx, room, "%s", CH_DEVOPS_NAME);
    for (int i = 0; i < CH_DEVOPS_TAGS; i++)
        host->influx_size += (size_t)snprintf(
            host->influx + host->influx_size, room - host->influx_size, ",%s=%s%s",
            ch_devops_tags[order[i]], host->tag_values[order[i]],
            i == CH_DEVOPS_TAGS - 1 ? " " : "");
}

/* Box and Muller. */
static void
fill_deviates(float *deviates, ch_rng_t *rng)
{
    for (size_t i = 0; i < DEVIATES; i++) {
        double a = (double)(ch_rng_below(rng, 1 << 30) + 1) / (1 << 30);
        double b = (double)ch_rng_below(rng, 1 << 30) / (1 << 30);
        deviates[i] = (float)(sqrt(-2 * log(a)) * cos(2 * M_PI * b));
    }
}

static void
fill_values(ch_devops_t *devops, ch_rng_t *rng)
{
    float deviates[DEVIATES];
    size_t series = (size_t)devops->hosts * CH_DEVOPS_FIELDS;
    float *at = ch_alloc(series * sizeof *at);
    uint8_t *value = devops->values;
    fill_deviates(deviates, rng);
    for (size_t i = 0; i < series; i++)
        at[i] = (float)ch_rng_below(rng, 101);
    for (uint32_t step = 0; step < devops->steps; step++) {
        for (size_t i = 0; i < series; i++) {
            at[i] += deviates[ch_rng_next(rng) % DEVIATES];
            at[i] = at[i] < 0 ? 0 : at[i] > 100 ? 100 : at[i];
            *value++ = (uint8_t)at[i];
        }
    }
    ch_free(at);
}

void
ch_devops_init(ch_devops_t *devops, uint32_t hosts, uint32_t steps, uint64_t seed)
{
    ch_rng_t rng;
    ch_rng_seed(&rng, seed);
    *devops = (ch_devops_t){.hosts = hosts, .steps = steps};
    for (int i = 0; i < CH_DEVOPS_FIELDS; i++)
        devops->fields[i] = ch_bytes_text(ch_devops_fields[i]);
    for (int i = 0; i < CH_DEVOPS_TAGS; i++)
        devops->tag_names[i] = ch_bytes_text(ch_devops_tags[i]);
    devops->host = ch_calloc(hosts, sizeof *devops->host);
    for (uint32_t i = 0; i < hosts; i++) {
        host_tags(&devops->host[i], i, &rng);
        host_texts(&devops->host[i]);
    }
    devops->values = ch_alloc((size_t)hosts * steps * CH_DEVOPS_FIELDS);
    fill_values(devops, &rng);
}

void
ch_devops_release(ch_devops_t *devops)
{
    ch_free(devops->host);
    ch_free(devops->values);
    *devops = (ch_devops_t){0};
}

static size_t
put(char *out, size_t at, const char *text, size_t size)
{
    memcpy(out + at, text, size);
    return at + size;
}

size_t
ch_devops_key(const ch_devops_t *devops, uint32_t host, uint32_t field, char *out)
{
    const ch_devops_host_t *labels = &devops->host[host];
    size_t at = put(out, 0, CH_DEVOPS_NAME "_", sizeof CH_DEVOPS_NAME);
    at = put(out, at, (const char *)devops->fields[field].data,
             devops->fields[field].size);
    at = put(out, at, "{", 1);
    at = put(out, at, labels->labels, labels->labels_size);
    return put(out, at, "}", 1);
}
