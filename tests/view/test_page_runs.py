"""The page of a training: what it tells while the log grows, and that it follows in a real browser."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pages import browsing, serving, watched
from PIL import Image
from starlette.applications import Starlette
from starlette.testclient import TestClient

from mediagen.errors import UsageError
from mediagen.train.snapshot import _write_clip
from mediagen.view.runs import POINTS, Run, routes, thinned

SETTINGS = {
    "model": "mocogan", "preset": "small", "iterations": 1000, "batch": 16, "seed": 0, "made_with": {"torch": "2"},
    "config": {"frames": 16, "channels": [64, 32]},
}  # fmt: skip


@pytest.fixture
def run(tmp_path: Path) -> Path:
    (tmp_path / "config.json").write_text(json.dumps(SETTINGS))
    (tmp_path / "previews").mkdir()
    rows = [{"iteration": 50 * k, "clips": 800 * k, "critic/loss": 1 / k, "swd": 0.1 * k} for k in range(1, 9)]
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path


def preview(run: Path, iteration: int, shade: int, clip: bool = False) -> None:
    pixels = np.full((64, 96, 3), shade, np.uint8)
    Image.fromarray(pixels).save(run / "previews" / f"{iteration:06d}.png")
    if clip:
        _write_clip(run / "previews" / f"{iteration:06d}.mp4", np.stack([pixels] * 16), 8.0)


def test_what_is_told(run: Path) -> None:
    preview(run, 400, 90, clip=True)
    (run / "previews" / "notes.png").write_bytes(b"")
    client = TestClient(Starlette(routes=routes(run)))
    told = client.get("/api/run").json()
    assert (told["name"], told["model"], told["preset"]) == (run.name, "mocogan", "small")
    assert (told["iteration"], told["of"], told["finished"]) == (400, 1000, False)
    assert told["curves"]["critic/loss"][:2] == [[50, 1.0], [100, 0.5]]
    assert set(told["curves"]) == {"critic/loss", "swd"}
    assert told["settings"]["channels"] == [64, 32]
    assert [(p["iteration"], p["kind"]) for p in told["previews"]] == [(400, "clip"), (400, "picture")]
    for shown in told["previews"]:
        assert client.get(shown["url"]).status_code == 200
    for other in ("config.json", "..%2fconfig.json", "notes.png", "000401.png", "٤٠٠.png"):
        assert client.get(f"/media/{other}").status_code == 404


def test_half_a_row_waits_and_rubbish_is_passed_over(run: Path) -> None:
    told = Run(run)
    told.read_log()
    with (run / "log.jsonl").open("a") as log:
        log.write(
            'nonsense\n[1]\n{"iteration": 450, "swd": NaN}\n{"iteration": 460, "swd": 1'
            + "0" * 400
            + '}\n{"iteration": 500, "sw'
        )
        log.flush()
        told.read_log()
        assert told.iteration == 460
        assert told.curves["swd"][-1][0] == 400, "what is no number is not drawn"
        log.write('d": 3.5}\n')
        log.flush()
        told.read_log()
    assert told.curves["swd"][-1] == [500, 3.5]
    assert len(told.curves["critic/loss"]) == 8, "rows are read once"


def test_two_tabs_see_the_same_curves(run: Path) -> None:
    with (run / "log.jsonl").open("a") as log:
        log.writelines(f'{{"iteration": {500 + k}, "swd": {k}.5}}\n' for k in range(5000))
    told = Run(run)
    with ThreadPoolExecutor(4) as pool:
        answers = [future.result() for future in [pool.submit(told.to_json) for _ in range(16)]]
    assert all(answer["curves"] == answers[0]["curves"] for answer in answers)
    steps = [step for step, _ in told.curves["swd"]]
    assert steps == sorted(set(steps)), "rows are read once"


def test_a_training_that_goes_on_writes_its_log_anew(run: Path) -> None:
    told = Run(run)
    told.read_log()
    rows = (run / "log.jsonl").read_text().splitlines(keepends=True)[:4]
    rows += [f'{{"iteration": {250 + k}, "swd": {9.0 + k}}}\n' for k in range(20)]
    (run / "log.new").write_text("".join(rows))
    (run / "log.new").replace(run / "log.jsonl")
    told.read_log()
    assert [p for p in told.curves["swd"] if p[0] in (200, 250, 300)] == [[200, 0.4], [250, 9.0]]
    assert told.iteration == 269


def test_a_curve_is_thinned_but_keeps_its_spikes() -> None:
    points = [[k, 0.0] for k in range(10_000)]
    points[4321][1], points[7777][1] = 5.0, -5.0
    kept = thinned(points)
    assert len(kept) <= POINTS
    assert [4321, 5.0] in kept
    assert [7777, -5.0] in kept
    assert kept[-1] == points[-1]
    assert kept == sorted(kept)
    assert thinned(points[:10]) == points[:10]


def test_no_run(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not a training's folder"):
        routes(tmp_path)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with browsing() as found:
        yield found


def test_the_page_follows_a_training(browser: Any, run: Path) -> None:
    with serving(run) as address, watched(browser, address) as page:
        page.page.goto(address)
        page.page.locator("#count").get_by_text("400 of 1,000").wait_for()
        assert page.page.locator(".chart h3").all_text_contents() == ["swd", "critic/loss"]
        assert page.page.locator("#state span").text_content() == "training"
        assert not page.page.locator("#previews").is_visible()
        preview(run, 400, 90)
        preview(run, 450, 120, clip=True)
        with (run / "log.jsonl").open("a") as log:
            log.write('{"iteration": 450, "swd": 42.0}\n{"iteration": 5')
        page.page.locator("#count").get_by_text("450 of 1,000").wait_for()
        assert page.page.locator(".chart output b").first.text_content() == "42"
        page.page.locator("#stage video").wait_for()
        page.page.locator("#kinds").get_by_text("Picture").click()
        page.page.locator("#stage img[src='/media/000450.png']").wait_for()
        page.page.locator("#strip button").first.click()
        page.page.locator("#stage img[src='/media/000400.png']").wait_for()
        page.page.locator("#latest").click()
        page.page.locator("#stage img[src='/media/000450.png']").wait_for()
        page.page.locator(".chart svg").last.hover(position={"x": 44, "y": 60})
        assert page.page.locator(".chart output").last.text_content() == "1 at 50"
        path = page.page.locator(".chart .smooth").last
        drawn = path.get_attribute("d")
        page.page.locator("#log").check()
        assert path.get_attribute("d") != drawn
