"""Random Parquet files that K2 writes are read by pyarrow and DuckDB, value by value.

K2_TEST_PARQUET_SEEDS sets how many random files are made (40), K2_TEST_PARQUET_FIRST the first seed.
"""
import json
import os
import pathlib
import struct
import subprocess

import pytest

np = pytest.importorskip("numpy")
pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")
duckdb = pytest.importorskip("duckdb")

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOOL = pathlib.Path(os.environ.get("K2_TEST_BUILD", ROOT / "build" / "release")) / "parquet_tool"
FIRST = int(os.environ.get("K2_TEST_PARQUET_FIRST", "0"))
SEEDS = range(FIRST, FIRST + int(os.environ.get("K2_TEST_PARQUET_SEEDS", "40")))
BOUND_BYTES = 64  # longer strings are cut in statistics


def tool(*args, code=0):
    done = subprocess.run([TOOL, *map(str, args)], capture_output=True)
    assert done.returncode == code, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout.decode() if code == 0 else done.stderr.decode()


# ---- values, as the tool prints them ----

def integers(column):
    """A fixed-width Arrow column as its stored integers."""
    width = column.type.bit_width // 8
    kind = {4: "<i4", 8: "<i8", 16: "<i8"}[width]
    if len(column) == 0:
        return []
    raw = np.frombuffer(column.buffers()[1], kind)
    if width == 16:  # decimal128: the low half holds all of 18 digits
        raw = raw[::2]
    raw = raw[column.offset:column.offset + len(column)].tolist()
    if column.null_count:
        return [v if there else None for v, there in zip(raw, column.is_valid().to_pylist())]
    return raw


def plain(column):
    """An Arrow column in the form of the tool's JSON."""
    column = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if isinstance(column, pa.ChunkedArray):
        return []
    kind = column.type
    if pa.types.is_integer(kind) or pa.types.is_timestamp(kind) or pa.types.is_decimal(kind):
        return integers(column)
    values = column.to_pylist()
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return [None if v is None else v.hex() for v in values]
    if pa.types.is_map(kind):
        return [None if v is None else [list(pair) for pair in v] for v in values]
    return values


def check_types(schema):
    for field in schema:
        if pa.types.is_timestamp(field.type):
            assert field.type.unit == "us" and field.type.tz == "UTC"
        if pa.types.is_decimal(field.type):
            assert (field.type.precision, field.type.scale) == (18, 8)


def check_columns(table, want):
    assert table.column_names == list(want)
    for name, values in want.items():
        assert plain(table[name]) == values, name


# ---- the footer and the indexes, by another hand ----

class Thrift:
    """Reads Thrift's compact protocol into {field id: value}."""

    def __init__(self, data, at=0):
        self.data, self.at = data, at

    def varint(self):
        value = shift = 0
        while True:
            byte = self.data[self.at]
            self.at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    def zigzag(self):
        value = self.varint()
        return value >> 1 ^ -(value & 1)

    def value(self, kind, is_item=False):
        if kind in (1, 2):
            if is_item:
                self.at += 1
                return self.data[self.at - 1] == 1
            return kind == 1
        if kind in (3, 4, 5, 6):
            return self.zigzag()
        if kind == 8:
            size = self.varint()
            self.at += size
            return bytes(self.data[self.at - size:self.at])
        if kind == 9:
            head = self.data[self.at]
            self.at += 1
            count = head >> 4 if head >> 4 < 15 else self.varint()
            return [self.value(head & 15, True) for _ in range(count)]
        assert kind == 12, kind
        return self.struct()

    def struct(self):
        found, field = {}, 0
        while self.data[self.at]:
            head = self.data[self.at]
            self.at += 1
            field = field + (head >> 4) if head >> 4 else self.zigzag()
            found[field] = self.value(head & 15)
        self.at += 1
        return found


def footer(data):
    size = struct.unpack("<I", data[-8:-4])[0]
    assert data[:4] == data[-4:] == b"PAR1"
    return Thrift(data, len(data) - 8 - size).struct()


def leaf_values(values, path):
    """Per row: what the leaf holds of it, and how many of its levels hold nothing."""
    if len(path) == 1:
        return [([], 1) if v is None else ([v], 0) for v in values]
    part = {"key": 0, "value": 1}.get(path[-1])
    return [([], 1) if not v else ([i if part is None else i[part] for i in v], 0) for v in values]


def ordered(value):
    return value.encode() if isinstance(value, str) else value


def decode(bound, like):
    if isinstance(like, bytes):
        return bound
    return int.from_bytes(bound, "little", signed=True)


