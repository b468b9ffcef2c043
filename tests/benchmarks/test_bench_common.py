"""What the benchmarks say of their children's memory, and of themselves."""

import json
import resource
import sys
import time

import common
from report import section

from mediagen.execute.memory import peak_memory

HOLD = "import time; held = b'x' * 60_000_000; time.sleep(0.3); print(len(held))"


def test_a_childs_peak_is_its_own():
    """Not that of this process, which has loaded torch."""
    mine = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    assert mine > 150_000_000, "the test needs a parent that is larger than its child"
    ran = common.run([sys.executable, "-c", HOLD])
    assert (ran.code, ran.out) == (0, "60000000\n")
    assert 60_000_000 < ran.peak < 120_000_000
    assert peak_memory() >= ran.peak


def test_what_a_program_reports_of_itself_is_its_own_too():
    held = bytearray(b"x") * 500_000_000
    ran = common.run([sys.executable, "-c", "from mediagen.execute.memory import peak_memory; print(peak_memory())"])
    del held
    assert ran.code == 0, ran.err
    assert 0 < int(ran.out) < 500_000_000


def test_a_child_is_killed_when_its_time_is_over():
    start = time.perf_counter()
    ran = common.run([sys.executable, "-c", "import time; time.sleep(60)"], kill_after=0.5)
    assert ran.code == -9
    assert time.perf_counter() - start < 30


def test_a_result_tells_its_command_without_this_machines_places(tmp_path, monkeypatch):
    said = ["it.py", "--rounds", "5", "--out", str(tmp_path), f"--images={tmp_path}", "--quick"]
    monkeypatch.setattr(sys, "argv", said)
    asked = common.arguments("it", rounds={"type": int}, images={})
    found = {"title": "It", "about": "What it is.", "tables": [common.table("A table", [{"a": 1}])]}
    common.finish("it", asked, found, common.machine(), 1.0)
    result = json.loads((tmp_path / "it.json").read_text())
    assert result["command"] == "python benchmarks/it.py --rounds 5 --quick"
    assert "## It" in section(result)
