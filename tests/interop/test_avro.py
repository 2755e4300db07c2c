"""fastavro reads what K2 encodes, with K2's own schema, value by value."""
import base64
import datetime
import io
import json
import os
import pathlib
import subprocess

import pytest

fastavro = pytest.importorskip("fastavro")
ROOT = pathlib.Path(__file__).resolve().parents[2]
TOOL = pathlib.Path(os.environ.get("K2_TEST_BUILD", ROOT / "build" / "release")) / "avro_tool"


def same(got, want):
    if isinstance(got, datetime.datetime):
        got = got.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    elif isinstance(got, bytes):
        got = base64.b64encode(got).decode()
    elif isinstance(got, bool):
        got = "true" if got else "false"
    elif isinstance(want, float) or type(got).__name__ == "Decimal":
        return abs(float(got) - float(want)) <= abs(float(want)) * 1e-15
    return got == want


@pytest.mark.parametrize("kind", ["trades", "quotes", "reference_data", "events"])
def test_every_value(kind):
    out = subprocess.run([TOOL, kind, "300", "5"], check=True, capture_output=True).stdout.decode()
    first, *lines = out.splitlines()
    schema = fastavro.parse_schema(json.loads(first))
    assert len(lines) == 300
    for line in lines:
        wire, text = line.split(" ", 1)
        raw = bytes.fromhex(wire)
        assert raw[:5] == b"\0\0\0\0\x07"
        body = io.BytesIO(raw[5:])
        got = fastavro.schemaless_reader(body, schema)
        assert body.read() == b""
        want = json.loads(text)
        for name, value in got.items():
            if name == "message_id":
                continue
            if name == "platform_sequence" and value is None:
                value = 0
            assert same(value, want[name]), (name, value, want[name])
