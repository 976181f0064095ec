"""From BIDS folders to trained folds, step by step; a step that is done is not done again.

In the output folder: ``checks.tsv`` and pictures in ``checks/``, ``splits.tsv``, ``logs/``, nnU-Net's three folders; in
the raw dataset ``train.json``, which says what is trained on. nnU-Net runs in processes of its own
(`sct_rootlets.nnunet.worker`).
"""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from sct_rootlets.errors import DatasetError, ModelError
from sct_rootlets.nnunet.checks import Problem
from sct_rootlets.nnunet.dataset import NAME, Labelled, examine, find_labelled, write_dataset
from sct_rootlets.nnunet.splits import Split, make_split, read_split, summary, write_table
from sct_rootlets.nnunet.worker import FINISHED
from sct_rootlets.output.files import staged_outputs

#: nnU-Net's name of the folder with results.
RESULTS = "RootletsTrainer__nnUNetPlans__3d_fullres"
#: What a training is of, in the raw dataset.
STATE = "train.json"
_FOLDERS = ("raw", "preprocessed", "results")


@dataclass(frozen=True)
class Settings:
    """What is trained, and how.

    Attributes
    ----------
    bids, labels : tuple of Path
        BIDS folders, and folders of labels in place of theirs.
    contrasts, exclude : tuple of str
        See `sct_rootlets.nnunet.dataset.find_labelled`.
    splits : Path, optional
        A split of the user's.
    n_folds : int
    test_share : float
        Share of the subjects kept for the test.
    seed : int
    folds : tuple of int
        To train; all by default.
    epochs : int
    iterations : int, optional
        Of an epoch; nnU-Net's own by default.
    device : {"cpu", "cuda", "mps"}
    threads : int, optional
        Processes that read and augment, and on a CPU threads of the network. nnU-Net's own by default.
    start : str, optional
        Model to start from: its plan and its weights.
    like : str, optional
        Model whose plan is taken, without its weights.
    memory_gb : float, optional
        Of the GPU that nnU-Net plans for.
    """

    bids: tuple[Path, ...]
    labels: tuple[Path, ...] = ()
    contrasts: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    splits: Path | None = None
    n_folds: int = 5
    test_share: float = 0.2
    seed: int = 0
    folds: tuple[int, ...] = ()
    epochs: int = 1000
    iterations: int | None = None
    device: str = "cuda"
    threads: int | None = None
    start: str | None = None
    like: str | None = None
    memory_gb: float | None = None


def check(settings: Settings, folder: Path, pictures: bool = True) -> tuple[list[Labelled], list[Problem]]:
    """Check all scans; writes ``checks.tsv``, and a picture a scan.

    Returns
    -------
    scans : list of Labelled
        Those that could be read.
    problems : list of Problem
    """
    named, problems = find_labelled(settings.bids, settings.labels, settings.contrasts, settings.exclude)
    scans = []
    with staged_outputs(folder / "checks") as stage:
        for name, scan in named:
            labelled, found = examine(name, scan, stage / f"{name}.png" if pictures else None)
            problems += found
            scans += [labelled] if labelled is not None else []
    with staged_outputs(folder) as stage, (stage / "checks.tsv").open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, delimiter="\t", lineterminator="\n")
        table.writerow(["scan", "severity", "problem"])
        table.writerows([problem.scan, problem.severity, problem.text] for problem in problems)
    return scans, problems


def refuse_errors(problems: Sequence[Problem]) -> None:
    """Raise a `DatasetError` if a problem would spoil the training."""
    errors = [problem for problem in problems if problem.severity == "error"]
    if errors:
        more = f" (and {len(errors) - 1} more: see checks.tsv)" if len(errors) > 1 else ""
        raise DatasetError(
            f"{errors[0].scan}: {errors[0].text}{more}; mend the labels, or leave scans out with -exclude"
        )


def split_of(settings: Settings, scans: Sequence[Labelled]) -> tuple[Split, list[str]]:
    """The user's split, or one made at random, and notes."""
    cases = [scan.case for scan in scans]
    if settings.splits is not None:
        return read_split(settings.splits, cases, settings.n_folds, settings.seed)
    return make_split(cases, settings.n_folds, settings.test_share, settings.seed), []


def write_split(folder: Path, scans: Sequence[Labelled], split: Split) -> None:
    """Write ``splits.tsv`` and ``splits_final.json``; refuse where a training with another split has begun."""
    refuse_other(folder, {"splits": split.as_nnunet()})
    with staged_outputs(folder) as stage:
        write_table(stage / "splits.tsv", [scan.case for scan in scans], split)
        (stage / "splits_final.json").write_text(json.dumps(split.as_nnunet(), indent=2) + "\n", encoding="utf-8")


