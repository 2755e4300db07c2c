"""What an operator does: serve, acknowledge, retry, trim, accept a loss; disks that are full."""
import resource
import shutil
import signal
import subprocess
import time

from conftest import K2

HEADER = b"symbol,exchange,timestamp,price,quantity,source_sequence\n"


def line(n, price=b"1.5"):
    return b"AAA,SIMX,2024-01-02T03:04:05.%06dZ,%s,10,%d\n" % (n, price, n)


def topics(home):
    return [row.split()[0] for row in home.text("log", "list").splitlines()[1:]]


class Serving:
    """A k2 serve in the background; its messages once it has ended."""

    def __init__(self, home, *sets):
        full = [K2, "--home", str(home.path)]
        for item in sets:
            full += ["-o", item]
        self.process = subprocess.Popen([*full, "serve"], stderr=subprocess.PIPE, text=True)
        self.first = self.process.stderr.readline()

    def __enter__(self):
        return self

    def __exit__(self, *failure):
        self.process.send_signal(signal.SIGTERM)
        self.said = self.first + self.process.stderr.read()
        assert self.process.wait(timeout=60) == 0, self.said


def test_serve_commits_what_others_append(home):
    with Serving(home, "commit.age_ms=60000") as serving:  # so only asking makes it commit
        done = home.run("ingest", "sim", "--rows", 3000, "--symbols", 10)
        assert str(serving.process.pid) in done.stderr.decode()
        assert home.one("select count(*) from trades") + home.one(
            "select count(*) from quotes") == 3000
        serving.process.send_signal(signal.SIGHUP)
        assert "settings were read again" in "".join(
            serving.process.stderr.readline() for _ in range(2))
        home.run("ingest", "sim", "--rows", 1000, "--symbols", 10, "--seed", 2)
    assert home.one("select count(*) from trades") + home.one("select count(*) from quotes") == 4000
    assert "lag_messages" in (home.path / "run" / "metrics.prom").read_text()
    assert "iceberg_transactions_total" in (home.path / "run" / "metrics.prom").read_text()
    assert not (home.path / "run" / "pipeline.sock").exists()
    home.run("verify")


def test_serve_keeps_its_settings_when_the_new_ones_are_wrong(home):
    home.run("ingest", "sim", "--rows", 10)
    (home.path / "k2.yaml").write_text("commit:\n  rows: 5000\n")
    with Serving(home) as serving:
        (home.path / "k2.yaml").write_text("commit:\n  rows: lots\n")
        serving.process.send_signal(signal.SIGHUP)
        said = serving.process.stderr.readline() + serving.process.stderr.readline()
        assert "stay as they were" in said and "commit.rows" in said


def test_gap_is_acknowledged(home):
    home.run("ingest", "sim", "--rows", 5000, "--symbols", 5, "--gaps", 2)
    gap = home.rows("select gap_id from gaps order by gap_id")[0]["gap_id"]
    home.run("gaps", "ack", gap, "--reason", "the venue's outage")
    assert home.rows("select gap_id, reason from gap_events where type = 'ACK'") == [
        {"gap_id": gap, "reason": "the venue's outage"}]
    assert b"no gap" in home.run("gaps", "ack", "SIMX.NOPE.trades.1", code=1).stderr
    home.run("verify")


def test_retry_adds_what_is_good_now_and_nothing_else(home, tmp_path):
    path = tmp_path / "t.csv"
    path.write_bytes(HEADER + line(1) + line(2, b"-1") + line(3, b"0") + line(4, b"abc") + line(5))
    home.run("ingest", "csv", path, "--layout", "k2-trades", code=3)
    letters = home.rows("select source, error_code, log_offset from dead_letters order by 1, 2, 3")
    assert len(letters) == 3
    for _ in range(2):  # nothing changed: nothing is added
        done = home.run("dlq", "retry", code=3)
        assert b"0 are rows now" in done.stderr and b"1 bad lines" in done.stderr
        assert home.rows("select source, error_code, log_offset from dead_letters "
                         "order by 1, 2, 3") == letters
    # Now the instrument may trade below zero.
    instruments = tmp_path / "i.csv"
    instruments.write_bytes(b"symbol,exchange,may_be_negative\nAAA,SIMX,true\n")
    home.run("ingest", "csv", instruments, "--layout", "k2-instruments")
    done = home.run("dlq", "retry", "PRICE_NOT_POSITIVE")
    assert b"2 are rows now" in done.stderr
    assert [r["source_sequence"] for r in home.rows(
        "select source_sequence from trades order by 1")] == [1, 2, 3, 5]
    assert home.one("select count(*) from gaps") == 1  # the line that never had a number
    home.run("dlq", "retry", code=3)
    assert home.one("select count(*) from trades") == 4
    home.run("verify")


