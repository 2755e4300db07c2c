"""PyIceberg and DuckDB read the tables K2 writes: rows, filters, snapshots, metadata; PyIceberg writes
to them and K2 goes on."""
import base64
import datetime
import decimal
import glob
import importlib.util
import json
import os
import pathlib
import random
import subprocess

import pytest

pytest.importorskip("pyiceberg")
pytest.importorskip("sqlalchemy")
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.expressions import (And, EqualTo, GreaterThanOrEqual, In, IsNull, LessThan, NotNull,
                                   StartsWith)

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOOL = pathlib.Path(os.environ.get("K2_TEST_BUILD", ROOT / "build" / "release")) / "table_tool"
TABLES = ["market_data.trades", "market_data.quotes", "reference_data.instruments",
          "ops.gap_events"]


def tool(*args, code=0):
    done = subprocess.run([TOOL, *map(str, args)], capture_output=True, text=True)
    assert done.returncode == code, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


class Lake:
    def __init__(self, home):
        self.home = home
        self.rows, self.snapshots = {}, {}
        self.take(tool("make", home, 7))
        self.catalog = SqlCatalog("k2", uri=f"sqlite:///{home}/catalog.db",
                                  warehouse=f"file://{home}/warehouse")

    def take(self, text):
        for line in text.splitlines():
            item = json.loads(line, parse_float=decimal.Decimal)
            table = item["table"]
            if "row" in item:
                self.rows.setdefault(table, []).append(item["row"])
            else:
                self.snapshots.setdefault(table, []).append(
                    {**item, "before": len(self.rows.get(table, []))})

    def load(self, table):
        return self.catalog.load_table(table)


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    return Lake(tmp_path_factory.mktemp("lake"))


def value_of(field, value):
    """A value of the tool's JSON as PyIceberg gives it."""
    if value is None:
        return None
    kind = str(field.field_type)
    if kind == "timestamptz":
        return datetime.datetime.fromisoformat(value.replace("Z", "+00:00"))
    if kind.startswith("decimal"):
        return decimal.Decimal(value).quantize(decimal.Decimal("1e-8"))
    if kind == "binary":
        return base64.b64decode(value)
    if kind == "string" and isinstance(value, bool):
        return "true" if value else "false"
    return value


def expected(lake, table, iceberg):
    fields = iceberg.schema().fields
    return {row["log_offset"]: {f.name: value_of(f, row[f.name]) for f in fields}
            for row in lake.rows[table]}


def got(arrow):
    out = {}
    for row in arrow.to_pylist():
        for name, value in row.items():
            if isinstance(value, list) and value and isinstance(value[0], tuple):
                row[name] = dict(value)
            elif isinstance(value, list) and name == "vendor_data":
                row[name] = dict(value)
        assert row["log_offset"] not in out
        out[row["log_offset"]] = row
    return out


def test_catalog(lake):
    names = {".".join(t) for ns in lake.catalog.list_namespaces() for t in lake.catalog.list_tables(ns)}
    assert names == set(TABLES) | {"ops.gaps", "ops.dead_letters"}


@pytest.mark.parametrize("table", TABLES)
def test_every_value(lake, table):
    iceberg = lake.load(table)
    want = expected(lake, table, iceberg)
    have = got(iceberg.scan().to_arrow())
    assert len(have) == len(want) == len(lake.rows[table])
    for offset, row in want.items():
        assert have[offset] == row


@pytest.mark.parametrize("table", ["ops.gaps", "ops.dead_letters"])
def test_empty_tables(lake, table):
    iceberg = lake.load(table)
    assert iceberg.scan().to_arrow().num_rows == 0
    assert len(iceberg.snapshots()) == (1 if table == "ops.dead_letters" else 0)


