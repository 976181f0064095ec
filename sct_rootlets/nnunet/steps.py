"""Steps of nnU-Net, each run in a process of its own with its output in a log."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from sct_rootlets.distribution import requirement
from sct_rootlets.errors import ModelError
from sct_rootlets.nnunet.settings import TrainingSettings
from sct_rootlets.output.files import write_json

_FOLDERS = ("raw", "preprocessed", "results")


def require_nnunet(device: str = "cpu") -> None:
    """Raise a `ModelError` if nnU-Net cannot be run here on a device, or should not be."""
    from sct_rootlets.sct.installation import nnunet_notes

    notes = nnunet_notes()
    if notes:
        raise ModelError(notes[0])
    if find_spec("nnunetv2") is None:
        raise ModelError(
            f"training needs nnU-Net: python -m pip install {requirement('nnunet')}, but never into the environment of "
            "SCT"
        )
    from sct_rootlets.models.requirements import import_torch

    torch = import_torch()
    available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not available[device]:
        raise ModelError(
            f"the device {device} is not available here; use -device cpu (slow), or train on another machine"
        )


def run_step(folder: Path, step: str, arguments: dict[str, Any], settings: TrainingSettings, suffix: str = "") -> None:
    """Run a step of `sct_rootlets.nnunet.worker` in a process of its own.

    Parameters
    ----------
    folder : Path
        The output folder of the training.
    step : {"plan", "train"}
    arguments : dict
        Arguments of the step, fit for JSON.
    settings : TrainingSettings
        Source of the number of threads.
    suffix : str
        Ending of the log's name, ``logs/STEPSUFFIX.log`` in `folder`.

    Raises
    ------
    ModelError
        If the step fails; the message holds the line of the log that tells why.
    """
    log = folder / "logs" / f"{step}{suffix}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    size = log.stat().st_size if log.exists() else 0
    with tempfile.TemporaryDirectory() as name, log.open("a", encoding="utf-8") as output:
        path = Path(name, "step.json")
        write_json(path, arguments)
        command = [sys.executable, "-m", "sct_rootlets.nnunet.worker", step, str(path)]
        with _ended_with_children(
            subprocess.Popen(
                command,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=_environment(folder, settings),
                start_new_session=True,
            )
        ) as process:
            status = process.wait()
    if status < 0:
        raise ModelError(f"nnU-Net was killed ({step}, signal {-status}), perhaps for lack of memory; see {log}")
    if status:
        text = log.read_bytes()[size:].decode("utf-8", errors="replace")
        raise ModelError(f"nnU-Net failed ({step}): {find_error(text)}; the whole of it is in {log}")


def _environment(folder: Path, settings: TrainingSettings) -> dict[str, str]:
    """Return the environment of a step: nnU-Net's folders and numbers of processes."""
    folders = {f"nnUNet_{name}": str((folder / f"nnUNet_{name}").absolute()) for name in _FOLDERS}
    environment = {**os.environ, **folders, "nnUNet_def_n_proc": str(settings.n_threads), "PYTHONUNBUFFERED": "1"}
    if settings.threads is not None:
        environment["nnUNet_n_proc_DA"] = str(settings.threads)
    return environment


def find_error(output: str) -> str:
    """Find the line of an output that tells the error: the first one behind the frames of the last traceback.

    Without a traceback, it is the last line.
    """
    _, traceback, last = output.rpartition("Traceback (most recent call last):")
    lines = [line for line in last.splitlines() if line.strip()] or ["it says nothing"]
    errors = [line for line in lines if not line.startswith(" ")] if traceback else []
    return (errors or lines[-1:])[0].strip()


@contextmanager
def _ended_with_children(process: subprocess.Popen[Any]) -> Iterator[subprocess.Popen[Any]]:
    """End a process and those that it has started when this process is interrupted."""
    try:
        yield process
    finally:
        if process.poll() is None:
            if hasattr(os, "killpg"):
                os.killpg(process.pid, signal.SIGTERM)
            else:
                process.terminate()
            process.wait()