def test_log_trim_keeps_what_is_needed(home):
    sets = ["log.segment.bytes=1MiB", "log.partitions=1"]
    home.run("ingest", "sim", "--rows", 600000, "--symbols", 50, sets=sets)
    before = home.one("select count(*) from trades")
    assert b"removed 0 bytes" not in home.run("log", "trim", sets=sets).stderr
    assert b"removed 0 bytes" in home.run("log", "trim", sets=sets).stderr
    home.run("ingest", "sim", "--rows", 1000, "--symbols", 5, "--seed", 2, sets=sets)
    home.run("ingest", "worker", "--until-idle")
    assert home.one("select count(*) from trades") > before
    assert home.one("select count(*) from gaps") == 0
    home.run("verify")
    assert b"no such topic" in home.run("log", "trim", "market.nope", code=1).stderr


def test_retention_keeps_the_log_small(home):
    sets = ["log.segment.bytes=1MiB", "log.retention.bytes=16MiB", "log.partitions=1"]
    for seed in (1, 2):
        home.run("ingest", "sim", "--rows", 600000, "--symbols", 50, "--seed", seed, sets=sets)
    for row in home.text("log", "list").splitlines()[1:]:
        assert int(row.split()[4]) <= 16 << 20, row
    assert home.one("select count(*) from trades") + home.one(
        "select count(*) from quotes") == 1200000
    home.run("verify")


def test_a_log_that_is_gone_is_accepted_and_on_record(home):
    home.run("ingest", "sim", "--rows", 2000, "--symbols", 10)
    shutil.rmtree(home.path / "log")
    done = home.run("ingest", "sim", "--rows", 500, "--symbols", 10, "--seed", 2, code=1)
    assert b"k2 log accept" in done.stderr
    assert b"k2 log accept" in home.run("verify", code=1).stdout
    done = home.run("log", "accept", *topics(home))
    assert b"go on" in done.stderr
    home.run("ingest", "worker", "--until-idle")
    home.run("ingest", "sim", "--rows", 500, "--symbols", 10, "--seed", 2)
    assert home.one("select count(*) from trades") + home.one("select count(*) from quotes") == 2500
    assert home.one("select count(*) from gaps_found where code = 'LOG_REPLACED'") > 0
    assert b"nothing to accept" in home.run("log", "accept", *topics(home)).stderr
    home.run("verify")


# ---- disks ----

def test_full_disk_is_said_and_the_next_run_completes(home):
    """Files may only grow to a bound, as on a disk that is full; root cannot write past it either."""
    home.run("ingest", "sim", "--rows", 2000, "--symbols", 10)

    def bound(size):
        def limit():
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
        return limit

    for size in (20000, 300000, 3000000):
        done = subprocess.run([K2, "--home", str(home.path), "ingest", "sim", "--rows", "100000",
                               "--symbols", "10", "--seed", "3"], capture_output=True, text=True,
                              preexec_fn=bound(size), timeout=120)
        assert done.returncode == 1, done.stderr
        said = [x for x in done.stderr.splitlines() if x.startswith("k2: ")]
        assert len(said) == 1 and any(
            word in said[0] for word in ("File too large", "disk I/O error", "full")), done.stderr
        home.run("verify")
    home.run("ingest", "sim", "--rows", 100000, "--symbols", 10, "--seed", 3)
    assert home.one("select count(*) from trades") + home.one(
        "select count(*) from quotes") == 102000
    assert home.one("select count(*) from gaps") == 0
    home.run("verify")


def test_clock_that_jumps_back_loses_nothing(home):
    home.run("ingest", "sim", "--rows", 1000, "--symbols", 10)
    for seed, shift in ((2, "-2d"), (3, "+1h"), (4, "-1h")):
        subprocess.run(["faketime", "-f", shift, K2, "--home", str(home.path), "ingest", "sim",
                        "--rows", "1000", "--symbols", "10", "--seed", str(seed)], check=True,
                       timeout=120)
        time.sleep(0.01)
    assert home.one("select count(*) from trades") + home.one("select count(*) from quotes") == 4000
    home.run("verify")
