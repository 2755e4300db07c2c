"""What the simulator planted is what the ledgers hold."""
import json

import pytest


def truth_of(home, seed, rows=30000, **plant):
    truth = home.path.parent / f"truth{seed}.json"
    args = ["--rows", rows, "--symbols", 60, "--seed", seed, "--truth", truth]
    for name, count in plant.items():
        args += [f"--{name}", count]
    home.run("ingest", "sim", *args, sets=["commit.rows=10000"])
    return json.loads(truth.read_text())


def key(gap):
    return (gap["exchange"], gap["symbol"], gap["data_type"], gap["first"], gap["last"])


@pytest.mark.parametrize("seed", [1, 2, 3, 42])
def test_truth_equals_ledgers(home, seed):
    truth = truth_of(home, seed, gaps=12, duplicates=40, late=9, bad=10)
    good = truth["rows"]
    assert home.one("select count(*) from trades") == good["trades"]
    assert home.one("select count(*) from quotes") == good["quotes"]
    found = {(r["exchange"], r["symbol"], r["data_type"], r["first_missing"], r["last_missing"]): r
             for r in home.rows("select * from gaps")}
    assert set(found) == {key(g) for g in truth["gaps"]}
    for gap in truth["gaps"]:
        row = found[key(gap)]
        assert row["missing"] == gap["missing"] and row["recovered"] == gap["filled"]
        assert (row["recovered_at"] is not None) == (gap["missing"] == gap["filled"])
    assert home.one("select count(*) from dead_letters") == len(truth["bad"])
    dropped = home.one("select sum(duplicates) from commits")
    assert int(dropped) == len(truth["duplicates"])
    home.run("verify")


def test_again_adds_nothing(home):
    truth_of(home, 7, gaps=3, duplicates=5, late=2, bad=4)
    before = home.rows("select (select count(*) from trades) t, (select count(*) from quotes) q, "
                       "(select count(*) from gaps) g, (select count(*) from dead_letters) d")
    truth_of(home, 7, gaps=3, duplicates=5, late=2, bad=4)
    after = home.rows("select (select count(*) from trades) t, (select count(*) from quotes) q, "
                      "(select count(*) from gaps) g, (select count(*) from dead_letters) d")
    assert before == after


def test_message_ids_are_unique(home):
    truth_of(home, 5, duplicates=50)
    assert home.one("select count(*) - count(distinct message_id) from trades") == 0
    assert home.one("select count(*) - count(distinct (log_id, log_partition, log_offset)) "
                    "from trades") == 0


def test_replay_twice_has_one_digest(home):
    truth_of(home, 9, gaps=2)
    runs = [home.run("replay", "trades", "--format", "none").stderr for _ in range(2)]
    assert runs[0] == runs[1] and b"rows=" in runs[0] and b"complete=no" in runs[0]
    lines = home.text("replay", "trades", "--format", "ndjson").splitlines()
    rows = [json.loads(line) for line in lines]
    order = [(r["timestamp_ns"], r["exchange"], r["symbol"], r["source_sequence"]) for r in rows]
    assert order == sorted(order) and len(rows) == home.one("select count(*) from trades")


def test_as_of_sees_the_past(home):
    truth_of(home, 11)
    snapshots = json.loads(home.text("table", "snapshots", "trades", "--format", "json"))
    assert len(snapshots) > 1
    for snapshot in snapshots:
        count = home.one("select count(*) from trades", "--as-of", snapshot["snapshot_id"])
        assert count == snapshot["total_rows"]
    assert home.one("select count(*) from trades", "--as-of", "2001-01-01T00:00:00Z") == 0
