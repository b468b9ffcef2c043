"""The real server and a real browser for the tests of the pages, and what a page must never do."""

from __future__ import annotations

import base64
import io
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

SIZE = {"width": 740, "height": 300}
LONG = 120_000
"""Milliseconds that a busy machine is given."""

PIXELS = """() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(
  () => done(document.querySelector(".picture").toDataURL("image/png")))))"""


@contextmanager
def serving(*words: object) -> Iterator[str]:
    """`mediagen view WORDS` as a process of its own; the address that it prints."""
    command = [sys.executable, "-m", "mediagen_cli", "view", "--no-open", *map(str, words)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        try:
            assert process.stdout is not None
            address = process.stdout.readline().strip()
            if not address:
                assert process.stderr is not None
                pytest.fail(process.stderr.read())
            yield address.rstrip("/")
        finally:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(10)
            process.kill()


@contextmanager
def browsing() -> Iterator[Any]:
    """Headless Chromium; skips where there is none."""
    api = pytest.importorskip("playwright.sync_api")
    program = next(
        (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None
    )
    if program is None:
        pytest.skip("there is no Chromium")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@dataclass
class Watched:
    """A page, and what went on beside: faults that must not be, and requests."""

    page: Any
    address: str
    faults: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    aborted: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.set_default_timeout(LONG)
        self.page.on(
            "console", lambda told: self.faults.append(told.text) if told.type in ("error", "warning") else None
        )
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("requestfailed", lambda request: self.aborted.append(request.url))

    def open(self, fragment: str = "") -> None:
        self.page.goto("about:blank")
        self.page.goto(f"{self.address}/{fragment}")
        self.settle()

    def settle(self) -> None:
        """Waits until nothing of the view is missing."""
        self.page.locator("body.ready #map[data-pending='0'][data-ready=true]").wait_for()

    def place(self) -> tuple[int, int]:
        """The middle of the view, from the address bar."""
        self.page.wait_for_timeout(300)  # it is written four times a second at most
        x, y = self.page.url.partition("#")[2].split(";")[0].split(",")[:2]
        return int(x), int(y)

    def pixels(self) -> np.ndarray:
        """The picture without what floats above it, (height, width, 3) uint8."""
        return decoded(data_of(self.page.evaluate(PIXELS)))

    def check(self) -> None:
        """Nothing was blocked or went wrong, and nobody else was asked for anything."""
        assert not self.faults
        strangers = [url for url in self.asked if not url.startswith((self.address, "data:", "blob:", "about:"))]
        assert not strangers


@contextmanager
def watched(browser: Any, address: str, **options: Any) -> Iterator[Watched]:
    """A fresh page without motion, checked at the end."""
    context = browser.new_context(**{"viewport": SIZE, "reduced_motion": "reduce", "accept_downloads": True, **options})
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    try:
        found = Watched(context.new_page(), address)
        yield found
        found.check()
    finally:
        context.close()


def data_of(url: str) -> bytes:
    return base64.b64decode(url.partition(",")[2])


def decoded(data: bytes | Path) -> np.ndarray:
    with Image.open(io.BytesIO(data) if isinstance(data, bytes) else data) as image:
        return np.asarray(image.convert("RGB"))
