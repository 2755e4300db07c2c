/* lane.h -- one main table's share of the pipeline. Private to the room.
 *
 * A lane owns its strings, keys, readers and window, and is worked by one thread. Records are
 * decoded straight into the window's batch; what is set aside or dropped leaves a hole there
 * (drop[row]) that the commit passes over.
 */
#ifndef K2_PIPELINE_LANE_H
#define K2_PIPELINE_LANE_H

#include "lake/table/data_file.h"
#include "market/avro.h"
#include "market/topic.h"
#include "pipeline/pipeline.h"
#include "pipeline/sequence.h"
#include "pipeline/state.h"

enum {
    K2_CHUNK = 8192,         /* records taken at a time */
    K2_WINDOW_FILES = 64,    /* file partitions one commit may touch */
    K2_FILE_ROWS = 2000000,  /* rows one data file may have: a replay holds a few files at a time */
    K2_LEDGER_ROWS = 262144, /* gaps, fills and dead letters one commit may hold */
    /* Open questions one look-up answers; any of them may become a row of a ledger. */
    K2_WANTED_MAX = 131072,
    K2_PLANS_MAX = 32,
    K2_STATE_RECORDS = 50000,
    K2_STATE_COMMITS = 64,
};

/* Offsets that cannot be read any more; code NULL: none. */
struct k2_loss {
    const char *code; /* LOG_TRUNCATED, LOG_REPLACED, LOG_LOST */
    int64_t first, last;
    int64_t missing; /* records the table never got; 0 where nobody can know, or none */
};

/* One log partition as the lane holds it. */
struct k2_part {
    bool is_known;                /* the table names it */
    struct k2_position committed; /* as the table has it */
    int64_t next;                 /* the next offset to take */
    int64_t end;                  /* durable end when it was last noted */
    int64_t epoch;                /* this lane's: the table's + 1 when it was taken */
    int64_t state_records, state_commits;
    bool is_rebuilt;                   /* from the tables: the object its position names is gone */
    bool needs_state;                  /* no state object names it yet, or settings changed */
    struct k2_chain_settings settings; /* its records are taken by since its state object */
    struct k2_loss loss;               /* found, not yet committed */
};

struct k2_lane_topic {
    struct k2_topic_info info;
    uint32_t name_code, log_code; /* topic name and log_id column, interned */
    uint32_t exchange_code;       /* the exchange that was last found to belong here */
    enum k2_numbering numbering;
    const struct k2_venue *venue;
    struct k2_log_reader *reader;
    struct k2_part *parts;
    int plan_count;
    struct {
        uint32_t schema_id;
        struct k2_avro_plan *plan; /* NULL: known to be unusable */
    } plans[K2_PLANS_MAX];
    struct k2_record *records; /* read, not yet all taken */
    int record_count, record_at;
    bool is_rebuilt; /* some of its state was made from the tables */
    bool is_stopped; /* its log is not the one the table stands in; why says more */
    struct k2_err why;
};

struct k2_file_partition {
    int32_t day;
    uint32_t exchange;
};

/* What a commit will hold. */
struct k2_window {
    struct k2_batch *rows;
    uint8_t *drop;    /* rows set aside */
    uint8_t *group;   /* index in files[] */
    uint32_t *key_of; /* index in keys, for look-ups */
    struct k2_batch *gaps, *gap_events, *dead;
    struct k2_intern identities; /* of the dead letters */
    struct k2_file_partition files[K2_WINDOW_FILES];
    int file_count;
    int64_t bytes, records, started_ns;
    struct k2_pipeline_counts counts;
    uint32_t index_rows, index_mask; /* look-up index over rows [0, index_rows) */
    uint32_t *index;
};

/* A row that only a look-up can judge. */
struct k2_wanted {
    int64_t number;
    int64_t gap_first; /* of the gap a fill is in */
    uint32_t row;
    bool is_source; /* number is the source's, else the platform's */
    bool is_fill;
    bool is_below; /* at or below the last, in no open gap: late if it is not there */
    enum { K2_FOUND_NONE, K2_FOUND_SAME, K2_FOUND_OTHER } found : 8;
};
/* A dead letter that may be there already. */
struct k2_wanted_letter {
    uint32_t row; /* in window.dead */
    bool is_found;
};

