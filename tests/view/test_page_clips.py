"""The contact sheet of clips: what it tells, what it serves, and that it plays in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pages import browsing, serving, watched
from PIL import Image
from starlette.applications import Starlette
from starlette.testclient import TestClient

import mediagen
from mediagen.errors import UsageError
from mediagen.view.clips import routes

PLAYS = """(v) => new Promise((done) =>
  v.addEventListener("timeupdate", () => v.currentTime > 0.1 && done()))"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two clips of lava, a GIF, a damaged file, and things that are none of the sheet's business."""
    folder = tmp_path_factory.mktemp("clips")
    for seed in (1, 2):
        mediagen.render_video("lava", folder / f"lamp {seed}.mp4", seed=seed, frames=24)
    (folder / "more").mkdir()
    frames = [Image.fromarray(np.full((32, 48, 3), shade, np.uint8)) for shade in (10, 200)]
    frames[0].save(folder / "more" / "two.gif", save_all=True, append_images=frames[1:], duration=100)
    (folder / "zz broken.mp4").write_bytes(b"not a clip")
    (folder / "notes.txt").write_text("no clip")
    (folder / ".hidden.mp4").write_bytes(b"")
    (folder / "link.mp4").symlink_to("/etc/hostname")
    return folder


@pytest.fixture(scope="module")
def client(folder: Path) -> TestClient:
    return TestClient(Starlette(routes=routes(folder)))


def test_what_is_told(client: TestClient) -> None:
    told = client.get("/api/clips").json()
    clips = told["clips"]
    assert [clip["name"] for clip in clips] == ["lamp 1.mp4", "lamp 2.mp4", "more/two.gif", "zz broken.mp4"]
    first = clips[0]
    assert (first["width"], first["height"], first["frames"]) == (256, 256, 24)
    assert first["seconds"] == pytest.approx(24 / first["fps"])
    assert first["provenance"]["seed"] == 1
    assert first["provenance"]["model"] == "lava"
    assert first["provenance"]["command"].startswith("mediagen video ")
    assert clips[2]["provenance"] is None
    assert (clips[2]["kind"], clips[2]["width"]) == ("picture", 48)
    assert clips[3]["damaged"]


def test_media_by_number_and_range(client: TestClient, folder: Path) -> None:
    data = (folder / "lamp 1.mp4").read_bytes()
    whole = client.get("/media/0")
    assert whole.content == data
    assert whole.headers["content-type"] == "video/mp4"
    part = client.get("/media/0", headers={"range": "bytes=100-199"})
    assert part.status_code == 206
    assert part.content == data[100:200]


@pytest.mark.parametrize("name", ["4", "99", "-1", "999999999999", "٣", "link.mp4", "..%2f..%2fetc%2fhostname", "0x0"])
def test_nothing_else_is_served(client: TestClient, name: str) -> None:
    assert client.get(f"/media/{name}").status_code == 404


def test_what_was_put_in_a_clips_place_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"")
    client = TestClient(Starlette(routes=routes(tmp_path)))
    (tmp_path / "a.mp4").unlink()
    (tmp_path / "a.mp4").symlink_to("/etc/hostname")
    assert client.get("/media/0").status_code == 404


def test_one_clip_and_none(folder: Path, tmp_path: Path) -> None:
    client = TestClient(Starlette(routes=routes(folder / "lamp 2.mp4")))
    assert [clip["name"] for clip in client.get("/api/clips").json()["clips"]] == ["lamp 2.mp4"]
    with pytest.raises(UsageError, match="no clips in it"):
        routes(tmp_path)
    with pytest.raises(UsageError, match="no clip"):
        routes(folder / "notes.txt")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with browsing() as found:
        yield found


def test_it_plays(browser: Any, folder: Path) -> None:
    (folder / "zz broken.mp4").unlink()  # a browser rightly complains about it
    with serving(folder) as address, watched(browser, address, reduced_motion="no-preference") as page:
        page.page.goto(address)
        cards = page.page.locator(".clip")
        cards.nth(0).wait_for()
        assert page.page.locator("#summary").text_content().startswith("3 clips · ")
        video = cards.nth(0).locator("video")

        def moves(which: Any) -> None:
            which.evaluate(PLAYS)

        assert video.evaluate("(v) => v.paused")
        cards.nth(0).hover()
        moves(video)
        cards.nth(1).hover()
        assert video.evaluate("(v) => v.paused")
        cards.nth(0).focus()
        moves(video)
        page.page.keyboard.press("ArrowRight")
        assert video.evaluate("(v) => v.paused")
        page.page.keyboard.press("Enter")
        dialog = page.page.locator("#large")
        dialog.get_by_role("heading", name="lamp 2.mp4").wait_for()
        assert "--seed 2" in dialog.locator("pre").text_content()
        moves(dialog.locator("video"))
        page.page.keyboard.press("ArrowRight")
        dialog.get_by_role("heading", name="more/two.gif").wait_for()
        page.page.keyboard.press("Escape")
        assert not dialog.is_visible()
        page.page.locator("#play-all").click()
        moves(cards.nth(1).locator("video"))
