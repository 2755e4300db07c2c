"""Proves that every rule of tools/tidy bites, and that the text it should leave alone passes."""
import subprocess
import sys
from pathlib import Path

import pytest

TIDY = Path(__file__).resolve().parents[2] / "tools/tidy"


def tidy(tmp_path, files):
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    done = subprocess.run([sys.executable, TIDY, "--root", tmp_path], capture_output=True,
                          text=True, check=False)
    assert done.returncode == (1 if done.stdout else 0), done.stderr
    return done.stdout


def c_file(name, body):
    return {f"src/{name}": f"/* {name.split('/')[-1]} -- a file with a purpose. */\n{body}"}


def header(name, body):
    guard = "K2_" + name.upper().replace("/", "_").replace(".", "_")
    return {f"src/{name}": f"/* {name.split('/')[-1]} -- a file with a purpose. */\n#ifndef {guard}\n"
            f"#define {guard}\n{body}\n#endif\n"}


BAD = [
    # layering
    (c_file("base/x.c", '#include "market/batch.h"\n'), "base may not use market"),
    (c_file("market/x.c", '#include "log/log.h"\n'), "market may not use log"),
    (c_file("lake/store/x.c", '#include "pipeline/lane.h"\n'), "lake may not use pipeline"),
    (c_file("pipeline/x.c", '#include "query/query.h"\n'), "pipeline may not use query"),
    (c_file("query/x.c", '#include "feed/feed.h"\n'), "query may not use feed"),
    (c_file("lake/store/x.c", '#include "lake/parquet/p.h"\n'), "lake/store may not use lake/parq"),
    (c_file("lake/catalog/x.c", '#include "lake/table/t.h"\n'), "lake/catalog may not use lake/tab"),
    (c_file("log/x.c", '#include "base/config_impl.h"\n'), "is private to its folder"),
    (c_file("log/x.c", '#include "log.h"\n'), "includes are written from src/"),
    (c_file("log/x.c", '#include "support/test.h"\n'), "is for tests"),
    (c_file("news/x.c", "\n"), "room news is not in the table"),
    # libraries
    (c_file("cli/x.c", "#include <duckdb.h>\n"), "duckdb.h may be included in query only"),
    (c_file("lake/table/x.c", "#include <sqlite3.h>\n"), "sqlite3.h may be included in lake/cat"),
    (c_file("lake/table/x.c", "#include <zstd.h>\n"), "zstd.h may be included in"),
    (c_file("market/x.c", "#include <jansson.h>\n"), "jansson.h may be included in base only"),
    # calls
    *[(c_file("cli/x.c", f"int f(void) {{\n    return {call}(a);\n}}\n"), f"{call} is banned")
      for call in ("strcpy", "strcat", "sprintf", "atoi", "atol", "rand", "system", "gets",
                   "strtok", "alloca")],
    *[(c_file("cli/x.c", f"int f(void) {{\n    {call}(a);\n}}\n"), "heap goes through")
      for call in ("malloc", "calloc", "realloc", "free", "strdup")],
    (c_file("log/x.c", 'int f(void) {\n    printf("x");\n}\n'), "only cli writes to stdout"),
    (c_file("log/x.c", 'int f(void) {\n    fprintf(stderr, "x");\n}\n'), "to stderr"),
    # sizes
    (c_file("log/x.c", "int f(void) {\n" + "    g();\n" * 70 + "}\n"), "a function of 72 lines"),
    (c_file("log/x.c", "int f(int a,\n      int b) {\n" + "    g();\n" * 70 + "}\n"), "of 73 lines"),
    (c_file("log/x.c", "int x;\n" * 1000), "1001 lines, more than 1000"),
    # text
    ({"src/log/x.c": "int x;\n"}, "must begin with its purpose"),
    ({"src/log/x.c": "/* y.c -- the purpose of another. */\n"}, "must begin with its purpose"),
    (c_file("log/x.c", "int x; \n"), "trailing white space"),
    (c_file("log/x.c", "\tint x;\n"), "a tab"),
    (c_file("log/x.c", "/* TO" "DO: later */\n"), "unfinished"),
    (c_file("log/x.c", "/* FIX" "ME */\n"), "unfinished"),
    (c_file("log/x.c", "/* see /ho" "me/someone/x */\n"), "names a place"),
    (c_file("log/x.c", "/* see iss" "ue #12 */\n"), "names a place"),
    (c_file("log/x.c", "int x;"), "the last line does not end"),
    ({"docs/x.md": "a \n"}, "trailing white space"),
    # headers
    ({"src/log/x.h": "/* x.h -- a file with a purpose. */\n#ifndef X_H\n#define X_H\n#endif\n"},
     "guard must be K2_LOG_X_H"),
    (header("log/x.h", "\nint k2_x_count(void);\n"), "k2_x_count has no comment"),
    (header("log/x.h", "\n/* Counts. */\nint count(void);\n"), "public names begin with k2_"),
    (header("log/x.h", "\n/* May fail. */\nbool k2_x(struct k2_err *err);\n"), "is not K2_MUST"),
    (header("log/x.h", "\n/* May fail. */\nstruct k2_x *k2_x_open(const char *url,\n"
            "    struct k2_err *err);\n"), "k2_x_open can fail and is not K2_MUST"),
]


@pytest.mark.parametrize("files,says", BAD, ids=[says for _, says in BAD])
def test_refuses(tmp_path, files, says):
    assert says in tidy(tmp_path, files)


GOOD = [
    c_file("cli/x.c", '#include "query/query.h"\n#include "feed/feed.h"\n#include "base/err.h"\n'),
    c_file("lake/table/x.c", '#include "lake/store/s.h"\n#include "lake/table/table_impl.h"\n'),
    c_file("lake/parquet/x.c", "#include <zstd.h>\n"),
    c_file("query/x.c", "#include <duckdb.h>\n"),
    c_file("log/x_test.c", '#include "support/test.h"\nint f(void) {\n' + "    g();\n" * 99 + "}\n"),
    c_file("base/alloc.c", "void f(void) {\n    free(malloc(1));\n}\n"),
    c_file("log/x.c", "/* strcpy(a) and malloc(b) in words */\nint f(void) {\n"
           '    return g("atoi(x)", ops->free(log), ops.system(1), k2_free(p));\n}\n'),
    c_file("log/x.c", "int f(void) {\n" + "    g();\n" * 68 + "}\n"),
    c_file("log/x.c", "int f(int a,\n      int b);\n" + "int y;\n" * 90),
    c_file("cli/x.c", 'int f(void) {\n    printf("x");\n}\n'),
    header("log/x.h", "\n/* Opens. */\nstruct k2_x *k2_x_open(const char *url, struct k2_err *err)\n"
           "    K2_MUST;\nvoid k2_x_free(struct k2_x *x);\n/* Both at once. */\nint k2_x_a(void);\n"
           "int k2_x_b(void);\n"),
    header("log/x.h", "\nstatic inline int k2_x_len(int x) {\n    return x;\n}\n"),
    header("log/x.h", "\nstruct k2_ops {\n    bool (*read)(void *self, struct k2_err *err);\n};\n"
           "typedef int (*k2_fn)(int);\n#define K2_X(a)  \\\n    k2_y(a)\n"),
]


@pytest.mark.parametrize("files", GOOD, ids=range(len(GOOD)))
def test_accepts(tmp_path, files):
    assert tidy(tmp_path, files) == ""
