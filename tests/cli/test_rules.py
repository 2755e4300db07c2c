"""Rules that hold between rooms, seen from outside: what is told apart, what belongs together, what is said."""
import json
import pathlib
import subprocess
import urllib.parse

import pytest

from conftest import K2

HEADER = b"symbol,exchange,timestamp,price,quantity,source_sequence\n"


def line(n, price=b"1.5"):
    return b"AAA,SIMX,2024-01-02T03:04:05.%06dZ,%s,10,%d\n" % (n, price, n)


def ingest(home, text, **kw):
    return home.run("ingest", "csv", "-", "--layout", "k2-trades", stdin=HEADER + text, **kw)


def warehouse_of(home, table):
    show = json.loads(home.text("table", "show", table, "--format", "json"))
    return pathlib.Path(urllib.parse.urlparse(show["location"]).path)


def test_equal_bad_lines_are_told_apart_and_taken_once(home, tmp_path):
    path = tmp_path / "t.csv"
    path.write_bytes(HEADER + line(1) + line(2, b"abc") * 3 + line(3))
    for _ in range(2):
        home.run("ingest", "csv", path, "--layout", "k2-trades", code=None)
        assert home.one("select count(*) from dead_letters") == 3
    path.write_bytes(HEADER + line(2, b"abc") * 4)
    home.run("ingest", "csv", path, "--layout", "k2-trades", code=None)
    assert home.one("select count(*) from dead_letters") == 4
    home.run("verify")


def test_a_snapshot_of_one_table_is_a_moment_for_all(home):
    for n in range(3):
        ingest(home, line(2 * n + 1) + line(2 * n + 2, b"0"), code=3)
    snapshots = json.loads(home.text("table", "snapshots", "trades", "--format", "json"))
    assert len(snapshots) == 3
    for n, snapshot in enumerate(snapshots, start=1):
        both = home.one("select (select count(*) from trades), (select count(*) from dead_letters)",
                        "--as-of", snapshot["snapshot_id"])
        assert both == [n, n]


def test_verify_and_queries_beside_a_writer(home):
    """Whatever is committed meanwhile, all tables are seen as of one moment."""
    home.run("ingest", "sim", "--rows", 100)
    writer = subprocess.Popen(
        [K2, "--home", str(home.path), "-o", "commit.rows=500", "ingest", "sim", "--rows", "150000",
         "--symbols", "20", "--bad", "3000", "--seed", "2"], stderr=subprocess.DEVNULL)
    looks = 0
    while writer.poll() is None or looks < 2:
        home.run("verify")
        assert home.one("select (select count(*) from dead_letters) = (select sum(rejected) from "
                        "commits)")
        looks += 1
    assert writer.returncode == 0


def test_verify_tells_broken_rules_from_what_it_only_notes(home):
    ingest(home, line(1) + line(2))
    data = warehouse_of(home, "trades") / "data"
    file = next(data.rglob("*.parquet"))
    stranger = file.with_name("stranger.parquet")
    stranger.write_bytes(b"of a commit in the making")
    assert b"0 broken rules, 0 notes" in home.run("verify").stdout
    file.rename(stranger)
    done = home.run("verify", code=1)
    assert file.name.encode() in done.stdout and b"BROKEN" in done.stdout
    stranger.rename(file)
    home.run("verify")


def test_a_commit_has_no_more_rows_than_a_data_file_may_have(home):
    home.run("check", sets=["commit.rows=2000000"])
    assert b"2000000" in home.run("check", code=2, sets=["commit.rows=2000001"]).stderr


def test_an_append_that_was_not_finished_is_cut_off_and_said(home):
    ingest(home, line(1))
    segment = next((home.path / "log").glob("market.equities.trades.simx/*.seg"))
    with open(segment, "ab") as file:
        file.write(b"K2LB, but no more than that")
    said = [x for x in ingest(home, line(2)).stderr.decode().splitlines() if "log.cut" in x]
    assert len(said) == 1 and segment.name in said[0] and "bytes=27" in said[0]
    assert "log.cut" not in ingest(home, line(3)).stderr.decode()
    assert home.one("select count(*) from trades") == 3
    home.run("verify")


def test_without_its_log_a_home_is_history(home):
    ingest(home, line(1))
    (home.path / "log").rename(home.path / "elsewhere")
    assert home.one("select count(*) from trades") == 1
    assert b"0 broken rules" in home.run("verify").stdout


def test_state_that_is_gone_is_said_once(home):
    sets = ["log.partitions=4"]
    ingest(home, b"".join(line(n) for n in range(1, 50)), sets=sets)
    home.run("ingest", "sim", "--rows", 1000, "--symbols", 20, sets=sets)
    for path in (home.path / "warehouse" / "_k2" / "state").iterdir():
        path.unlink()
    done = home.run("ingest", "sim", "--rows", 500, "--symbols", 20, "--seed", 2)
    said = [x for x in done.stderr.decode().splitlines() if "pipeline.rebuilt" in x]
    topics = home.text("log", "list").count("\nmarket.")
    assert len(said) == len(set(said)) == topics
    assert home.one("select count(*) from trades") + home.one("select count(*) from quotes") == 1549
    assert "pipeline.rebuilt" not in ingest(home, line(50)).stderr.decode()
    home.run("verify")


@pytest.fixture
def trades(home):
    """A home with one trade, and its table as PyIceberg has it."""
    pytest.importorskip("pyiceberg")
    pytest.importorskip("sqlalchemy")
    from pyiceberg.catalog.sql import SqlCatalog
    ingest(home, line(1))
    return home, SqlCatalog("k2", uri=f"sqlite:///{home.path}/catalog.db").load_table(
        "market_data.trades")


def test_columns_keep_their_names_whatever_others_call_them(trades):
    from pyiceberg.types import StringType
    home, table = trades
    with table.update_schema() as change:
        change.rename_column("price", "cost")
        change.add_column("desk", StringType())
    ingest(home, line(2))
    rows = home.rows("select price, desk from trades order by source_sequence")
    assert rows == [{"price": 1.5, "desk": None}] * 2
    assert [float(r["cost"]) for r in table.refresh().scan().to_arrow().to_pylist()] == [1.5, 1.5]
    home.run("verify")


def test_a_column_that_others_drop_stops_the_writer(trades):
    home, table = trades
    with table.update_schema() as change:
        change.delete_column("currency")
    done = ingest(home, line(2), code=1)
    assert b"currency" in done.stderr and b"dropped" in done.stderr
    assert len(table.refresh().snapshots()) == 1
