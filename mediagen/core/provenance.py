"""What an output says of its own making: canonical, so that the same request always writes the same bytes.

Nothing volatile belongs in here: no times, no paths, no user or host names.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from importlib import metadata
from typing import Any


def versions(*packages: str) -> dict[str, str]:
    """Installed versions by package name ("absent" for what is not there), without importing any of them."""
    found = {}
    for package in packages:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = "absent"
    return found


def command_line(command: str, options: Mapping[str, object], *places: str) -> str:
    """`mediagen COMMAND PLACE ... --key value ...`, quoted for a shell.

    None and False are left out, True is a bare flag, a list is an option repeated.
    """
    words = ["mediagen", command, *places]
    for key, value in options.items():
        if value is None or value is False:
            continue
        for one in value if isinstance(value, list) else [value]:
            words.append("--" + key.replace("_", "-"))
            if one is not True:
                words.append(str(one))
    return shlex.join(words)


def differences(recorded: Any, wanted: Any, at: str = "") -> Iterator[str]:
    """One "key: was A, now B" per leaf in which two JSON values differ, in the order of their keys."""
    if isinstance(recorded, Mapping) and isinstance(wanted, Mapping):
        for key in [*recorded, *(k for k in wanted if k not in recorded)]:
            yield from differences(recorded.get(key), wanted.get(key), f"{at}.{key}" if at else str(key))
    elif recorded != wanted:
        yield f"{at}: was {_short(recorded)}, now {_short(wanted)}"


def _short(value: object) -> str:
    text = "nothing" if value is None else str(value)
    return text if len(text) <= 60 else text[:57] + "..."
