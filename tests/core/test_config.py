"""Configurations survive the round trip, and nothing odd gets in."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field, replace
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediagen.core.config import differences, from_dict, override, parse_assignments, parse_toml, to_dict
from mediagen.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class Inner:
    kind: Literal["none", "some"] = "none"
    strength: float = 0.5


@dataclass(frozen=True, kw_only=True)
class Config:
    width: int = 8
    rate: float = 0.1
    name: str = "x"
    on: bool = True
    sizes: tuple[int, ...] = (1, 2)
    betas: tuple[float, float] = (0.0, 0.99)
    limit: int | None = None
    inner: Inner = Inner()
    pictures: int = field(default=10, metadata={"min": 1, "max": 10**9})

    def __post_init__(self) -> None:
        if self.width % 2:
            raise ValueError("width must be even")


def test_round_trip_through_json() -> None:
    config = Config(sizes=(3, 4, 5), limit=7, inner=Inner(kind="some", strength=2.0), pictures=10**8)
    assert from_dict(Config, json.loads(json.dumps(to_dict(config)))) == config
    assert from_dict(Config, {}) == Config()


@given(
    width=st.integers(-1000, 1000),
    rate=st.floats(-1e12, 1e12),
    sizes=st.lists(st.integers(-(2**16), 2**16), max_size=64),
    name=st.text(max_size=256),
    limit=st.none() | st.integers(0, 100),
)
def test_every_sane_value_survives(width: int, rate: float, sizes: list[int], name: str, limit: int | None) -> None:
    config = Config(width=2 * width, rate=rate, sizes=tuple(sizes), name=name, limit=limit)
    assert from_dict(Config, json.loads(json.dumps(to_dict(config)))) == config


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"widht": 4}, "unknown setting 'widht'"),
        ({"width": 3}, "width must be even"),
        ({"width": True}, "width must be a whole number, got True"),
        ({"width": 4.0}, "width must be a whole number"),
        ({"width": "4"}, "width must be a whole number"),
        ({"width": 10**6}, "width must lie between"),
        ({"width": -(10**6)}, "width must lie between"),
        ({"pictures": 0}, "pictures must lie between 1 and 1e"),
        ({"rate": math.nan}, "rate must be a finite number"),
        ({"rate": math.inf}, "rate must be a finite number"),
        ({"rate": 1e300}, "rate must lie between"),
        ({"rate": False}, "rate must be a finite number"),
        ({"on": 1}, "on must be true or false"),
        ({"name": 5}, "name must be a text"),
        ({"name": "x" * 257}, "name must be a text of at most 256"),
        ({"sizes": 3}, "sizes must be a list"),
        ({"sizes": [1, "2"]}, r"sizes\[1\] must be a whole number"),
        ({"sizes": [1] * 65}, "sizes has 65 entries"),
        ({"betas": [0.1]}, "betas must have 2 entries"),
        ({"limit": "none"}, "limit must be a whole number"),
        ({"inner": {"kind": "much"}}, "kind must be one of none, some"),
        ({"inner": {"strenght": 1}}, "inner: unknown setting 'strenght'"),
        ({"inner": 3}, "inner: expected a table"),
        ([1, 2], "expected a table"),
    ],
)
def test_odd_values_are_refused_in_one_line(values: object, told: str) -> None:
    with pytest.raises(UsageError, match=told) as caught:
        from_dict(Config, values)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


def test_whole_numbers_serve_as_floats() -> None:
    rate = from_dict(Config, {"rate": 2}).rate
    assert rate == 2.0
    assert type(rate) is float


def test_overrides_replace_only_what_they_name() -> None:
    config = Config(width=4, inner=Inner(kind="some"))
    changed = override(config, {"rate": 0.2, "inner": {"strength": 3.0}})
    assert changed == replace(config, rate=0.2, inner=Inner(kind="some", strength=3.0))
    with pytest.raises(UsageError, match="--set: width must be even"):
        override(config, {"width": 5}, "--set")


def test_assignments_are_toml_values_or_bare_words() -> None:
    said = ["width=4", "inner.kind=some", "inner.strength = 1e-3", "on=false", "sizes=[1, 2]", 'name="a = b"']
    found = parse_assignments(said)
    assert found == {
        "width": 4, "inner": {"kind": "some", "strength": 0.001}, "on": False, "sizes": [1, 2], "name": "a = b",
    }  # fmt: skip
    for wrong in (["width"], ["=3"], ["a..b=1"], ["a=1", "a.b=2"]):
        with pytest.raises(UsageError):
            parse_assignments(wrong)


def test_toml_is_read_or_refused() -> None:
    assert parse_toml("width = 4\n[inner]\nkind = 'some'") == {"width": 4, "inner": {"kind": "some"}}
    with pytest.raises(UsageError, match=r"my\.toml: not TOML"):
        parse_toml("width = = 4", "my.toml")


def test_differences_name_what_changed() -> None:
    old, new = to_dict(Config()), to_dict(Config(width=4, inner=Inner(strength=1.0)))
    assert differences(old, new) == ["width: 8 -> 4", "inner.strength: 0.5 -> 1.0"]
    assert differences(old, old) == []
    assert differences({"a": 1}, {"b": 2}) == ["a: 1 -> None", "b: None -> 2"]
