"""Decoding processes that live as long as there are files: fed, watched, and replaced when one dies or is silent.

Each has a thread here that talks with it, and a lane of its own to which it appends frames, so nothing large passes
through a pipe. Two files are with a process at any time, so that it never waits for us.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mediagen.data.video_frames import Wanted
from mediagen.errors import DataError

STALL = 60.0
"""Seconds without a frame after which a file is given up."""
LONGEST = 7200.0
"""Seconds that one file may take in all."""
START = 300.0
"""Seconds that a process may take to start, on a machine that has much else to do."""
# The modules are found where this process finds them, whether installed or not.
COMMAND = "import sys; sys.path[:] = sys.argv[1:]; from mediagen.data.video_worker import main; main()"
AHEAD = 2


@dataclass(frozen=True, kw_only=True)
class Read:
    """A file's frames: rows `first` to `first + rows` of lane `lane`; `broken` says why they are not all."""

    lane: int
    first: int
    rows: int
    sha256: str
    broken: str | None


@dataclass(frozen=True)
class Refused:
    """Why a file gave nothing."""

    reason: str


Outcome = Read | Refused


class Worker:
    """One process, its lane, and the files it has been given and has not answered for."""

    def __init__(self, number: int, folder: Path, wanted: Wanted, per: int) -> None:
        self.number, self.lane, self.wanted, self.per = number, folder / f"lane{number}", wanted, per
        self.row = 0
        self.given: deque[tuple[int, Path]] = deque()
        self.seen = self.since = time.monotonic()
        self.greeted = self.closing = False
        self.verdict: tuple[int, str] | None = None
        self._ends = threading.Lock()
        self.process = self._start()

    def _start(self) -> subprocess.Popen[str]:
        environment = os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "PYTHONIOENCODING": "utf-8"}
        process = subprocess.Popen(
            [sys.executable, "-c", COMMAND, *(entry or str(Path.cwd()) for entry in sys.path)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment,
        )  # fmt: skip
        self._tell(process, {"lane": str(self.lane), "row": self.row, "per": self.per, "wanted": asdict(self.wanted)})
        return process

    @staticmethod
    def _tell(process: subprocess.Popen[str], words: dict[str, Any]) -> None:
        assert process.stdin is not None
        with suppress(OSError):  # It is dead; its silence will say so.
            process.stdin.write(json.dumps(words) + "\n")
            process.stdin.flush()

    def give(self, number: int, path: Path) -> None:
        if not self.given:
            self.seen = self.since = time.monotonic()
        self.given.append((number, path))
        self._tell(self.process, {"path": str(path)})

    def answer(self) -> tuple[int, Outcome]:
        """Waits for the next file's outcome; a dead process costs the file it had. Raises OSError, DataError."""
        assert self.process.stdout is not None
        while True:
            line = self.process.stdout.readline()
            if not line.endswith("\n"):
                return self._died()
            self.seen, said = time.monotonic(), json.loads(line)
            if not self.greeted:
                self.greeted, self.since = True, self.seen  # Only now its file's time begins.
            if "failed" in said:
                raise OSError(said["failed"], said["words"])
            if "beat" not in said:
                break
        number, self.since = self.given.popleft()[0], self.seen
        if "refused" in said:
            return number, Refused(said["refused"])
        self.row = said["first"] + said["rows"]
        return number, Read(lane=self.number, **said)

    def _died(self) -> tuple[int, Outcome]:
        """The file that ended the process is refused; the one behind it goes to a new process."""
        self.process.kill()
        code = self.process.wait()
        if not self.greeted:
            raise DataError(f"the process that decodes videos does not start ({_how(code)}); is there enough memory?")
        with self._ends:
            if self.closing:
                raise DataError("decoding was stopped")
            waiting, verdict = list(self.given), self.verdict
            self._close_pipes()
            self.given.clear()
            self.verdict, self.greeted, self.seen = None, False, time.monotonic()
            self.process = self._start()
        number = waiting[0][0]
        # What took too long may have ended just then; in that case the file behind it is not to blame.
        again = waiting if verdict is not None and verdict[0] != number else waiting[1:]
        for job in again:
            self.give(*job)
        if again is waiting:
            return self.answer()
        return number, Refused(verdict[1] if verdict is not None else f"decoding it crashed ({_how(code)})")

    def check(self, stall: float, longest: float) -> None:
        """Ends the process when its file takes too long; called by another thread than the one that waits."""
        with self._ends:
            now, given = time.monotonic(), list(self.given)
            silent = now - self.seen > stall
            if not self.greeted:
                if now - self.seen > START:
                    self.process.kill()
            elif given and self.verdict is None and (silent or now - self.since > longest):
                reason = f"no frame of it for {stall:g} s" if silent else f"decoding it takes over {longest:g} s"
                self.verdict = (given[0][0], reason)
                self.process.kill()

    def close(self) -> None:
        """Ends the process for good."""
        with self._ends:
            self.closing = True
            self.process.kill()

    def _close_pipes(self) -> None:
        for pipe in (self.process.stdin, self.process.stdout):
            with suppress(OSError):
                if pipe is not None:
                    pipe.close()

    def bury(self) -> None:
        """After `close`, when no thread talks with it any more."""
        self.process.wait()
        self._close_pipes()


class Pool:
    """`workers` processes that write below `folder`; `rows` afterwards says how long each lane is."""

    def __init__(
        self, folder: Path, wanted: Wanted, per: int, workers: int, stall: float = STALL, longest: float = LONGEST
    ) -> None:
        self.stall, self.longest = stall, longest
        self._stopped = False
        self._answers: queue.SimpleQueue[tuple[int, Outcome] | BaseException | None] = queue.SimpleQueue()
        self._take = threading.Lock()
        self.workers = [Worker(number, folder, wanted, per) for number in range(workers)]

    @property
    def rows(self) -> list[int]:
        return [worker.row for worker in self.workers]

    def read(self, files: Sequence[Path]) -> Iterator[tuple[int, Outcome]]:
        """Every file's number and outcome, as they come. Raises OSError when a lane cannot be written."""
        todo = iter(enumerate(files))
        threads = [threading.Thread(target=self._serve, args=(worker, todo), daemon=True) for worker in self.workers]
        try:
            for thread in threads:
                thread.start()
            yield from self._outcomes(len(threads))
        finally:
            self._stopped = True
            for worker in self.workers:
                worker.close()
            for thread in threads:
                if thread.ident is not None:
                    thread.join()
            for worker in self.workers:
                worker.bury()

    def _outcomes(self, alive: int) -> Iterator[tuple[int, Outcome]]:
        checked = time.monotonic()
        while alive:
            with suppress(queue.Empty):
                found = self._answers.get(timeout=min(0.5, self.stall / 4))
                if isinstance(found, BaseException):
                    raise found
                if found is None:
                    alive -= 1
                else:
                    yield found
            if time.monotonic() - checked > min(0.5, self.stall / 4):
                checked = time.monotonic()
                for worker in self.workers:
                    worker.check(self.stall, self.longest)

    def _serve(self, worker: Worker, todo: Iterator[tuple[int, Path]]) -> None:
        try:
            while not self._stopped:
                while len(worker.given) < AHEAD:
                    with self._take:
                        job = next(todo, None)
                    if job is None:
                        break
                    worker.give(*job)
                if not worker.given:
                    break
                self._answers.put(worker.answer())
            self._answers.put(None)
        except BaseException as error:
            self._answers.put(error)


def _how(code: int) -> str:
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"exit code {code}"
