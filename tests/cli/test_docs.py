"""Every command line in the README and the user guide is run."""
import pathlib
import re
import shlex
import signal
import subprocess

import pytest

from conftest import K2, ROOT, Home, Listener

PAGES = ["README.md", "docs/user-guide.md", "docs/operations.md"]


def commands(page):
    for line in (ROOT / page).read_text().splitlines():
        words = line.strip()
        if line.startswith("    k2 ") or line.startswith("    build/k2 "):
            command, _, comment = words.partition("#")
            says_code = re.search(r"exits (\d)", comment)
            yield command.strip(), int(says_code.group(1)) if says_code else 0


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    folder = tmp_path_factory.mktemp("docs")
    (folder / "trades.csv").write_text(
        "symbol,exchange,timestamp,price,quantity\n"
        "AAA,NYSE,2024-01-02T03:04:05Z,1.5,10\nAAA,NYSE,2024-01-02T03:04:06Z,1.6,10\n")
    return Home(folder / "home")


def interrupted(home, words):
    """A command that goes on until it is interrupted: once it has printed something, it is."""
    process = subprocess.Popen([K2, "--home", str(home.path), *words], stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE)
    assert process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 0, (words, errors)


def listened_to(home, words):
    """A command that sends to tcp://localhost: someone listens, on a port of their own."""
    listener = Listener()
    home.run(*[re.sub(r"^tcp://localhost:\d+$", listener.url, word) for word in words])
    assert listener.received()


@pytest.mark.parametrize("page", PAGES)
def test_commands_run(home, page, monkeypatch):
    monkeypatch.chdir(home.path.parent)
    lines = list(commands(page))
    if page != "README.md" and not lines:
        pytest.skip("no command lines")
    for line, code in lines:
        words = shlex.split(line)[1:]
        if "--follow" in words:
            interrupted(home, words)
        elif any(word.startswith("tcp://") for word in words):
            listened_to(home, words)
        else:
            home.run(*words, code=code)
    assert pathlib.Path(ROOT / page).exists()


def test_help_knows_every_command(home):
    text = home.text("help")
    for line in text.splitlines():
        if line.startswith("  "):
            name = line[2:20].strip()
            assert "usage: k2 " + name.split()[0] in home.text("help", *name.split())


@pytest.mark.parametrize("page, words", [("data-dictionary", ["help", "columns"]),
                                         ("settings", ["config", "--doc"])])
def test_pages_the_program_writes_are_up_to_date(home, page, words):
    first, rest = (ROOT / "docs" / f"{page}.md").read_text().split("\n", 1)
    assert "make docs" in first and rest == home.text(*words)


@pytest.mark.parametrize("page, least", [("guarantees", 30), ("rules", 80)])
def test_every_promise_and_rule_names_tests_that_there_are(page, least):
    sources = [p.read_text() for folder in ("src", "tests") for p in (ROOT / folder).rglob("*_test.c")]
    unit = {name for text in sources for name in re.findall(r"^\w*TEST\((\w+)\)", text, re.M)}
    rows = [x for x in (ROOT / "docs" / f"{page}.md").read_text().splitlines()
            if x.startswith("| ") and not x.startswith(("| promise", "| rule"))]
    assert len(rows) >= least
    for row in rows:
        names = re.findall(r"`([^`]+)`", row.rsplit("|", 2)[1])
        assert names, row
        for name in names:
            path, _, function = name.partition("::")
            if function:
                assert f"def {function}(" in (ROOT / path).read_text(), name
            else:
                assert name in unit, name


def test_the_digest_in_the_guide_is_the_one_that_is_tested():
    guide = (ROOT / "docs" / "user-guide.md").read_text().split("### The digest", 1)[1]
    tested = (ROOT / "src" / "query" / "replay_test.c").read_text()
    literals = re.findall(r"`([0-9a-f]{16,})`", guide.split("\n#", 1)[0])
    assert len(literals) > 10 and all(f'"{x}"' in tested for x in literals)
