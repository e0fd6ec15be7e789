/// The syntax tree of a PromQL expression, typed.
///
/// Owner    every node lives in the parser's ch_query_memory_t and borrows the query text.
/// Depth    no tree is higher than CH_PROMQL_TREE_MAX, so walking it by recursion is safe.
#ifndef CH_PROMQL_AST_H
#define CH_PROMQL_AST_H

#include "ch/selector.h"

enum {
    CH_PROMQL_QUERY_BYTES_MAX = 64 * 1024, /* text; generated queries stay far below */
    CH_PROMQL_NESTING_MAX = 128,           /* expressions within each other */
    CH_PROMQL_TREE_MAX = 512,              /* height: also chains such as a + b + c ... */
};

typedef enum {
    CH_PROMQL_SCALAR,
    CH_PROMQL_STRING,
    CH_PROMQL_VECTOR,
    CH_PROMQL_MATRIX,
} ch_promql_type_t;

typedef enum {
    CH_EXPR_NUMBER,
    CH_EXPR_STRING,
    CH_EXPR_SELECTOR,
    CH_EXPR_RANGE,
    CH_EXPR_SUBQUERY,
    CH_EXPR_PAREN,
    CH_EXPR_UNARY,
    CH_EXPR_BINARY,
    CH_EXPR_AGGREGATE,
    CH_EXPR_CALL,
} ch_expr_kind_t;

typedef enum {
    CH_BINARY_ADD,
    CH_BINARY_SUB,
    CH_BINARY_MUL,
    CH_BINARY_DIV,
    CH_BINARY_MOD,
    CH_BINARY_POW,
    CH_BINARY_ATAN2,
    CH_BINARY_EQL,
    CH_BINARY_NEQ,
    CH_BINARY_LSS,
    CH_BINARY_LTE,
    CH_BINARY_GTR,
    CH_BINARY_GTE,
    CH_BINARY_AND,
    CH_BINARY_OR,
    CH_BINARY_UNLESS,
} ch_binary_t;

typedef enum {
    CH_AGGREGATE_SUM,
    CH_AGGREGATE_MIN,
    CH_AGGREGATE_MAX,
    CH_AGGREGATE_AVG,
    CH_AGGREGATE_COUNT,
    CH_AGGREGATE_GROUP,
    CH_AGGREGATE_STDDEV,
    CH_AGGREGATE_STDVAR,
    CH_AGGREGATE_TOPK,
    CH_AGGREGATE_BOTTOMK,
    CH_AGGREGATE_QUANTILE,
    CH_AGGREGATE_LIMITK,
    CH_AGGREGATE_LIMIT_RATIO,
    CH_AGGREGATE_COUNT_VALUES,
} ch_aggregate_t;

typedef enum { CH_AT_NONE, CH_AT_TIME, CH_AT_START, CH_AT_END } ch_at_t;

/// `offset` and `@`, `smoothed` and `anchored`, of a selector or a subquery.
typedef struct ch_promql_modifiers {
    bool has_offset;
    int64_t offset; /* ns */
    ch_at_t at;
    int64_t at_time; /* ns, CH_AT_TIME */
    bool smoothed, anchored;
} ch_promql_modifiers_t;

/// A list of label names: `by (a, b)`, `on (a)`, `group_left (c)`.
typedef struct ch_promql_labels {
    ch_bytes_t *names;
    uint32_t count;
} ch_promql_labels_t;

typedef enum { CH_GROUP_NONE, CH_GROUP_LEFT, CH_GROUP_RIGHT } ch_group_side_t;

struct ch_promql_function; /* functions.h */

typedef struct ch_expr {
    ch_expr_kind_t kind;
    ch_promql_type_t type;
    uint32_t position; /* byte offset in the query */
    uint32_t height;
    union {
        double number;
        ch_bytes_t string;
        struct {
            ch_matcher_t *matchers;
            uint32_t matcher_count;
            bool has_name; /* by a bare or quoted name */
            ch_promql_modifiers_t modifiers;
        } selector;
        struct {
            struct ch_expr *selector;
            int64_t range; /* ns, above 0 */
        } range;
        struct {
            struct ch_expr *inner;
            int64_t range;
            int64_t step; /* 0: the default */
            ch_promql_modifiers_t modifiers;
        } subquery;
        struct ch_expr *paren;
        struct {
            struct ch_expr *inner;
            bool negative;
        } unary;
        struct {
            ch_binary_t op;
            struct ch_expr *left, *right;
            bool return_bool;
            bool matching, on; /* on (...) or ignoring (...) */
            ch_promql_labels_t match_labels;
            ch_group_side_t group;
            ch_promql_labels_t include;
        } binary;
        struct {
            ch_aggregate_t op;
            struct ch_expr *param; /* NULL where the operation takes none */
            struct ch_expr *inner;
            bool without;
            ch_promql_labels_t labels;
        } aggregate;
        struct {
            const struct ch_promql_function *function;
            struct ch_expr **arguments;
            uint32_t argument_count;
        } call;
    };
} ch_expr_t;

/// What is inside any number of parentheses.
static inline const ch_expr_t *
ch_expr_bare(const ch_expr_t *expr)
{
    while (expr->kind == CH_EXPR_PAREN)
        expr = expr->paren;
    return expr;
}

const char *ch_promql_type_name(ch_promql_type_t type);
const char *ch_binary_name(ch_binary_t op);
const char *ch_aggregate_name(ch_aggregate_t op);

#endif
