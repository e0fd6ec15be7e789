/* config_print.c - the table of keys as help text, as an INI file and as the reference page. */
#include "config.h"

#include <ctype.h>
#include <string.h>

static void
format_value(const ch_config_t *config, const ch_config_key_t *key, char *out,
             size_t out_size)
{
    const char *slot = (const char *)config + key->offset;
    if (ch_config_is_number(key->type))
        ch_units_format(key->type, *(const uint64_t *)(const void *)slot, out, out_size);
    else
        snprintf(out, out_size, "%s", *(char *const *)(const void *)slot);
}

static void
format_range(const ch_config_key_t *key, char *out, size_t out_size)
{
    out[0] = '\0';
    bool ranged = key->type == CH_CONFIG_BYTES || key->type == CH_CONFIG_DURATION ||
                  key->type == CH_CONFIG_COUNT;
    if (!ranged)
        return;
    char low[32], high[32];
    ch_units_format(key->type, key->min, low, sizeof low);
    ch_units_format(key->type, key->max, high, sizeof high);
    snprintf(out, out_size, "%s to %s", low, high);
}

/* Words of `text` in lines of at most 78 columns, each behind `lead`. */
static void
print_wrapped(FILE *to, const char *lead, const char *text)
{
    size_t column = 0;
    while (*text) {
        size_t word = strcspn(text, " ");
        if (column == 0 || column + 1 + word > 78) {
            fprintf(to, "%s%s", column ? "\n" : "", lead);
            column = strlen(lead);
        } else {
            fputc(' ', to);
            column++;
        }
        fprintf(to, "%.*s", (int)word, text);
        column += word;
        text += word + (text[word] == ' ');
    }
    fputc('\n', to);
}

static bool
opens_section(const ch_config_key_t *keys, size_t i)
{
    return i == 0 || strcmp(keys[i].section, keys[i - 1].section) != 0;
}

static void
print_ini(const ch_config_t *config, const ch_config_key_t *key, size_t i, FILE *to)
{
    char value[CH_CONFIG_TEXT_MAX + 1], range[80];
    format_value(config, key, value, sizeof value);
    format_range(key, range, sizeof range);
    print_wrapped(to, "# ", key->help);
    fprintf(to, "# %s%s%s; from: %s\n", ch_config_type_name(key->type),
            range[0] ? ", " : "", range, config->origins[i]);
    fprintf(to, "%s = %s\n", key->key, value);
}

static void
print_help(const ch_config_key_t *key, FILE *to)
{
    char range[80];
    format_range(key, range, sizeof range);
    fprintf(to, "  %s.%s = %s  (%s%s%s)\n", key->section, key->key, key->preset,
            ch_config_type_name(key->type), range[0] ? ", " : "", range);
    print_wrapped(to, "      ", key->help);
}

static void
print_cell(const char *text, FILE *to)
{
    for (; *text; text++) {
        if (*text == '|')
            fputc('\\', to);
        fputc(*text, to);
    }
}

static void
print_row(const ch_config_key_t *key, FILE *to)
{
    char range[80];
    format_range(key, range, sizeof range);
    fprintf(to, "| `%s.%s` | %s | %s%s%s | %s | ", key->section, key->key,
            ch_config_type_name(key->type), key->preset[0] ? "`" : "", key->preset,
            key->preset[0] ? "`" : "empty", range);
    print_cell(key->help, to);
    fprintf(to, " |\n");
}

static const char markdown_head[] =
    "# Configuration\n"
    "\n"
    "This page is printed by `cityhall --print-config=markdown` from the program's own "
    "table of\n"
    "keys; do not edit it by hand.\n"
    "\n"
    "Values come from, each replacing the one before: the default, the INI file named by "
    "`-c`, the\n"
    "environment (`CITYHALL_<SECTION>_<KEY>`, such as `CITYHALL_LISTEN_INGEST`), and "
    "`--set\n"
    "section.key=value`. `--data DIR` is short for `--set node.data=DIR`. An unknown key "
    "or a bad\n"
    "value ends the program with exit code 2 and a line that names the place. "
    "`--check-config`\n"
    "checks and stops, `--print-config` prints the effective values with their origins, "
    "as a file\n"
    "that `-c` reads.\n"
    "\n"
    "Sizes are bytes with an optional `KiB`, `MiB` or `GiB`; durations need a unit: "
    "`ms`, `s`, `m`\n"
    "or `h`. In a file a key stands once, comments begin with `#` or `;` at the start of "
    "a line or\n"
    "with ` ;` behind a value, and a line has at most 190 bytes.\n"
    "\n"
    "```ini\n"
    "[node]\n"
    "name = records-1\n"
    "data = /var/lib/cityhall\n"
    "\n"
    "[engine]\n"
    "memtable_bytes = 128MiB\n"
    "```\n"
    "\n"
    "| key | type | default | range | meaning |\n"
    "|---|---|---|---|---|\n";

void
ch_config_print(const ch_config_t *config, ch_config_form_t form, FILE *to)
{
    size_t count;
    const ch_config_key_t *keys = ch_config_keys(&count);
    if (form == CH_CONFIG_PRINT_MARKDOWN)
        fputs(markdown_head, to);
    for (size_t i = 0; i < count; i++) {
        if (form == CH_CONFIG_PRINT_INI && opens_section(keys, i))
            fprintf(to, "%s[%s]\n", i ? "\n" : "", keys[i].section);
        if (form == CH_CONFIG_PRINT_INI)
            print_ini(config, &keys[i], i, to);
        else if (form == CH_CONFIG_PRINT_HELP)
            print_help(&keys[i], to);
        else
            print_row(&keys[i], to);
    }
}
