"""K2: CSV through log, checks and commit into Iceberg tables; queries and replay, each a process of its own."""
import csv, io, os, shutil, subprocess
import duckdb
from common import *
K2 = os.environ.get("K2_BIN", os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../build/k2"))
W = f"{WORK}/k2"
NS = "make_timestamp_ns(timestamp_ns)"

def k2(home, *args):
    done = subprocess.run([K2, "--home", home, *args], capture_output=True, text=True)
    if done.returncode: raise RuntimeError(f"{args}: {done.stderr[-400:]}")
    return done

def rows_of(home, table):
    return int(k2(home, "query", f"select count(*) as n from {table}", "--format", "csv").stdout.split()[1])

def prepare():
    """The common data under K2's column names; the same rows in the same order."""
    c = duckdb.connect(); c.execute("set threads=2; set preserve_insertion_order=true")
    iso = lambda t: f"strftime({t}, '%Y-%m-%dT%H:%M:%S.%n')||'Z'"
    c.execute(f"copy (select symbol, exchange, asset_class, {iso('ts')} as timestamp, price, quantity, upper(side) as side, trade_id, seq as source_sequence from '{PARQ}') to '{W}/trades.csv' (header)")
    c.execute(f"copy (select symbol, 'ASX' as exchange, {iso('ts')} as timestamp, bid as bid_price, bid_size as bid_quantity, ask as ask_price, ask_size as ask_quantity from '{QUOTES}') to '{W}/quotes.csv' (header)")

bar = "select symbol, time_bucket(interval 1 minute, timestamp) m, arg_min(price,source_sequence) o, max(price) h, min(price) l, arg_max(price,source_sequence) c, sum(quantity) v from trades"
lo, hi = (t.replace(" ", "T") + "Z" for t in HOUR)
QS = {
 "Q1 symbol-hour": f"select * from trades where symbol='{SYM}' and timestamp>='{lo}' and timestamp<'{hi}' order by timestamp_ns,source_sequence",
 "Q2 symbol bars": f"{bar} where symbol='{SYM}' group by 1,2 order by 2",
 "Q3 all bars": f"select count(*),sum(o),sum(h),sum(l),sum(c),sum(v) from ({bar} group by 1,2)",
 "Q4 vwap top20": "select symbol,sum(price::double*quantity::double)/sum(quantity) vwap,sum(quantity) v from trades group by 1 order by v desc limit 20",
 "Q5 last per symbol": "select symbol, arg_max(timestamp_ns,source_sequence), arg_max(price,source_sequence), arg_max(quantity,source_sequence), arg_max(side,source_sequence), max(source_sequence), arg_max(trade_id,source_sequence) from trades group by 1",
 "Q6 count": "select count(*) from trades",
 "Q7 asof": "select count(*), sum(q.bid_price), sum(q.ask_price) from (select * from trades where symbol in (select distinct symbol from quotes)) t asof join quotes q on t.symbol=q.symbol and t.timestamp_ns>=q.timestamp_ns"}

def run(sql):
    got = list(csv.reader(io.StringIO(k2(f"{W}/home", "query", sql, "--format", "csv").stdout)))[1:]
    return got[0] if len(got) == 1 else len(got)

if __name__ == "__main__":
    shutil.rmtree(W, ignore_errors=True); os.makedirs(W); prepare()
    home = f"{W}/home"
    for i in range(RUNS):
        shutil.rmtree(home, ignore_errors=True)
        with Timer() as t: k2(home, "ingest", "csv", f"{W}/trades.csv", "--layout", "k2-trades")
        assert rows_of(home, "trades") == ROWS
        record("k2", "csv to log, checks, tables", ROWS, t, bytes=du(f"{home}/warehouse"), log_bytes=du(f"{home}/log"), fsync=fsync_tree(home), durability="log, data files, metadata and catalog fsynced")
    with Timer() as t: k2(home, "ingest", "csv", f"{W}/trades.csv", "--layout", "k2-trades")
    assert rows_of(home, "trades") == ROWS
    record("k2", "the same csv again, adds nothing", ROWS, t)
    k2(home, "ingest", "csv", f"{W}/quotes.csv", "--layout", "k2-quotes")
    queries("k2", QS, run, home)
    for i in range(RUNS):
        with Timer() as t: said = k2(home, "replay", "trades", "--format", "none").stderr
        assert f"rows={ROWS} " in said, said
        record("k2", "replay, time order, digest", ROWS, t)
    for i in range(RUNS):
        with Timer() as t: said = k2(home, "verify").stdout
        record("k2", "verify every file and offset", ROWS, t)
