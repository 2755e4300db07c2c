"""k2 demo tells its story, agrees with itself, and can be told in parts."""
import re


def test_whole_story(home):
    text = home.run("demo", timeout=300).stdout.decode()
    assert re.findall(r"^(\d)\. ", text, re.M) == list("123456")
    assert "DISAGREE" not in text and text.count("  agree") == 7
    assert re.findall(r"10000: (\w+) ", text) == ["false", "TRUE", "false"]
    digests = re.findall(r"digest=(\w+)", text)
    assert len(digests) == 2 and digests[0] == digests[1]
    assert "300000 rows more" in text and "each of them once" in text
    assert text.count("0 broken rules") == 2
    for chapter in (2, 3, 5):  # again, on the home as it is by now
        again = home.run("demo", "--step", chapter).stdout.decode()
        assert re.findall(r"^(\d)\. ", again, re.M) == [str(chapter)]
        assert "DISAGREE" not in again


def test_chapters_need_what_came_before(home):
    assert b"--step 2" in home.run("demo", "--step", 4, code=2).stderr
    assert b"from 1 to 6" in home.run("demo", "--step", 9, code=2).stderr
    assert b"fast or talk" in home.run("demo", "--pace", "slow", code=2).stderr


def test_a_home_with_other_data_is_left_alone(home):
    home.run("ingest", "sim", "--rows", 10)
    assert b"data of its own" in home.run("demo", code=2).stderr
    assert b"data of its own" in home.run("demo", "--reset", code=2).stderr
    assert home.one("select count(*) from trades") + home.one("select count(*) from quotes") == 10
