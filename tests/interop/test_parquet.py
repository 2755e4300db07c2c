"""Random Parquet files: K2's read by pyarrow and DuckDB, theirs read or cleanly refused by K2.

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


# ---- others write, K2 reads ----

def arrow_type(name, values, is_id):
    """The Arrow type that holds a column of the tool's JSON, and its values for it."""
    if name in ("timestamp", "ingestion_timestamp", "listing_date", "delisting_date", "detected_at",
                "at", "received_at"):
        return pa.timestamp("us", "UTC")
    if name.endswith(("price", "quantity")):
        return pa.decimal128(18, 8)
    if name == "vendor_data":
        return pa.map_(pa.field("key", pa.string(), False, is_id(1)),
                       pa.field("value", pa.string(), False, is_id(2)))
    if name in ("trade_conditions", "quality_flags"):
        return pa.list_(pa.field("element", pa.string(), False, is_id(1)))
    if name == "raw":
        return pa.binary()
    if name in ("timestamp_nanos", "tier", "log_partition", "schema_id"):
        return pa.int32()
    numbers = name in ("source_sequence", "platform_sequence", "log_offset", "first", "last",
                       "missing", "first_missing", "last_missing")
    return pa.int64() if numbers else pa.string()


def arrow_array(kind, values):
    if pa.types.is_decimal(kind):
        raw = b"".join((v or 0).to_bytes(16, "little", signed=True) for v in values)
        return pa.Array.from_buffers(kind, len(values), [None, pa.py_buffer(raw)])
    if pa.types.is_binary(kind):
        return pa.array([None if v is None else bytes.fromhex(v) for v in values], kind)
    if pa.types.is_map(kind):
        return pa.array([None if v is None else [tuple(p) for p in v] for v in values], kind)
    return pa.array(values, kind)


def arrow_table(want, all_optional=False):
    optional = {"source_sequence", "vendor_data", "isin", "currency", "listing_date",
                "delisting_date", "reason", "identity", "schema_id"}
    fields, arrays = [], []
    for name, values in want["columns"].items():
        ids = want["ids"][name]
        kind = arrow_type(name, values, lambda i, ids=ids: {"PARQUET:field_id": str(ids[i])})
        is_optional = all_optional or None in values or (
            name in optional and not (name == "currency" and "isin" not in want["columns"]))
        fields.append(pa.field(name, kind, is_optional, {"PARQUET:field_id": str(ids[0])}))
        arrays.append(arrow_array(kind, values))
    return pa.Table.from_arrays(arrays, schema=pa.schema(fields))


@pytest.fixture(scope="module")
def samples(made):
    """One file's content of every kind, not empty where there is such a one."""
    found = {}
    for seed in SEEDS:
        want = json.loads((made / f"{seed}.json").read_text())
        if want["rows"] > found.get(want["table"], {"rows": -1})["rows"]:
            found[want["table"]] = want
    return found.values()


def read_back(path, want, is_optional=False):
    """Our reader gives the values back, and our checker finds nothing but what is optional."""
    got = json.loads(tool("read", path, want["table"]))
    for name, values in want["columns"].items():
        assert got["columns"][name] == values, name
    done = subprocess.run([TOOL, "verify", path, want["table"]], capture_output=True)
    findings = [f for f in done.stderr.decode().splitlines()
                if not (is_optional and "has another repetition of" in f)]
    assert not findings and done.returncode in (0, 1)


BASE = {"store_decimal_as_integer": True, "compression": "zstd", "write_statistics": True,
        "row_group_size": 500, "use_compliant_nested_type": True}
READABLE = {
    "v2": {"data_page_version": "2.0"},
    "v1": {"data_page_version": "1.0"},
    "v1 plain": {"data_page_version": "1.0", "compression": "none", "use_dictionary": False},
    "v2 plain": {"data_page_version": "2.0", "compression": "none", "use_dictionary": False},
    "small pages": {"data_page_version": "1.0", "data_page_size": 300, "write_page_index": True,
                    "write_page_checksum": True},
    "small pages v2": {"data_page_version": "2.0", "data_page_size": 300,
                       "dictionary_pagesize_limit": 200, "write_page_checksum": True},
    "optional": {"data_page_version": "2.0"},
    "optional v1": {"data_page_version": "1.0"},
}


