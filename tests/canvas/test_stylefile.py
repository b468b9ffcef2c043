import json

import pytest

from mediagen.canvas.stylefile import read_style_map
from mediagen.core.styles import Centre
from mediagen.errors import UsageError

EXPECTED = (Centre(0.0, -20.5, 7), Centre(4000.0, 100.0, -3))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", "x,y,seed\n0,-20.5,7\n4000,100,-3\n"),
        ("a.csv", "\ufeffseed,x,y\r\n7,0,-20.5\r\n\r\n# a comment, here\r\n-3,4e3,100\r\n"),
        ("a.tsv", "0\t-20.5\t7\n4000\t100\t-3"),
        ("a.json", json.dumps([{"x": 0, "y": -20.5, "seed": 7}, {"x": 4000, "y": 100, "seed": -3}])),
        (
            "a.txt",
            json.dumps(
                {"blend": 31, "centres": [{"x": 0, "y": -20.5, "seed": "7"}, {"x": 4000, "y": 100, "seed": -3}]}
            ),
        ),
    ],
)
def test_files_that_say_the_same(tmp_path, name, text):
    file = tmp_path / name
    file.write_text(text, encoding="utf-8")
    style = read_style_map(file)
    assert style.points == EXPECTED
    assert style.blend == (31 if name == "a.txt" else 127)
    assert read_style_map(file, blend=9).blend == 9


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "no centres"),
        (b"x,y,seed\n", "no centres"),
        (b"[]", "no centres"),
        (b"1,2\n", "row 1: 2 values"),
        (b"x,y,seed\n1,2,3\n1,two,3\n", "row 3: y must be a number"),
        (b"1,nan,3", "row 1: y must be"),
        (b"inf,0,3", "row 1: x must be"),
        (b"1e30,0,3", "row 1: x must be"),
        (b"0,0,1.5", "row 1: seed must be"),
        (b'[{"x": 0, "y": 0}]', "centre 1: a centre is x, y and seed"),
        (b'[{"x": 0, "y": 0, "seed": true}]', "centre 1: seed must be"),
        (b'[{"x": null, "y": 0, "seed": 1}]', "centre 1: x must be"),
        (b'[{"x": 1e999, "y": 0, "seed": 1}]', "centre 1: x must be"),
        (b'[{"x": 0, "y": 0, "seed": 1}, 5]', "centre 2: a centre is"),
        (b'{"centres": 5}', "must be a list"),
        (b'{"points": []}', "unknown key 'points'"),
        (b'{"centres": [], "blend": -1}', "'blend' must be"),
        (b"{", "not valid JSON"),
        (b"[" * 100_000, "not valid JSON"),
        (b"\xff\xfe\x00\x01", "not a text file"),
        (b"x" * (2**24 + 1), "more than 16 MiB"),
        (b"0,0,1\n" * 100_001, "more than 100000 centres"),
    ],
)
def test_bad_files_get_one_clear_line(tmp_path, content, said):
    file = tmp_path / "map"
    file.write_bytes(content)
    with pytest.raises(UsageError, match=said) as caught:
        read_style_map(file)
    assert str(file) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(UsageError, match="cannot read the style map"):
        read_style_map(tmp_path / "none.csv")
    with pytest.raises(UsageError, match="cannot read the style map"):
        read_style_map(tmp_path)
