from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image


@pytest.fixture(autouse=True)
def always_one_thread(one_thread: None) -> None:
    """Every training here."""


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six smooth pictures of 24 rows, and a file that is none."""
    folder = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(0)
    for i in range(6):
        coarse = Image.fromarray(rng.integers(0, 256, (3, 5, 3), np.uint8))
        coarse.resize((40 + i, 24), Image.Resampling.BICUBIC).save(folder / f"{i}.png")
    (folder / "notes.txt").write_text("no picture")
    return folder