@pytest.mark.parametrize("table", TABLES)
def test_filters_on_every_column(lake, table):
    """Any row that bounds or partition summaries wrongly prune would be missing here."""
    iceberg = lake.load(table)
    rows = list(expected(lake, table, iceberg).values())
    chance = random.Random(table)
    for field in iceberg.schema().fields:
        name, kind = field.name, str(field.field_type)
        if not field.field_type.is_primitive:
            continue
        there = [r[name] for r in rows if r[name] is not None]
        if not field.required:
            nulls = iceberg.scan(row_filter=IsNull(name)).to_arrow().num_rows
            assert nulls == len(rows) - len(there)
            assert iceberg.scan(row_filter=NotNull(name)).to_arrow().num_rows == len(there)
        if kind == "binary" or not there:
            continue
        values = [chance.choice(there)] if chance.random() < 0.6 else [chance.choice([min(there), max(there)])]
        for value in values:
            for make, holds in [(EqualTo, lambda v: v == value),
                                (GreaterThanOrEqual, lambda v: v >= value),
                                (LessThan, lambda v: v < value)]:
                want = sum(holds(v) for v in there)
                have = iceberg.scan(row_filter=make(name, literal(value))).to_arrow().num_rows
                assert have == want, (name, make.__name__, value)
        have = iceberg.scan(row_filter=In(name, [literal(v) for v in values])).to_arrow().num_rows
        assert have == sum(v in values for v in there), name
        if kind == "string":
            for value in values:
                head = value[:3]
                have = iceberg.scan(row_filter=StartsWith(name, head)).to_arrow().num_rows
                assert have == sum(v.startswith(head) for v in there), (name, head)


def literal(value):
    return value.isoformat() if isinstance(value, datetime.datetime) else value


def test_pruning_leaves_files_out(lake):
    iceberg = lake.load("market_data.trades")
    everything = len(list(iceberg.scan().plan_files()))
    row = lake.rows["market_data.trades"][0]
    some = And(EqualTo("exchange", row["exchange"]),
               GreaterThanOrEqual("timestamp", "2014-03-10T00:00:00+00:00"),
               LessThan("timestamp", "2014-03-11T00:00:00+00:00"))
    assert 0 < len(list(iceberg.scan(row_filter=some).plan_files())) < everything / 4


@pytest.mark.parametrize("table", TABLES)
def test_snapshots_and_time_travel(lake, table):
    iceberg = lake.load(table)
    told = lake.snapshots[table]
    assert [s.snapshot_id for s in iceberg.snapshots()] == [s["snapshot"] for s in told]
    assert [h.snapshot_id for h in iceberg.history()] == [s["snapshot"] for s in told]
    total = len(lake.rows[table])
    for i, s in enumerate(told):
        rows = told[i + 1]["before"] if i + 1 < len(told) else total
        assert iceberg.scan(snapshot_id=s["snapshot"]).to_arrow().num_rows == rows
        assert iceberg.snapshot_as_of_timestamp(s["ms"]).snapshot_id == s["snapshot"]
        summary = iceberg.snapshot_by_id(s["snapshot"]).summary
        assert summary.operation.value == "append"
        assert int(summary["total-records"]) == rows
        assert json.loads(summary["k2.moved"]) == {"market.test": {"0": [i * 60, i * 60 + 60]}}


@pytest.mark.parametrize("table", TABLES)
def test_inspect(lake, table):
    iceberg = lake.load(table)
    files = iceberg.inspect.files().to_pylist()
    assert sum(f["record_count"] for f in files) == len(lake.rows[table])
    assert len({f["file_path"] for f in files}) == len(files)
    for f in files:
        path = f["file_path"].removeprefix("file://")
        assert os.path.getsize(path) == f["file_size_in_bytes"]
        for name, metrics in f["readable_metrics"].items():
            low, high = metrics["lower_bound"], metrics["upper_bound"]
            assert low is None or high is None or low <= high, name
    manifests = iceberg.inspect.manifests().to_pylist()
    live = sum(m["added_data_files_count"] + m["existing_data_files_count"] for m in manifests)
    assert live == len(files)
    assert len(manifests) <= 5  # small ones are merged at 4
    for m in manifests:
        assert os.path.getsize(m["path"].removeprefix("file://")) == m["length"]
    if iceberg.spec().fields:
        partitions = iceberg.inspect.partitions().to_pylist()
        assert sum(p["record_count"] for p in partitions) == len(lake.rows[table])
        assert all(v is not None for p in partitions for v in p["partition"].values())
    assert iceberg.inspect.entries().num_rows == len(files)
    assert iceberg.inspect.refs().num_rows == 1


def test_metadata_log_and_hint(lake):
    for table in TABLES:
        iceberg = lake.load(table)
        folder = pathlib.Path(iceberg.location().removeprefix("file://")) / "metadata"
        for entry in iceberg.metadata.metadata_log:
            assert os.path.exists(entry.metadata_file.removeprefix("file://"))
        hint = (folder / "version-hint.text").read_bytes()
        name = iceberg.metadata_location.rsplit("/", 1)[1]
        assert hint.decode() + ".metadata.json" == name


