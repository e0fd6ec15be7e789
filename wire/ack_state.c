#include "ch/reply.h"

static const char *const state_names[] = {"ok", "pending", "gap", "fenced", "unknown"};

const char *
ch_ack_state_name(ch_ack_state_t state)
{
    return state_names[state];
}
