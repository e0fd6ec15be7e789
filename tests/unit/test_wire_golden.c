/* tests/golden/wire_v1.txt: the encoders write these very bytes, the decoders read them. What the bytes
 * say is checked by another msgpack: tests/golden/test_wire_golden.py. */
#include "support/notation.h"
#include "support/reference_batch.h"
#include "support/test.h"
#include "support/wire_messages.h"

#include "ch/alloc.h"
#include "ch/batch_decoder.h"
#include "ch/reply_view.h"

enum { LINE_BYTES = 16384, ENTRIES_MAX = 128, NOW = 777 };

/* One message of the file. */
typedef struct entry {
    char kind[16], name[32];
    ch_bytes_t frame; /* `hex` */
    char *points;     /* `point` lines, joined: what a batch must mean */
    bool read_only;   /* kind with -read: other clients write it */
    bool built;       /* a builder has this name */
} entry_t;

static entry_t entries[ENTRIES_MAX];
static size_t entry_count;
static wire_builder_t builder;
static ch_limits_t limits;

static void
start_entry(const char *line)
{
    entry_t *entry = &entries[entry_count++];
    assert_in_range(entry_count, 1, ENTRIES_MAX);
    assert_int_equal(sscanf(line, "%15s %31s", entry->kind, entry->name), 2);
    char *suffix = strstr(entry->kind, "-read");
    entry->read_only = suffix != NULL;
    if (suffix)
        *suffix = 0;
    entry->points = calloc(1, 1);
}

static void
add_line(entry_t *entry, const char *line)
{
    if (!strncmp(line, "  hex ", 6)) {
        char text[LINE_BYTES];
        (void)snprintf(text, sizeof text, "#%s", line + 6);
        entry->frame = notation(text);
    } else if (!strncmp(line, "  point ", 8)) {
        entry->points = realloc(entry->points, strlen(entry->points) + strlen(line) + 8);
        strcat(strcat(strcat(entry->points, "["), line + 8), "]");
    } else if (strncmp(line, "  says ", 7) != 0) {
        fail_msg("no line of an entry: %s", line);
    }
}

static int
set_up(void **state)
{
    (void)state;
    static char line[LINE_BYTES];
    FILE *file = fopen(CH_SOURCE_DIR "/tests/golden/wire_v1.txt", "r");
    assert_non_null(file);
    while (fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = 0;
        if (line[0] == '#' || !line[0])
            continue;
        if (line[0] != ' ')
            start_entry(line);
        else if (entry_count)
            add_line(&entries[entry_count - 1], line);
    }
    fclose(file);
    wire_builder_init(&builder);
    limits = ch_limits_default();
    return 0;
}

static int
tear_down(void **state)
{
    (void)state;
    for (size_t i = 0; i < entry_count; i++)
        free(entries[i].points);
    wire_builder_release(&builder);
    notation_release();
    return 0;
}

/* ---- writing */

static void
print_hex(const char *kind, const char *name, ch_bytes_t frame)
{
    printf("%s %s\n  hex ", kind, name);
    for (size_t i = 0; i < frame.size; i++)
        printf("%02x", frame.data[i]);
    printf("\n");
}

static bool
is_written(const char *kind, const wire_message_t *message)
{
    for (size_t i = 0; i < entry_count; i++) {
        entry_t *entry = &entries[i];
        if (entry->read_only || strcmp(entry->kind, kind) != 0 ||
            strcmp(entry->name, message->name) != 0)
            continue;
        entry->built = true;
        return ch_bytes_equal(entry->frame, builder.frame);
    }
    return false;
}

static unsigned
check_written(const char *kind, const wire_message_t *messages)
{
    unsigned wrong = 0;
    for (; messages->name; messages++) {
        wire_build(&builder, messages);
        if (is_written(kind, messages))
            continue;
        print_hex(kind, messages->name, builder.frame);
        wrong++;
    }
    return wrong;
}

static void
test_the_encoders_write_the_golden_bytes(void **state)
{
    (void)state;
    unsigned wrong = check_written("batch", wire_batches) +
                     check_written("request", wire_requests) +
                     check_written("reply", wire_replies);
    if (wrong)
        fail_msg("%u messages are not written as in tests/golden/wire_v1.txt", wrong);
    for (size_t i = 0; i < entry_count; i++)
        if (!entries[i].read_only && !entries[i].built)
            fail_msg("nothing writes %s %s", entries[i].kind, entries[i].name);
}

/* ---- reading */

