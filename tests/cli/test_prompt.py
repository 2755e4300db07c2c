"""k2 query without SQL at a terminal."""
import os
import pty
import re
import select
import time

from conftest import K2


class Terminal:
    """The prompt of a home on a terminal of its own."""

    def __init__(self, home):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.environ["TERM"] = "xterm"
            os.execv(K2, [K2, "--home", str(home.path), "query"])
        self.shown = ""
        self.wait("k2> ")

    def wait(self, text, seconds=20):
        """Reads until the screen shows text after what was seen before; returns all of that."""
        seen, until = "", time.monotonic() + seconds
        while text not in seen:
            assert time.monotonic() < until, f"{text!r} is not in {seen!r}"
            if select.select([self.fd], [], [], 0.1)[0]:
                try:
                    seen += os.read(self.fd, 65536).decode()
                except OSError:
                    raise AssertionError(f"the prompt ended: {seen!r}") from None
        self.shown += seen
        return re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", seen)

    def type(self, keys, until):
        os.write(self.fd, keys.encode())
        return self.wait(until)

    def end(self):
        os.write(self.fd, b"\x04")
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def test_statements_completion_history_and_cancel(home):
    home.run("ingest", "sim", "--rows", 2000, "--symbols", 10)
    count = home.one("select count(*) from trades")
    t = Terminal(home)
    assert str(count) in t.type("select count(*)\rfrom trades;\r", " ms, ")
    t.type("sel\t\x15", "ect ")
    assert "trades_final" in t.type("select * from tra\t\t", "trades_final")
    t.type("\x15", "k2> ")
    assert "timestamp_ns" in t.type("describe quotes;\r", " ms, ")
    assert "there is no table nowhere" in t.type("select 1 from nowhere;\r", "line 1")
    t.type("select half of a statem", "statem")
    t.type("\x03", "k2> ")
    t.type("select count(*) from range(100000000000) a, range(1000) b;\r", ";")
    time.sleep(0.3)
    t.type("\x03", "cancelled")
    t.wait("k2> ")
    t.type(".as-of 2020-01-01T00:00:00Z\r", "k2> ")
    assert "as of 2020" in t.type("select count(*) from trades;\r", "as of 2020-01-01T00:00:00Z")
    t.type(".format ndjson\r", "k2> ")
    assert '{"a":1}' in t.type("select 1 as a;\r", " ms, ")
    assert "there is no .nope" in t.type(".nope\r", "lists what there is")
    assert t.end() == 0
    t = Terminal(home)  # what was typed comes back, also in the next session
    assert ".nope" in t.type("\x1b[A", ".nope")
    t.type("\x15", "k2> ")
    assert t.end() == 0


def test_sql_from_a_pipe_needs_no_dash(home):
    home.run("ingest", "sim", "--rows", 10)
    assert home.run("query", "--format", "csv", stdin=b"select 1 as a").stdout == b"a\n1\n"
