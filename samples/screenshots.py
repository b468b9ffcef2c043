"""Makes the documentation's pictures of `mediagen view`: `python samples/screenshots.py docs/images [RUN]`.

Needs Chromium and playwright. RUN is the folder of a training; without one its page is left out.
"""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Page, sync_playwright

QUALITY = 86
DONE = "body.ready #map[data-pending='0'][data-ready=true]"


@contextmanager
def viewing(*words: object) -> Iterator[str]:
    """`mediagen view WORDS` while the context lasts; its address."""
    command = [sys.executable, "-m", "mediagen_cli", "view", "--no-open", *map(str, words)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


class Camera:
    """Opens pages in one browser and keeps what they look like."""

    def __init__(self, browser: Any, folder: Path) -> None:
        self.browser, self.folder = browser, folder

    @contextmanager
    def page(self, address: str, theme: str = "light", height: int = 760) -> Iterator[Page]:
        size = {"width": 1280, "height": height}
        context = self.browser.new_context(viewport=size, color_scheme=theme, accept_downloads=True)
        page = context.new_page()
        page.set_default_timeout(180_000)
        page.goto(address)
        yield page
        context.close()

    def take(self, page: Page, name: str, wait: int = 700) -> None:
        page.wait_for_timeout(wait)
        with Image.open(io.BytesIO(page.screenshot())) as picture:
            picture.convert("RGB").save(self.folder / f"{name}.jpg", quality=QUALITY, optimize=True)


def settle(page: Page) -> None:
    page.locator(DONE).wait_for()


def plane(camera: Camera, scratch: Path) -> None:
    """The endless plane: a first look, unpainted ground, a place far out, style centres, a rectangle."""
    with viewing("--cache", scratch / "blocks", "--seed", 0) as address:
        with camera.page(f"{address}#8420,0,-0.6") as page:
            settle(page)
            camera.take(page, "view-plane")
        with camera.page(f"{address}#5600,0,-0.7", "dark") as page:
            settle(page)
            page.keyboard.press("p")
            page.mouse.move(1100, 500)
            page.mouse.down()
            page.mouse.move(420, 470, steps=8)
            page.mouse.up()
            camera.take(page, "view-unpainted", wait=1500)
        with camera.page(f"{address}#1000000000000,0,-0.6") as page:
            settle(page)
            page.keyboard.press("p")
            camera.take(page, "view-far")
        centres = "centre=12300:-60:6;centre=13080:90:12;centre=13700:-120:3"
        with camera.page(f"{address}#13100,0,-0.6;blend=511;{centres}", "dark") as page:
            settle(page)
            handle = page.locator(".centre").nth(1).bounding_box()
            assert handle is not None
            page.mouse.move(handle["x"] + 22, handle["y"] + 22)
            page.mouse.down()
            page.mouse.move(handle["x"] + 62, handle["y"] - 20, steps=6)
            page.mouse.up()
            page.wait_for_timeout(300)
            settle(page)
            camera.take(page, "view-centres")
        with camera.page(f"{address}#5900,0,-0.5") as page:
            settle(page)
            page.keyboard.down("Shift")
            page.mouse.move(260, 230)
            page.mouse.down()
            page.mouse.move(720, 470, steps=6)
            page.mouse.up()
            page.keyboard.up("Shift")
            camera.take(page, "view-export")


def canvas(camera: Camera, scratch: Path) -> None:
    """All of a long canvas."""
    path = scratch / "panorama.zarr"
    words = ["canvas", path, "--width", "12000", "--quiet"]
    subprocess.run([sys.executable, "-m", "mediagen_cli", *map(str, words)], check=True, stdout=subprocess.DEVNULL)
    with viewing(path) as address, camera.page(address, "dark", 360) as page:
        settle(page)
        page.keyboard.press("f")
        settle(page)
        camera.take(page, "view-overview")


def clips(camera: Camera, scratch: Path) -> None:
    """A contact sheet of lava lamps, one of them playing."""
    folder = scratch / "lamps"
    folder.mkdir()
    for seed in range(1, 11):
        words = ["video", folder / f"lamp-{seed:02d}.mp4", "--seed", seed, "--frames", 64, "--quiet"]
        subprocess.run([sys.executable, "-m", "mediagen_cli", *map(str, words)], check=True, stdout=subprocess.DEVNULL)
    with viewing(folder) as address, camera.page(address) as page:
        page.locator(".clip").nth(9).wait_for()
        page.wait_for_timeout(1500)
        page.locator(".clip").nth(1).hover()
        camera.take(page, "view-clips", wait=2500)


def run(camera: Camera, folder: Path) -> None:
    """A training."""
    with viewing(folder) as address, camera.page(address, "dark") as page:
        page.locator(".chart").first.wait_for()
        page.locator("#stage :is(img, video)").wait_for()
        camera.take(page, "view-run", wait=1500)


def main(folder: Path, training: Path | None) -> None:
    program = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as scratch:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        camera = Camera(browser, folder)
        plane(camera, Path(scratch))
        canvas(camera, Path(scratch))
        clips(camera, Path(scratch))
        if training is not None:
            run(camera, training)
        browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else None)
