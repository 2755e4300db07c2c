/* config_rows.c -- the table of all settings; a new setting is a new row. */
#include "base/config_impl.h"

#define KIB       1024ll
#define MIB       (1024 * KIB)
#define GIB       (1024 * MIB)
#define TIB       (1024 * GIB)
#define DAY_MS    86400000ll
#define YEAR_MS   (366 * DAY_MS)
#define NUMBERING "dense|ranged|rising|channel|none"

const struct k2_config_row k2_config_rows[] = {
    {"log", K2_CONFIG_ADDRESS, "embedded:", .choices = "embedded:|kafka://",
     .doc =
         "Where messages become durable: files in the home (or embedded:FOLDER), or the brokers of "
         "a Kafka cluster, kafka://host:port,host:port."},
    {"log.partitions", K2_CONFIG_I64, "8", 1, 1024, "partitions",
     .doc = "Log partitions of a new topic; fixed when the topic is made. With Kafka, topics that "
            "have a number of their own keep it unless this is set."},
    {"log.segment.bytes", K2_CONFIG_SIZE, "256MiB", MIB, 4 * GIB, "bytes",
     .doc = "Size at which a segment file of the embedded log is sealed and the next one begun."},
    {"log.retention.bytes", K2_CONFIG_SIZE, "0", 0, 1024 * TIB, "bytes",
     .doc = "Committed segments beyond this size per topic may be trimmed; 0 keeps all."},
    {"log.retention.ms", K2_CONFIG_MS, "0", 0, 100 * YEAR_MS, "ms",
     .doc = "Committed segments older than this may be trimmed; 0 keeps all."},
    {"ack", K2_CONFIG_ENUM, "log", .choices = "log|committed",
     .doc =
         "When an append is acknowledged: once the log holds it, or once its table commit landed."},
    {"topic.<name>.ack", K2_CONFIG_ENUM, "", .choices = "log|committed",
     .doc = "The same for one topic; default: the setting ack."},
    {"catalog", K2_CONFIG_ADDRESS,
     "sqlite:", .choices = "sqlite:|postgres://|postgresql://|rest+http://|rest+https://",
     .doc =
         "The Iceberg catalog: a SQLite file in the home (or sqlite:FILE), a PostgreSQL database, "
         "or a REST catalog."},
    {"catalog.name", K2_CONFIG_STR, "k2", 1, 128,
     .doc = "Name of this catalog among those that one database holds."},
    {"warehouse", K2_CONFIG_ADDRESS, "file:", .choices = "file:|s3://",
     .doc = "Where table files lie: a folder in the home (or file:FOLDER), or s3://bucket/prefix."},
    {"s3.endpoint", K2_CONFIG_ADDRESS, "", .choices = "http://|https://",
     .doc = "Address of the S3 service; empty for the region's own."},
    {"s3.region", K2_CONFIG_STR, "us-east-1", 1, 64, .doc = "Region that requests are signed for."},
    {"s3.access_key", K2_CONFIG_STR, "", 0, 4096, .is_secret = true,
     .doc = "Access key of the S3 service, or env:NAME, file:PATH, exec:COMMAND."},
    {"s3.secret_key", K2_CONFIG_STR, "", 0, 4096, .is_secret = true,
     .doc = "Secret key of the S3 service, or env:NAME, file:PATH, exec:COMMAND."},
    {"s3.path_style", K2_CONFIG_BOOL, "true",
     .doc = "Bucket in the path of the address (MinIO) and not in its host name."},
    {"state", K2_CONFIG_ADDRESS, "memory:", .choices = "memory:|redis://|rediss://",
     .doc = "Where the pipeline keeps its working state between commits."},
    {"registry", K2_CONFIG_ADDRESS, "embedded:", .choices = "embedded:|http://|https://",
     .doc = "The schema registry: files in the home, or the address of one."},
    {"registry.listen", K2_CONFIG_LISTEN, "127.0.0.1:8081",
     .doc = "Address on which the embedded registry answers."},
    {"api.listen", K2_CONFIG_LISTEN, "127.0.0.1:8000", .doc = "Address on which the API answers."},
    {"commit.rows", K2_CONFIG_I64, "1000000", 1, 2000000, "rows",
     .doc = "A commit is made when this many rows wait, or on commit.bytes or commit.age_ms."},
    {"commit.bytes", K2_CONFIG_SIZE, "128MiB", MIB, 16 * GIB, "bytes",
     .doc = "A commit is made when the waiting rows take this much memory."},
    {"commit.age_ms", K2_CONFIG_MS, "1000", 1, DAY_MS, "ms",
     .doc = "A commit is made when the oldest waiting row is this old."},
    {"table.<name>.partition", K2_CONFIG_STR, "", 0, 1024,
     .doc =
         "Partition spec of a table, as in day(timestamp), exchange, truncate(symbol, 4); applies "
         "to files written from now on. Default: the table's own, day(timestamp), exchange for "
         "trades and quotes."},
    {"venue.<name>.numbering", K2_CONFIG_ENUM, "", .choices = NUMBERING,
     .doc =
         "How a venue numbers its messages: dense (1, 2, 3), ranged (first to last), rising (gaps "
         "mean nothing), channel (one series for many symbols), none. Default: the venue's own."},
    {"gap.page", K2_CONFIG_I64, "10", 1, 1000000000, "messages",
     .doc = "A gap of at least this many missing messages is of severity page, not log."},
    {"gap.halt", K2_CONFIG_I64, "100", 2, 1000000000, "messages",
     .doc =
         "A gap of more than this many missing messages is of severity halt where its venue's row "
         "asks for it, else page."},
    {"validate.future_ms", K2_CONFIG_MS, "60000", 0, YEAR_MS, "ms",
     .doc = "How far the time of a record may lie ahead of the time at which the log took it."},
    {"validate.price_move_pct", K2_CONFIG_F64, "10", 0, 1000000, "percent",
     .doc =
         "A price that moves by more than this from the last one is flagged PRICE_MOVE; 0 never."},
    {"metadata.previous_versions", K2_CONFIG_I64, "100", 1, 100000, "files",
     .doc = "Old metadata files that a table keeps."},
    {"manifest.merge_count", K2_CONFIG_I64, "100", 2, 100000, "manifests",
     .doc =
         "A commit merges the manifests of a snapshot when there are more small ones than this."},
    {"gc.grace_ms", K2_CONFIG_MS, "3600000", 0, YEAR_MS, "ms",
     .doc = "Files that no snapshot names are removed only when older than this. It must outlast "
            "the slowest commit and the longest query."},
    {"query.timeout_ms", K2_CONFIG_MS, "300000", 1, 7 * DAY_MS, "ms",
     .doc = "A query is cancelled after this time."},
    {"query.memory", K2_CONFIG_SIZE, "1GiB", 16 * MIB, 16 * TIB, "bytes",
     .doc = "Memory that one query may use before it spills to disk."},
    {"query.tail_rows", K2_CONFIG_I64, "1000000", 0, 100000000, "rows",
     .doc = "Rows beyond the last snapshot that a query reads from the log itself."},
    {"replay.memory", K2_CONFIG_SIZE, "512MiB", 16 * MIB, 16 * TIB, "bytes",
     .doc = "Memory for the rows that a replay holds. Where more rows overlap in time, files are "
            "read several times."},
    {"diag.level", K2_CONFIG_ENUM, "info", .choices = "debug|info|warn|error",
     .doc = "Least severe diagnostics that are written to stderr."},
    {"diag.format", K2_CONFIG_ENUM, "logfmt", .choices = "logfmt|json",
     .doc = "Form of a line of diagnostics."},
};

const size_t k2_config_row_count = K2_COUNT(k2_config_rows);
