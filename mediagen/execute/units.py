"""What both executors share: functions that can be sent by name, and what became of a run."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mediagen.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class Call:
    """A function by its import name ("package.module:function") and keyword arguments: small, and no code in it."""

    target: str
    arguments: Mapping[str, Any] = field(default_factory=dict)

    def __call__(self, **more: Any) -> Any:
        return pkgutil.resolve_name(self.target)(**self.arguments, **more)


@dataclass(frozen=True, kw_only=True)
class Check:
    """A call that every worker must answer without raising, and with `expected` when that is given."""

    what: str
    call: Call
    expected: Any = None


@dataclass(frozen=True)
class Failure:
    """A unit that could not be done, and why, in one line."""

    unit: Any
    reason: str


@dataclass(kw_only=True)
class Outcome:
    """How a run ended. `stopped`: somebody asked to stop before all units were taken up."""

    done: int = 0
    failed: list[Failure] = field(default_factory=list)
    stopped: bool = False


def require_importable(function: Callable[..., Any]) -> None:
    """Raises UsageError unless another process finds `function` under its own name."""
    module, name = getattr(function, "__module__", None), getattr(function, "__qualname__", "")
    found: Any = None
    if module and module != "__main__":
        try:
            found = importlib.import_module(module)
            for part in name.split("."):
                found = getattr(found, part)
        except (ImportError, AttributeError):
            found = None
    if found is not function:
        raise UsageError(
            f"{name or function!r} cannot be sent to workers: define it at the top level of a module they can import"
        )


def one_line(error: BaseException) -> str:
    """An exception as a single line."""
    text = " ".join(str(error).split())
    return text if text and len(text) < 400 else f"{type(error).__name__}{': ' + text[:400] if text else ''}"
