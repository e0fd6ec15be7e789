#include "support/notation.h"

#include "ch/coding.h"

#include <ctype.h>
#include <math.h>
#include <msgpack.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static const char *parse(ch_buffer_t *out, const char *at);

_Noreturn static void
bad(const char *at)
{
    fprintf(stderr, "bad notation at: %.40s\n", at);
    abort();
}

static int
write_out(void *context, const char *data, size_t size)
{
    ch_buffer_append(context, data, size);
    return 0;
}

static const char *
skip_space(const char *at)
{
    while (isspace((unsigned char)*at) || *at == ',' || *at == ':')
        at++;
    return at;
}

static int
hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    bad(&c);
}

/* '...' into bytes; returns behind the closing quote. */
static const char *
parse_quoted(ch_buffer_t *bytes, const char *at)
{
    if (*at != '\'')
        bad(at);
    for (at++; *at != '\''; at++) {
        uint8_t byte = (uint8_t)*at;
        if (!byte)
            bad(at);
        if (*at == '\\') {
            at++;
            byte = (uint8_t)*at;
            if (*at == 'x') {
                byte = (uint8_t)(hex_digit(at[1]) * 16 + hex_digit(at[2]));
                at += 2;
            }
        }
        ch_buffer_append(bytes, &byte, 1);
    }
    return at + 1;
}

static const char *
parse_members(ch_buffer_t *out, msgpack_packer *packer, const char *at, char close)
{
    ch_buffer_t members = {0};
    uint32_t count = 0;
    for (at = skip_space(at + 1); *at != close; at = skip_space(at), count++)
        at = parse(&members, at);
    if (close == ']')
        msgpack_pack_array(packer, count);
    else
        msgpack_pack_map(packer, count / 2);
    ch_buffer_append(out, members.data, members.size);
    ch_buffer_release(&members);
    return at + 1;
}

/* e1(...) or e2(...) */
static const char *
parse_column(msgpack_packer *packer, const char *at)
{
    ch_buffer_t column = {0};
    int8_t type = (int8_t)(at[1] - '0');
    for (at = skip_space(at + 3); *at != ')'; at = skip_space(at)) {
        char *end;
        int64_t whole = 0;
        double real = 0;
        if (type == 1)
            whole = strtoll(at, &end, 10);
        else
            real = strtod(at, &end);
        if (end == at)
            bad(at);
        ch_buffer_append(&column, type == 1 ? (void *)&whole : (void *)&real, 8);
        at = end;
    }
    msgpack_pack_ext(packer, column.size, type);
    msgpack_pack_ext_body(packer, column.data, column.size);
    ch_buffer_release(&column);
    return at + 1;
}

static const char *
parse_ext(msgpack_packer *packer, const char *at)
{
    ch_buffer_t payload = {0};
    char *end;
    long type = strtol(at + 1, &end, 10);
    at = parse_quoted(&payload, end);
    msgpack_pack_ext(packer, payload.size, (int8_t)type);
    msgpack_pack_ext_body(packer, payload.data, payload.size);
    ch_buffer_release(&payload);
    return at;
}

static const char *
parse_text(msgpack_packer *packer, const char *at, bool binary)
{
    ch_buffer_t bytes = {0};
    at = parse_quoted(&bytes, at);
    if (binary)
        msgpack_pack_bin_with_body(packer, bytes.data, bytes.size);
    else
        msgpack_pack_str_with_body(packer, bytes.data, bytes.size);
    ch_buffer_release(&bytes);
    return at;
}

static const char *
parse_number(msgpack_packer *packer, const char *at)
{
    char *end, *real_end;
    long long whole = strtoll(at, &end, 10);
    double real = strtod(at, &real_end);
    if (real_end == at)
        bad(at);
    if (real_end == end)
        msgpack_pack_int64(packer, whole);
    else
        msgpack_pack_double(packer, real);
    return real_end;
}

static const char *
parse_word(msgpack_packer *packer, const char *at)
{
    size_t size = 0;
    while (isalnum((unsigned char)at[size]) || at[size] == '_')
        size++;
    if (size == 3 && !strncmp(at, "nil", 3))
        msgpack_pack_nil(packer);
    else if (size == 4 && !strncmp(at, "true", 4))
        msgpack_pack_true(packer);
    else if (size == 5 && !strncmp(at, "false", 5))
        msgpack_pack_false(packer);
    else if (size == 3 && !strncmp(at, "nan", 3))
        msgpack_pack_double(packer, NAN);
    else if (size == 3 && !strncmp(at, "inf", 3))
        msgpack_pack_double(packer, INFINITY);
    else if (size > 0)
        msgpack_pack_str_with_body(packer, at, size);
    else
        bad(at);
    return at + size;
}

static const char *
parse(ch_buffer_t *out, const char *at)
{
    msgpack_packer packer;
    char *end;
    msgpack_packer_init(&packer, out, write_out);
    at = skip_space(at);
    if (*at == '[')
        return parse_members(out, &packer, at, ']');
    if (*at == '{')
        return parse_members(out, &packer, at, '}');
    if (*at == '\'')
        return parse_text(&packer, at, false);
    if (at[0] == 'b' && at[1] == '\'')
        return parse_text(&packer, at + 1, true);
    if (at[0] == 'e' && (at[1] == '1' || at[1] == '2') && at[2] == '(')
        return parse_column(&packer, at);
    if (at[0] == 'x' && (at[1] == '-' || isdigit((unsigned char)at[1])))
        return parse_ext(&packer, at);
    if (at[0] == 'u' && isdigit((unsigned char)at[1])) {
        msgpack_pack_uint64(&packer, strtoull(at + 1, &end, 10));
        return end;
    }
    if (at[0] == 'f' && (isdigit((unsigned char)at[1]) || at[1] == '-')) {
        msgpack_pack_float(&packer, strtof(at + 1, &end));
        return end;
    }
    if (*at == '#') {
        for (at++; isxdigit((unsigned char)*at); at += 2) {
            uint8_t byte = (uint8_t)(hex_digit(at[0]) * 16 + hex_digit(at[1]));
            ch_buffer_append(out, &byte, 1);
        }
        return at;
    }
    if (*at == '-' || isdigit((unsigned char)*at))
        return parse_number(&packer, at);
    return parse_word(&packer, at);
}

void
notation_build(ch_buffer_t *out, const char *text)
{
    for (text = skip_space(text); *text; text = skip_space(text))
        text = parse(out, text);
}

/* ---- messages that live until the test ends */

static uint8_t **kept;
static size_t kept_count;

ch_bytes_t
notation(const char *text)
{
    ch_buffer_t out = {0};
    notation_build(&out, text);
    uint8_t *exact =
        malloc(out.size ? out.size : 1); /* so that asan sees one byte too many */
    if (out.size)
        memcpy(exact, out.data, out.size);
    ch_bytes_t bytes = ch_bytes(exact, out.size);
    ch_buffer_release(&out);
    kept = realloc(kept, (kept_count + 1) * sizeof *kept);
    kept[kept_count++] = exact;
    return bytes;
}

ch_bytes_t
notation_format(const char *format, ...)
{
    char *text;
    va_list arguments;
    va_start(arguments, format);
    int size = vasprintf(&text, format, arguments);
    va_end(arguments);
    if (size < 0)
        abort();
    ch_bytes_t bytes = notation(text);
    free(text);
    return bytes;
}

void
notation_release(void)
{
    for (size_t i = 0; i < kept_count; i++)
        free(kept[i]);
    free(kept);
    kept = NULL;
    kept_count = 0;
}
