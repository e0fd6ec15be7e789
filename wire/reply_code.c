#include "ch/reply.h"

const char *
ch_reply_code(ch_status_t status)
{
    switch (status) {
    case CH_ERR_INVALID:
        return "bad_request";
    case CH_ERR_PARSE:
        return "parse";
    case CH_ERR_UNSUPPORTED:
        return "unsupported";
    case CH_ERR_LIMIT:
        return "limit";
    case CH_ERR_TIMEOUT:
        return "timeout";
    case CH_NOT_FOUND:
        return "not_found";
    case CH_ERR_EXECUTION:
        return "execution";
    case CH_ERR_FENCED:
        return "fenced";
    case CH_ERR_FORBIDDEN:
        return "forbidden";
    case CH_ERR_NOSPACE:
        return "disk_full";
    case CH_ERR_CORRUPT:
        return "corrupt";
    default:
        return "internal";
    }
}
