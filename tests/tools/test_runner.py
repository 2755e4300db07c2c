"""tools/test counts what the unit tests say, also when a program dies on the way."""
import importlib.machinery
import importlib.util
from pathlib import Path

import pytest

PATH = Path(__file__).resolve().parents[2] / "tools/test"


@pytest.fixture(scope="module")
def runner():
    loader = importlib.machinery.SourceFileLoader("runner", str(PATH))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("runner", loader))
    loader.exec_module(module)
    return module


ALL_GOOD = """[==========] Running 2 test(s).
[ RUN      ] a
[       OK ] a
[ RUN      ] b
[       OK ] b
[==========] 2 test(s) run.
[  PASSED  ] 2 test(s).
"""
MIXED = """[==========] 3 test(s) run.
[  PASSED  ] 1 test(s).
[  SKIPPED ] 1 test(s), listed below:
[  SKIPPED ] b
[  FAILED  ] 1 test(s), listed below:
[  FAILED  ] c
"""
DIED = "[ RUN      ] a\n[       OK ] a\n[ RUN      ] b\nk2: internal error\n"


@pytest.mark.parametrize("code,text,says", [
    (0, ALL_GOOD, "2 passed, 0 failed, 0 skipped"),
    (1, MIXED, "1 passed, 1 failed, 1 skipped"),
    (-6, DIED, "1 passed, 1 failed, 0 skipped"),
    (1, ALL_GOOD, "2 passed, 1 failed, 0 skipped"),  # a leak found at exit
    (127, "", "0 passed, 1 failed, 0 skipped"),
])
def test_counts(runner, code, text, says):
    assert str(runner.count_cmocka(code, text)) == says
