"""What a user types wrong gets one clear line and the right exit code."""
import gzip
import json
import os
import signal
import subprocess
import time

import pytest

from conftest import K2

HEADER = b"symbol,exchange,timestamp,price,quantity,source_sequence\n"


def line(n, price=b"1.5", symbol=b"AAA"):
    return symbol + b",NYSE,2024-01-02T03:04:05.%06dZ,%s,10,%d\n" % (n, price, n)


@pytest.mark.parametrize("args, code, word", [
    (["qurey", "select 1"], 2, "query"),
    (["ingest", "cvs"], 2, "ingest csv"),
    (["ingest", "csv"], 2, "usage"),
    (["ingest", "csv", "x.csv"], 2, "--layout"),
    (["ingest", "csv", "x.csv", "--layout", "nope"], 2, "k2-trades"),
    (["ingest", "csv", "x.csv", "--layot", "k2-trades"], 2, "--layout"),
    (["ingest", "sim", "--rows", "many"], 2, "--rows"),
    (["query"], 2, "no SQL was given"),
    (["query", "select 1", "--format", "xml"], 2, "ndjson"),
    (["table", "show", "tardes"], 2, "trades"),
    (["verify", "trade"], 2, "did you mean trades?"),
    (["verify", "nope"], 2, "trades, quotes"),
    (["replay", "gaps"], 2, "quotes"),
    (["replay", "quote"], 2, "did you mean quotes?"),
    (["help", "nothing"], 2, "nothing"),
])
def test_usage(home, args, code, word):
    done = home.run(*args, code=code)
    assert word in done.stderr.decode() and done.stderr.count(b"\n") == 1 and not done.stdout


def test_what_is_not_there(home):
    home.run("ingest", "sim", "--rows", 10)
    for args, word in ((["log", "read", "nope"], b"k2 log list"),
                       (["log", "trim", "nope"], b"k2 log list"),
                       (["dlq", "retry", "NOPE"], b"k2 dlq list"),
                       (["gaps", "ack", "nope"], b"k2 gaps")):
        done = home.run(*args, code=1)
        assert word in done.stderr and b"nope" in done.stderr.lower()
        assert done.stderr.count(b"\n") == 1 and not done.stdout


def test_a_reader_that_leaves_has_enough(home):
    """As head does; a disk that is full is another matter."""
    home.run("ingest", "sim", "--rows", 20000)
    for words in (["query", "select * from trades", "--format", "csv"], ["config"],
                  ["log", "read", "market.equities.trades.simx", "--limit", "5000"]):
        process = subprocess.Popen([K2, "--home", str(home.path), *words], stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE)
        assert process.stdout.read(10)
        process.stdout.close()
        assert process.stderr.read() == b"" and process.wait(60) == 0
        with open("/dev/full", "wb") as full:
            done = subprocess.run([K2, "--home", str(home.path), *words], stdout=full,
                                  stderr=subprocess.PIPE, timeout=60, check=False)
        assert done.returncode == 1 and b"No space left" in done.stderr


def test_no_home(home):
    for args in (["query", "select 1"], ["table", "list"], ["verify"], ["log", "list"]):
        assert b"k2 ingest" in home.run(*args, code=1).stderr
    home.path.write_bytes(b"a file")
    assert b"k2 ingest" in home.run("query", "select 1", code=1).stderr
    assert b"not a folder" in home.run("ingest", "sim", "--rows", 10, code=1).stderr


def test_unknown_setting_names_the_nearest(home):
    assert b"commit.rows" in home.run("check", code=2, sets=["comit.rows=5"]).stderr
    assert b"K2_COMMIT_ROWS" in home.run("check", code=2, env={"K2_COMMIT_ROSW": "5"}).stderr
    assert b"commit.rows" in home.run("check", code=2, sets=["commit.rows=banana"]).stderr


def ingest(home, path, code=0, **kw):
    return home.run("ingest", "csv", path, "--layout", "k2-trades", code=code, **kw)


def test_bad_lines_are_set_aside_and_the_rest_goes_on(home, tmp_path):
    bad = [b"AAA,NYSE,2024-01-02T03:04:05Z,1.5\n", line(2, b"abc"), line(3, b"99999999999"),
           b"AAA,NYSE,yesterday,1,1,4\n", b"A\xff,NYSE,2024-01-02T03:04:05Z,1,1,5\n",
           b"A\0A,NYSE,2024-01-02T03:04:05Z,1,1,6\n", line(7, b"-1"), line(8, b"0")]
    path = tmp_path / "t.csv"
    path.write_bytes(b"\xef\xbb\xbf" + HEADER.replace(b"\n", b"\r\n") + line(1) + b"".join(bad) +
                     line(9).rstrip(b"\n"))
    done = ingest(home, path, code=3)
    assert b"dlq" in done.stderr
    assert home.one("select count(*) from trades") == 2
    assert home.one("select count(*) from dead_letters") == len(bad)
    errors = " ".join(r["error"] for r in home.rows("select error from dead_letters"))
    assert '"abc" is not a decimal number' in errors
    ingest(home, path, code=None)
    assert home.one("select count(*) from trades") == 2
    assert home.one("select count(*) from dead_letters") == len(bad)


