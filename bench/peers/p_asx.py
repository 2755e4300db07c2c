"""The real ASX week (no-header CSV: date,time,price,volume,qualifiers,venue,buyer): load time and bytes per row in each peer."""
import glob, os, shutil, sys, duckdb, polars as pl, pyarrow.parquet as pq, pandas as pd
from common import *
SRC = os.environ["ASX"] + "/trades/*.csv"   # the folder of the sample week
W = f"{WORK}/asx"; shutil.rmtree(W, ignore_errors=True); os.makedirs(W)
raw = sum(os.path.getsize(f) for f in glob.glob(SRC))
SEL = f"""select regexp_extract(filename,'([0-9]+)\\.csv',1) symbol, strptime(d||' '||t,'%m/%d/%Y %H:%M:%S.%g') ts, price::decimal(18,8) price, vol::decimal(18,8) quantity, q::int qualifiers, venue, buyer,
 row_number() over () seq from read_csv('{SRC}', header=false, filename=true, columns={{'d':'varchar','t':'varchar','price':'double','vol':'double','q':'varchar','venue':'varchar','buyer':'varchar'}}, null_padding=true)"""
c = duckdb.connect(); c.execute("set threads=2"); n = c.execute(f"select count(*) from ({SEL})").fetchone()[0]
print("rows", n, "csv bytes/row", round(raw / n, 2))
for i in range(RUNS):
    for f in glob.glob(f"{W}/a.db*"): os.remove(f)
    with Timer() as t: k = duckdb.connect(f"{W}/a.db"); k.execute(f"create table trades as {SEL}"); k.execute("checkpoint"); k.close()
    record("asx:duckdb", "csv to table", n, t, bytes=du(f"{W}/a.db"))
    with Timer() as t: c.execute(f"copy ({SEL}) to '{W}/a.parquet' (format parquet, compression zstd)")
    record("asx:duckdb", "csv to parquet zstd", n, t, bytes=os.path.getsize(f"{W}/a.parquet"))
    with Timer() as t: c.execute(f"copy (select * from ({SEL}) order by symbol, ts, seq) to '{W}/s.parquet' (format parquet, compression zstd)")
    record("asx:duckdb", "csv to sorted parquet zstd", n, t, bytes=os.path.getsize(f"{W}/s.parquet"))
    with Timer() as t:
        d = pl.concat([pl.read_csv(f, has_header=False, new_columns=list("dtpvqxb"), infer_schema_length=0).with_columns(pl.lit(os.path.basename(f)[:4]).alias("symbol")) for f in glob.glob(SRC)])
        d = d.with_columns((pl.col("d") + " " + pl.col("t")).str.to_datetime("%m/%d/%Y %H:%M:%S%.f").alias("ts"), pl.col("p").cast(pl.Float64), pl.col("v").cast(pl.Float64))
    record("asx:polars", "csv to frame", n, t)
    with Timer() as t: b = d.group_by("symbol", pl.col("ts").dt.truncate("1m").alias("m"), maintain_order=True).agg(pl.col("p").first().alias("o"), pl.col("p").max().alias("h"), pl.col("p").min().alias("l"), pl.col("p").last().alias("c"), pl.col("v").sum())
    record("asx:polars", "1-minute bars", n, t, result=b.height)
from chdb import session
s = session.Session(f"{W}/ch"); s.query("create database b engine=Atomic"); s.query("use b")
for i in range(RUNS):
    s.query("drop table if exists t sync"); s.query("create table t(symbol LowCardinality(String), ts DateTime64(9,'UTC'), price Decimal(18,8), quantity Decimal(18,8), qualifiers Int32, venue LowCardinality(Nullable(String)), buyer LowCardinality(Nullable(String)), seq Int64) engine=MergeTree order by (symbol, ts)")
    with Timer() as t: s.query(f"insert into t select * from file('{W}/a.parquet',Parquet)")
    record("asx:chdb", "parquet to MergeTree", n, t, bytes=int(str(s.query("select sum(bytes_on_disk) from system.parts where table='t' and active", "CSV")).strip()))
s.close()
import arcticdb as adb
f = pq.read_table(f"{W}/a.parquet").to_pandas(); f["price"] = f.price.astype(float); f["quantity"] = f.quantity.astype(float); f = f.sort_values(["ts", "seq"]).set_index("ts").fillna("")
lib = adb.Arctic(f"lmdb://{W}/ar?map_size=1GB").get_library("t", create_if_missing=True)
for i in range(RUNS):
    with Timer() as t: lib.write("a", f, prune_previous_versions=True)
    record("asx:arcticdb", "frame write", n, t)