def test_k2_verifies_itself(lake):
    out = tool("verify", lake.home)
    assert len(out.splitlines()) == 6 and all(" 0 broken " in line for line in out.splitlines())


def micros(time):
    return (time - datetime.datetime.fromtimestamp(0, datetime.timezone.utc)) // datetime.timedelta(
        microseconds=1)


def load_duckdb():
    duckdb = pytest.importorskip("duckdb")
    connection = duckdb.connect(config={"autoinstall_known_extensions": "false"})
    for name in ("avro", "iceberg"):
        spec = importlib.util.find_spec("duckdb_extension_" + name)
        found = spec and glob.glob(os.path.join(
            os.path.dirname(spec.origin), "extensions", "v" + duckdb.__version__,
            name + ".duckdb_extension"))
        if not found:
            pytest.skip(f"no {name} extension for DuckDB {duckdb.__version__}")
        connection.execute(f"LOAD '{found[0]}'")
    connection.execute("SET TimeZone = 'UTC'")
    return connection


@pytest.mark.parametrize("table", TABLES + ["ops.dead_letters", "ops.gaps"])
def test_duckdb_reads(lake, table):
    db = load_duckdb()
    iceberg = lake.load(table)
    folder = iceberg.location().removeprefix("file://")
    rows = list(expected(lake, table, iceberg).values()) if table in lake.rows else []
    if not iceberg.snapshots():
        return
    for source in (iceberg.metadata_location, folder):  # by file, and by the hint
        assert db.execute("SELECT count(*) FROM iceberg_scan(?)", [source]).fetchone()[0] == len(rows)
    if not rows:
        return
    scan = "FROM iceberg_scan('%s')" % iceberg.metadata_location
    for field in iceberg.schema().fields:
        name, kind = field.name, str(field.field_type)
        there = [r[name] for r in rows if r[name] is not None]
        count = db.execute(f'SELECT count("{name}") {scan}').fetchone()[0]
        assert count == len(there), name
        if not field.field_type.is_primitive or kind == "binary" or not there:
            continue
        is_time = kind == "timestamptz"
        shown = "epoch_us(%s)" if is_time else "%s"
        low, high = db.execute("SELECT %s, %s %s" % (shown % f'min("{name}")',
                                                     shown % f'max("{name}")', scan)).fetchone()
        assert [low, high] == [micros(v) if is_time else v for v in (min(there), max(there))], name
        # DuckDB 1.5 rounds days before 1970 towards zero when it prunes, where Iceberg floors them.
        fair = [v for v in there if not is_time or micros(v) >= 0]
        for value in random.Random(name).sample(fair, min(4, len(fair))):
            there_is = f"'{value.isoformat()}'::TIMESTAMPTZ" if is_time else "?"
            value_is = [] if is_time else [value]
            for sign, holds in [("=", lambda v: v == value), (">=", lambda v: v >= value)]:
                have = db.execute(f'SELECT count(*) {scan} WHERE "{name}" {sign} {there_is}',
                                  value_is).fetchone()[0]
                assert have == sum(holds(v) for v in there), (name, sign, value)


def test_pyiceberg_writes_and_k2_goes_on(lake):
    """Runs last: it changes the lake."""
    iceberg = lake.load("market_data.trades")
    before = iceberg.scan().to_arrow()
    iceberg.append(before.slice(0, 5))
    with iceberg.transaction() as change:
        change.set_properties({"someone.else": "was here"})
    with iceberg.manage_snapshots() as refs:
        refs.create_tag(iceberg.current_snapshot().snapshot_id, "kept")
    with iceberg.update_schema() as change:
        change.add_column("extra", pa_type())
    lake.take(tool("append", lake.home, 99))
    iceberg = lake.load("market_data.trades")
    assert iceberg.properties["someone.else"] == "was here"
    assert "kept" in iceberg.refs()
    after = iceberg.scan().to_arrow()
    assert after.num_rows == before.num_rows + 5 + 60
    assert after["extra"].null_count == after.num_rows
    total = int(iceberg.current_snapshot().summary["total-records"])
    assert total == after.num_rows


def pa_type():
    from pyiceberg.types import StringType
    return StringType()
