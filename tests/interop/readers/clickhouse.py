"""ClickHouse (chdb) reads K2's files and tables.

clickhouse.py files FOLDER OUT       every FOLDER/*.parquet as OUT/<name>.arrow, an Arrow stream
clickhouse.py table FOLDER SNAPSHOT  the Iceberg table in FOLDER: one JSON line of sums (0: current)
"""
import json
import os
import pathlib
import sys

os.chdir("/")  # chdb reads below its working folder only
import chdb  # noqa: E402
import pyarrow as pa  # noqa: E402

SUMS = """select count() as n, countIf(source_sequence is null) as nulls,
toString(min(price)) as low, toString(max(price)) as high, toString(sum(quantity)) as quantity,
min(toUnixTimestamp64Micro(timestamp)) as first, max(toUnixTimestamp64Micro(timestamp)) as last,
uniqExact(symbol) as symbols, sum(source_sequence) as numbers, sum(log_offset) as offsets,
sum(length(trade_id)) as ids, sum(length(vendor_data)) as entries from """


def files(folder, out):
    for path in sorted(pathlib.Path(folder).glob("*.parquet")):
        table = chdb.query(f"select * from file('{path}', Parquet) settings "
                           "output_format_arrow_string_as_string=0, session_timezone='UTC', "
                           "schema_inference_make_columns_nullable='auto', "
                           "input_format_parquet_preserve_order=1", "ArrowTable")
        with pa.OSFile(f"{out}/{path.stem}.arrow", "wb") as sink:
            with pa.ipc.new_stream(sink, table.schema) as writer:
                writer.write_table(table)


def table(folder, snapshot):
    settings = "use_iceberg_metadata_files_cache=0"
    if int(snapshot):
        settings += f", iceberg_snapshot_id={snapshot}"
    print(str(chdb.query(f"{SUMS} icebergLocal('{folder}/') settings {settings}, "
                         "output_format_json_quote_64bit_integers=0", "JSONEachRow")).strip())


{"files": files, "table": table}[sys.argv[1]](*sys.argv[2:])
