"""What several commands share: options that mean the same everywhere, parsers of values, and `--config FILE`."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from mediagen.errors import UsageError

if TYPE_CHECKING:
    from mediagen.core.resample import Resample

HELP = {"help_option_names": ["-h", "--help"]}

GENERAL, PLANE, COMPUTING, OUTPUT = "General", "Plane", "Computing", "Output"

DEFAULT_MODEL = "infinitygan"
Precision = Literal["auto", "fp32", "bf16", "fp16"]


def context_of(command: str) -> dict[str, Any]:
    """Every option of a command can be set by an environment variable: MEDIAGEN_CANVAS_WIDTH."""
    return {**HELP, "auto_envvar_prefix": f"MEDIAGEN_{command.upper()}"}


def whole(text: str) -> int:
    """A whole number; underscores and commas may group its digits ("100_000", "100,000")."""
    try:
        return int(str(text).replace(",", "_"))
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a whole number") from None


def side_and_pixels(words: tuple[str, str]) -> tuple[str, int]:
    """The two words of --extend."""
    try:
        return words[0], whole(words[1])
    except typer.BadParameter as error:
        raise UsageError(f"--extend takes a side and a number of pixels: {error.message}") from None


def sides(text: str) -> tuple[int, int]:
    """A size in pixels, "1024x512"."""
    try:
        width, height = (int(side) for side in text.lower().split("x"))
    except ValueError:
        raise UsageError(f"a size is WIDTHxHEIGHT in pixels, such as 1024x512, not {text!r}") from None
    return width, height


def rectangles(texts: Iterable[str]) -> tuple[Resample, ...]:
    """Rectangles "X,Y,WIDTH,HEIGHT,SEED" in pixels of the plane."""
    from mediagen.core.resample import Resample  # imports NumPy, which help and completion can do without

    found = []
    for text in texts:
        try:
            x, y, width, height, seed = (int(word) for word in text.split(","))
        except ValueError:
            raise UsageError(
                f"--resample takes X,Y,WIDTH,HEIGHT,SEED, such as 4096,-128,512,256,9, not {text!r}"
            ) from None
        found.append(Resample(x, y, width, height, seed))
    return tuple(found)


def refuse_beside(
    context: typer.Context,
    name: str,
    *,
    allowed: set[str],
    why: str = "",
) -> None:
    """Raises UsageError when options were given that mean nothing beside --NAME."""
    for parameter in context.command.params:
        other = parameter.name or ""
        source = context.get_parameter_source(other)
        if other not in allowed | {name, "help"} and source is not None and source.name == "COMMANDLINE":
            said = other.replace("_", "-")
            raise UsageError(
                f"--{said} {why}"
                if why
                else f"--{said} means nothing beside --{name}, which goes on with what OUT records"
            )


def read_config(context: typer.Context, path: Path | None) -> Path | None:
    """Makes the command's table in a TOML file the defaults of its options: flag > environment > file > default."""
    if path is None:
        return None
    command = str(context.info_name)
    known = {p.name for p in context.command.params if p.name} - {"config", "help"}
    values = {key.replace("-", "_"): value for key, value in _table(path, command).items()}
    if isinstance(values.get("settings"), dict):  # a table of a model's own settings, [train.settings]
        context.meta["settings"] = values.pop("settings")
    for key in values:
        if key not in known:
            near = get_close_matches(key, known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"it can have: {', '.join(sorted(known))}"
            raise UsageError(f"{path}: [{command}] has no setting {key!r}; {hint}")
    context.default_map = {**(context.default_map or {}), **values}
    return path


def _table(path: Path, command: str) -> dict[str, Any]:
    try:
        content = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise UsageError(f"there is no configuration file {path}") from None
    except OSError as error:
        raise UsageError(f"cannot read the configuration file {path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not valid TOML: {error}") from None
    table = content.get(command, {})
    if not isinstance(table, dict):
        raise UsageError(f"{path}: {command!r} must be a table, written [{command}]")
    if not table:
        found = ", ".join(sorted(content)) or "nothing"
        raise UsageError(f"{path} has no table [{command}], which would set this command's options; it holds: {found}")
    return table


def option(help: str, *flags: str, panel: str, unit: str | None = None, parser: Any = None, **more: Any) -> Any:
    """An option of the command line; `unit` stands in the help for its value."""
    return typer.Option(
        *flags, help=help, metavar=unit, parser=parser, rich_help_panel=panel, show_envvar=False, **more
    )


def number(help: str, *flags: str, panel: str, unit: str = "N") -> Any:
    """An option whose value is a whole number."""
    return option(help, *flags, panel=panel, unit=unit, parser=whole)


def flag(help: str, *flags: str, panel: str = GENERAL) -> Any:
    return option(help, *flags, panel=panel, unit="")


ConfigFile = Annotated[
    Path | None,
    option(
        "TOML file whose table named like this command sets its options. A flag wins over the environment "
        "(MEDIAGEN_CANVAS_WIDTH and so on), which wins over the file.",
        "--config",
        panel=GENERAL,
        unit="FILE",
        callback=read_config,
        is_eager=True,
    ),
]
Json = Annotated[bool, flag("Print one JSON object to stdout instead of text.", "--json")]
Quiet = Annotated[bool, flag("No progress and no summary: errors only.", "--quiet", "-q")]
Verbose = Annotated[bool, flag("Tell everything, and show tracebacks.", "--verbose", "-v")]

# Which plane, and what it shows.
Model = Annotated[
    str | None,
    option(
        "A bundled checkpoint (see `mediagen models`), a .safetensors file, or a training's folder. "
        "Default: infinitygan.",
        panel=PLANE,
        unit="NAME|FILE|RUN",
    ),
]
Seed = Annotated[int, number("Which plane: one seed, one plane.", panel=PLANE)]
StructureSeed = Annotated[int | None, number("Draw the layout from another seed, keep the style.", panel=PLANE)]
TextureSeed = Annotated[int | None, number("Draw the textures from another seed, keep the layout.", panel=PLANE)]
StyleEvery = Annotated[
    int | None,
    number("A new style every PX pixels along x; 0 for one style everywhere. Default: 4096.", panel=PLANE, unit="PX"),
]
StyleBlend = Annotated[
    int | None,
    number(
        "Pixels that a change of style takes. Default: a quarter of the stretch; 127 for a map.", panel=PLANE, unit="PX"
    ),
]
StyleMap = Annotated[
    Path | None,
    option(
        "Styles at places of your own instead: JSON, CSV or TSV with x, y (pixels) and seed.", panel=PLANE, unit="FILE"
    ),
]
Rectangles = Annotated[
    list[str] | None,
    option("Draw the layout inside a rectangle from another seed; may be repeated.", panel=PLANE, unit="X,Y,W,H,SEED"),
]

# How it is computed.
Memory = Annotated[
    str,
    option("Memory for computing one block, e.g. 500MB or 8GB. More wastes less.", panel=COMPUTING, unit="BYTES"),
]
Block = Annotated[
    str | None,
    option("Size of a block in pixels instead of one chosen by --memory.", panel=COMPUTING, unit="WxH"),
]
Cache = Annotated[
    Path | None,
    option(
        "A folder of blocks painted by `mediagen view`; those that fit are taken from there.",
        panel=COMPUTING,
        unit="FOLDER",
    ),
]
Device = Annotated[
    str,
    option("Where to compute: auto (a GPU if there is one), cpu, cuda or cuda:N.", panel=COMPUTING, unit="DEVICE"),
]

# How a clip is kept.
Codec = Annotated[
    Literal["h264", "vp9", "av1", "ffv1"] | None,
    option("Default: h264; vp9 for .webm. ffv1 keeps every bit (.mkv).", panel=OUTPUT),
]
Crf = Annotated[
    int | None,
    number("Quality: 0 is best, larger is smaller. Default: 18 for h264, 28 for vp9 and av1.", "--crf", panel=OUTPUT),
]
OverwriteClip = Annotated[
    bool, flag("Delete the clip OUT, or its part, first, and start anew.", "--overwrite", panel=OUTPUT)
]
