"""tools/bind-library: a bound library answers as before, and asks the dynamic linker for less."""
import ctypes
import subprocess

import pytest

BIND = "tools/bind-library"
SOURCE = r"""
#include <stdlib.h>
int number = 7;
__thread int own = 11;
__attribute__((weak)) int weak(void) { return 13; }
int add(int a, int b) { return a + b; }
static int twice(int a, int b) { return 2 * add(a, b); }
static int (*choose(void))(int, int) { return twice; }
int chosen(int, int) __attribute__((ifunc("choose")));
int (*const table[])(int, int) = {add, chosen};
int *const places[] = {&number, &number + 1};
extern char **environ;
int answer(void) {
    void *some = malloc(3);
    int got = some && environ && getenv("PATH") != NULL;
    free(some);
    return got + number + own + weak() + table[0](1, 2) + table[1](3, 4) + (places[1] - places[0]);
}
"""


@pytest.fixture
def library(tmp_path):
    source, built = tmp_path / "a.c", tmp_path / "a.so"
    source.write_text(SOURCE)
    subprocess.run(["gcc", "-shared", "-fPIC", "-O0", "-Wl,-z,lazy", "-o", built, source], check=True)
    return built


def relocations(path):
    """The kinds of the library's relocations, with the names they ask for."""
    text = subprocess.run(["readelf", "-rW", path], check=True, capture_output=True, text=True).stdout
    rows = [line.split() for line in text.splitlines() if "R_X86_64_" in line]
    return {(row[2], row[4].split("@")[0] if len(row) > 4 else "") for row in rows}


def test_answers_as_before(library, tmp_path):
    bound = tmp_path / "bound.so"
    subprocess.run([BIND, library, bound], check=True)
    before, after = ctypes.CDLL(str(library)), ctypes.CDLL(str(bound))
    assert before.answer() == after.answer() == 1 + 7 + 11 + 13 + 3 + 14 + 1


def test_own_symbols_are_asked_for_no_more(library, tmp_path):
    bound = tmp_path / "bound.so"
    subprocess.run([BIND, library, bound], check=True)
    asked = {name for _, name in relocations(library) if name}
    still = {name for _, name in relocations(bound) if name}
    assert {"number", "add", "weak", "malloc", "getenv", "environ"} <= asked
    assert not {"number", "add", "weak"} & still
    assert {"malloc", "getenv", "environ", "own", "chosen"} <= still
    assert not any(kind == "R_X86_64_JUMP_SLOT" for kind, _ in relocations(bound))


def test_twice_is_as_once(library, tmp_path):
    once, twice = tmp_path / "once.so", tmp_path / "twice.so"
    subprocess.run([BIND, library, once], check=True)
    subprocess.run([BIND, once, twice], check=True)
    assert once.read_bytes() == twice.read_bytes()


def test_other_files_are_refused(tmp_path):
    wrong = tmp_path / "wrong.so"
    for content in (b"", b"\x7fELF\x02\x01", b"hello" * 100):
        wrong.write_bytes(content)
        run = subprocess.run([BIND, wrong, tmp_path / "out"], capture_output=True, text=True)
        assert run.returncode == 1 and f"bind-library: {wrong}: " in run.stderr
        assert not (tmp_path / "out").exists()
