"""Black-box tests run the real program on homes of their own."""
import json
import os
import pathlib
import socket
import subprocess
import threading

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
K2 = os.environ.get("K2_BIN", str(ROOT / "build" / "release" / "k2"))
ASX = pathlib.Path(os.environ.get("K2_TEST_ASX_DIR", ROOT.parent / "shared" / "data" / "asx-2014-03"))


class Home:
    """A home and the program working on it."""

    def __init__(self, path):
        self.path = path

    def run(self, *args, code=0, stdin=None, env=None, timeout=120, sets=()):
        full = [K2, "--home", str(self.path)]
        for item in sets:
            full += ["-o", item]
        full += [str(a) for a in args]
        done = subprocess.run(full, input=stdin, capture_output=True, timeout=timeout,
                              env={**os.environ, **(env or {})})
        if code is not None:
            assert done.returncode == code, (full, done.returncode, done.stderr.decode()[-2000:])
        return done

    def text(self, *args, **kw):
        return self.run(*args, **kw).stdout.decode()

    def rows(self, sql, *args, **kw):
        out = self.text("query", sql, "--format", "ndjson", *args, **kw)
        return [json.loads(line) for line in out.splitlines()]

    def one(self, sql, *args, **kw):
        rows = self.rows(sql, *args, **kw)
        assert len(rows) == 1
        values = list(rows[0].values())
        return values[0] if len(values) == 1 else values


class Listener:
    """Listens on a port of its own for one connection, and takes what that sends: all of it, or
    the first bytes."""

    def __init__(self, first=None):
        self.server = socket.create_server(("127.0.0.1", 0))
        self.server.settimeout(60)
        self.url = "tcp://127.0.0.1:%d" % self.server.getsockname()[1]
        self.parts = []
        self.reader = threading.Thread(target=self.read, args=(first,), daemon=True)
        self.reader.start()

    def read(self, first):
        connection, _ = self.server.accept()
        with connection:
            while data := connection.recv(first or 65536):
                self.parts.append(data)
                if first:
                    return

    def received(self):
        """What came until the other side, or this one, closed."""
        self.reader.join(60)
        self.server.close()
        return b"".join(self.parts)


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path / "home")


@pytest.fixture(scope="session")
def asx():
    if not ASX.is_dir():
        pytest.skip("the ASX sample files are not beside the project")
    return ASX