def require_nnunet(device: str = "cpu") -> None:
    """Raise a `ModelError` if nnU-Net cannot be run here, or should not be."""
    from sct_rootlets.sct.installation import nnunet_notes

    notes = nnunet_notes()
    if notes:
        raise ModelError(notes[0])
    if find_spec("nnunetv2") is None:
        raise ModelError(
            'training needs nnU-Net: pip install "sct_rootlets[nnunet]", but never into the environment of SCT'
        )
    from sct_rootlets.models.requirements import import_torch

    torch = import_torch()
    available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not available[device]:
        raise ModelError(
            f"the device {device} is not available here; use -device cpu (slow), or train on another machine"
        )


def train(settings: Settings, folder: Path, say: Callable[[str], None] = print) -> Path:
    """Check, split, plan, preprocess and train; what a run before has done is not done again.

    Parameters
    ----------
    settings : Settings
    folder : Path
        The output folder.
    say : callable
        Takes lines for the user.

    Returns
    -------
    Path
        nnU-Net's folder with the results.

    Raises
    ------
    DatasetError
        If labels, splits or folders are not as they should be, or differ from those of the run that began here.
    ModelError
        If nnU-Net cannot be run, or fails.
    """
    import filelock

    require_nnunet(settings.device)
    plans = _plans_of(settings)
    with staged_outputs(folder):  # that it can be written to
        pass
    with filelock.FileLock(folder / ".lock"):  # folds may be trained at once, by several commands
        n_folds = _prepare(settings, folder, plans, say)
    for fold in settings.folds or range(n_folds):
        _train_fold(settings, folder, fold, say)
    return folder / "nnUNet_results" / NAME / RESULTS


def _prepare(settings: Settings, folder: Path, plans: Path | None, say: Callable[[str], None]) -> int:
    """Do all that comes before training; returns the number of folds."""
    scans, problems = check(settings, folder, pictures=not (folder / "nnUNet_raw").exists())
    for problem in problems:
        say(str(problem))
    refuse_errors(problems)
    split, notes = split_of(settings, scans)
    for line in [*notes, *summary(split)]:
        say(line)
    wrong = [fold for fold in settings.folds if fold not in range(len(split.folds))]
    if wrong:
        raise DatasetError(f"there is no fold {wrong[0]}; the split has {len(split.folds)}, counted from 0")
    _begin(settings, folder, scans, split)
    _plan(settings, folder, plans, say)
    return len(split.folds)


def _plans_of(settings: Settings) -> Path | None:
    """Return ``plans.json`` of the model to start from, or to be like."""
    model = settings.start or settings.like
    return None if model is None else model_folder(model) / "plans.json"


def model_folder(model: str) -> Path:
    """Trainer's folder of a model by its name or path; ``bundled`` is the bundled network of rootlets.

    Raises
    ------
    ModelError
        If there is none.
    """
    from sct_rootlets.models.model import trainer_folder
    from sct_rootlets.models.store import find_model

    weights = find_model(model)
    return trainer_folder(weights.folder / "rootlets" if weights.is_bundled else weights.folder)


def _state(settings: Settings, scans: Sequence[Labelled], split: Split) -> dict[str, Any]:
    """What may not change between the runs of a training."""
    return {
        "scans": {scan.case.name: [scan.case.image_hash, scan.label_hash] for scan in scans},
        "splits": split.as_nnunet(),
        "plan": {"start": settings.start, "like": settings.like, "memory_gb": settings.memory_gb},
    }


