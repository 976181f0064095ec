"""A Spinal Cord Toolbox in miniature, installed as its installer does it, and this package installed into it by pip."""

import hashlib
import os
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]

MODELS = """\
import os
MODELS = {"theirs": {"url": ["x"], "thr": None}}
TASKS = {"rootlets": {"description": "SCT's own", "models": ["theirs"]}}
if os.environ.get("MINIATURE") == "no tasks":
    del TASKS
"""
SCRIPT = """\
import os, sys

def init_sct():
    print("SCT starts")

from spinalcordtoolbox.deepseg import models

def get_parser(task=None):
    raise SystemExit("no parser in the miniature")

if os.environ.get("MINIATURE") == "old":
    def get_parser():
        pass

def main(argv):
    print("tasks", *sorted(getattr(models, "TASKS", ())))
    print("argv", *argv)

if __name__ == "__main__":
    init_sct()
    main(sys.argv[1:])
"""
LAUNCHER = """\
import os, subprocess, sys
def main():
    script = os.path.join(os.path.dirname(os.path.dirname(__file__)), "scripts", os.path.basename(sys.argv[0]) + ".py")
    return subprocess.call([sys.executable, script, *sys.argv[1:]])
"""
COMMANDS = {
    "sct_rootlets": "sct_rootlets.cli.main:main",
    "sct_deepseg": "sct_rootlets.cli.deepseg:console",
    "sct_compute_spinal_levels": "sct_rootlets.cli.compute_spinal_levels:main",
}


class Miniature:
    """An installation in a folder, with its own Python environment and copies of its commands in ``bin``."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.environment = folder / "python" / "envs" / "venv_sct"
        venv.EnvBuilder(with_pip=False, symlinks=True).create(self.environment)
        self.python = self.environment / "bin" / "python"
        self.scripts = self.environment / "bin"
        self.site_packages = next(self.environment.glob("lib/python*/site-packages"))
        self.wheel = _wheel(folder.parent)
        package = folder / "spinalcordtoolbox"
        files = {
            "__init__.py": "",
            "version.txt": "7.9\n",
            "deepseg/__init__.py": "",
            "deepseg/models.py": MODELS,
            "scripts/__init__.py": "",
            "scripts/sct_deepseg.py": SCRIPT,
            "compat/__init__.py": "",
            "compat/launcher.py": LAUNCHER,
        }
        for name, text in files.items():
            (package / name).parent.mkdir(parents=True, exist_ok=True)
            (package / name).write_text(text)
        (self.site_packages / "sct.pth").write_text(f"{folder}\n")
        (folder / "bin").mkdir()
        for name in ("sct_deepseg", "sct_image"):
            for place in (self.scripts, folder / "bin"):
                text = "import sys\nfrom spinalcordtoolbox.compat.launcher import main\nsys.exit(main())\n"
                (place / name).write_text(f"#!{self.python}\n{text}")
                (place / name).chmod(0o755)

    def pip(self, *arguments):
        command = [sys.executable, "-m", "pip", "--python", str(self.python), "-q", "--disable-pip-version-check"]
        # On PYTHONPATH pip would find the repository's own metadata, and take that for what is installed.
        clean = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        subprocess.run([*command, *arguments], check=True, capture_output=True, env=clean)

    def install(self):
        self.pip("install", "--no-deps", "--no-index", "--force-reinstall", str(self.wheel))

    def uninstall(self):
        self.pip("uninstall", "-y", "sct_rootlets")

    def run(self, command, *arguments, **environment):
        """Run a command of the environment (``python``, too), or of the folder on the PATH (``bin/...``)."""
        place = self.folder / command if command.startswith("bin/") else self.scripts / command
        clean = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "SCT_DIR")}
        clean |= {"PYTHONDONTWRITEBYTECODE": "1", **environment}
        return subprocess.run([place, *arguments], capture_output=True, text=True, check=False, env=clean, cwd="/")

    def state(self):
        """Every file with its mode and the hash of its content, every link with its target."""
        found = {}
        for path in sorted(self.folder.rglob("*")):
            if path.is_symlink():
                found[str(path)] = str(path.readlink())
            elif path.is_file() and path.suffix != ".pyc":
                found[str(path)] = (path.stat().st_mode, hashlib.sha256(path.read_bytes()).hexdigest())
        return found


def _wheel(folder: Path) -> Path:
    """A wheel of the metadata alone, whose code is that of the repository."""
    info = "sct_rootlets-9.9.dist-info"
    points = "".join(f"{name} = {place}\n" for name, place in COMMANDS.items())
    files = {
        "repository.pth": f"{REPOSITORY}\n",
        f"{info}/METADATA": "Metadata-Version: 2.1\nName: sct_rootlets\nVersion: 9.9\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": f"[console_scripts]\n{points}",
    }
    files[f"{info}/RECORD"] = "".join(f"{name},,\n" for name in [*files, f"{info}/RECORD"])
    path = folder / "sct_rootlets-9.9-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return path


@pytest.fixture(scope="session")
def installed_miniature(tmp_path_factory):
    pytest.importorskip("pip", reason="pip is not installed")
    if os.name == "nt":
        pytest.skip("linking is not for Windows")
    made = Miniature(tmp_path_factory.mktemp("miniature") / "sct")
    shutil.copytree(made.folder, made.folder.with_name("bare"), symlinks=True)
    made.install()
    shutil.copytree(made.folder, made.folder.with_name("installed"), symlinks=True)
    return made


def _restored(miniature: Miniature, state: str) -> Miniature:
    shutil.rmtree(miniature.folder)
    shutil.copytree(miniature.folder.with_name(state), miniature.folder, symlinks=True)
    return miniature


@pytest.fixture
def bare(installed_miniature):
    """The miniature without this package."""
    return _restored(installed_miniature, "bare")


@pytest.fixture
def miniature(installed_miniature):
    """The miniature with this package installed, not linked."""
    return _restored(installed_miniature, "installed")
