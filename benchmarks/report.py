"""Makes benchmarks/results.md, and the figures in docs/benchmarks.md, from the JSON that the benchmarks left.

python benchmarks/report.py
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from common import RESULTS, text

ORDER = (
    "panorama",
    "paper_presets",
    "workers",
    "window_law",
    "crash",
    "training",
    "decode",
    "clips_speed",
    "clips_fidelity",
    "clips_training",
    "view",
    "export",
    "subsampling",
    "temporal_models",
    "single_image",
    "meta_learning",
)
HERE = Path(__file__).parent
DOCS = HERE.parent / "docs" / "benchmarks.md"
START, END = "<!-- results: written by benchmarks/report.py -->", "<!-- end of results -->"


def machine_line(machine: dict[str, Any]) -> str:
    """The machine in one line."""
    formats = [name for name in ("avx512_bf16", "amx_bf16") if machine[name]]
    return (
        f"{machine['cpu']}, {machine['cores']} cores ({', '.join(formats) or 'no bf16 instructions'}), "
        f"{machine['threads']} threads, torch {machine['torch']}, numpy {machine['numpy']}, zarr {machine['zarr']}, "
        f"Python {machine['python']}; load {machine['load_before']} when it began"
    )


def markdown(table: dict[str, Any]) -> list[str]:
    """One table as markdown."""
    lines = [f"### {table['title']}", ""]
    if table["rows"]:
        keys = list(table["rows"][0])
        lines += ["| " + " | ".join(keys) + " |", "|" + " --- |" * len(keys)]
        lines += ["| " + " | ".join(text(row.get(key)) for key in keys) + " |" for row in table["rows"]]
        lines.append("")
    return [*lines, table["note"], ""] if table["note"] else lines


def section(result: dict[str, Any]) -> list[str]:
    """One benchmark: what it says, how it was run, its tables."""
    lines = [f"## {result['title']}", "", result["about"], "", f"    {result['command']}", ""]
    quick = " **A quick run: its sizes are tiny and its figures mean nothing.**" if result["quick"] else ""
    model = f" Model: {result['model']}." if result.get("model") else ""
    lines += [f"{result['date']}, {result['seconds']} s. {machine_line(result['machine'])}.{model}{quick}", ""]
    for table in result["tables"]:
        lines += markdown(table)
    return lines


def main() -> None:
    found = [json.loads(path.read_text()) for name in ORDER if (path := RESULTS / f"{name}.json").exists()]
    if not found:
        raise SystemExit(f"there are no results in {RESULTS}: run a benchmark first, or bash benchmarks/run_all.sh")
    body = "\n".join(line for result in found for line in section(result)).rstrip() + "\n"
    (HERE / "results.md").write_text("# Results of the benchmarks\n\n" + body)
    page = DOCS.read_text()
    head, rest = page.split(START)
    DOCS.write_text(f"{head}{START}\n\n{body}\n{END}{rest.split(END)[1]}")
    print(f"wrote {HERE / 'results.md'} and {DOCS} from {len(found)} results")


if __name__ == "__main__":
    main()