def test_same_number_other_content_is_a_conflict(home, tmp_path):
    first, second = tmp_path / "a.csv", tmp_path / "b.csv"
    first.write_bytes(HEADER + line(1) + line(2))
    second.write_bytes(HEADER + line(2, b"7.5"))
    ingest(home, first)
    ingest(home, second, code=3)
    assert home.one("select count(*) from trades") == 2
    assert home.one("select error_code from dead_letters") == "SEQUENCE_CONFLICT"


def test_files_that_are_no_files(home, tmp_path):
    (tmp_path / "folder").mkdir()
    assert b"folder" in ingest(home, tmp_path / "folder", code=1).stderr
    assert b"nothing.csv" in ingest(home, tmp_path / "nothing.csv", code=1).stderr
    (tmp_path / "empty.csv").write_bytes(b"")
    ingest(home, tmp_path / "empty.csv", code=None)
    whole = gzip.compress(HEADER + b"".join(line(n) for n in range(1, 2000)))
    (tmp_path / "cut.csv.gz").write_bytes(whole[:-20])
    assert b"cut.csv.gz" in ingest(home, tmp_path / "cut.csv.gz", code=1).stderr
    (tmp_path / "whole.csv.gz").write_bytes(whole)
    ingest(home, tmp_path / "whole.csv.gz")
    assert home.one("select count(*) from trades") == 1999


def test_a_line_of_100_mb(home, tmp_path):
    path = tmp_path / "long.csv"
    with open(path, "wb") as f:
        f.write(HEADER + line(1))
        for _ in range(100):
            f.write(b"x" * 1000000)
        f.write(b"\n" + line(2))
    ingest(home, path, code=3)
    assert home.one("select count(*) from trades") == 2
    assert home.one("select count(*) from dead_letters") == 1


def test_second_pipeline_waits_and_takes_over(home, tmp_path):
    home.run("ingest", "sim", "--rows", 100)
    worker = subprocess.Popen([K2, "--home", str(home.path), "ingest", "worker"],
                              stderr=subprocess.PIPE)
    lock = home.path / "run" / "pipeline.lock"
    deadline = time.time() + 20
    while "worker" not in lock.read_text() and time.time() < deadline:
        time.sleep(0.02)
    path = tmp_path / "t.csv"
    path.write_bytes(HEADER + b"".join(line(n) for n in range(1, 100)))
    done = ingest(home, path)
    assert b"worker" in done.stderr and str(worker.pid).encode() in done.stderr
    assert home.one("select count(*) from trades where exchange = 'NYSE'") == 99
    second = subprocess.Popen([K2, "--home", str(home.path), "ingest", "worker", "--until-idle"],
                              stderr=subprocess.PIPE)
    time.sleep(0.3)
    worker.kill()
    assert second.wait(timeout=60) == 0
    assert str(worker.pid).encode() in second.stderr.read()
    worker.wait()


def test_worker_stops_on_sigterm(home):
    home.run("ingest", "sim", "--rows", 100)
    worker = subprocess.Popen([K2, "--home", str(home.path), "ingest", "worker"],
                              stderr=subprocess.PIPE)
    time.sleep(0.5)
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(timeout=30) == 0


def test_escapes_are_refused(home):
    home.run("ingest", "sim", "--rows", 100)
    for sql in ("select * from read_csv('/etc/passwd')", "select * from '/etc/passwd'",
                "copy trades to '/tmp/x'", "select 1; select 2", "attach 'x.db'",
                "select * from duckdb_settings()", "select current_setting('threads')"):
        assert home.run("query", sql, code=None).returncode in (2, 5), sql


def test_limits(home):
    home.run("ingest", "sim", "--rows", 20000)
    out = home.run("query", "select * from trades", "--format", "csv", "--limit-rows", 10)
    assert out.stdout.count(b"\n") == 11 and b"cut" in out.stderr
    slow = "select count(*) from range(1000000000) a, range(1000) b where a.range * b.range = 7"
    started = time.time()
    assert home.run("query", slow, "--timeout", 1, code=1).stderr
    assert time.time() - started < 20


def test_read_only_home(home):
    if os.geteuid() == 0:
        pytest.skip("root may write anywhere")
    home.path.mkdir()
    home.path.chmod(0o500)
    assert home.run("ingest", "sim", "--rows", 10, code=1).stderr
