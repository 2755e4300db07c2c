"""ClickHouse and Spark read what K2 writes: random Parquet files value by value, tables by sums.

They are large, so they are there only after tools/setup-readers; without it these tests are skipped.
"""
import json
import os
import pathlib
import subprocess

import pytest

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")
from test_parquet import ROOT, SEEDS, plain, tool

READERS = ROOT / ".deps" / "readers"
K2 = os.environ.get("K2_BIN", str(ROOT / "build" / "release" / "k2"))
pytestmark = pytest.mark.skipif(not list(READERS.glob("stamp-*")),
                                reason="tools/setup-readers has not installed ClickHouse and Spark")


def read_with(name, *args):
    done = subprocess.run([READERS / "venv" / "bin" / "python",
                           ROOT / "tests" / "interop" / "readers" / f"{name}.py", *map(str, args)],
                          capture_output=True, text=True, timeout=900,
                          env={**os.environ, "K2_READER_JARS": str(READERS / "jars")})
    assert done.returncode == 0, done.stdout[-1000:] + done.stderr[-3000:]
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


# ---- files ----

@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("random")
    tool("make", folder, SEEDS.start, len(SEEDS))
    return folder


def wanted(made):
    for path in sorted(made.glob("*.json")):
        yield path.stem, json.loads(path.read_text())["columns"]


def in_order(values):
    """Spark and ClickHouse may give the entries of a map in another order."""
    return [sorted(v) if isinstance(v, list) and v and isinstance(v[0], list) else v
            for v in values]


def is_text(kind):
    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind)


def as_bytes(value):
    """ClickHouse's strings are bytes, and it has no NULL list or map."""
    if isinstance(value, list):
        return [as_bytes(v) for v in value]
    return value.encode() if isinstance(value, str) else value


def test_clickhouse_reads_every_file(made, tmp_path):
    read_with("clickhouse", "files", made, tmp_path)
    for stem, want in wanted(made):
        with pa.OSFile(str(tmp_path / f"{stem}.arrow")) as source:
            got = pa.ipc.open_stream(source).read_all()
        assert got.column_names == list(want)
        for name, values in want.items():
            found = got[name].to_pylist() if is_text(got[name].type) else plain(got[name])
            if name == "raw":
                values = [None if v is None else bytes.fromhex(v) for v in values]
            values = [as_bytes(v) for v in values]
            if pa.types.is_nested(got[name].type):
                values = [v or [] for v in values]
                found = [[list(x) if isinstance(x, tuple) else x for x in v] for v in found]
            assert in_order(found) == in_order(values), (stem, name)


def test_spark_reads_every_file(made, tmp_path):
    read_with("spark", "files", made, tmp_path)
    for stem, want in wanted(made):
        got = pq.read_table(tmp_path / stem)
        assert got.column_names == list(want)
        for name, values in want.items():
            assert in_order(plain(got[name])) == in_order(values), (stem, name)


# ---- tables ----

SUMS = """select count(*) as n, count(*) filter (source_sequence is null) as nulls,
min(price)::varchar as low, max(price)::varchar as high, sum(quantity)::varchar as quantity,
min(epoch_us(timestamp)) as first, max(epoch_us(timestamp)) as last,
count(distinct symbol) as symbols, sum(source_sequence)::bigint as numbers,
sum(log_offset)::bigint as offsets, sum(length(trade_id))::bigint as ids,
coalesce(sum(cardinality(vendor_data)), 0)::bigint as entries from trades"""


def k2(home, *args):
    done = subprocess.run([K2, "--home", str(home), *map(str, args)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tables") / "home"
    for seed in (1, 2, 3):
        k2(folder, "ingest", "sim", "--rows", 20000, "--symbols", 40, "--seed", seed, "--gaps", 3)
    return folder


def sums(home, snapshot):
    at = ["--as-of", snapshot] if snapshot else []
    return json.loads(k2(home, "query", SUMS, "--format", "ndjson", *at))


def alike(row):
    """Decimals as text may or may not have their last zeros."""
    return {k: v.rstrip("0").rstrip(".") if isinstance(v, str) else v for k, v in row.items()}


def snapshots(home):
    listed = json.loads(k2(home, "table", "snapshots", "trades", "--format", "json"))
    return [s["snapshot_id"] for s in listed]


def test_clickhouse_reads_the_table_at_every_snapshot(home):
    for snapshot in [0, *snapshots(home)]:
        table = home / "warehouse" / "market_data" / "trades"
        found = read_with("clickhouse", "table", table, snapshot)
        assert alike(found[0]) == alike(sums(home, snapshot))


def test_spark_reads_the_table_at_every_snapshot(home):
    all_of_them = [0, *snapshots(home)]
    *found, metadata = read_with("spark", "tables", home, *all_of_them)
    assert [alike(x) for x in found] == [alike(sums(home, s)) for s in all_of_them]
    assert metadata["snapshots"] == len(all_of_them) - 1
    assert metadata["files"] == len(json.loads(k2(home, "table", "files", "trades", "--format",
                                                  "json")))
    assert metadata["history"] == metadata["snapshots"] and metadata["entries"] >= metadata["files"]
