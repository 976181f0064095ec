"""The contract of setup.cfg: a module imports from its own layer's package, or from layers below."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("importlinter", reason="import-linter is not installed")

REPOSITORY = Path(__file__).parents[1]
LINT_IMPORTS = "from importlinter.cli import lint_imports_command; lint_imports_command()"


def lint_imports(folder):
    """Check the package in a folder against the contract in the folder's setup.cfg."""
    environment = os.environ | {"PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-c", LINT_IMPORTS, "--no-cache"]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture
def package(tmp_path):
    """A copy of the package without its data, beside a copy of setup.cfg."""
    shutil.copytree(
        REPOSITORY / "sct_rootlets",
        tmp_path / "sct_rootlets",
        ignore=shutil.ignore_patterns("__pycache__", "*.pth", "*.json"),
    )
    shutil.copy(REPOSITORY / "setup.cfg", tmp_path)
    return tmp_path / "sct_rootlets"


def test_no_import_runs_up():
    done = lint_imports(REPOSITORY)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("module", "line", "broken"),
    [
        ("levels.py", "from sct_rootlets.image import Volume\n", "levels is not allowed to import sct_rootlets.image"),
        (
            "subject.py",
            "def lazily():\n    from sct_rootlets.output import files\n",
            "subject is not allowed to import sct_rootlets.output",
        ),
    ],
    ids=["at the top", "lazily"],
)
def test_an_import_that_runs_up_breaks_the_contract(package, module, line, broken):
    assert broken not in lint_imports(package.parent).stdout
    with (package / module).open("a", encoding="utf-8") as file:
        file.write(f"\n\n{line}")
    done = lint_imports(package.parent)
    assert done.returncode == 1, done.stdout + done.stderr
    assert broken in done.stdout


def test_a_module_that_is_in_no_layer_breaks_the_contract(package):
    (package / "misplaced.py").write_text('"""A module of no layer."""\n')
    done = lint_imports(package.parent)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "misplaced" in done.stdout
