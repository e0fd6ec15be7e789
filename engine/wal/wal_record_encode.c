#include "wal/wal_record.h"

#include "ch/limits.h"
#include "wal/wal_format.h"

void
ch_wal_encoder_release(ch_wal_encoder_t *encoder)
{
    ch_wal_buffer_release(&encoder->out);
    ch_wal_buffer_release(&encoder->ids);
    ch_wal_buffer_release(&encoder->scratch);
}

static void
encode_header(ch_wal_buffer_t *out, ch_wal_record_type_t type,
              const ch_identity_t *identity, int64_t time)
{
    out->size = 0;
    uint8_t *header = ch_wal_buffer_room(out, CH_WAL_RECORD_HEADER_BYTES);
    header[CH_WAL_RECORD_TYPE_OFFSET] = (uint8_t)type;
    header[CH_WAL_RECORD_FLAGS_OFFSET] =
        identity->present ? CH_WAL_RECORD_FLAG_IDENTITY : 0;
    ch_store_i64(header + CH_WAL_RECORD_TIME_OFFSET, time);
    out->size = CH_WAL_RECORD_HEADER_BYTES;
    if (!identity->present)
        return;
    size_t size = strnlen(identity->producer, CH_PRODUCER_BYTES_MAX);
    ch_wal_buffer_varint(out, size);
    ch_wal_buffer_append(out, identity->producer, size);
    ch_wal_buffer_varint(out, identity->epoch);
    ch_wal_buffer_varint(out, identity->seq);
}

static void
encode_length(ch_wal_buffer_t *out)
{
    ch_store_u32(out->data, (uint32_t)out->size);
}

void
ch_wal_encode_refusal(ch_wal_encoder_t *encoder, const ch_identity_t *identity,
                      const ch_reject_t *reject, int64_t time)
{
    ch_wal_buffer_t *out = &encoder->out;
    encode_header(out, CH_WAL_REFUSAL, identity, time);
    ch_wal_buffer_varint(out, reject->seq);
    ch_wal_buffer_varint(out, ch_zigzag(reject->index));
    ch_wal_buffer_varint(out, ch_zigzag(reject->code));
    encode_length(out);
}

static void
encode_text(ch_wal_buffer_t *out, ch_bytes_t text)
{
    ch_wal_buffer_varint(out, text.size);
    ch_wal_buffer_append(out, text.data, text.size);
}

static ch_status_t
check_selector(ch_bytes_t text)
{
    if (text.size > 0 && text.size <= CH_WAL_SELECTOR_BYTES_MAX)
        return CH_OK;
    return ch_fail(CH_ERR_LIMIT, "selector: %zu bytes, not 1 to %d", text.size,
                   CH_WAL_SELECTOR_BYTES_MAX);
}

ch_status_t
ch_wal_encode_delete(ch_wal_encoder_t *encoder, ch_wal_record_type_t type,
                     const ch_identity_t *identity, const ch_wal_delete_t *delete,
                     int64_t time)
{
    ch_wal_buffer_t *out = &encoder->out;
    ch_status_t status = check_selector(delete->selector);
    for (uint32_t i = 0; i < delete->except_count && status >= 0; i++)
        status = check_selector(delete->except[i]);
    if (status >= 0 && delete->except_count > CH_WAL_EXCEPTIONS_MAX)
        status = ch_fail(CH_ERR_LIMIT, "retention: more than %d exceptions",
                         CH_WAL_EXCEPTIONS_MAX);
    if (status < 0)
        return status;
    encode_header(out, type, identity, time);
    encode_text(out, delete->selector);
    if (type == CH_WAL_DELETE) {
        ch_wal_buffer_varint(out, ch_zigzag(delete->start));
    } else {
        ch_wal_buffer_varint(out, delete->except_count);
        for (uint32_t i = 0; i < delete->except_count; i++)
            encode_text(out, delete->except[i]);
    }
    ch_wal_buffer_varint(out, ch_zigzag(delete->end));
    encode_length(out);
    return CH_OK;
}

/* --- local ids ------------------------------------------------------------------------------- */

static bool
block_has_holes(const ch_batch_block_t *block)
{
    for (uint32_t j = 0; j < block->fields; j++)
        if (block->values[j].form == CH_VALUES_LIST)
            return true;
    return false;
}

static bool
cell_is_none(const ch_batch_block_t *block, uint32_t row, uint32_t field)
{
    const ch_values_t *values = &block->values[field];
    return values->form == CH_VALUES_LIST && values->list[row].type == CH_VALUE_NONE;
}

/* Cells without a point have no series: they get the id that keeps the pattern regular. */
static void
map_cells_with_holes(ch_wal_numbering_t *numbering, const ch_batch_block_t *block,
                     const uint32_t *series, uint32_t *local)
{
    size_t cell = 0;
    for (uint32_t i = 0; i < block->rows; i++)
        for (uint32_t j = 0; j < block->fields; j++, cell++) {
            if (!cell_is_none(block, i, j))
                local[cell] =
                    ch_wal_ids_map(&numbering->series, numbering->stamp, series[cell]);
            else
                local[cell] = cell ? local[cell - 1] + 1 : 0;
        }
}

static void
map_block(ch_wal_numbering_t *numbering, const ch_batch_block_t *block,
          const uint32_t *series, uint32_t *local)
{
    if (block->kind != CH_BLOCK_SERIES && block_has_holes(block)) {
        map_cells_with_holes(numbering, block, series, local);
        return;
    }
    size_t cells = ch_batch_block_cells(block);
    for (size_t i = 0; i < cells; i++)
        local[i] = ch_wal_ids_map(&numbering->series, numbering->stamp, series[i]);
}

