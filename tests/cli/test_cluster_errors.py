"""Workers that were started elsewhere, at the command line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SERVER = """
import asyncio, sys
import mediagen
from distributed import Scheduler, Worker
if sys.argv[1] != "same":
    mediagen.__version__ = sys.argv[1]
async def main():
    async with Scheduler(host="127.0.0.1", port=0, dashboard=False, dashboard_address="127.0.0.1:0") as scheduler:
        worker = await Worker(scheduler.address, nthreads=2)
        print(scheduler.address, flush=True)
        await asyncio.sleep(60)
asyncio.run(main())
"""


@pytest.mark.parametrize("version", ["0.0.0.other", "same"])
def test_workers_of_another_version_are_refused(mediagen: Any, tiny: Path, tmp_path: Path, version: str) -> None:
    words = [sys.executable, "-c", SERVER, version]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        try:
            assert server.stdout is not None
            address = server.stdout.readline().strip()
            ran = mediagen(
                "canvas", "a.zarr", "--width", 40, "--height", 16, "--model", tiny, "--scheduler", address, "-q"
            )
        finally:
            server.kill()
    if version == "same":
        assert (ran.code, ran.err) == (0, "")
        assert (tmp_path / "a.png").is_file()
        return
    assert ran.code == 1
    assert len(ran.err.splitlines()) == 1
    assert f"has mediagen {version}, but this process has" in ran.err
    assert not (tmp_path / "a.png").exists()