/* The points of a batch as text lines. */
static ch_buffer_t
points_of(ch_bytes_t frame, const char *name)
{
    ch_batch_decoder_t *decoder = ch_batch_decoder_new(&limits);
    ch_buffer_t lines = {0};
    const ch_batch_t *batch;
    ch_reject_t reject;
    if (ch_batch_decode(decoder, frame, NOW, &batch, &reject) != CH_OK)
        fail_msg("%s: %s", name, reject.message);
    reference_print(batch, &lines);
    ch_batch_decoder_destroy(&decoder);
    return lines;
}

/* Whatever its shape, a batch means what the list of its points means. */
static void
check_batch(const entry_t *entry)
{
    ch_buffer_t got = points_of(entry->frame, entry->name);
    ch_buffer_t wanted =
        points_of(notation_format("{points [%s]}", entry->points), "its points");
    if (!ch_bytes_equal(ch_buffer_bytes(&got), ch_buffer_bytes(&wanted)))
        fail_msg("batch %s is\n%.*s\nand should be\n%.*s", entry->name, (int)got.size,
                 got.data, (int)wanted.size, wanted.data);
    ch_buffer_release(&got);
    ch_buffer_release(&wanted);
}

/* Read, and written again: not a bit of what it says is lost. */
static void
check_request(const entry_t *entry, bool seen[CH_OP_COUNT])
{
    ch_request_t request;
    ch_buffer_t again = {0};
    ch_request_init(&request);
    if (ch_request_decode(entry->frame, &limits, &request) != CH_OK)
        fail_msg("request %s: %s", entry->name, ch_fail_text());
    const char *op = ch_op_name(request.op);
    seen[request.op] = true;
    assert_memory_equal(op, entry->name, strlen(op));
    ch_request_encode(&request, &again);
    if (!entry->read_only && !ch_bytes_equal(ch_buffer_bytes(&again), entry->frame))
        print_hex("again", entry->name, ch_buffer_bytes(&again));
    assert_true(entry->read_only ||
                ch_bytes_equal(ch_buffer_bytes(&again), entry->frame));
    ch_buffer_release(&again);
    ch_request_release(&request);
}

/* Every run of a `read` or `query`, down to the last value. */
static void
walk_runs(const ch_reply_view_t *view, const char *field)
{
    ch_cursor_t items;
    uint32_t count;
    if (!ch_reply_view_array(view, field, &items, &count))
        return;
    for (uint32_t i = 0; i < count; i++) {
        ch_run_view_t run;
        ch_value_t value;
        assert_true(ch_run_view_next(&items, &run));
        for (uint32_t j = 0; j < run.count; j++)
            assert_true(ch_run_view_value(&run, j, &value));
    }
}

static void
check_reply(const entry_t *entry)
{
    ch_reply_view_t view;
    ch_ack_reply_t ack;
    ch_reject_t rejects[CH_SESSION_REJECTS_MAX];
    assert_int_equal(ch_reply_view_open(entry->frame, &view), CH_OK);
    assert_int_equal(view.ok, strncmp(entry->name, "error", 5) != 0);
    if (!view.ok) {
        assert_true(view.code.size > 0 && view.message.size > 0);
        assert_int_equal(view.leader.size > 0, !strcmp(entry->name, "error-leader"));
    }
    if (!strncmp(entry->name, "ack-", 4)) {
        assert_int_equal(ch_reply_view_ack(&view, &ack, rejects), CH_OK);
        assert_int_equal(ack.reject_count, !strcmp(entry->name, "ack-rejects") ? 2 : 0);
    }
    if (!strncmp(entry->name, "read", 4))
        walk_runs(&view, "series");
    walk_runs(&view, "result");
}

static void
test_the_decoders_read_the_golden_bytes(void **state)
{
    (void)state;
    bool seen[CH_OP_COUNT] = {false};
    for (size_t i = 0; i < entry_count; i++) {
        if (!strcmp(entries[i].kind, "batch"))
            check_batch(&entries[i]);
        else if (!strcmp(entries[i].kind, "request"))
            check_request(&entries[i], seen);
        else if (!strcmp(entries[i].kind, "reply"))
            check_reply(&entries[i]);
        else
            fail_msg("no kind of message: %s", entries[i].kind);
    }
    for (int op = CH_OP_UNKNOWN + 1; op < CH_OP_HELLO; op++)
        if (!seen[op])
            fail_msg("no golden request of %s", ch_op_name((ch_op_t)op));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_encoders_write_the_golden_bytes),
        cmocka_unit_test(test_the_decoders_read_the_golden_bytes),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