def check_bounds(low, high, values, is_hex, exact=None):
    """low and high hold all values, and are met where they were not cut."""
    values = [bytes.fromhex(v) for v in values] if is_hex else [ordered(v) for v in values]
    least, greatest = min(values), max(values)
    low, high = decode(low, least), None if high is None else decode(high, least)
    is_short = not isinstance(least, bytes) or len(least) <= BOUND_BYTES
    assert low <= least and (low == least or not is_short)
    assert not (isinstance(low, bytes) and len(low) > BOUND_BYTES)
    if high is None:
        return
    is_short = not isinstance(greatest, bytes) or len(greatest) <= BOUND_BYTES
    assert greatest <= high and (high == greatest or not is_short)
    if exact is not None:
        assert exact == (low == least, high == greatest)


def check_indexes(data, chunk, rows, is_hex):
    """Column and offset index of a chunk against its rows and its pages."""
    meta = chunk[3]
    pages = Thrift(data, chunk[4]).struct()[1]
    starts = [p[3] for p in pages] + [len(rows)]
    levels = 0
    for page, first, last in zip(pages, starts, starts[1:]):
        header = Thrift(data, page[1])
        page_head = header.struct()
        assert page_head[1] == 3 and header.at + page_head[3] == page[1] + page[2]
        assert page_head[8][3] == last - first
        levels += page_head[8][1]
    assert levels == meta[5]
    assert [p[1] + p[2] for p in pages[:-1]] == [p[1] for p in pages[1:]]
    assert starts == sorted(starts) and pages[0][1] == meta[9]
    if 6 not in chunk:
        return
    index = Thrift(data, chunk[6]).struct()
    bounds = []
    for i, (first, last) in enumerate(zip(starts, starts[1:])):
        values = [v for row, _ in rows[first:last] for v in row]
        assert index[5][i] == sum(nulls for _, nulls in rows[first:last])
        assert index[1][i] == (not values)
        if values:
            check_bounds(index[2][i], index[3][i], values, is_hex)
            like = ordered(values[0])
            bounds.append((decode(index[2][i], like), decode(index[3][i], like)))
    if index[4]:
        for part in zip(*bounds):
            assert list(part) == sorted(part, reverse=index[4] == 2)


def check_footer(data, want, ids):
    meta = footer(data)
    assert meta[3] == want["rows"] == sum(group[3] for group in meta[4])
    first = 0
    for number, group in enumerate(meta[4]):
        assert group[7] == number
        rows = group[3]
        for chunk in group[1]:
            head = chunk[3]
            path = [p.decode() for p in head[3]]
            values = want["columns"][path[0]][first:first + rows]
            held = leaf_values(values, path)
            flat = [v for row, _ in held for v in row]
            is_hex = path[0] == "raw"
            statistics = head[12]
            assert statistics[3] == sum(nulls for _, nulls in held)
            assert head[5] == statistics[3] + len(flat)
            assert (6 in statistics) == bool(flat)
            if flat:
                check_bounds(statistics[6], statistics.get(5), flat, is_hex,
                             (statistics[8], statistics[7]) if 5 in statistics else None)
            assert (4 in chunk) == want["has_page_index"]
            if 4 in chunk:
                check_indexes(data, chunk, held, is_hex)
        first += rows


def field_ids(field):
    return int(field.metadata[b"PARQUET:field_id"])


def check_ids(schema, ids):
    for field in schema:
        column, inner, value = ids[field.name]
        assert field_ids(field) == column
        if pa.types.is_list(field.type):
            assert field_ids(field.type.value_field) == inner
        if pa.types.is_map(field.type):
            assert field_ids(field.type.key_field) == inner
            assert field_ids(field.type.item_field) == value


# ---- K2 writes ----

@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("parquet")
    tool("make", folder, SEEDS.start, len(SEEDS))
    return folder


@pytest.mark.parametrize("seed", SEEDS)
def test_k2_file(made, seed):
    path = made / f"{seed}.parquet"
    want = json.loads((made / f"{seed}.json").read_text())
    file = pq.ParquetFile(path, page_checksum_verification=True)
    check_types(file.schema_arrow)
    check_ids(file.schema_arrow, want["ids"])
    check_columns(file.read(), want["columns"])
    check_footer(path.read_bytes(), want, want["ids"])
    with duckdb.connect() as db:
        db.execute("SET TimeZone = 'UTC'")
        rows = db.execute(f"FROM read_parquet('{path}')").to_arrow_table()
        check_columns(rows, want["columns"])
        if want["has_bloom"] and "symbol" in want["columns"]:
            for symbol in set(want["columns"]["symbol"][:20]):
                held = db.execute("SELECT bool_or(NOT bloom_filter_excludes) FROM "
                                  "parquet_bloom_probe(?, 'symbol', ?)", [str(path), symbol])
                assert held.fetchone()[0]
