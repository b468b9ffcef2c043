"""Progress on stderr, and Ctrl-C: the first one asks for a stop between two units of work, the second stops at once."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections import deque
from types import FrameType, TracebackType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, TextColumn
from rich.text import Text

LINE_EVERY = 10.0  # seconds between two lines where stderr is not a terminal
SPEED_OVER = 30.0  # seconds of history that the speed and the time left are computed from


class Meter:
    """Shows how far a job is: `meter.update(done, total)` in units of `unit`, which `per_unit` of the job's own make.

    On a terminal a bar, elsewhere a line every ten seconds. What was `done` at the first update (a resumed job) does
    not count as speed.
    """

    def __init__(self, title: str, unit: str, *, per_unit: float = 1.0, quiet: bool = False) -> None:
        self.title, self.unit, self.per_unit, self.quiet = title, unit, per_unit, quiet
        self.console = Console(stderr=True)
        self.history: deque[tuple[float, float]] = deque()
        self.started = time.monotonic()
        self.last_line = self.started
        self.note = ""
        self._bar: Progress | None = None

    def __enter__(self) -> Meter:
        if not self.quiet and self.console.is_terminal and not self.console.is_dumb_terminal:
            columns: tuple[str | ProgressColumn, ...] = (
                "[bold]{task.description}",
                BarColumn(bar_width=30),
                "{task.percentage:3.0f}%",
                _Status(self),
            )
            self._bar = Progress(*columns, console=self.console, transient=True, refresh_per_second=4)
            self._bar.add_task(self.title, total=None)
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def update(self, done: float, total: float, note: str = "") -> None:
        """`done` of `total`, in the job's own measure (pixels, iterations); `note` is shown after the figures."""
        now = time.monotonic()
        self.note = note
        self.history.append((now, done))
        while len(self.history) > 2 and now - self.history[0][0] > SPEED_OVER:
            self.history.popleft()
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], completed=done, total=total)
        elif not self.quiet and now - self.last_line >= LINE_EVERY:
            self.last_line = now
            share = f"{100 * done / total:.0f}%" if total else ""
            print(f"{self.title}: {share} {self.status(done, total)}", file=sys.stderr, flush=True)

    def say(self, message: str) -> None:
        """A line on stderr that does not get into the way of the bar."""
        if self._bar is not None:
            self._bar.console.print(message, markup=False, highlight=False, soft_wrap=True)
        else:
            print(message, file=sys.stderr, flush=True)

    def speed(self) -> float:
        """Units of the job's own measure per second, over the last half minute."""
        if len(self.history) < 2:
            return 0.0
        (t0, d0), (t1, d1) = self.history[0], self.history[-1]
        return (d1 - d0) / (t1 - t0) if t1 > t0 else 0.0

    def status(self, done: float, total: float) -> str:
        speed = self.speed()
        parts = [f"{_short(done / self.per_unit)}/{_short(total / self.per_unit)} {self.unit}"]
        if speed > 0:
            parts.append(f"{_short(speed / self.per_unit)} {self.unit}/s")
        parts.append(f"{clock(time.monotonic() - self.started)} elapsed")
        if speed > 0:
            parts.append(f"{clock((total - done) / speed)} left")
        return ", ".join(parts + ([self.note] if self.note else []))


class _Status(TextColumn):
    """The figures beside the bar; they keep running between two updates."""

    def __init__(self, meter: Meter) -> None:
        super().__init__("")
        self.meter = meter

    def render(self, task: Any) -> Text:
        text = self.meter.status(task.completed, task.total) if task.total else "starting"
        return Text(text, style="dim")


class Stopper:
    """Whether the user asked to stop. Call it between two units of work: `should_stop=stopper`.

    The first Ctrl-C (or SIGTERM) sets it; the second one aborts what is running with a KeyboardInterrupt.
    """

    SIGNALS = (signal.SIGINT, signal.SIGTERM)

    def __init__(self, finishing: str) -> None:
        self.finishing = finishing
        self.asked = False

    def __call__(self) -> bool:
        return self.asked

    def __enter__(self) -> Stopper:
        self._before = {number: signal.signal(number, self._handle) for number in self.SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True
        # os.write, because print may not be entered again from a signal handler.
        os.write(2, f"\nmediagen: {self.finishing}; once more to stop now\n".encode())


def clock(seconds: float) -> str:
    """Seconds as m:ss or h:mm:ss."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def _short(value: float) -> str:
    """Three significant digits, without an exponent."""
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.3g}"
