"""The rules that hold the package together: who may import whom, how long a file may be, what is packaged."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "mediagen"
LONGEST_FILE = 400

# part -> the parts it may import from; "errors" and the part itself are always allowed.
MAY_IMPORT = {
    "errors": set(),
    "machine": {"core"},
    "core": set(),
    "nn": {"core"},
    "objectives": {"core", "nn"},
    "models": {"core", "nn", "objectives"},
    "io": {"core"},
    "data": {"core", "io"},
    "execute": {"core"},
    "metrics": {"core", "nn"},
    "weights": set(),
    "checkpoint": {"core", "models", "io"},
    "catalog": {"core", "models", "checkpoint"},
    "inspection": {"core", "io", "export", "checkpoint", "catalog"},
    "imagination": {"core", "nn", "models", "io", "data", "checkpoint"},
    "train": {"core", "nn", "objectives", "models", "io", "data", "execute", "checkpoint", "metrics"},
    "canvas": {"core", "nn", "models", "io", "execute", "checkpoint", "machine"},
    "video": {"core", "nn", "models", "io", "execute", "data", "checkpoint", "machine"},
    "export": {"core", "io", "canvas", "video", "models", "execute", "checkpoint", "machine"},
    "view": {"core", "io", "canvas", "video", "export", "models", "execute", "checkpoint", "machine", "catalog"},
}
# The shapes that models have, no model among them: all but the core may speak of them.
CONTRACT = "mediagen.models._spec"
NO_TORCH = {"core", "io", "execute", "errors"}
NO_FILES = {"core", "nn", "objectives", "models"}

FILES = sorted(PACKAGE.rglob("*.py"))
FOLDERS = ("mediagen", "cli", "tests", "benchmarks", "samples")
PYTHON = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))


def part_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports_of(path: Path) -> set[str]:
    """Full names of all modules that a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: imports inside mediagen are absolute"
            module = node.module or ""
            # `from mediagen import checkpoint` names a module after the import.
            found.update(f"{module}.{alias.name}" if module == "mediagen" else module for alias in node.names)
    return found


def shown(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", [p for p in FILES if p.name != "__init__.py" or p.parent != PACKAGE], ids=shown)
def test_imports_run_one_way(path: Path) -> None:
    part = part_of(path)
    assert part in MAY_IMPORT, f"{part} has no rule in this test"
    for module in imports_of(path):
        top, _, rest = module.partition(".")
        assert top not in {"cli", "mediagen_cli"}, f"{shown(path)} imports the command line"
        if top != "mediagen":
            continue
        other = rest.split(".")[0]
        if other in {"", "__version__"} | {part, "errors"} or (module == CONTRACT and part not in NO_TORCH):
            continue
        assert other in MAY_IMPORT[part], f"{shown(path)} imports {module}; {part} may use {sorted(MAY_IMPORT[part])}"


@pytest.mark.parametrize("path", [p for p in FILES if part_of(p) in NO_TORCH], ids=shown)
def test_no_torch(path: Path) -> None:
    assert not {m for m in imports_of(path) if m.split(".")[0] == "torch"}


@pytest.mark.parametrize("path", [p for p in FILES if part_of(p) in NO_FILES], ids=shown)
def test_no_files(path: Path) -> None:
    """Models, networks, losses and the core neither read nor write files."""
    io_modules = {"zarr", "PIL", "safetensors", "dask", "distributed", "shutil", "tempfile"}
    assert not {m for m in imports_of(path) if m.split(".")[0] in io_modules}


@pytest.mark.parametrize("path", FILES, ids=shown)
def test_no_pickle(path: Path) -> None:
    assert not {m for m in imports_of(path) if m.split(".")[0] in {"pickle", "dill", "joblib", "cloudpickle"}}
    calls = [ast.unparse(n.func) for n in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(n, ast.Call)]
    assert not {"torch.load", "torch.save"} & set(calls)


@pytest.mark.parametrize("path", PYTHON, ids=shown)
def test_files_are_short(path: Path) -> None:
    assert len(path.read_text("utf-8").splitlines()) <= LONGEST_FILE


def test_packages_are_listed() -> None:
    """The explicit list in pyproject.toml equals the folders, so nothing is left out of the wheel."""
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]["packages"]
    folders = [p for p in PACKAGE.rglob("*") if p.is_dir() and any(p.glob("*.py"))]
    expected = {"mediagen", "mediagen_cli"} | {".".join(p.relative_to(ROOT).parts) for p in folders}
    assert set(listed) == expected
    assert listed == sorted(listed)


@pytest.mark.parametrize(
    "code",
    [
        "import mediagen",
        "import mediagen; mediagen.__version__; dir(mediagen)",
        "import mediagen.models; mediagen.models.names()",
        "import mediagen.io.store, mediagen.execute.inline",
        "from mediagen_cli.main import main; main(['--help'])",
        "from mediagen_cli.main import main; main(['canvas', '--help'])",
        "from mediagen_cli.main import main; main(['train', '--help'])",
        "from mediagen_cli.main import main; main(['view', '--help'])",
        "import mediagen.view.planes, mediagen.view.app, mediagen.view.serve, mediagen.view.canvases",
        "from mediagen_cli.main import main; main(['export', '--help'])",
        "from mediagen_cli.main import main; main(['flyover', '--help'])",
        "import mediagen.export",
        "from mediagen_cli.main import main; main(['imagine', '--help'])",
        "from mediagen_cli.main import main; main(['video', '--help'])",
        "import mediagen.io.video_file, mediagen.inspection",
        "from mediagen_cli.main import main; main(['canvas', '--width', 'many'])",
    ],
)
def test_without_torch(code: str) -> None:
    """Importing torch takes seconds: neither `import mediagen` nor help may pay them."""
    probe = f"import sys\n{code}\nassert 'torch' not in sys.modules, 'torch was imported'"
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=False, cwd="/")
    assert done.returncode == 0, done.stderr


def test_completion_without_torch() -> None:
    probe = (
        "import os, sys\n"
        "os.environ |= {'_MEDIAGEN_COMPLETE': 'complete_bash', 'COMP_WORDS': 'mediagen train inf', 'COMP_CWORD': '2'}\n"
        "from mediagen_cli.main import app\n"
        "try:\n    app(prog_name='mediagen')\n"
        "except SystemExit:\n    pass\n"
        "assert 'torch' not in sys.modules, 'torch was imported'"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=False, cwd="/")
    assert done.returncode == 0, done.stderr
    assert "infinitygan" in done.stdout