/* Cells of the batch, or CH_ERR_LIMIT: the bound that a decoder holds us to. */
static ch_status_t
count_cells(const ch_batch_t *batch, size_t *cells_out)
{
    uint64_t weight = 0, cells = 0;
    for (uint32_t b = 0; b < batch->block_count; b++) {
        const ch_batch_block_t *block = &batch->blocks[b];
        weight += ((uint64_t)block->rows + 1) * ((uint64_t)block->fields + 1);
        cells += ch_batch_block_cells(block);
        if (weight > CH_WAL_RECORD_CELLS_MAX)
            return ch_fail(CH_ERR_LIMIT,
                           "batch: more than %d cells; split it into smaller batches",
                           CH_WAL_RECORD_CELLS_MAX);
    }
    *cells_out = (size_t)cells;
    return CH_OK;
}

/* --- additions ------------------------------------------------------------------------------- */

/* Series numbered since `mark`, first the names and label sets they are the first to use. */
static void
encode_additions(ch_wal_encoder_t *encoder, ch_wal_numbering_t *numbering,
                 const ch_wal_namer_t *namer, ch_wal_mark_t mark)
{
    ch_wal_buffer_t *out = &encoder->out, *pairs = &encoder->scratch;
    uint32_t stamp = numbering->stamp, name_id = 0, labels_id = 0;
    pairs->size = 0;
    for (uint32_t i = mark.series; i < numbering->series.count; i++) {
        namer->series(namer->context, numbering->series.globals[i], &name_id, &labels_id);
        ch_wal_buffer_varint(pairs, ch_wal_ids_map(&numbering->names, stamp, name_id));
        ch_wal_buffer_varint(pairs, ch_wal_ids_map(&numbering->labels, stamp, labels_id));
    }
    ch_wal_buffer_varint(out, numbering->names.count - mark.names);
    for (uint32_t i = mark.names; i < numbering->names.count; i++)
        encode_text(out, namer->name(namer->context, numbering->names.globals[i]));
    ch_wal_buffer_varint(out, numbering->labels.count - mark.labels);
    for (uint32_t i = mark.labels; i < numbering->labels.count; i++)
        encode_text(out, namer->labels(namer->context, numbering->labels.globals[i]));
    ch_wal_buffer_varint(out, numbering->series.count - mark.series);
    ch_wal_buffer_append(out, pairs->data, pairs->size);
}

/* --- blocks ---------------------------------------------------------------------------------- */

static void
encode_block(ch_wal_encoder_t *encoder, const ch_batch_block_t *block,
             const uint32_t *ids, int64_t time, ch_wal_times_memory_t *memory)
{
    ch_wal_buffer_t *out = &encoder->out;
    ch_wal_buffer_byte(out, block->kind);
    ch_wal_buffer_varint(out, block->rows);
    if (block->kind == CH_BLOCK_TABLE)
        ch_wal_buffer_varint(out, block->fields);
    size_t id_rows = block->kind == CH_BLOCK_SERIES ? 1 : block->rows;
    ch_wal_ids_encode(out, ids, id_rows, block->fields, &encoder->scratch);
    ch_wal_times_encode(out, &block->times, block->rows, time, memory, &encoder->scratch);
    for (uint32_t j = 0; j < block->fields; j++)
        ch_wal_values_encode(out, &block->values[j], block->rows, &encoder->scratch);
}

static void
encode_blocks(ch_wal_encoder_t *encoder, const ch_batch_t *batch, const uint32_t *local,
              int64_t time)
{
    ch_wal_times_memory_t memory = {0};
    ch_wal_buffer_varint(&encoder->out, batch->block_count);
    for (uint32_t b = 0; b < batch->block_count; b++) {
        encode_block(encoder, &batch->blocks[b], local, time, &memory);
        local += ch_batch_block_cells(&batch->blocks[b]);
    }
}

static uint32_t *
map_batch(ch_wal_encoder_t *encoder, ch_wal_numbering_t *numbering,
          const ch_batch_t *batch, const uint32_t *series, size_t cells)
{
    encoder->ids.size = 0;
    uint32_t *local =
        (uint32_t *)(void *)ch_wal_buffer_room(&encoder->ids, cells * 4 + 4);
    size_t done = 0;
    for (uint32_t b = 0; b < batch->block_count; b++) {
        map_block(numbering, &batch->blocks[b], series + done, local + done);
        done += ch_batch_block_cells(&batch->blocks[b]);
    }
    return local;
}

ch_status_t
ch_wal_encode_batch(ch_wal_encoder_t *encoder, ch_wal_numbering_t *numbering,
                    const ch_wal_namer_t *namer, const ch_batch_t *batch,
                    const uint32_t *series, int64_t time)
{
    size_t cells = 0;
    ch_status_t status = count_cells(batch, &cells);
    if (status < 0)
        return status;
    ch_wal_mark_t mark = ch_wal_numbering_mark(numbering);
    const uint32_t *local = map_batch(encoder, numbering, batch, series, cells);
    encode_header(&encoder->out, CH_WAL_BATCH, &batch->identity, time);
    encode_additions(encoder, numbering, namer, mark);
    encode_blocks(encoder, batch, local, time);
    if (encoder->out.size > CH_WAL_GROUP_BYTES_MAX) {
        ch_wal_numbering_undo(numbering, mark);
        return ch_fail(CH_ERR_LIMIT, "batch: %zu bytes encoded, at most %d; split it",
                       encoder->out.size, CH_WAL_GROUP_BYTES_MAX);
    }
    encode_length(&encoder->out);
    return CH_OK;
}
