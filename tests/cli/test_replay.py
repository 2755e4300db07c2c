"""k2 replay: order, formats, filters, where the rows go, and how it ends."""
import io
import json
import os
import pty
import re
import shutil
import signal
import socket
import subprocess
import time

import pytest

from conftest import K2, Home, Listener

ORDER = "order by timestamp_ns, exchange, symbol, coalesce(source_sequence, platform_sequence)"
HEADER = "symbol,exchange,timestamp,price,quantity,source_sequence\n"


def end_of(done):
    """The last line on stderr, as a dict."""
    line = done.stderr.decode().splitlines()[-1]
    found = re.fullmatch(r"rows=(\d+) digest=([0-9a-f]{32}) snapshot=(\d+) complete=(yes|no)", line)
    assert found, done.stderr
    return {"rows": int(found[1]), "digest": found[2], "snapshot": found[3],
            "complete": found[4] == "yes"}


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    folder = tmp_path_factory.mktemp("replay")
    home = Home(folder / "home")
    home.run("ingest", "sim", "--rows", 20000, "--symbols", 12, "--seed", 6, "--late", 5,
             sets=["commit.rows=3000"])
    # Values that formats must quote: nothing of this is in generated data.
    odd = folder / "odd.csv"
    odd.write_text(
        "symbol,exchange,timestamp,price,quantity,trade_id,trade_conditions,vendor_data\n"
        '"A,B",NYSE,2024-03-14T10:00:00.000000001Z,1.5,10,"a ""quoted"" id",,\n'
        "é\\,NYSE,2024-03-14T10:00:00Z,0.00000001,10,a text that is longer than twelve,"
        'X;a condition longer than twelve,"k=v,w;z="\n', encoding="utf-8")
    home.run("ingest", "csv", odd, "--layout", "k2-trades")
    assert home.one("select count(*) from trades where exchange = 'NYSE'") == 2
    return home


@pytest.mark.parametrize("table", ["trades", "quotes"])
@pytest.mark.parametrize("form", ["ndjson", "json", "csv", "arrow"])
def test_formats_are_those_of_query(filled, table, form):
    replayed = filled.run("replay", table, "--format", form)
    asked = filled.run("query", f"select * from {table} {ORDER}", "--format", form)
    if form == "arrow":
        pyarrow = pytest.importorskip("pyarrow")
        tables = [pyarrow.ipc.open_stream(done.stdout).read_all() for done in (replayed, asked)]
        assert tables[0].schema == tables[1].schema and tables[0].equals(tables[1])
    else:
        assert replayed.stdout == asked.stdout
    assert end_of(replayed)["rows"] == filled.one(f"select count(*) from {table}")


def test_avro_is_a_file_others_read(filled):
    fastavro = pytest.importorskip("fastavro")
    done = filled.run("replay", "trades", "--format", "avro")
    records = list(fastavro.reader(io.BytesIO(done.stdout)))
    rows = filled.rows(f"select message_id, price, trade_conditions, vendor_data from trades {ORDER}")
    assert len(records) == len(rows)
    for record, row in zip(records, rows):
        assert record["message_id"] == row["message_id"]
        assert float(record["price"]) == row["price"]
        assert record["trade_conditions"] == row["trade_conditions"]
        assert record["vendor_data"] == row["vendor_data"]
    assert filled.run("replay", "trades", "--format", "avro").stdout == done.stdout


def test_neither_format_nor_memory_changes_the_digest(filled):
    ends = [end_of(filled.run("replay", "quotes", "--format", form, sets=sets))
            for form in ("none", "ndjson", "avro")
            for sets in ((), ("replay.memory=16MiB",))]
    assert all(end == ends[0] for end in ends)


def test_nothing_replayed_is_still_a_stream(filled):
    for form, text in (("ndjson", b""), ("json", b"[]\n"), ("none", b"")):
        done = filled.run("replay", "trades", "--symbol", "NOSUCH", "--format", form)
        assert done.stdout == text and end_of(done)["rows"] == 0
    assert filled.run("replay", "trades", "--symbol", "NOSUCH", "--format", "csv").stdout.count(
        b"\n") == 1