def refuse_other(folder: Path, state: dict[str, Any]) -> bool:
    """Whether a training was begun in a folder; raise a `DatasetError` if it was one of something else."""
    raw = folder / "nnUNet_raw"
    try:
        before = json.loads((raw / NAME / STATE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        if raw.exists():
            raise DatasetError(
                f"{raw} is there already and was not made by this command; give another -ofolder"
            ) from None
        return False
    for key, what in (
        ("scans", "scans or labels differ"),
        ("splits", "the split of the subjects differs"),
        ("plan", "the plan differs"),
    ):
        if key in state and before.get(key) != state[key]:
            raise DatasetError(
                f"{folder} was begun with other data: {what}; give another -ofolder (-splits "
                f"{folder}/splits.tsv keeps test subjects out of the training there)"
            )
    return True


def _begin(settings: Settings, folder: Path, scans: Sequence[Labelled], split: Split) -> None:
    """Write the dataset, in one step; or, where a run before has, make sure that it was of the same scans and split."""
    state = _state(settings, scans, split)
    if refuse_other(folder, state):
        return
    write_split(folder, scans, split)
    stage = Path(tempfile.mkdtemp(prefix=".sct_rootlets-", dir=folder))
    try:
        dataset = write_dataset(stage / "raw", scans, split)
        (dataset / STATE).write_text(json.dumps(state, indent=1) + "\n", encoding="utf-8")
        (stage / "raw").replace(folder / "nnUNet_raw")
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def _plan(settings: Settings, folder: Path, plans: Path | None, say: Callable[[str], None]) -> None:
    done = folder / "nnUNet_preprocessed" / NAME / "planned.json"
    if done.exists():
        return
    say("planning and preprocessing, by nnU-Net")
    like = None if plans is None else str(plans.absolute())
    _run(folder, "plan", {"like": like, "memory_gb": settings.memory_gb, "threads": _threads(settings)}, settings)
    done.write_text(json.dumps({"like": like}) + "\n", encoding="utf-8")


def _train_fold(settings: Settings, folder: Path, fold: int, say: Callable[[str], None]) -> None:
    finished = folder / "nnUNet_results" / NAME / RESULTS / f"fold_{fold}" / FINISHED
    if finished.exists() and json.loads(finished.read_text(encoding="utf-8"))["epochs"] >= settings.epochs:
        say(f"fold {fold} is trained already")
        return
    say(f"fold {fold}: training on {settings.device}; the log is {folder / 'logs' / f'train-{fold}.log'}")
    start = None if settings.start is None else str(model_folder(settings.start).absolute())
    step = {
        "fold": fold,
        "epochs": settings.epochs,
        "iterations": settings.iterations,
        "device": settings.device,
        "threads": _threads(settings),
        "start": start,
    }
    _run(folder, "train", step, settings, f"-{fold}")
    for line in _validation(finished.parent / "validation" / "summary.json"):
        say(f"fold {fold}: {line}")


def _validation(path: Path) -> list[str]:
    """Dice by level in nnU-Net's own validation, as a line."""
    from sct_rootlets.levels import level_name

    try:
        means = json.loads(path.read_text(encoding="utf-8"))["mean"]
    except (OSError, ValueError, KeyError):
        return []
    parts = [
        f"{level_name(int(value), 'spinal')} {scores['Dice']:.2f}"
        for value, scores in means.items()
        if scores.get("Dice") is not None and scores["Dice"] == scores["Dice"]  # nan where nobody has the level
    ]
    return [f"Dice on the scans validated on: {', '.join(parts)}"] if parts else []


def _threads(settings: Settings) -> int:
    return settings.threads or min(8, os.cpu_count() or 1)


def _run(folder: Path, step: str, arguments: dict[str, Any], settings: Settings, suffix: str = "") -> None:
    """Run a step in a process of its own, into a log.

    Raises
    ------
    ModelError
        If it fails, with the line that says why.
    """
    log = folder / "logs" / f"{step}{suffix}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, **{f"nnUNet_{what}": str((folder / f"nnUNet_{what}").absolute()) for what in _FOLDERS}}
    environment |= {"nnUNet_def_n_proc": str(_threads(settings)), "PYTHONUNBUFFERED": "1"}
    if settings.threads is not None:
        environment["nnUNet_n_proc_DA"] = str(settings.threads)
    before = log.stat().st_size if log.exists() else 0
    with tempfile.TemporaryDirectory() as name, log.open("a", encoding="utf-8") as output:
        path = Path(name, "step.json")
        path.write_text(json.dumps(arguments), encoding="utf-8")
        command = [sys.executable, "-m", "sct_rootlets.nnunet.worker", step, str(path)]
        with _killed_with_children(
            subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=environment, start_new_session=True)
        ) as process:
            status = process.wait()
    if status < 0:
        raise ModelError(f"nnU-Net was killed ({step}, signal {-status}), perhaps for lack of memory; see {log}")
    if status:
        said = log.read_bytes()[before:].decode("utf-8", errors="replace")
        raise ModelError(f"nnU-Net failed ({step}): {_error_of(said)}; the whole of it is in {log}")


def _error_of(output: str) -> str:
    """The line that says what went wrong: of the last traceback, if there is one, what begins behind its frames."""
    _, traceback, last = output.rpartition("Traceback (most recent call last):")
    lines = [line for line in last.splitlines() if line.strip()] or ["it says nothing"]
    named = [line for line in lines if not line.startswith(" ")] if traceback else []
    return (named or lines[-1:])[0].strip()


@contextmanager
def _killed_with_children(process: subprocess.Popen[Any]) -> Iterator[subprocess.Popen[Any]]:
    """When this process is interrupted, end the other one and those that it has started."""
    try:
        yield process
    finally:
        if process.poll() is None:
            if hasattr(os, "killpg"):
                os.killpg(process.pid, signal.SIGTERM)
            else:
                process.terminate()
            process.wait()