struct k2_open_file {
    struct k2_buf path;
    struct k2_parquet_file *file;
    uint64_t used;
};
enum { K2_OPEN_FILES = 16 };

struct k2_lane {
    const struct k2_pipeline_opts *opts;
    const struct k2_schema *schema; /* of the rows */
    const struct k2_schema *wire;   /* of the records: K2_EVENT for dead letters */
    struct k2_intern strings;
    struct k2_keys keys;
    struct k2_chain_settings settings; /* in use */
    /* Of the window's records, in use from the first on; but numbering is each topic's own. */
    struct k2_chain_settings window_settings;
    bool may_use_others;        /* the next record may be of other settings than those in use */
    struct k2_intern negatives; /* "exchange.symbol" of instruments that may be negative */
    int64_t negatives_snapshot; /* where these are from; 0: there are none */
    int topic_count;
    struct k2_lane_topic **topics;
    struct k2_window window;
    struct k2_batch *events; /* wire batch where it is not the rows' */
    struct k2_wanted *wanted;
    uint32_t wanted_count;
    struct k2_wanted_letter *letters;
    uint32_t letter_count;
    const struct k2_metadata *main, *gaps, *gap_events, *dead; /* as last seen */
    struct k2_batch *found;                                    /* rows read back from the table */
    struct k2_open_file open[K2_OPEN_FILES];
    uint64_t open_clock;
    struct k2_data_writer writer;
    uint32_t *order, *rank;
    uint32_t rank_count;
    struct k2_random random;
    int32_t numbered_day; /* whose day_number is kept: rows come in runs of a day */
    int64_t day_number;
    int64_t topics_checked_ns;
    struct k2_pipeline_counts totals; /* committed; guarded by the pipeline's lock when threaded */
};

/* Opens tables, positions and state of one kind. Call k2_lane_done also when it failed. */
bool k2_lane_init(struct k2_lane *lane, const struct k2_pipeline_opts *opts, enum k2_kind kind,
                  struct k2_err *err) K2_MUST;
void k2_lane_done(struct k2_lane *lane);
/* Takes new records and commits when a commit is due. */
bool k2_lane_work(struct k2_lane *lane, int64_t *ret_moved, struct k2_err *err) K2_MUST;
/* Notes where each log partition ends now, and says whether the lane has taken everything before
 * that. */
bool k2_lane_note_ends(struct k2_lane *lane, struct k2_err *err) K2_MUST;
bool k2_lane_is_past_ends(const struct k2_lane *lane);
/* Looks for topics that fit and are new. */
bool k2_lane_find_topics(struct k2_lane *lane, struct k2_err *err) K2_MUST;
/* Drops what is buffered and begins again where the table stands. */
bool k2_lane_reload(struct k2_lane *lane, struct k2_err *err) K2_MUST;
/* Writes files and state and lands what the window holds; nothing to do when it is empty. CONFLICT:
 * another writer moved the positions (k2_lane_reload). */
bool k2_lane_commit(struct k2_lane *lane, struct k2_err *err) K2_MUST;

/* Before a window's first record: makes the buffers, takes over changed settings. */
bool k2_lane_begin(struct k2_lane *lane, struct k2_err *err) K2_MUST;
/* The chain works by these from here on. */
bool k2_lane_use(struct k2_lane *lane, const struct k2_chain_settings *settings,
                 struct k2_err *err) K2_MUST;

/* loss.c: CONFLICT where the log of a position is not this topic's, or ends before the position;
 * the message says what to do about it. */
bool k2_loss_check(const struct k2_topic_info *info, int p, const struct k2_position *position,
                   const struct k2_log_range *range, struct k2_err *err) K2_MUST;
/* Holds a known position against the log; what k2_loss_check refuses is taken as a loss when
 * opts.accept names the topic. */
bool k2_loss_find(struct k2_lane *lane, struct k2_lane_topic *topic, int p,
                  const struct k2_log_range *range, struct k2_err *err) K2_MUST;