def test_filters(filled):
    symbol, exchange = filled.one("select symbol, exchange from trades where exchange <> 'NYSE' "
                                  "order by all limit 1")
    low, high = (filled.one(f"select timestamp from trades {ORDER} limit 1 offset {n}")
                 for n in (500, 1500))
    for flags, where in (
            (["--symbol", symbol], f"symbol = '{symbol}'"),
            (["--symbol", f"{symbol},A,B"], f"symbol = '{symbol}'"),
            (["--symbol", f"{symbol},é\\"], f"symbol in ('{symbol}', 'é\\')"),
            (["--exchange", exchange], f"exchange = '{exchange}'"),
            (["--from", low], f"timestamp_ns >= epoch_ns('{low}'::timestamptz)"),
            (["--from", low, "--to", high, "--symbol", symbol],
             f"timestamp >= '{low}' and timestamp < '{high}' and symbol = '{symbol}'"),
            (["--to", "2024-03-14T10:00:00.000000001Z", "--exchange", "NYSE"],
             "exchange = 'NYSE' and timestamp_nanos = 0")):
        done = filled.run("replay", "trades", *flags)
        assert done.stdout == filled.run("query", f"select * from trades where {where} {ORDER}",
                                         "--format", "ndjson").stdout, flags


def test_as_of(filled):
    snapshots = json.loads(filled.text("table", "snapshots", "trades", "--format", "json"))
    assert len(snapshots) > 2
    for snapshot in snapshots:
        end = end_of(filled.run("replay", "trades", "--format", "none", "--as-of",
                                snapshot["snapshot_id"]))
        assert end["rows"] == snapshot["total_rows"]
        assert end["snapshot"] == str(snapshot["snapshot_id"])
    assert end_of(filled.run("replay", "trades", "--as-of", "2001-01-01T00:00:00Z"))["rows"] == 0


@pytest.mark.parametrize("args, word", [
    (["gaps"], "quotes"),
    (["nosuch"], "quotes"),
    (["trades", "--format", "xml"], "ndjson"),
    (["trades", "--speed", "0"], "--speed"),
    (["trades", "--speed", "-1"], "--speed"),
    (["trades", "--speed", "fast"], "--speed"),
    (["trades", "--speed", "nan"], "--speed"),
    (["trades", "--speed", "1e99"], "--speed"),
    (["trades", "--from", "yesterday"], "--from"),
    (["trades", "--to", "tomorrow"], "--to"),
    (["trades", "--from", "2024-01-02", "--to", "2024-01-01"], "--from"),
    (["trades", "--from", "2024-01-02", "--to", "2024-01-02"], "--from"),
    (["trades", "--to", "2024-01-02", "--to", "2024-01-03"], "--to"),
    (["trades", "--to", "kafka://localhost/t"], "tcp://"),
    (["trades", "--to", "tcp://localhost"], "tcp://HOST:PORT"),
    (["trades", "--to", "tcp://:80"], "tcp://HOST:PORT"),
    (["trades", "--to", "tcp://localhost:70000"], "tcp://HOST:PORT"),
    (["trades", "--to", "tcp://localhost:80", "--format", "none"], "--format none"),
    (["trades", "--symbol", "A,,B"], "--symbol"),
    (["trades", "--symbol", ",".join(f"S{i}" for i in range(300))], "256"),
    (["trades", "--exchange", ""], "--exchange"),
    (["trades", "--as-of", "someday"], "--as-of"),
    (["trades", "--folow"], "--follow"),
])
def test_wrong_arguments(filled, args, word):
    done = filled.run("replay", *args, code=2)
    assert word in done.stderr.decode() and done.stderr.count(b"\n") == 1 and not done.stdout


def test_a_snapshot_that_is_not_there(filled):
    done = filled.run("replay", "trades", "--as-of", 17, code=1)
    assert b"17" in done.stderr and done.stderr.count(b"\n") == 1


# ---- what is missing ----


def write(path, numbers, symbol="AAA", day="2024-01-02"):
    path.write_text(HEADER + "".join(
        f"{symbol},SIMX,{day}T03:04:{n:02}Z,1.5,10,{n}\n" for n in numbers))
    return path


def ingest(home, path, **kw):
    return home.run("ingest", "csv", path, "--layout", "k2-trades", **kw)


DENSE = ["venue.SIMX.numbering=dense"]


def test_complete_until_a_gap_and_again_once_filled(home, tmp_path):
    ingest(home, write(tmp_path / "a.csv", [1, 2, 3]), sets=DENSE)
    assert end_of(home.run("replay", "trades"))["complete"]
    ingest(home, write(tmp_path / "b.csv", [7, 8]), sets=DENSE)
    torn = end_of(home.run("replay", "trades"))
    assert not torn["complete"]
    assert end_of(home.run("replay", "trades", "--symbol", "BBB"))["complete"]
    assert end_of(home.run("replay", "trades", "--to", "2024-01-02T03:04:03Z"))["complete"]
    assert not end_of(home.run("replay", "trades", "--to", "2024-01-02T03:04:04Z"))["complete"]
    assert end_of(home.run("replay", "trades", "--from", "2024-01-02T03:04:08Z"))["complete"]
    ingest(home, write(tmp_path / "c.csv", [4, 6]), sets=DENSE)
    assert not end_of(home.run("replay", "trades"))["complete"]
    ingest(home, write(tmp_path / "d.csv", [5]), sets=DENSE)
    assert end_of(home.run("replay", "trades"))["complete"]
    assert end_of(home.run("replay", "trades", "--as-of", torn["snapshot"])) == torn


