"""The `mediagen` command: puts the commands together and turns what goes wrong into one line and an exit code."""

from __future__ import annotations

import re
import signal
import sys
import traceback
from collections.abc import Sequence
from typing import Annotated

import typer

from mediagen import __version__
from mediagen.errors import MediagenError

from . import canvas, export, flyover, imagine, inspect, models, train, video, view
from .options import HELP, context_of
from .report import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_USAGE, Interrupted

app = typer.Typer(
    name="mediagen",
    rich_markup_mode="markdown",  # the default mode deletes bracketed text from help
    context_settings=HELP,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    epilog="Data goes to stdout, messages to stderr. Exit codes: 0 done, 1 failed, 2 wrong usage, "
    "3 finished but some units failed, 130 interrupted and resumable.",
)
COMMANDS = (
    ("canvas", canvas),
    ("video", video),
    ("view", view),
    ("export", export),
    ("flyover", flyover),
    ("train", train),
    ("imagine", imagine),
    ("models", models),
    ("inspect", inspect),
)
for name, module in COMMANDS:
    app.command(name, epilog=module.EPILOG, context_settings=context_of(name))(getattr(module, name))


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"mediagen {__version__}")
        raise typer.Exit


@app.callback()
def mediagen(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Paint unbounded pictures, and render clips of any length, from generative models, in constant memory.

    Start here: `mediagen canvas --width 100000`, or `mediagen video`
    """


def one_line(message: object) -> str:
    """The message without line breaks, so that every error takes exactly one line."""
    return " ".join(str(message).split())


def complain(message: object) -> None:
    print(f"mediagen: {one_line(message)}", file=sys.stderr)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line and returns its exit code; never lets a traceback out unless asked with -v."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        # Without standalone mode typer hands its errors over instead of printing panels of several lines.
        code = app(arguments, prog_name="mediagen", standalone_mode=False, obj=["mediagen", *arguments])
        if code == EXIT_INTERRUPTED:  # typer's own answer to a Ctrl-C
            raise KeyboardInterrupt
        return code if isinstance(code, int) else 0
    except MediagenError as error:
        complain(error)
        return error.exit_code
    except (Interrupted, KeyboardInterrupt, typer.Abort) as stop:
        # One Ctrl-C too many must not kill the process while it ends in good order.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        complain(stop if isinstance(stop, Interrupted) else "stopped at once; say the same command again to go on")
        return EXIT_INTERRUPTED
    except Exception as error:
        usage = _usage_message(error)
        if usage is not None:
            if usage:
                complain(usage)
            return EXIT_USAGE
        if {"-v", "--verbose"} & set(arguments):
            traceback.print_exc()
        detail = one_line(error) or "no further detail"
        complain(f"{_kind(error)}: {detail}" + ("" if "-v" in arguments else "  (run with -v for the traceback)"))
        return EXIT_FAILED


def _usage_message(error: Exception) -> str | None:
    """What typer has to say about wrong arguments, or None when `error` is not of that kind."""
    if getattr(error, "exit_code", None) != EXIT_USAGE or not hasattr(error, "format_message"):
        return None
    if not error.format_message():  # no arguments at all: the help has been printed
        return ""
    context = getattr(error, "ctx", None)
    command = context.command_path if context else "mediagen"
    said = one_line(error.format_message()).rstrip(".")
    said = re.sub(r"^Invalid value for '(.+?)': (Value error, )?", r"\1: ", said)
    return f"{said[0].lower()}{said[1:]}; see {command} --help"


def _kind(error: Exception) -> str:
    """A word for an unexpected exception: the operating system's errors speak for themselves."""
    return "cannot go on" if isinstance(error, OSError) else f"unexpected {type(error).__name__}"
