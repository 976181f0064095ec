"""Preparation of a training: labels are checked, persons are split, and the dataset is written once.

In the output folder: ``checks.tsv`` and pictures in ``checks/``, ``splits.tsv``, ``splits_final.json``, and the raw
dataset, in which ``train.json`` describes the data of the training.
"""

from __future__ import annotations

import json
import logging
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from sct_rootlets.errors import DatasetError
from sct_rootlets.nnunet.checks import Problem, compare_roots
from sct_rootlets.nnunet.dataset import NAME, SPLIT_TABLE, SPLITS, write_dataset
from sct_rootlets.nnunet.scans import LabelledScan, find_labelled, read_labelled
from sct_rootlets.nnunet.settings import TrainingSettings
from sct_rootlets.nnunet.split_files import read_split, write_split_table
from sct_rootlets.nnunet.splits import Split, make_split, summary
from sct_rootlets.output.files import STAGE_PREFIX, staged_outputs, write_json, write_table

_LOGGER = logging.getLogger(__name__)

#: File in the raw dataset that describes the data of a training.
STATE = "train.json"
#: Parts of that description, and what a message says if they differ.
_DIFFERENCES = {
    "scans": "scans or labels differ",
    "splits": "the split of the subjects differs",
    "plan": "the plan differs",
}


def check_scans(
    settings: TrainingSettings, folder: Path, pictures: bool = True
) -> tuple[list[LabelledScan], list[Problem]]:
    """Check all scans, and write ``checks.tsv`` and a picture of each scan.

    Parameters
    ----------
    settings : TrainingSettings
    folder : Path
        The output folder of the training.
    pictures : bool
        Draw the pictures.

    Returns
    -------
    scans : list of LabelledScan
        Scans that could be read.
    problems : list of Problem
    """
    named, problems = find_labelled(settings.bids, settings.labels, settings.contrasts, settings.exclude, settings.desc)
    scans = []
    with staged_outputs(folder / "checks") as stage:
        for number, (name, scan) in enumerate(named, start=1):
            _LOGGER.info("checking %s: scan %d of %d", name, number, len(named))
            labelled, scan_problems = read_labelled(name, scan, stage / name if pictures else None)
            problems += scan_problems
            scans += [labelled] if labelled is not None else []
    problems += compare_roots({labelled.case.name: labelled.roots for labelled in scans})
    rows = [{"scan": problem.scan, "severity": problem.severity, "problem": problem.text} for problem in problems]
    with staged_outputs(folder) as stage:
        write_table(stage / "checks.tsv", ("scan", "severity", "problem"), rows, separator="\t")
    return scans, problems


def refuse_errors(problems: Sequence[Problem]) -> None:
    """Raise a `DatasetError` if a problem would spoil the training."""
    errors = [problem for problem in problems if problem.severity == "error"]
    if errors:
        more = f" (and {len(errors) - 1} more: see checks.tsv)" if len(errors) > 1 else ""
        raise DatasetError(
            f"{errors[0].scan}: {errors[0].text}{more}; mend the labels, or leave scans out with -exclude"
        )


def choose_split(settings: TrainingSettings, scans: Sequence[LabelledScan]) -> tuple[Split, list[str]]:
    """Read the user's split, or make one at random; also return notes."""
    cases = [scan.case for scan in scans]
    if settings.splits is not None:
        return read_split(settings.splits, cases, settings.n_folds, settings.seed, settings.person_clean)
    return make_split(cases, settings.n_folds, settings.test_share, settings.seed), []


def write_split(folder: Path, scans: Sequence[LabelledScan], split: Split) -> None:
    """Write ``splits.tsv`` and ``splits_final.json``.

    Raises
    ------
    DatasetError
        If a training with another split was begun in the folder.
    """
    refuse_other(folder, {"splits": split.as_nnunet()})
    with staged_outputs(folder) as stage:
        write_split_table(stage / SPLIT_TABLE, [scan.case for scan in scans], split)
        write_json(stage / SPLITS, split.as_nnunet())


def check_only(settings: TrainingSettings, folder: Path, say: Callable[[str], None] = print) -> None:
    """Check labels, make the split, and report both, without training.

    Parameters
    ----------
    settings : TrainingSettings
    folder : Path
        The output folder of the training.
    say : callable
        Function that shows a line to the user.

    Raises
    ------
    DatasetError
        If labels or splits are not as they should be.
    """
    scans, problems = check_scans(settings, folder)
    for problem in problems:
        say(str(problem))
    refuse_errors(problems)
    split, notes = choose_split(settings, scans)
    write_split(folder, scans, split)
    say(f"{len(scans)} scans can be trained on; pictures are in {folder / 'checks'}")
    for line in [*notes, *summary(split)]:
        say(line)


def prepare(settings: TrainingSettings, folder: Path, say: Callable[[str], None]) -> int:
    """Check labels, make the split, and write the dataset unless an earlier run has; return the number of folds.

    Raises
    ------
    DatasetError
        If labels, splits or folds are not as they should be, or differ from those of the run that began here.
    """
    scans, problems = check_scans(settings, folder, pictures=not (folder / "nnUNet_raw").exists())
    for problem in problems:
        say(str(problem))
    refuse_errors(problems)
    split, notes = choose_split(settings, scans)
    for line in [*notes, *summary(split)]:
        say(line)
    unknown = [fold for fold in settings.folds if fold != "all" and fold not in range(len(split.folds))]
    if unknown:
        raise DatasetError(f"there is no fold {unknown[0]}; the split has {len(split.folds)}, counted from 0")
    _write_once(settings, folder, scans, split)
    return len(split.folds)


def _write_once(settings: TrainingSettings, folder: Path, scans: Sequence[LabelledScan], split: Split) -> None:
    """Write the dataset, in one step; if an earlier run has, make sure that it was of the same data."""
    state = _describe_data(settings, scans, split)
    if refuse_other(folder, state):
        return
    write_split(folder, scans, split)
    stage = Path(tempfile.mkdtemp(prefix=STAGE_PREFIX, dir=folder))
    try:
        dataset = write_dataset(stage / "raw", scans, split)
        write_json(dataset / STATE, state, indent=1)
        (stage / "raw").replace(folder / "nnUNet_raw")
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def _describe_data(settings: TrainingSettings, scans: Sequence[LabelledScan], split: Split) -> dict[str, Any]:
    """Return what may not change between the runs of a training."""
    return {
        "scans": {scan.case.name: [scan.case.image_hash, scan.label_hash] for scan in scans},
        "splits": split.as_nnunet(),
        "plan": {"start": settings.start, "like": settings.like, "memory_gb": settings.memory_gb},
    }


def refuse_other(folder: Path, state: dict[str, Any]) -> bool:
    """Return whether a training was begun in a folder, and refuse one of other data.

    Parameters
    ----------
    folder : Path
        The output folder of the training.
    state : dict
        Description of the data, or a part of it.

    Raises
    ------
    DatasetError
        If the training was begun with other data, or the folder was not made by this command.
    """
    raw = folder / "nnUNet_raw"
    try:
        begun = json.loads((raw / NAME / STATE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        if raw.exists():
            raise DatasetError(
                f"{raw} is there already and was not made by this command; give another -ofolder"
            ) from None
        return False
    for key, difference in _DIFFERENCES.items():
        if key in state and begun.get(key) != state[key]:
            raise DatasetError(
                f"{folder} was begun with other data: {difference}; give another -ofolder (-splits "
                f"{folder}/{SPLIT_TABLE} keeps test subjects out of the training there)"
            )
    return True