def test_an_acknowledged_gap_is_missing_all_the_same(home, tmp_path):
    ingest(home, write(tmp_path / "a.csv", [1, 5]), sets=DENSE)
    home.run("gaps", "ack", home.one("select gap_id from gaps"), "--reason", "known")
    assert home.one("select type from gap_events") == "ACK"
    assert not end_of(home.run("replay", "trades"))["complete"]


def test_what_the_log_lost_makes_its_exchange_incomplete(home, tmp_path):
    ingest(home, write(tmp_path / "a.csv", [1, 2, 3]))
    before = end_of(home.run("replay", "trades"))
    shutil.rmtree(home.path / "log")
    other = tmp_path / "other.csv"
    other.write_text(HEADER + "BBB,SIMY,2024-01-02T03:04:05Z,1.5,10,1\n")
    ingest(home, other)
    assert b"log accept" in ingest(home, write(tmp_path / "b.csv", [4]), code=1).stderr
    home.run("log", "accept", "market.equities.trades.simx")
    assert before["complete"] and not end_of(home.run("replay", "trades"))["complete"]
    assert not end_of(home.run("replay", "trades", "--symbol", "AAA", "--to", "2024-01-01"))["complete"]
    assert end_of(home.run("replay", "trades", "--exchange", "SIMY"))["complete"]
    assert end_of(home.run("replay", "quotes"))["complete"]
    assert end_of(home.run("replay", "trades", "--as-of", before["snapshot"])) == before


# ---- where the rows go, and how it ends ----


def start(home, *args, **kw):
    return subprocess.Popen([K2, "--home", str(home.path), "replay", *map(str, args)],
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, **kw)


def finish(process, code):
    out, errors = process.communicate(timeout=60)
    assert process.returncode == code, errors
    process.stderr_bytes = errors
    return out, subprocess.CompletedProcess(process.args, code, out, errors)


def test_to_a_connection(filled):
    listener = Listener()
    done = filled.run("replay", "trades", "--to", listener.url, "--to", "2024-03-14T12:00:00Z",
                      "--format", "csv")
    assert not done.stdout
    expected = filled.run("replay", "trades", "--to", "2024-03-14T12:00:00Z", "--format", "csv")
    assert listener.received() == expected.stdout and end_of(done) == end_of(expected)


def test_to_nobody(filled):
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = "tcp://127.0.0.1:%d" % server.getsockname()[1]
    done = filled.run("replay", "trades", "--to", url, code=4)
    assert url.encode() in done.stderr and done.stderr.count(b"\n") == 1


def test_a_connection_whose_reader_leaves(filled):
    listener = Listener(first=100)
    done = filled.run("replay", "trades", "--to", listener.url, code=4)
    assert listener.received()
    assert b"left" in done.stderr and done.stderr.count(b"\n") == 1


def test_a_closed_pipe_is_an_end(filled):
    process = start(filled, "quotes")
    first = process.stdout.readline()
    process.stdout.close()
    process.stdout = None
    _, done = finish(process, 0)
    assert json.loads(first)["message_id"]
    end = end_of(done)
    assert not end["complete"] and done.stderr.count(b"\n") == 1


def test_speed_keeps_time_and_a_signal_ends_it(filled):
    """At a thousandth of the speed of time the first row is due at once, the next much later."""
    process = start(filled, "trades", "--speed", "0.001")
    first = json.loads(process.stdout.readline())
    process.send_signal(signal.SIGINT)
    rest, done = finish(process, 1)
    lines = done.stderr.decode().splitlines()
    assert lines[-1] == "k2: replay: stopped before its end" and "complete=no" in lines[-2]
    assert first == json.loads(filled.text("replay", "trades").splitlines()[0])
    assert lines[-2].startswith("rows=%d " % (1 + rest.count(b"\n")))
    assert not rest or rest.endswith(b"\n")


def test_speed_max_and_a_high_speed_are_the_same_rows(filled):
    plain = filled.run("replay", "trades")
    for speed in ("max", "1e9"):
        done = filled.run("replay", "trades", "--speed", speed)
        assert done.stdout == plain.stdout and done.stderr == plain.stderr


