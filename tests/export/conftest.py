"""A stored canvas of odd sides, far off the plane's origin."""

from __future__ import annotations

import numpy as np
import pytest
from export_parts import scene, stored

from mediagen.io.store import CanvasStore


@pytest.fixture(scope="session")
def picture() -> np.ndarray:
    return scene(2301, 517)


@pytest.fixture(scope="session")
def canvas(tmp_path_factory: pytest.TempPathFactory, picture: np.ndarray) -> CanvasStore:
    return stored(tmp_path_factory.mktemp("canvas") / "pano.zarr", picture)
