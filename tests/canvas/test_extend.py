import shutil

import pytest
from meadow import SMALL, Meadow, tree

from mediagen.canvas import swap
from mediagen.canvas.extend import extend, larger
from mediagen.canvas.paint import paint
from mediagen.core.geometry import Window
from mediagen.errors import StoreError, UsageError

FIRST = Window(-33, -70, 900, 150)


def painted(folder, window, **changes):
    asked = {
        "width": window.width,
        "height": window.height,
        "x": window.x,
        "y": window.y,
        "seed": 3,
        **SMALL,
        **changes,
    }
    paint(Meadow(), folder / "a.zarr", **asked)
    return tree(folder)


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    folder = tmp_path_factory.mktemp("first")
    painted(folder, FIRST)
    return folder


@pytest.mark.parametrize("side", ["left", "right", "up", "down"])
@pytest.mark.parametrize("pixels", [1, 37, 128, 256, 130])
def test_extending_gives_what_painting_at_once_gives(first, tmp_path, side, pixels):
    (tmp_path / "once").mkdir()
    shutil.copytree(first, tmp_path / "grown")
    at_once = painted(tmp_path / "once", larger(FIRST, side, pixels))
    report = extend(tmp_path / "grown" / "a.zarr", side, pixels, model=Meadow())
    assert tree(tmp_path / "grown") == at_once
    assert report.pixels_painted == larger(FIRST, side, pixels).area - FIRST.area
    if pixels % 64 == 0:
        assert report.shards_skipped >= 20  # linked, not written again


def test_a_canvas_can_grow_round_and_round(tmp_path):
    window = Window(0, -32, 300, 64)
    painted(tmp_path, window)
    for side, pixels in (("left", 100), ("up", 64), ("right", 900), ("down", 33)):
        extend(tmp_path / "a.zarr", side, pixels, model=Meadow())
        window = larger(window, side, pixels)
    (tmp_path / "once").mkdir()
    at_once = painted(tmp_path / "once", window)
    shutil.rmtree(tmp_path / "once")
    assert tree(tmp_path) == at_once


def test_an_interrupted_extension_goes_on(first, tmp_path):
    (tmp_path / "once").mkdir()
    shutil.copytree(first, tmp_path / "grown")
    at_once = painted(tmp_path / "once", larger(FIRST, "left", 130))
    before = tree(tmp_path / "grown" / "a.zarr")
    while True:
        steps = []
        report = extend(
            tmp_path / "grown/a.zarr", "left", 130, model=Meadow(),
            progress=lambda *_, s=steps: s.append(1), should_stop=lambda s=steps: len(s) > 9,
        )  # fmt: skip
        if not report.interrupted:
            break
        assert tree(tmp_path / "grown" / "a.zarr") == before
        with pytest.raises(StoreError, match="another extension was interrupted"):
            extend(tmp_path / "grown/a.zarr", "left", 131, model=Meadow())
    assert tree(tmp_path / "grown") == at_once


@pytest.mark.parametrize("at", ["first rename", "second rename", "discarding", "record", "overview"])
def test_a_crash_while_the_canvases_change_places(first, tmp_path, monkeypatch, at):
    (tmp_path / "once").mkdir()
    shutil.copytree(first, tmp_path / "grown")
    path = tmp_path / "grown" / "a.zarr"
    at_once = painted(tmp_path / "once", larger(FIRST, "down", 64))

    class Crash(BaseException):
        pass

    def crash(*_):
        raise Crash

    def rename_some(count):
        plain, done = type(path).rename, []

        def rename(self, target):
            if str(self).endswith((".zarr", ".extending")):
                done.append(self)
                if len(done) > count:
                    raise Crash
            return plain(self, target)

        return rename

    with monkeypatch.context() as patch:
        if at == "first rename":
            patch.setattr(type(path), "rename", rename_some(0))
        elif at == "second rename":
            patch.setattr(type(path), "rename", rename_some(1))
        elif at == "discarding":
            patch.setattr(swap, "_discard", crash)
        elif at == "record":
            patch.setattr(type(path), "rmdir", crash)
        else:
            patch.setattr(swap, "finish_overview", crash)
        with pytest.raises(Crash):
            extend(path, "down", 64, model=Meadow())
    extend(path, "down", 64, model=Meadow())
    assert tree(tmp_path / "grown") == at_once
    assert sorted(p.name for p in (tmp_path / "grown").iterdir()) == ["a.png", "a.zarr"]


def test_painting_notices_an_exchange_that_was_cut_short(first, tmp_path):
    shutil.copytree(first, tmp_path, dirs_exist_ok=True)
    (tmp_path / "a.zarr").rename(tmp_path / "a.zarr.extending")
    shutil.copytree(first / "a.zarr", tmp_path / "a.zarr.replaced")
    assert paint(Meadow(), tmp_path / "a.zarr", resume=True).shards_skipped == 45
    assert tree(tmp_path) == tree(first)


@pytest.mark.parametrize(
    ("side", "pixels", "said"),
    [
        ("sideways", 5, "left, right, up, down"),
        ("left", 0, "at least 1"),
        ("up", "x", "whole number"),
        ("left", 2**62, "plane ends"),
    ],
)
def test_extensions_that_make_no_sense(first, side, pixels, said):
    before = tree(first)
    with pytest.raises(UsageError, match=said):
        extend(first / "a.zarr", side, pixels, model=Meadow())
    assert tree(first) == before


def test_extending_what_cannot_be_extended(first, tmp_path):
    with pytest.raises(StoreError, match="no canvas"):
        extend(tmp_path / "b.zarr", "left", 5, model=Meadow())
    with pytest.raises(StoreError, match=r"same bits \(model"):
        extend(first / "a.zarr", "left", 5, model=Meadow(weights=2))
    with pytest.raises(StoreError, match="can take up to"):
        extend(first / "a.zarr", "right", 10**12, model=Meadow())
    shutil.copytree(first, tmp_path / "c")
    (tmp_path / "c/a.zarr/0/c/0/0/2").unlink()
    with pytest.raises(StoreError, match="not finished; finish it first: mediagen canvas --width 900"):
        extend(tmp_path / "c/a.zarr", "left", 5, model=Meadow())


def test_a_dry_run_of_an_extension(first):
    before = tree(first)
    report = extend(first / "a.zarr", "right", 100, model=Meadow(), dry_run=True)
    assert (report.width, report.height, report.dry_run) == (1000, 150, True)
    assert tree(first) == before
