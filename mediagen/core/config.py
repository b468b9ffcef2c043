"""Configurations: frozen dataclasses to plain dictionaries and back, with every value checked. No torch, no files.

What comes out of a checkpoint or from a user is data for a dataclass: unknown keys, wrong types and absurd sizes are
refused before anything is built. A field may widen or narrow its own range: `field(metadata={"min": 1, "max": 10**9})`.
"""

from __future__ import annotations

import dataclasses
import math
import tomllib
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from mediagen.errors import UsageError

C = TypeVar("C")

MAX_INT = 2**16
MAX_FLOAT = 1e12
MAX_ITEMS = 64
MAX_TEXT = 256


def to_dict(config: Any) -> dict[str, Any]:
    """The dataclass as plain JSON values (tuples become lists, nested dataclasses become dictionaries)."""
    return {f.name: _plain(getattr(config, f.name)) for f in dataclasses.fields(config)}


def from_dict(cls: type[C], values: Mapping[str, Any], where: str = "configuration") -> C:
    """Builds `cls` out of `values`; keys left out keep their defaults. Raises UsageError naming the key at fault."""
    if not isinstance(values, Mapping):
        raise UsageError(f"{where}: expected a table of settings, got {_show(values)}")
    fields = {f.name: f for f in dataclasses.fields(cls) if f.init}  # type: ignore[arg-type]
    unknown = sorted(str(key) for key in values if key not in fields)
    if unknown:
        raise UsageError(f"{where}: unknown setting {_show(unknown[0])}; known ones: {', '.join(fields)}")
    hints = typing.get_type_hints(cls)
    read = {key: _read(hints[key], value, f"{where}: {key}", fields[key].metadata) for key, value in values.items()}
    try:
        return cls(**read)
    except UsageError:
        raise
    except (TypeError, ValueError, AssertionError) as error:
        raise UsageError(f"{where}: {error}") from None


def override(config: C, values: Mapping[str, Any], where: str = "configuration") -> C:
    """The same configuration with some settings replaced; nested tables replace their own keys only."""
    return from_dict(type(config), _merged(to_dict(config), values), where)


def parse_toml(text: str, where: str = "configuration file") -> dict[str, Any]:
    """A TOML document as a dictionary. Raises UsageError with the line at fault."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{where}: not TOML: {error}") from None


def parse_assignments(pairs: Sequence[str]) -> dict[str, Any]:
    """`["width=32", "aug.kind=none"]` as a nested dictionary; values are TOML, and bare words are text."""
    found: dict[str, Any] = {}
    for pair in pairs:
        key, sign, text = pair.partition("=")
        names = key.strip().split(".")
        if not sign or not all(names):
            raise UsageError(f"a setting is said as KEY=VALUE, got {pair!r}")
        table = found
        for name in names[:-1]:
            table = table.setdefault(name, {})
            if not isinstance(table, dict):
                raise UsageError(f"{key} is set both as a value and as a table")
        table[names[-1]] = _toml_value(text.strip())
    return found


def differences(old: Mapping[str, Any], new: Mapping[str, Any], prefix: str = "") -> list[str]:
    """The settings in which two plain dictionaries differ, as `key: old -> new`."""
    found = []
    for key in [*old, *(k for k in new if k not in old)]:
        was, now = old.get(key), new.get(key)
        if isinstance(was, Mapping) and isinstance(now, Mapping):
            found += differences(was, now, f"{prefix}{key}.")
        elif was != now:
            found.append(f"{prefix}{key}: {_show(was)} -> {_show(now)}")
    return found


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return to_dict(value)
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    return value


def _merged(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(old)
    for key, value in new.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = _merged(merged[key], value) if both else value
    return merged


def _toml_value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _show(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _read(kind: Any, value: Any, where: str, limits: Mapping[str, Any]) -> Any:
    """`value` as the annotated type `kind`. Raises UsageError when it is of another type or out of range."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if kind is Any:
        return value
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return value if isinstance(value, kind) else from_dict(kind, value, where)
    if origin is typing.Literal:
        if not any(type(value) is type(choice) and value == choice for choice in arguments):
            raise UsageError(f"{where} must be one of {', '.join(map(str, arguments))}, got {_show(value)}")
        return value
    if origin in (typing.Union, types.UnionType):
        return _read_union(arguments, value, where, limits)
    if origin in (tuple, list) or kind in (tuple, list):
        return _read_sequence(origin or kind, arguments, value, where, limits)
    if origin is dict or origin is Mapping or kind is dict:
        return _read_table(arguments or (str, Any), value, where, limits)
    return _read_scalar(kind, value, where, limits)


def _read_union(kinds: tuple[Any, ...], value: Any, where: str, limits: Mapping[str, Any]) -> Any:
    if value is None and type(None) in kinds:
        return None
    kinds = tuple(kind for kind in kinds if kind is not type(None))
    for kind in kinds[:-1]:
        try:
            return _read(kind, value, where, limits)
        except UsageError:
            continue
    return _read(kinds[-1], value, where, limits)


def _read_sequence(kind: Any, items: tuple[Any, ...], value: Any, where: str, limits: Mapping[str, Any]) -> Any:
    if not isinstance(value, list | tuple):
        raise UsageError(f"{where} must be a list, got {_show(value)}")
    if len(value) > MAX_ITEMS:
        raise UsageError(f"{where} has {len(value)} entries, at most {MAX_ITEMS} are allowed")
    fixed = kind is tuple and items and items[-1] is not Ellipsis
    if fixed and len(value) != len(items):
        raise UsageError(f"{where} must have {len(items)} entries, got {len(value)}")
    kinds = items if fixed else (items[:1] or (Any,)) * len(value)
    return kind(_read(k, item, f"{where}[{i}]", limits) for i, (k, item) in enumerate(zip(kinds, value, strict=True)))


def _read_table(kinds: tuple[Any, ...], value: Any, where: str, limits: Mapping[str, Any]) -> dict[Any, Any]:
    if not isinstance(value, Mapping) or len(value) > MAX_ITEMS:
        raise UsageError(f"{where} must be a table of at most {MAX_ITEMS} entries, got {_show(value)}")
    return {key: _read(kinds[1], item, f"{where}.{key}", limits) for key, item in value.items()}


def _read_scalar(kind: Any, value: Any, where: str, limits: Mapping[str, Any]) -> Any:
    if kind is bool:
        if not isinstance(value, bool):
            raise UsageError(f"{where} must be true or false, got {_show(value)}")
        return value
    if kind is str:
        if not isinstance(value, str) or len(value) > MAX_TEXT:
            raise UsageError(f"{where} must be a text of at most {MAX_TEXT} characters, got {_show(value)}")
        return value
    if kind is int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise UsageError(f"{where} must be a whole number, got {_show(value)}")
        return _ranged(value, where, limits, MAX_INT)
    if kind is float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise UsageError(f"{where} must be a finite number, got {_show(value)}")
        return float(_ranged(value, where, limits, MAX_FLOAT))
    raise UsageError(f"{where}: settings of type {kind} cannot be read")


def _ranged(value: Any, where: str, limits: Mapping[str, Any], bound: float) -> Any:
    low, high = limits.get("min", -bound), limits.get("max", bound)
    if not low <= value <= high:
        raise UsageError(f"{where} must lie between {low:g} and {high:g}, got {_show(value)}")
    return value
