"""k2 bench measures every part and says so as JSON; what it measures is never a reason to fail."""
import json


def test_every_part_is_measured(home):
    done = home.run("bench", "--rows", 30000, "--json")
    found = {x["name"]: x for x in json.loads(done.stdout)}
    assert len(found) >= 14
    for name in ("simulator to durable log", "log to committed table", "Avro decode",
                 "replay in time order, with digest", "Parquet read, all columns"):
        assert found[name]["reached"] > 0 and found[name]["mark"] > 0
    assert found["log to committed table"]["count"] == 30000
    assert found["CSV to committed table"]["count"] == 30000
    assert found["trades and quotes in large files"]["count"] == 30000
    assert not home.path.exists()  # it works in a folder of its own


def test_old_ids_add_nothing(home):
    done = home.run("bench", "dedup", "--rows", 100000, "--json")
    found = {x["name"]: x["count"] for x in json.loads(done.stdout)}
    assert found["ids committed"] == 100000
    assert found["old ids again"] == 100000
    assert b"looked up" in done.stderr


def test_unknown_name(home):
    assert b"dedup" in home.run("bench", "nothing", code=2).stderr