@pytest.mark.parametrize("how", READABLE)
def test_pyarrow_file(samples, tmp_path, how):
    for want in samples:
        path = tmp_path / f"{want['table']}.parquet"
        is_optional = how.startswith("optional")
        pq.write_table(arrow_table(want, is_optional), path, **BASE | READABLE[how])
        read_back(path, want, is_optional)


@pytest.mark.parametrize("encoding", ["DELTA_BINARY_PACKED", "DELTA_LENGTH_BYTE_ARRAY",
                                      "DELTA_BYTE_ARRAY", "PLAIN"])
def test_pyarrow_encodings(samples, tmp_path, encoding):
    for want in samples:
        table = arrow_table(want)
        is_for = {"DELTA_BINARY_PACKED": lambda t: pa.types.is_integer(t) or pa.types.is_timestamp(t),
                  "PLAIN": lambda t: not pa.types.is_nested(t)}.get(
                      encoding, lambda t: pa.types.is_string(t) or pa.types.is_binary(t))
        columns = {f.name: encoding for f in table.schema if is_for(f.type)}
        path = tmp_path / f"{want['table']}.parquet"
        pq.write_table(table, path, **BASE, use_dictionary=False, column_encoding=columns)
        read_back(path, want)


REFUSED = {
    "codec SNAPPY": {"compression": "snappy"},
    "codec GZIP": {"compression": "gzip"},
    "codec LZ4": {"compression": "lz4"},
    "codec BROTLI": {"compression": "brotli"},
    "encoding BYTE_STREAM_SPLIT": {"use_dictionary": False, "column_encoding":
                                   {"log_offset": "BYTE_STREAM_SPLIT"}},
    "FIXED_LEN_BYTE_ARRAY": {"store_decimal_as_integer": False},
}


@pytest.mark.parametrize("what", REFUSED)
def test_refused_by_name(samples, tmp_path, what):
    for want in samples:
        if want["table"] != "trades":
            continue
        path = tmp_path / "trades.parquet"
        pq.write_table(arrow_table(want), path, **BASE | REFUSED[what])
        said = tool("read", path, "trades", code=3)
        column = {"encoding BYTE_STREAM_SPLIT": "log_offset",
                  "FIXED_LEN_BYTE_ARRAY": "price"}.get(what, "trade_id")
        assert "invalid input" in said and "trades.parquet" in said
        assert column in said and what.split()[-1] in said


def test_null_in_a_required_column(samples, tmp_path):
    for want in samples:
        if want["table"] != "trades":
            continue
        table = arrow_table(want, all_optional=True)
        at = table.column_names.index("log_offset")
        values = table["log_offset"].to_pylist()
        values[-1] = None
        table = table.set_column(at, table.schema.field(at), pa.array(values, pa.int64()))
        path = tmp_path / "trades.parquet"
        pq.write_table(table, path, **BASE)
        said = tool("read", path, "trades", code=3)
        assert "log_offset" in said and "NULL" in said


@pytest.mark.parametrize("version", ["V1", "V2"])
@pytest.mark.parametrize("codec", ["zstd", "uncompressed", "snappy"])
def test_duckdb_file(samples, tmp_path, version, codec):
    """DuckDB names neither list elements nor map entries as K2's ids have it, so the flat kinds."""
    for want in samples:
        table = arrow_table(want)
        if any(pa.types.is_nested(f.type) for f in table.schema):
            continue
        path = tmp_path / f"{want['table']}.parquet"
        ids = ", ".join(f'"{name}": {i[0]}' for name, i in want["ids"].items())
        with duckdb.connect() as db:
            db.register("t", table)
            db.execute(f"COPY t TO '{path}' (FORMAT parquet, PARQUET_VERSION {version}, "
                       f"COMPRESSION {codec}, FIELD_IDS {{{ids}}})")
        if codec == "snappy":
            said = tool("read", path, want["table"], code=3)
            assert "invalid input" in said and "SNAPPY" in said
        else:
            read_back(path, want, is_optional=True)
