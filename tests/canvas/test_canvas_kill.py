"""SIGKILL at any moment, then the same command: the bytes of an undisturbed run, and no stray file."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from meadow import tree

SCRIPT = Path(__file__).with_name("meadow.py")
ROOT = Path(__file__).parents[2]


def start(folder, delay):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen([sys.executable, str(SCRIPT), str(folder / "a.zarr"), str(delay)], env=environment)


def run(folder, delay=0.0):
    assert start(folder, delay).wait(60) == 0
    return tree(folder)


def files(folder):
    """How many there are, while another process makes some and takes others away."""
    return sum(len(names) for _, _, names in os.walk(folder))


@pytest.mark.parametrize("moment", [0.0, 0.3, 0.9])
def test_kill_and_say_it_again(tmp_path, moment):
    (tmp_path / "whole").mkdir()
    (tmp_path / "killed").mkdir()
    undisturbed = run(tmp_path / "whole")
    process = start(tmp_path / "killed", 0.03)
    deadline = time.monotonic() + 60
    # Killed when that share of the files is there: the moment of the store's making, the middle, near the end.
    while files(tmp_path / "killed") < moment * len(undisturbed) and time.monotonic() < deadline:
        time.sleep(0.005)
    time.sleep(random.Random(moment).random() * 0.05)
    process.send_signal(signal.SIGKILL)
    assert process.wait(10) in (-signal.SIGKILL, 0)
    if set(tree(tmp_path / "killed")) >= set(undisturbed):
        pytest.skip("it was done before it was killed")
    assert run(tmp_path / "killed") == undisturbed
