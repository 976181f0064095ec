"""A release of trained folds: a zip file for SCT and ``sct_rootlets models install``, and its entry in a catalogue."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from sct_rootlets.errors import ModelError
from sct_rootlets.nnunet.dataset import NAME, SOURCES, read_sources
from sct_rootlets.nnunet.settings import Fold
from sct_rootlets.nnunet.train import results_folder
from sct_rootlets.output.files import staged_outputs, write_json
from sct_rootlets.output.ownership import Guard
from sct_rootlets.sidecar import read_object, sha256_of

#: Name of the folder in the zip file: that of nnU-Net's own trainer, which every installation of nnU-Net has.
TRAINER = "nnUNetTrainer__nnUNetPlans__3d_fullres"
#: Time of the files in the zip file, the earliest possible, so that the same weights give the same file.
_TIMESTAMP = (1980, 1, 1, 0, 0, 0)


def finished_folds(folder: Path) -> list[Path]:
    """Find the folders of the folds that are trained to the end, in the output folder of a training."""
    return sorted(path.parent for path in results_folder(folder).glob("fold_*/checkpoint_final.pth"))


def export(
    folder: Path,
    archive: Path,
    version: str = "1.0",
    folds: Sequence[Fold] = (),
    licence: str = "",
    citation: str = "",
    url: str = "",
    overwrite: bool = False,
) -> Path:
    """Write a release: ``NAME.zip`` with all files to run the model, and ``NAME.json``, an entry for a catalogue.

    The entry has the format of ``data/weights.json``. Checkpoints are reduced to the weights and the names that
    nnU-Net needs to run them (no optimizer, no paths). Before any file appears, the model is loaded from the packed
    files, without running code from them.

    Parameters
    ----------
    folder : Path
        Output folder of a training.
    archive : Path
        The zip file; its name is that of the model.
    version : str
    folds : sequence of int or "all"
        Folds to pack; by default those of the split that are finished, or else the fold of all scans.
    licence, citation, url : str
        Parts of the entry; `url` is the address at which the file will be published.
    overwrite : bool
        Replace files that this function did not write, or that were edited since.

    Returns
    -------
    Path
        The file of the entry.

    Raises
    ------
    ModelError
        If a fold is not finished, or the model cannot be loaded.
    ImageError
        If a file that is kept would be replaced.
    """
    from sct_rootlets.models.installed import check_name
    from sct_rootlets.models.requirements import check_classes

    if archive.suffix != ".zip":
        raise ModelError(f"{archive} must be named .zip")
    name = archive.stem
    check_name(name)
    targets = [archive, archive.with_suffix(".json")]
    guard = Guard(overwrite=overwrite, elsewhere="write to another name (-export)")
    _check_release(archive, guard)
    finished = {_fold(path): path for path in finished_folds(folder)}
    missing = [fold for fold in folds if fold not in finished]
    if missing or not finished:
        what = f"fold {missing[0]} in {folder} is" if missing else f"no fold in {folder} is"
        raise ModelError(f"{what} trained to the end; run the training again to go on")
    from sct_rootlets.models.model import check_runs, load_model

    of_split = [fold for fold in finished if fold != "all"]
    chosen = {fold: finished[fold] for fold in sorted(folds or of_split or finished, key=str)}
    with staged_outputs(archive.parent, guard=replace(guard, overwrite=True)) as stage:
        inner = stage / "files" / TRAINER
        _write_model(inner, chosen)
        model = load_model(inner)
        check_classes(model.labels, name)
        check_runs(model)
        entry = _entry(folder, version, licence, citation, url)
        _zip(stage / archive.name, stage / "files", name, _digest(entry))
        entry["bytes"] = (stage / archive.name).stat().st_size
        entry["sha256"] = sha256_of(stage / archive.name)
        write_json(stage / f"{name}.json", {name: entry})
        shutil.rmtree(stage / "files")
        _check_release(archive, guard)
    return targets[1]


def _check_release(archive: Path, guard: Guard) -> None:
    """Raise an error if an earlier release would be replaced that `export` did not write, or that was edited since.

    The entry holds the hash of the zip file, and the comment of the zip file holds that of the entry.
    """
    file = archive.with_suffix(".json")
    if guard.overwrite:
        return
    entry = read_object(file).get(archive.stem)
    entry = entry if isinstance(entry, dict) else {}
    ours = set()
    try:
        if archive.is_file() and sha256_of(archive) == entry.get("sha256"):
            ours.add(archive)
        with zipfile.ZipFile(archive) as packed:
            if set(read_object(file)) == {archive.stem} and packed.comment.decode() == _digest(entry):
                ours.add(file)
    except (OSError, ValueError, zipfile.BadZipFile):
        pass
    guard.keep([path for path in (archive, file) if os.path.lexists(path) and path not in ours])


def _digest(entry: Mapping[str, Any]) -> str:
    """SHA-256 of an entry, without what is known of the zip file only when it is complete."""
    rest = {key: value for key, value in entry.items() if key not in ("sha256", "bytes")}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


def _fold(path: Path) -> Fold:
    name = path.name.removeprefix("fold_")
    return "all" if name == "all" else int(name)


def _write_model(target: Path, folds: dict[Fold, Path]) -> None:
    import torch

    from sct_rootlets.models.checkpoint import read_checkpoint

    target.mkdir(parents=True)
    source = next(iter(folds.values())).parent
    for name in ("plans.json", "dataset.json"):
        write_json(target / name, json.loads((source / name).read_text(encoding="utf-8")))
    for fold, path in folds.items():
        checkpoint = read_checkpoint(path / "checkpoint_final.pth")
        (target / f"fold_{fold}").mkdir()
        reduced = {
            "network_weights": checkpoint["network_weights"],
            "init_args": {"configuration": checkpoint["init_args"]["configuration"]},
            "trainer_name": "nnUNetTrainer",
            "inference_allowed_mirroring_axes": None,
        }
        torch.save(reduced, target / f"fold_{fold}" / "checkpoint_final.pth")


def _zip(path: Path, source: Path, name: str, comment: str) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.comment = comment.encode()
        for file in sorted(file for file in source.rglob("*") if file.is_file()):
            info = zipfile.ZipInfo(f"{name}/{file.relative_to(source).as_posix()}", _TIMESTAMP)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = 0o644 << 16
            archive.writestr(info, file.read_bytes())


def _entry(folder: Path, version: str, licence: str, citation: str, url: str) -> dict[str, Any]:
    """Make the entry of a catalogue, with the fields of `sct_rootlets.models.weights.Release`."""
    from sct_rootlets.levels import level_name

    trained = [row for row in read_sources(folder / "nnUNet_raw" / NAME / SOURCES) if row["side"] == "train"]
    values = {int(value) for row in trained for value in row["levels"].split()}
    return {
        "version": version,
        "contrasts": sorted({row["contrast"] for row in trained}),
        "levels": f"{level_name(min(values), 'spinal')}-{level_name(max(values), 'spinal')}",
        "mirrors": [url] if url else [],
        "sha256": None,
        "bytes": 0,
        "licence": licence,
        "citation": citation,
    }
