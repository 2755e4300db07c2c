"""PyIceberg reads every table through the SQLite catalog and agrees with k2 query."""
import datetime
import decimal

import pytest

pyiceberg = pytest.importorskip("pyiceberg")


def norm(value):
    if isinstance(value, datetime.datetime):
        return value.astimezone(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    if isinstance(value, decimal.Decimal):
        return float(value)
    return value


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    from conftest import Home
    home = Home(tmp_path_factory.mktemp("interop") / "home")
    home.run("ingest", "sim", "--rows", 30000, "--symbols", 50, "--gaps", 10, "--late", 5,
             "--bad", 6, "--duplicates", 10, sets=["commit.rows=8000"])
    return home


@pytest.fixture(scope="module")
def catalog(filled):
    from pyiceberg.catalog.sql import SqlCatalog
    return SqlCatalog("k2", uri=f"sqlite:///{filled.path}/catalog.db")


TABLES = ["market_data.trades", "market_data.quotes", "ops.gaps", "ops.gap_events",
          "ops.dead_letters"]


@pytest.mark.parametrize("name", TABLES)
def test_counts_and_bounds_agree(filled, catalog, name):
    import pyarrow.compute as pc
    import pyarrow.types as pt
    table = catalog.load_table(name)
    data = table.scan().to_arrow()
    raw = {"ops.gaps": "(select * from ops.gaps)"}.get(name, name)
    assert data.num_rows == filled.one(f"select count(*) from {raw}")
    view_columns = set(filled.rows(f"select * from {raw} limit 1")[0])
    for field in data.schema:
        if field.name not in view_columns or pt.is_nested(field.type) or pt.is_binary(field.type) \
                or pt.is_large_binary(field.type):
            continue
        low_high = pc.min_max(data[field.name]).as_py()
        want = [norm(low_high["min"]), norm(low_high["max"])]
        got = filled.one(f'select min("{field.name}") a, max("{field.name}") b from {raw}')
        assert got == want, field.name


def test_filters_on_columns(filled, catalog):
    table = catalog.load_table("market_data.trades")
    row = filled.rows("select * from trades order by message_id limit 1 offset 777")[0]
    for column in ("symbol", "exchange", "side", "currency", "source_sequence", "trade_id",
                   "log_offset", "platform_sequence"):
        value = row[column]
        literal = f"'{value}'" if isinstance(value, str) else value
        got = table.scan(row_filter=f"{column} = {literal}").to_arrow().num_rows
        assert got == filled.one(f"select count(*) from trades where {column} = {literal}"), column
        assert got > 0
    stamp = row["timestamp"].replace("Z", "+00:00")
    got = table.scan(row_filter=f"timestamp <= '{stamp}'").to_arrow().num_rows
    assert got == filled.one(f"select count(*) from trades where timestamp <= '{stamp}'")


def test_snapshots_agree(filled, catalog):
    import json
    table = catalog.load_table("market_data.trades")
    ours = json.loads(filled.text("table", "snapshots", "trades", "--format", "json"))
    theirs = [s.snapshot_id for s in table.metadata.snapshots]
    assert [s["snapshot_id"] for s in ours] == theirs and len(theirs) > 1
    first = table.scan(snapshot_id=theirs[0]).to_arrow().num_rows
    assert first == ours[0]["total_rows"]


def test_duckdb_reads_by_version_hint(filled):
    duckdb = pytest.importorskip("duckdb")
    import pathlib
    import urllib.parse
    import json
    show = json.loads(filled.text("table", "show", "trades", "--format", "json"))
    location = urllib.parse.urlparse(show["location"]).path
    files = [str(p) for p in pathlib.Path(location).rglob("*.parquet")]
    con = duckdb.connect()
    count = con.execute("select count(*) from read_parquet(?)", [files]).fetchone()[0]
    assert count == filled.one("select count(*) from trades")
    hint = (pathlib.Path(location) / "metadata" / "version-hint.text").read_bytes()
    name = hint.decode() + ".metadata.json"
    assert show["metadata_location"].endswith(name)


def test_another_partition_spec_is_followed_from_then_on(home):
    """Files of three specs in one table: every reader finds the rows of one symbol in all of them."""
    specs = [None, "exchange, truncate(symbol, 4)", "day(timestamp)", "exchange, truncate(symbol, 4)"]
    for seed, spec in enumerate(specs, 1):
        home.run("ingest", "sim", "--rows", 3000, "--symbols", 20, "--seed", seed,
                 sets=[f"table.trades.partition={spec}"] if spec else [])
    from pyiceberg.catalog.sql import SqlCatalog
    catalog = SqlCatalog("k2", uri=f"sqlite:///{home.path}/catalog.db",
                         warehouse=f"file://{home.path}/warehouse")
    table = catalog.load_table("market_data.trades")
    assert len(table.specs()) == 3 and table.spec().spec_id == 1
    assert [str(f.transform) for f in table.spec().fields] == ["identity", "truncate[4]"]
    files = table.inspect.files().to_pylist()
    assert {f["spec_id"] for f in files} == {0, 1, 2}
    for condition in ("symbol = 'S1_0001'", "exchange = 'SIMX'", "price > 100"):
        found = table.scan(row_filter=condition).to_arrow().num_rows
        assert found and found == home.one(f"select count(*) from trades where {condition}")
    home.run("verify")
    done = home.run("ingest", "sim", "--rows", 10, code=2,
                    sets=["table.trades.partition=truncate(symbl, 4)"])
    assert b"table.trades.partition" in done.stderr and b"symbl" in done.stderr
    assert b"did you mean trades" in home.run("check", code=2,
                                              sets=["table.trade.partition=exchange"]).stderr
