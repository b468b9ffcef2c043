"""The wheel: builds from the source tree, holds exactly two packages with the weights, and runs from elsewhere."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = ["mediagen", "cli", "pyproject.toml", "README.md", "LICENSE"]


def run(*words: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    clean = {k: v for k, v in os.environ.items() if k not in {"PYTHONPATH", "VIRTUAL_ENV"}}
    done = subprocess.run([str(w) for w in words], cwd=cwd, env=clean, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{words}\n{done.stdout}\n{done.stderr}"
    return done


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy, so that nothing left over in the checkout gets in, and without a network."""
    if importlib.util.find_spec("setuptools") is None:
        pytest.skip("needs setuptools in this environment (it is in the extra `dev`)")
    source = tmp_path_factory.mktemp("source")
    for name in SOURCES:
        path = ROOT / name
        if path.is_dir():
            shutil.copytree(path, source / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(path, source / name)
    out = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", out, ".", cwd=source)
    (found,) = out.glob("mediagen-*.whl")
    return found


@pytest.fixture(scope="module")
def elsewhere(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new environment with the wheel in it; the dependencies are borrowed from the environment of the tests."""
    home = tmp_path_factory.mktemp("elsewhere")
    venv.create(home, with_pip=False, symlinks=True)
    site = next(home.glob("lib/python*/site-packages"))
    run(sys.executable, "-m", "pip", "-q", "--python", home / "bin/python", "install", "--no-deps", wheel, cwd=home)
    # A path in a .pth file lends the modules there without running the .pth files beside them, editable installs' ones.
    (site / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return home


def test_top_level_is_ours_alone(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    top = {name.split("/")[0] for name in names}
    assert {t for t in top if not t.endswith(".dist-info")} == {"mediagen", "mediagen_cli"}
    assert "mediagen/py.typed" in names
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_every_file_is_in_the_wheel(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    code = {p.relative_to(ROOT).as_posix() for p in (ROOT / "mediagen").rglob("*.py")}
    code |= {f"mediagen_cli/{p.name}" for p in (ROOT / "cli").glob("*.py")}
    weights = {p.relative_to(ROOT).as_posix() for p in (ROOT / "mediagen/weights").glob("*") if p.is_file()}
    page = {p.relative_to(ROOT).as_posix() for p in (ROOT / "mediagen/view/static").rglob("*") if p.is_file()}
    assert code | weights | page <= names


def test_the_command_runs_from_elsewhere(elsewhere: Path) -> None:
    shown = run(elsewhere / "bin/mediagen", "--help", cwd=elsewhere).stdout
    assert "canvas" in shown
    code = "import mediagen, mediagen_cli; print(mediagen.__file__)"
    where = run(elsewhere / "bin/python", "-c", code, cwd=elsewhere)
    assert where.stdout.startswith(str(elsewhere))


def test_the_models_are_listed_from_elsewhere(elsewhere: Path) -> None:
    assert "infinitygan" in run(elsewhere / "bin/mediagen", "models", cwd=elsewhere).stdout
