"""Real data: every row, in UTC, and the golden daily values."""
import pytest

GOLDEN = """
BHP 10 36.667 37.72 36.12 36.16 10053864 36.522642
BHP 11 40.0 42.0 35.772 36.124 8919376 36.235040
BHP 12 39.0 39.5 35.455 35.99 6160527 35.748903
BHP 13 35.903 36.51 35.681 36.4 6064226 36.294340
BHP 14 36.4 36.4 35.63 35.66 6068042 35.805012
DVN 10 .67 .695 .67 .695 115325 .686111
DVN 11 .69 .69 .67 .67 43336 .682712
DVN 12 .67 .68 .645 .645 104227 .660542
DVN 13 .655 .66 .645 .6525 149041 .651039
DVN 14 .645 .65 .62 .63 37168 .636026
MWR 10 1.11 1.11 1.1 1.1 13667 1.106073
MWR 11 1.2 1.2 1.2 1.2 3600 1.2
MWR 12 1.2 1.2 1.2 1.2 10000 1.2
MWR 13 1.2 1.2 1.2 1.2 5000 1.2
"""

DAILY = """
select symbol, day(timezone('Australia/Sydney', timestamp)) as day,
       first(price order by platform_sequence) as open, max(price) as high, min(price) as low,
       last(price order by platform_sequence) as close, sum(quantity) as volume,
       round(sum(price * quantity) / sum(quantity), 6) as vwap
from trades group by all order by all"""


@pytest.fixture(scope="module")
def loaded(tmp_path_factory, asx):
    from conftest import Home
    home = Home(tmp_path_factory.mktemp("asx") / "home")
    home.run("ingest", "csv", *sorted(asx.glob("trades/*.csv")), "--layout", "asx-trades")
    home.run("ingest", "csv", *sorted(asx.glob("quotes/*.csv")), "--layout", "asx-quotes")
    return home


def test_every_row(loaded):
    counts = {r["symbol"]: r["n"] for r in
              loaded.rows("select symbol, count(*) n from trades group by symbol")}
    assert counts == {"BHP": 91631, "DVN": 232, "MWR": 11}
    counts = {r["symbol"]: r["n"] for r in
              loaded.rows("select symbol, count(*) n from quotes group by symbol")}
    assert counts == {"BHP": 77849, "DVN": 549, "MWR": 60}
    assert loaded.one("select count(*) from dead_letters") == 0
    assert loaded.one("select count(*) from gaps") == 0


def test_first_tick_in_utc(loaded):
    row = loaded.one("select timestamp, price, platform_sequence from trades where symbol = 'BHP' "
                     "order by timestamp_ns, platform_sequence limit 1")
    assert row == ["2014-03-09T20:57:14.754000Z", 36.667, 2014031000000000001]


def test_golden_days(loaded):
    want = {}
    for line in GOLDEN.split("\n"):
        if line:
            symbol, day, *values = line.split()
            want[symbol, int(day)] = [float(v) for v in values]
    got = {(r["symbol"], r["day"]): [float(r[c]) for c in
                                      ("open", "high", "low", "close", "volume", "vwap")]
           for r in loaded.rows(DAILY)}
    assert got == want


def test_again_adds_nothing(loaded, asx):
    loaded.run("ingest", "csv", *sorted(asx.glob("trades/*.csv")), "--layout", "asx-trades")
    assert loaded.one("select count(*) from trades") == 91631 + 232 + 11
    loaded.run("verify")


def test_companies(loaded, asx):
    loaded.run("ingest", "csv", asx / "reference-data" / "company_info.csv", "--layout",
               "asx-companies")
    loaded.run("ingest", "csv", asx / "reference-data" / "company_info.csv", "--layout",
               "asx-companies")
    assert loaded.one("select count(*) from instruments_history") == 4
    assert "BHP BILLITON" in loaded.text("instruments", "show", "BHP")
