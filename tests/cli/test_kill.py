"""kill -9 at random moments: every row once, without an operator."""
import os
import random
import signal
import subprocess
import time

from conftest import K2

ROUNDS = int(os.environ.get("K2_TEST_KILL_ROUNDS", "12"))


def test_kill_at_random(home):
    rng = random.Random(1)
    args = [K2, "--home", str(home.path), "-o", "commit.rows=3000", "-o", "commit.age_ms=20",
            "ingest", "sim", "--rows", "60000", "--symbols", "40", "--seed", "8", "--gaps", "10",
            "--duplicates", "20", "--late", "8", "--bad", "6"]
    killed = 0
    for _ in range(ROUNDS):
        child = subprocess.Popen(args, stderr=subprocess.DEVNULL)
        time.sleep(rng.uniform(0.01, 0.35))
        child.send_signal(signal.SIGKILL)
        killed += child.wait() == -signal.SIGKILL
        if (home.path / "catalog.db").exists():
            home.run("verify")  # no rule is broken where it died
    assert killed
    final = subprocess.run(args, stderr=subprocess.PIPE, timeout=120)
    assert final.returncode == 0, final.stderr.decode()
    assert home.one("select (select count(*) from trades) + (select count(*) from quotes)") == 60000
    for table in ("trades", "quotes"):
        assert home.one(f"select count(*) - count(distinct message_id) from {table}") == 0
        assert home.one(f"select count(*) - count(distinct (log_id, log_partition, log_offset)) "
                        f"from {table}") == 0
    assert home.one("select count(*) - count(distinct gap_id) from gaps") == 0
    assert home.one("select count(*) from dead_letters") == 6
    home.run("verify")
