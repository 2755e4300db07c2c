/* rows.h -- rows of a batch in the order of a file: packed as they lie, taken out as it wants them.
 *
 * The values of a row lie all over a batch, and a file takes rows from all over a batch too:
 * fetched as they are, every value would cost a miss of the cache. So rows are packed first,
 * reading memory forwards, into records that hold all their values and mostly fit one line of the
 * cache: numbers as far as they differ, short strings whole, lists and maps by number. Row groups
 * are then taken out of the records, at one miss a row.
 *
 * Invariants: a field is written as whole words, so what lies behind it in the record is written
 * after it; a record ends no sooner than its last word. Threads: belongs to one thread.
 */
#ifndef K2_LAKE_PARQUET_ROWS_H
#define K2_LAKE_PARQUET_ROWS_H

#include "lake/parquet/dictionary.h"
#include "market/batch.h"

enum k2_pq_form {
    K2_PQ_AS_IS, /* an array as the batch has it; spans are of the batch's text */
    K2_PQ_SHORT, /* strings in one piece: bytes in data, ends in ends[1 ..], ends[0] is 0 */
    K2_PQ_CELLS, /* lists and maps as uint16_t entries of cells */
    K2_PQ_RUNS,  /* no array: symbols and enums by the symbols of runs; see k2_pq_run_value */
};

/* Rows of one symbol that follow each other. */
struct k2_pq_run {
    uint32_t symbol, end;
};

/* Values (or valid bytes) of a column within a record. */
struct k2_pq_field {
    uint8_t column, width; /* width: bytes it has for itself; 0: all values are base */
    uint8_t word;          /* bytes that are written and read: 1, 2, 4, 8 or, of short text, 17 */
    bool is_valid;         /* the valid bytes of the column, not its values */
    bool is_known;         /* has no place in records: each symbol has one value */
    uint16_t at;
    uint64_t base; /* what is taken off the values; of a known field: which table */
};

/* The least and the greatest of some numbers. */
struct k2_pq_low_high {
    int64_t low, high;
};

struct k2_pq_packed {
    const struct k2_batch *batch;
    struct k2_batch view; /* what was taken last */
    enum k2_pq_form forms[K2_COLUMNS_MAX];
    uint32_t *ends[K2_COLUMNS_MAX];
    struct k2_pq_dictionary cells[K2_COLUMNS_MAX]; /* entry 0 is the empty one */
    struct k2_pq_field fields[2 * K2_COLUMNS_MAX];
    int field_count;
    int symbol;           /* the first column of symbols; -1: none, or too many of them */
    struct k2_buf tables; /* of each known field, the values by symbol */
    struct k2_buf runs;   /* of the view */
    uint32_t table_count, symbol_count, run_count;
    uint32_t table_of[K2_COLUMNS_MAX]; /* of columns of the form K2_PQ_RUNS */
    size_t stride;
    char *records, *columns;
    size_t records_size, columns_size;
    uint32_t least, range; /* rows [least, least + range) hold all that are wanted */
    bool is_dense;         /* all of them are packed, else those in wanted */
    /* Of the view's pages, where the columns are numbers and none is null; else NULL. */
    struct k2_pq_low_high *extents[K2_COLUMNS_MAX];
    struct k2_buf extent_room;
    uint32_t page_rows;
    struct k2_buf wanted, rank; /* a bit a row; bits before each 64 of them */
};

/* The code that all rows of a run have in a column of the form K2_PQ_RUNS. */
static inline uint32_t k2_pq_run_value(const struct k2_pq_packed *p, int column,
                                       const struct k2_pq_run *run) {
    const uint32_t *tables = (const uint32_t *)p->tables.ptr;
    return column == p->symbol ? run->symbol
                               : tables[p->table_of[column] * p->symbol_count + run->symbol];
}

void k2_pq_packed_done(struct k2_pq_packed *packed);
/* Looks at rows order[0 .. count) of batch, which outlives their use. Returns how many of them to
 * pack at a time, a multiple of group_rows or all; 0 where the rows are few or in order as they
 * are, and packing would not pay. */
uint32_t k2_pq_pack_plan(struct k2_pq_packed *packed, const struct k2_batch *batch,
                         const uint32_t *order, uint32_t count, uint32_t group_rows);
/* Packs rows order[0 .. count), of those that were looked at. */
void k2_pq_pack(struct k2_pq_packed *packed, const uint32_t *order, uint32_t count);
/* Rows order[0 .. count), of those that were packed, as rows 0 .. count of a batch whose columns
 * have the forms of packed->forms, with the bounds of pages of page_rows; valid until the next
 * call. */
const struct k2_batch *k2_pq_take(struct k2_pq_packed *packed, const uint32_t *order,
                                  uint32_t count, uint32_t page_rows);

#endif