def test_a_signal_while_nobody_reads(filled):
    """The pipe is full and stays so; the replay ends all the same."""
    process = start(filled, "quotes")
    process.stdout.peek(1)
    time.sleep(0.3)
    process.send_signal(signal.SIGTERM)
    process.wait(timeout=60)
    _, done = finish(process, 1)
    assert b"stopped" in done.stderr


def rows_in(form, seen):
    """How many whole rows a stream that still goes on has brought."""
    if form in ("ndjson", "csv"):
        return seen.count(b"\n") - (form == "csv")
    count = 0
    try:
        if form == "avro":
            for _ in pytest.importorskip("fastavro").reader(io.BytesIO(seen)):
                count += 1
        else:
            for batch in pytest.importorskip("pyarrow.ipc").open_stream(bytes(seen)):
                count += batch.num_rows
    except (EOFError, OSError, ValueError, IndexError, StopIteration):
        pass  # the last of it is still to come
    return count


@pytest.mark.parametrize("form", ["ndjson", "csv", "avro", "arrow"])
def test_follow_sees_what_is_committed(home, tmp_path, form):
    ingest(home, write(tmp_path / "a.csv", [3, 1, 2]))
    process = start(home, "trades", "--follow", "--format", form)
    seen = bytearray()
    for i, numbers in enumerate(([], [6, 4, 5], [7], [9, 8])):
        if numbers:
            ingest(home, write(tmp_path / f"{i}.csv", numbers))
        while rows_in(form, seen) < [3, 6, 7, 9][i]:
            part = process.stdout.read1()
            assert part, process.stderr.read()
            seen += part
    process.send_signal(signal.SIGINT)
    rest, done = finish(process, 0)
    seen = bytes(seen + rest)
    end = end_of(done)
    whole = home.run("replay", "trades", "--format", form)
    assert end == end_of(whole) and end["rows"] == 9
    if form in ("ndjson", "csv"):
        assert seen == whole.stdout
    elif form == "avro":
        fastavro = pytest.importorskip("fastavro")
        records = list(fastavro.reader(io.BytesIO(seen)))
        assert [r["source_sequence"] for r in records] == list(range(1, 10))
    else:
        pyarrow = pytest.importorskip("pyarrow")
        table = pyarrow.ipc.open_stream(seen).read_all()
        assert table.column("source_sequence").to_pylist() == list(range(1, 10))


def test_follow_notices_a_reader_that_left(home, tmp_path):
    ingest(home, write(tmp_path / "a.csv", [1, 2, 3]))
    process = start(home, "trades", "--follow")
    process.stdout.readline()
    process.stdout.close()
    process.stdout = None
    _, done = finish(process, 0)
    assert end_of(done)["rows"] == 3


def test_as_of_a_place_in_the_log(home):
    header = b"symbol,exchange,timestamp,price,quantity,source_sequence\n"
    for n in (1, 2):
        home.run("ingest", "csv", "-", "--layout", "k2-trades",
                 stdin=header + b"AAA,SIMX,2024-01-02T03:04:05Z,1.5,10,%d\n" % n)
    topic = home.text("log", "list").splitlines()[1].split()[0]
    partition = home.one("select any_value(log_partition) from trades")
    for offset in (0, 1):
        place = f"{topic}/{partition}@{offset}"
        assert home.one("select count(*) from trades", "--as-of", place) == offset + 1
        assert end_of(home.run("replay", "trades", "--as-of", place))["rows"] == offset + 1
    done = home.run("query", "select 1 from trades", "--as-of", f"{topic}/{partition}@2", code=1)
    assert b"no commit that is kept took this offset" in done.stderr
    done = home.run("query", "select 1 from quotes", "--as-of", f"{topic}/0@0", code=1)
    assert b"reads this log partition" in done.stderr


def test_a_terminal_shows_how_far_it_is(filled):
    """Ten minutes of rows in one second; rows on the same terminal are progress enough."""
    quick = ["--to", "2024-03-14T00:10:00Z", "--speed", "600"]

    def shown(*args, **kw):
        master, slave = pty.openpty()
        process = subprocess.Popen([K2, "--home", str(filled.path), "replay", "trades", *quick, *args],
                                   stderr=slave, **{key: slave for key in kw})
        os.close(slave)
        said = b""
        try:
            while part := os.read(master, 65536):
                said += part
        except OSError:  # nobody has the terminal any more
            pass
        os.close(master)
        assert process.wait(60) == 0
        return said

    said = shown("--format", "none")
    assert b"M rows, up to 2024-03-14T00:0" in said and b"digest=" in said.splitlines()[-1]
    assert b"M rows" not in shown(stdout=True)
