#include "snapshot_ops.h"

#include "ch/alloc.h"
#include "ch/snapshot.h"
#include "query_ops.h"

/* The name as the engine takes it; what no name can be is refused there, with the rule. */
static void
take_name(const ch_request_t *request, char name[CH_SNAPSHOT_NAME_MAX + 1])
{
    ch_bytes_t text = request->snapshot;
    name[0] = 0;
    if (text.size == 0 || text.size > CH_SNAPSHOT_NAME_MAX ||
        memchr(text.data, 0, text.size))
        return;
    memcpy(name, text.data, text.size);
    name[text.size] = 0;
}

static void
put_path(const ch_node_t *node, const char *name, ch_reply_t *reply)
{
    ch_text_t path = {0};
    ch_text_append(&path, node->config->node_data, strlen(node->config->node_data));
    ch_text_append(&path, "/snapshots/", strlen("/snapshots/"));
    ch_text_append(&path, name, strlen(name));
    ch_reply_put_text(reply, "path", ch_text_bytes(&path));
    ch_text_release(&path);
}

static ch_status_t
make(const ch_node_t *node, const char *name, ch_reply_t *reply)
{
    ch_copy_report_t report = {0};
    ch_status_t status = ch_engine_snapshot(node->engine, name, &report);
    if (status < 0)
        return status;
    ch_reply_put_text(reply, "name", ch_bytes_text(name));
    put_path(node, name, reply);
    ch_reply_put_uint(reply, "lsn", report.lsn);
    ch_reply_put_uint(reply, "tables", report.tables);
    ch_reply_put_uint(reply, "segments", report.segments);
    return CH_OK;
}

static ch_status_t
list(const ch_node_t *node, ch_reply_t *reply)
{
    ch_snapshot_info_t *infos = NULL;
    size_t count = 0;
    ch_status_t status = ch_engine_snapshots(node->engine, &infos, &count);
    if (status < 0)
        return status;
    ch_reply_map_begin(reply, "snapshots");
    for (size_t i = 0; i < count; i++) {
        ch_reply_map_begin(reply, infos[i].name);
        ch_reply_put_uint(reply, "tables", infos[i].tables);
        ch_reply_put_uint(reply, "bytes", infos[i].bytes);
        ch_reply_put_uint(reply, "points", infos[i].points);
        ch_reply_map_end(reply);
    }
    ch_reply_map_end(reply);
    ch_free(infos);
    return CH_OK;
}

static ch_status_t
answer(const ch_node_t *node, const ch_request_t *request, ch_reply_t *reply)
{
    char name[CH_SNAPSHOT_NAME_MAX + 1];
    take_name(request, name);
    if (request->snapshot.size == 0)
        return list(node, reply);
    if (!request->remove)
        return make(node, name, reply);
    ch_status_t status = ch_engine_snapshot_remove(node->engine, name);
    if (status == CH_OK)
        ch_reply_put_text(reply, "name", ch_bytes_text(name));
    return status;
}

ch_bytes_t
ch_snapshot_answer(const ch_node_t *node, const ch_request_t *request, ch_reply_t *reply,
                   ch_status_t *status_out)
{
    ch_bytes_t frame;
    ch_reply_begin(reply, request->id);
    ch_status_t status = answer(node, request, reply);
    if (status == CH_OK)
        status = ch_reply_finish(reply, &frame);
    *status_out = status > 0 ? CH_ERR_INVALID : status; /* not found is an error here */
    if (status == CH_OK)
        return frame;
    if (status == CH_ERR_EXISTS || status == CH_ERR_BUSY)
        return ch_reply_error(reply, request->id, "bad_request", ch_fail_text(), NULL);
    return ch_query_error(reply, request->id, status);
}
