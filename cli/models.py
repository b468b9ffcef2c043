"""`mediagen models`: what there is to paint with."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from .options import Json, Verbose
from .report import pairs, print_json, size, table

EPILOG = """**Examples**

`mediagen models`  the models, and the checkpoints that come with this package

`mediagen models infinitygan`  its paper, presets with their sizes, and the bundled checkpoint

`mediagen models infinitygan --json`  the same with every setting of every preset
"""


def complete(incomplete: str) -> list[str]:
    """Names that can be completed without importing torch."""
    from mediagen import checkpoint, models

    return [name for name in sorted({*models.names(), *checkpoint.bundled()}) if name.startswith(incomplete)]


def models(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME", help="A model or a bundled checkpoint.", autocompletion=complete, show_envvar=False
        ),
    ] = None,
    json: Json = False,
    verbose: Verbose = False,
) -> int:
    """List what there is to paint with, or tell everything about one."""
    from mediagen import catalog

    if name is not None:
        found = catalog.describe(name)
        if json:
            print_json(found)
        else:
            print("\n\n".join(_sections(found, verbose)))
        return 0
    systems, bundled = catalog.systems(), catalog.bundled()
    if json:
        print_json({"models": systems, "checkpoints": bundled})
        return 0
    print(table(["MODEL", "PRESETS", "MAKES"], [(s["name"], ", ".join(s["presets"]), s["summary"]) for s in systems]))
    print()
    rows = [(c["name"], c["model"], size(c["bytes"]), c["licence"] or "-", c["paints"] or "-") for c in bundled]
    print(table(["CHECKPOINT", "MODEL", "SIZE", "LICENCE", "PAINTS"], rows) if rows else "no checkpoint is bundled")
    return 0


def _sections(found: dict[str, Any], verbose: bool) -> list[str]:
    sections = []
    if model := found.get("model"):
        head = [("model", f"{model['name']} ({model['kind']})"), ("title", model["title"]), ("paper", model["paper"])]
        sections.append(pairs([*head, ("makes", model["summary"])]))
        sections.append(pairs((f"latent {name}", prior) for name, prior in model["latents"].items()))
        rows = [(name, preset["parameters"]) for name, preset in model["presets"].items()]
        sections.append(table(["PRESET", "PARAMETERS"], rows))
    if checkpoint := found.get("checkpoint"):
        sections.append(checkpoint_text(checkpoint, verbose))
    return sections


def checkpoint_text(record: dict[str, Any], verbose: bool = True) -> str:
    """A checkpoint's record for people; its whole configuration only with `verbose`."""
    rows: list[tuple[str, object]] = [
        ("checkpoint", record["name"]),
        ("model", record["model"]),
        ("paints", record["paints"]),
        ("licence", record["licence"]),
        ("size", size(record["bytes"])),
        ("sha256", record["sha256"]),
    ]
    for part in ("data", "training", "config") if verbose else ("data", "training"):
        shown = {k: v for k, v in (record[part] or {}).items() if k not in {"paints", "licence"}}
        rows += [(f"{part}.{name}", value if value != "" else "-") for name, value in shown.items()]
    return pairs(rows)
