"""Spark with Iceberg's own Java library reads K2's files and tables.

spark.py files FOLDER OUT        every FOLDER/*.parquet written again by Spark as OUT/<name>/
spark.py tables HOME SNAPSHOT... market_data.trades by the SQLite catalog: one JSON line of sums for
                                 each snapshot (0: current), and one of what the metadata tables hold
"""
import glob
import json
import os
import pathlib
import sys

from pyspark.sql import SparkSession

SUMS = """select count(*) as n, count_if(source_sequence is null) as nulls,
cast(min(price) as string) as low, cast(max(price) as string) as high,
cast(sum(quantity) as string) as quantity, min(unix_micros(timestamp)) as first,
max(unix_micros(timestamp)) as last, count(distinct symbol) as symbols,
sum(source_sequence) as numbers, sum(log_offset) as offsets, sum(length(trade_id)) as ids,
coalesce(sum(case when vendor_data is not null then size(vendor_data) end), 0) as entries from """


def session(home):
    jars = ",".join(sorted(glob.glob(os.environ["K2_READER_JARS"] + "/*.jar")))
    builder = (SparkSession.builder.master("local[2]").appName("reader")
               .config("spark.jars", jars).config("spark.ui.enabled", "false")
               .config("spark.sql.session.timeZone", "UTC")
               .config("spark.driver.host", "127.0.0.1")
               .config("spark.driver.bindAddress", "127.0.0.1")
               .config("spark.sql.shuffle.partitions", "2")
               .config("spark.sql.parquet.outputTimestampType", "TIMESTAMP_MICROS")
               .config("spark.sql.parquet.datetimeRebaseModeInRead", "CORRECTED")
               .config("spark.sql.parquet.datetimeRebaseModeInWrite", "CORRECTED")
               .config("spark.sql.catalog.k2", "org.apache.iceberg.spark.SparkCatalog")
               .config("spark.sql.catalog.k2.type", "jdbc")
               .config("spark.sql.catalog.k2.jdbc.schema-version", "V1")
               .config("spark.sql.catalog.k2.uri", f"jdbc:sqlite:{home}/catalog.db")
               .config("spark.sql.catalog.k2.warehouse", f"file://{home}/warehouse"))
    spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    return spark


def files(folder, out):
    spark = session("/nonexistent")
    for path in sorted(pathlib.Path(folder).glob("*.parquet")):
        spark.read.parquet(f"file://{path}").coalesce(1).write.parquet(f"file://{out}/{path.stem}")


def tables(home, *snapshots):
    spark = session(home)
    for snapshot in snapshots:
        version = f" version as of {snapshot}" if int(snapshot) else ""
        row = spark.sql(f"{SUMS} k2.market_data.trades{version}").collect()[0]
        print(json.dumps(row.asDict()))
    print(json.dumps({name: spark.sql(f"select * from k2.market_data.trades.{name}").count()
                      for name in ("snapshots", "files", "manifests", "history", "entries",
                                   "partitions", "refs", "metadata_log_entries")}))


{"files": files, "tables": tables}[sys.argv[1]](*sys.argv[2:])
