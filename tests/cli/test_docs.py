"""Every command line in the README and the user guide is run."""
import pathlib
import re
import shlex

import pytest

from conftest import ROOT, Home

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


@pytest.mark.parametrize("page", PAGES)
def test_commands_run(home, page, monkeypatch):
    monkeypatch.chdir(home.path.parent)
    lines = list(commands(page))
    if page != "README.md" and not lines:
        pytest.skip("no command lines")
    for line, code in lines:
        home.run(*shlex.split(line)[1:], code=code)
    assert pathlib.Path(ROOT / page).exists()


def test_help_knows_every_command(home):
    text = home.text("help")
    for line in text.splitlines():
        if line.startswith("  "):
            name = line[2:20].strip()
            assert "usage: k2 " + name.split()[0] in home.text("help", *name.split())