/* Commits what was found in any topic, if anything. */
bool k2_loss_record(struct k2_lane *lane, struct k2_err *err) K2_MUST;

/* chain.c: takes records of one topic until they end or the window must be committed first
 * (*ret_is_full); *ret_taken of them are done. */
bool k2_chain_take(struct k2_lane *lane, struct k2_lane_topic *topic, uint32_t topic_index,
                   const struct k2_record *records, int count, int *ret_taken, bool *ret_is_full,
                   struct k2_err *err) K2_MUST;
/* A dead letter for a record; identity may be empty. */
uint32_t k2_chain_dead(struct k2_lane *lane, const struct k2_lane_topic *topic,
                       const struct k2_record *record, const char *stage, const char *code,
                       struct k2_str error, struct k2_str identity);
/* What the steps of one record share. */
struct k2_step {
    struct k2_lane_topic *topic;
    const struct k2_record *record;
    struct k2_key *key;
    uint32_t row;
    bool is_replay; /* committed already: state only (docs/rules.md: state) */
};
/* Makes the row a dead letter; one that may be there from an earlier run is looked up first. */
void k2_chain_set_aside(struct k2_lane *lane, const struct k2_step *s, const char *stage,
                        const char *code, const char *text, bool may_be_known);
/* The row filled number of the gap that begins at gap_first. */
void k2_chain_fill(struct k2_lane *lane, const struct k2_key *key, uint32_t row, int64_t gap_first,
                   int64_t number);
/* settle.c: answers what is open and judges by it; before a commit, and when much is open. */
bool k2_settle(struct k2_lane *lane, struct k2_err *err) K2_MUST;
bool k2_settle_is_due(const struct k2_lane *lane);
/* validate.c: NULL, or the error code; text gets the words. The time is judged apart, before the
 * row's number is, which may follow from it. Sets flags. */
const char *k2_validate_time(const struct k2_lane *lane, uint32_t row, int64_t log_time_us,
                             char text[160]);
const char *k2_validate(struct k2_lane *lane, const struct k2_key *key, uint32_t row,
                        uint32_t *flags, char text[160]);
/* lookup.c: answers lane->wanted from the table, and lane->letters from table and window. */
bool k2_lookup_rows(struct k2_lane *lane, struct k2_err *err) K2_MUST;
bool k2_lookup_letters(struct k2_lane *lane, struct k2_err *err) K2_MUST;
/* The row below row that has this number of row's key, or UINT32_MAX. */
uint32_t k2_window_find(struct k2_lane *lane, uint32_t row, int64_t number);
/* Equal content, as docs/rules.md: identity lists it. */
bool k2_rows_same(const struct k2_batch *a, uint32_t i, const struct k2_batch *b, uint32_t j);
/* A hash of that content, for trades and quotes. */
uint64_t k2_row_content_hash(const struct k2_batch *batch, uint32_t row);
/* A hash of what a version of an instrument says. */
uint64_t k2_version_hash(const struct k2_batch *batch, uint32_t row);
/* Closes the files look-ups keep open. */
void k2_lookup_close(struct k2_lane *lane);
/* measure.c: what a commit that landed means to the metrics; ns is how long it took. */
void k2_measure_commit(struct k2_lane *lane, int64_t ns);
/* window.c: buffers of the size commit.rows asks for; clear keeps them. */
void k2_window_init(struct k2_lane *lane);
void k2_window_done(struct k2_window *window);
void k2_window_clear(struct k2_window *window);
/* rebuild.c: state of one log partition from the tables. */
bool k2_rebuild_section(struct k2_lane *lane, uint32_t topic_index, int32_t log_partition,
                        struct k2_err *err) K2_MUST;
/* reference.c: instruments that may trade at or below zero, as of settings.reference_snapshot. */
bool k2_reference_load(struct k2_lane *lane, struct k2_err *err) K2_MUST;

/* What the window's records of a topic are taken by. */
static inline struct k2_chain_settings k2_settings_of(const struct k2_lane *lane,
                                                      const struct k2_lane_topic *topic) {
    struct k2_chain_settings settings = lane->window_settings;
    settings.numbering = topic->numbering;
    return settings;
}

#endif
