"""The systems, one file each. The file's name is the model's name; listing them imports none of them."""

from __future__ import annotations

import importlib
import pkgutil
from typing import TYPE_CHECKING

from mediagen.errors import UsageError

if TYPE_CHECKING:
    from mediagen.models._spec import ModelSpec


def names() -> list[str]:
    """The names of all models, without importing torch."""
    return sorted(m.name for m in pkgutil.iter_modules(__path__) if not m.name.startswith("_"))


def spec(name: str) -> ModelSpec:
    """The specification of the model called `name`. Raises UsageError when there is none."""
    if name not in names():
        raise UsageError(f"there is no model called {name!r}; choose from: {', '.join(names())}")
    loaded: ModelSpec = importlib.import_module(f"{__name__}.{name}").SPEC
    return loaded
