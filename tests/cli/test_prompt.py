"""k2 query without SQL at a terminal."""
import os
import pty
import re
import select
import signal
import time

from conftest import K2


class Terminal:
    """The prompt of a home on a terminal of its own."""

    def __init__(self, home):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.environ["TERM"] = "xterm"
            os.execv(K2, [K2, "--home", str(home.path), "query"])
        self.unread = ""
        self.wait("k2> ")

    def read(self):
        """What the screen shows next, if anything; false once the program let go of it."""
        if select.select([self.fd], [], [], 0.1)[0]:
            try:
                self.unread += os.read(self.fd, 65536).decode()
            except OSError:
                return False
        return True

    def wait(self, text, seconds=15):
        """Reads until the screen shows text, and returns what it showed up to there. What follows
        is left for the next wait."""
        until = time.monotonic() + seconds
        while text not in self.unread:
            assert time.monotonic() < until, f"{text!r} is not in {self.unread!r}"
            assert self.read(), f"the prompt ended: {self.unread!r}"
        seen, self.unread = self.unread.split(text, 1)
        return re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", seen + text)

    def type(self, keys):
        os.write(self.fd, keys.encode())

    def run(self, line, until):
        """Types a line, waits for the end of what it says, and for the next prompt."""
        self.type(line + "\r")
        shown = self.wait(until)
        self.wait("k2> ")
        return shown

    def cancel(self, line):
        """Runs a statement and stops it. A Ctrl-C that comes before it runs drops the line."""
        for _ in range(20):
            self.type(line + "\r")
            time.sleep(0.3)
            self.type("\x03")
            try:
                self.wait("cancelled", 3)
                break
            except AssertionError:
                self.unread = ""
        self.wait("k2> ")

    def end(self, seconds=15):
        """Ends the input, and returns the exit code."""
        self.type("\x04")
        until = time.monotonic() + seconds
        while not (ended := os.waitpid(self.pid, os.WNOHANG))[0]:
            if time.monotonic() > until:
                os.kill(self.pid, signal.SIGKILL)
                os.waitpid(self.pid, 0)
                raise AssertionError(f"the prompt goes on: {self.unread!r}")
            self.read()
        return os.waitstatus_to_exitcode(ended[1])


def test_statements_completion_history_and_cancel(home):
    home.run("ingest", "sim", "--rows", 2000, "--symbols", 10)
    count = home.one("select count(*) from trades")
    t = Terminal(home)
    assert str(count) in t.run("select count(*)\rfrom trades;", " ms, ")
    t.type("sel\t")
    t.wait("ect ")
    t.type("\x15select * from tra\t\t")
    t.wait("trades_final")
    t.type("\x15")
    assert "timestamp_ns" in t.run("describe quotes;", " ms, ")
    assert "there is no table nowhere" in t.run("select 1 from nowhere;", "line 1")
    t.type("select half of a statem")
    t.wait("statem")
    t.type("\x03")
    t.wait("k2> ")
    t.cancel("select count(*) from range(100000000000) a, range(1000) b;")
    t.type(".as-of 2020-01-01T00:00:00Z\r")
    t.run("select count(*) from trades;", ", as of 2020-01-01T00:00:00Z")
    t.type(".format ndjson\r")
    assert '{"a":1}' in t.run("select 1 as a;", " ms, ")
    assert "there is no .nope" in t.run(".nope", "lists what there is")
    assert t.end() == 0
    t = Terminal(home)  # what was typed comes back, also in the next session
    t.type("\x1b[A")
    t.wait(".nope")
    t.type("\x15")
    assert t.end() == 0


def test_sql_from_a_pipe_needs_no_dash(home):
    home.run("ingest", "sim", "--rows", 10)
    assert home.run("query", "--format", "csv", stdin=b"select 1 as a").stdout == b"a\n1\n"


def test_ctrl_d_is_heard_as_soon_as_the_prompt_shows(home):
    home.run("ingest", "sim", "--rows", 10)
    for _ in range(60):
        t = Terminal(home)
        t.run(".nope", "lists what there is")
        t.run(".nope", "lists what there is")
        assert t.end() == 0
